#include "integrations/schema.h"

#include <array>
#include <map>
#include <string>

#include "core/log.h"

namespace loquat::integrations {
namespace {

using db::Connection;

/// Column name -> declared type, in lower case.
using Columns = std::map<std::string, std::string, std::less<>>;

// `position` is the order of creation.
constexpr std::string_view create = R"(
CREATE TABLE IF NOT EXISTS integrations (
  id text PRIMARY KEY,
  name text NOT NULL,
  description text NOT NULL,
  status boolean NOT NULL DEFAULT false,
  settings text,
  version bigint NOT NULL DEFAULT 1,
  position bigint NOT NULL DEFAULT 0
))";

Columns read_columns(Connection& connection) {
  const auto* sql = connection.dialect() == db::Dialect::sqlite
                        ? "SELECT lower(name), lower(type) FROM pragma_table_info('integrations')"
                        : "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute"
                          " WHERE attrelid = 'integrations'::regclass AND attnum > 0 AND NOT attisdropped";
  const auto rows = connection.query(sql);
  Columns columns;
  for (std::size_t i = 0; i < rows->size(); ++i) columns.emplace(rows->text(i, 0), rows->text(i, 1));
  return columns;
}

void add_missing_columns(Connection& connection, const Columns& columns) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 6> needed = {{
      {"name", "text NOT NULL DEFAULT ''"},
      {"description", "text NOT NULL DEFAULT ''"},
      {"status", "boolean NOT NULL DEFAULT false"},
      {"settings", "text"},
      {"version", "bigint NOT NULL DEFAULT 1"},
      {"position", "bigint NOT NULL DEFAULT 0"},
  }};
  for (const auto& [name, type] : needed) {
    if (columns.contains(name)) continue;
    connection.script("ALTER TABLE integrations ADD COLUMN " + std::string(name) + " " + std::string(type));
  }
}

/// One ALTER TABLE, which is one pass over the table.
void change_types_postgres(Connection& connection, const Columns& columns) {
  std::string changes;
  const auto add = [&changes](const std::string& change) { changes += (changes.empty() ? "" : ", ") + change; };
  for (const std::string_view name : {"id", "name", "description", "settings"}) {
    const auto column = columns.find(name);
    if (column == columns.end() || column->second == "text") continue;
    add("ALTER COLUMN " + std::string(name) + " DROP DEFAULT");
    add("ALTER COLUMN " + std::string(name) + " TYPE text USING " + std::string(name) + "::text");
  }
  if (const auto status = columns.find("status"); status != columns.end() && status->second != "boolean") {
    add("ALTER COLUMN status DROP DEFAULT");
    add("ALTER COLUMN status TYPE boolean USING coalesce(lower(status::text) IN ('1', 't', 'true', 'yes', 'on'), false)");
  }
  if (!changes.empty()) connection.script("ALTER TABLE integrations " + changes);
}

/// Columns that only the older service filled must not refuse our rows, and ON CONFLICT (id) needs a unique index.
void relax_postgres(Connection& connection) {
  const auto rows = connection.query(
      "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = 'integrations'::regclass AND attnum > 0 AND NOT attisdropped AND "
      "attnotnull"
      " AND NOT atthasdef AND attidentity = '' AND attname NOT IN ('id', 'name', 'description', 'status', 'version', 'position')"
      " AND NOT EXISTS (SELECT 1 FROM pg_index WHERE indrelid = attrelid AND indisprimary AND attnum = ANY (indkey))");
  for (std::size_t i = 0; i < rows->size(); ++i)
    connection.script("ALTER TABLE integrations ALTER COLUMN " + rows->text(i, 0) + " DROP NOT NULL");
  const auto unique = connection.query(
      "SELECT 1 FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0] WHERE indrelid = 'integrations'::regclass"
      " AND indisunique AND indnkeyatts = 1 AND indpred IS NULL AND attname = 'id'");
  if (unique->empty()) connection.script("CREATE UNIQUE INDEX IF NOT EXISTS integrations_id ON integrations (id)");
}

void number_rows(Connection& connection) {
  const std::string place = connection.dialect() == db::Dialect::sqlite ? "rowid" : "ctid";
  connection.script("WITH own AS (SELECT " + place +
                    " AS place, row_number() OVER (ORDER BY CASE id WHEN 'facebook' THEN 0 WHEN 'chat_widget' THEN 1 ELSE 2 END, " + place +
                    ") AS n FROM integrations) UPDATE integrations SET position = own.n FROM own WHERE integrations." + place +
                    " = own.place");
}

void adopt(Connection& connection) {
  const auto columns = read_columns(connection);
  if (columns.contains("position") && columns.contains("version")) return;
  add_missing_columns(connection, columns);
  const bool postgres = connection.dialect() == db::Dialect::postgres;
  if (postgres) change_types_postgres(connection, columns);
  connection.script(
      "UPDATE integrations SET name = coalesce(name, ''), description = coalesce(description, ''), status = coalesce(status, false)"
      " WHERE name IS NULL OR description IS NULL OR status IS NULL");
  if (postgres)
    relax_postgres(connection);
  else
    connection.script("CREATE UNIQUE INDEX IF NOT EXISTS integrations_id ON integrations (id)");
  number_rows(connection);
  log::info("integrations", "a table of integrations that an older service made was adopted");
}

constexpr std::array<db::Migration, 1> all = {{{"integrations", 1, create, {}, adopt}}};

}  // namespace

std::span<const db::Migration> migrations() { return all; }

}  // namespace loquat::integrations
