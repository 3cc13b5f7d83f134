#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "app/config.h"

namespace loquat::app {

struct ImportOptions {
  std::string from;               ///< mongodb://...; without a database's name MONGODB_DB, else "chatbot"
  std::vector<std::string> only;  ///< of "states", "integrations", "bot"; empty: all
};

/// `loquat import-mongodb`: moves what the old services kept in MongoDB into the configured stores. Nothing is taken twice, so it can be
/// interrupted and run again. What does not fit is named on `errors` by its _id and left out. Returns the exit status: 0 all done, 1 failed
/// (run it again), 2 wrong usage, 3 done but for what was left out or added meanwhile.
int run_import_mongodb(const ImportOptions& options, const Config& config, std::ostream& out, std::ostream& errors);

/// `loquat rotate-secrets`: seals all secrets in the configured stores with the first SECRETS_KEY; a bot is only in SQL. Returns the exit
/// status: 0 done, 1 failed, 2 wrong settings.
int rotate_all_secrets(const Config& config, std::ostream& out, std::ostream& errors);

}  // namespace loquat::app
