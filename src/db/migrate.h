#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "db/sql.h"

namespace loquat::db {

/// One numbered change of a feature's tables. Never edited once released. `sqlite` empty: the same text for both.
/// `adopt` (optional) runs instead of failing where older services made the table already: it gets the connection after
/// the SQL and completes columns, numbers versions and so on; idempotent.
struct Migration {
  std::string_view feature;  ///< "state", "integrations", "bus", "bot"
  int number = 0;
  std::string_view sql;
  std::string_view sqlite = {};
  void (*adopt)(Connection&) = nullptr;
};

/// A database that answers, or a file, cannot be made ready. `what()` has the driver's reason, for logs and command lines.
/// Code::unavailable: it may heal, trying again later may help.
class CannotPrepare final : public Error {
 public:
  using Error::Error;
};

/// Applies what is missing, in order, under a lock (advisory lock on PostgreSQL, the write lock on SQLite), each in one
/// transaction, recorded in the table `loquat_migrations`(feature, number, applied_at, oldest_release). Two processes that start at once do
/// not collide. Throws Error(unavailable) when there is no connection to the database, CannotPrepare when it refuses, Error(conflict) "the
/// database needs loquat X or newer" when its schema is newer than this binary can work with. With `dry_run` nothing is changed. Returns
/// the names ("state 2") of what was (or would be) applied.
std::vector<std::string> migrate(Database& database, std::span<const Migration> migrations, bool dry_run = false);

}  // namespace loquat::db
