#pragma once

#include <functional>
#include <iosfwd>
#include <memory>
#include <string>

#include "bot/definition.h"
#include "core/crypto.h"
#include "db/sql.h"

/// `loquat import` and `loquat export`. They open the database themselves, create what is missing in it, and block.
namespace loquat::bot {

struct CommandSettings {
  db::DatabaseSettings database;
  std::shared_ptr<const crypto::Keyring> keyring;
};

/// Imports a file in the export format ("-": standard input) into the draft, by name, and makes the result live at once: running
/// processes follow within 2 s. `check` throws for a bot that cannot be served; nothing is taken then. Returns the exit status: 0, or
/// 1 with the reasons on `errors`.
int import_command(const CommandSettings& settings, const std::string& file, const std::function<void(const Definition&)>& check,
                   std::ostream& out, std::ostream& errors);

/// Writes the draft in the export format to `file` (empty or "-": to `out`).
int export_command(const CommandSettings& settings, const std::string& file, bool with_secrets, std::ostream& out, std::ostream& errors);

}  // namespace loquat::bot
