#include "db/migrate.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "core/log.h"
#include "core/text.h"
#include "db/postgres_connection.h"

namespace loquat::db {
namespace {

constexpr std::string_view this_release = LOQUAT_VERSION;
/// Migrations are additive within a release and the one after it, so the release before this one can go on with the tables.
constexpr std::string_view oldest_release = "0.1.0";
constexpr std::int64_t lock_number = 0x6c6f717561740001;

constexpr std::string_view create_table =
    "CREATE TABLE IF NOT EXISTS loquat_migrations (feature text NOT NULL, number integer NOT NULL, applied_at timestamptz NOT NULL, "
    "oldest_release text NOT NULL, PRIMARY KEY (feature, number))";
constexpr std::string_view create_table_sqlite =
    "CREATE TABLE IF NOT EXISTS loquat_migrations (feature TEXT NOT NULL, number INTEGER NOT NULL, applied_at INTEGER NOT NULL, "
    "oldest_release TEXT NOT NULL, PRIMARY KEY (feature, number))";

using Applied = std::set<std::pair<std::string, std::int64_t>>;

std::array<int, 3> version_numbers(std::string_view release) {
  std::array<int, 3> numbers{};
  std::size_t i = 0;
  for (const auto part : text::split(release, '.')) {
    if (i < numbers.size()) std::from_chars(part.data(), part.data() + part.size(), numbers.at(i++));
  }
  return numbers;
}

bool has_table(Connection& connection) {
  if (connection.dialect() == Dialect::sqlite) {
    return !connection.query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'loquat_migrations'")->empty();
  }
  return !connection.query("SELECT to_regclass('loquat_migrations')::text")->is_null(0, 0);
}

Applied read_applied(Connection& connection) {
  Applied applied;
  if (!has_table(connection)) return applied;
  const auto rows = connection.query("SELECT feature, number, oldest_release FROM loquat_migrations");
  for (std::size_t i = 0; i < rows->size(); ++i) {
    if (version_numbers(rows->text(i, 2)) > version_numbers(this_release)) {
      throw Error(Code::conflict, "the database needs loquat " + rows->text(i, 2) + " or newer");
    }
    applied.emplace(rows->text(i, 0), rows->integer(i, 1));
  }
  return applied;
}

std::string_view text_for(const Migration& migration, Dialect dialect) {
  return dialect == Dialect::sqlite && !migration.sqlite.empty() ? migration.sqlite : migration.sql;
}

/// One migration in the transaction that is open; false when another process was faster.
bool apply(Connection& connection, const Migration& migration) {
  const bool sqlite = connection.dialect() == Dialect::sqlite;  // its transaction holds the write lock already
  if (!sqlite) connection("SELECT pg_advisory_xact_lock($1)", lock_number);
  connection.script(sqlite ? create_table_sqlite : create_table);
  if (read_applied(connection).contains({std::string(migration.feature), migration.number})) return false;
  if (const auto sql = text_for(migration, connection.dialect()); !sql.empty()) connection.script(sql);
  if (migration.adopt != nullptr) migration.adopt(connection);
  connection("INSERT INTO loquat_migrations (feature, number, applied_at, oldest_release) VALUES ($1, $2, $3, $4)",
             std::string(migration.feature), std::int64_t{migration.number}, now(), std::string(oldest_release));
  return true;
}

bool is_lost_connection(const Error& error) {
  if (dynamic_cast<const OutcomeUnknown*>(&error) != nullptr) return true;
  const auto* failure = dynamic_cast<const PostgresFailure*>(&error);
  return failure != nullptr && (failure->kind() == PostgresFailure::Kind::lost || failure->kind() == PostgresFailure::Kind::timed_out);
}

/// `step`: what is being done, "state 1: ".
void run(Database& database, const std::string& step, const std::function<void(Connection&)>& job) {
  try {
    database.run_blocking(job);
  } catch (const Error& error) {
    if (error.log_detail().empty() || is_lost_connection(error)) throw;
    throw CannotPrepare(error.code(), "the database cannot be prepared: " + step + error.log_detail());
  }
}

}  // namespace

std::vector<std::string> migrate(Database& database, std::span<const Migration> migrations, bool dry_run) {
  Applied applied;
  run(database, {}, [&applied](Connection& connection) { applied = read_applied(connection); });
  std::vector<std::string> names;
  for (const auto& migration : migrations) {
    if (applied.contains({std::string(migration.feature), migration.number})) continue;
    auto name = std::string(migration.feature) + " " + std::to_string(migration.number);
    bool done = true;
    if (!dry_run) {
      run(database, name + ": ", [&](Connection& connection) { done = apply(connection, migration); });
      if (done) log::info("db", "migration applied", {{"migration", name}});
    }
    if (done) names.push_back(std::move(name));
  }
  return names;
}

}  // namespace loquat::db
