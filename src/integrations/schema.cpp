#include "integrations/schema.h"

#include <array>
#include <string>

#include "core/log.h"
#include "db/old_table.h"

namespace loquat::integrations {
namespace {

using db::Columns;
using db::Connection;

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

/// An older service's columns of these names are not ours.
constexpr std::array<std::string_view, 2> our_own = {"version", "position"};

using Kind = db::OwnColumn::Kind;
/// An older service's `id` need not be the primary key: it gets an index.
constexpr std::array<db::OwnColumn, 7> columns_we_need = {{
    {.name = "id", .definition = "text NOT NULL", .kind = Kind::text, .filled = true, .key = true},
    {.name = "name", .definition = "text NOT NULL DEFAULT ''", .kind = Kind::text, .filled = true},
    {.name = "description", .definition = "text NOT NULL DEFAULT ''", .kind = Kind::text, .filled = true},
    {.name = "status", .definition = "boolean NOT NULL DEFAULT false", .filled = true},
    {.name = "settings", .definition = "text", .filled = true},
    {.name = "version", .definition = "bigint NOT NULL DEFAULT 1", .kind = Kind::number, .filled = true},
    {.name = "position", .definition = "bigint NOT NULL DEFAULT 0", .kind = Kind::number, .filled = true},
}};

void add_missing_columns(Connection& connection, const Columns& columns) {
  for (const auto& column : columns_we_need) {
    if (columns.contains(column.name)) continue;
    connection.script("ALTER TABLE integrations ADD COLUMN " + std::string(column.name) + " " + std::string(column.definition));
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

/// The same on SQLite.
void relax_sqlite(Connection& connection, bool renamed) {
  // A renamed column may be part of what must be unique.
  if (renamed || db::needs_new_table_sqlite(connection, "integrations", columns_we_need))
    db::make_new_table_sqlite(connection, "integrations", columns_we_need, "rowid");
  connection.script("CREATE UNIQUE INDEX IF NOT EXISTS integrations_id ON integrations (id)");
}

void number_rows(Connection& connection) {
  const std::string place = connection.dialect() == db::Dialect::sqlite ? "rowid" : "ctid";
  connection.script("WITH own AS (SELECT " + place +
                    " AS place, row_number() OVER (ORDER BY CASE id WHEN 'facebook' THEN 0 WHEN 'chat_widget' THEN 1 ELSE 2 END, " + place +
                    ") AS n FROM integrations) UPDATE integrations SET position = own.n FROM own WHERE integrations." + place +
                    " = own.place");
}

void adopt(Connection& connection) {
  auto columns = db::read_columns(connection, "integrations");
  if (columns.contains("position") && columns.contains("version")) return;
  db::require_plain_table(connection, "integrations");
  const bool renamed = db::rename_foreign_columns(connection, "integrations", our_own, columns);
  add_missing_columns(connection, columns);
  const bool postgres = connection.dialect() == db::Dialect::postgres;
  if (postgres) change_types_postgres(connection, columns);
  connection.script(
      "UPDATE integrations SET name = coalesce(name, ''), description = coalesce(description, ''), status = coalesce(status, false)"
      " WHERE name IS NULL OR description IS NULL OR status IS NULL");
  if (postgres)
    relax_postgres(connection);
  else
    relax_sqlite(connection, renamed);
  number_rows(connection);
  log::info("integrations", "a table of integrations that an older service made was adopted");
}

constexpr std::array<db::Migration, 1> all = {{{"integrations", 1, create, {}, adopt}}};

}  // namespace

std::span<const db::Migration> migrations() { return all; }

}  // namespace loquat::integrations
