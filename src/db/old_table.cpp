#include "db/old_table.h"

#include <algorithm>
#include <vector>

#include "core/text.h"

namespace loquat::db {
namespace {

std::string quote(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + '"';
}

/// The rules of https://www.sqlite.org/datatype3.html, section 3.1; `type` in lower case.
enum class Affinity : std::uint8_t { integer, text, blob, real, numeric };
Affinity affinity_of(std::string_view type) {
  const auto has = [type](std::string_view part) { return type.contains(part); };
  if (has("int")) return Affinity::integer;
  if (has("char") || has("clob") || has("text")) return Affinity::text;
  if (type.empty() || has("blob")) return Affinity::blob;
  if (has("real") || has("floa") || has("doub")) return Affinity::real;
  return Affinity::numeric;
}

struct SqliteColumn {
  std::string name;
  std::string type;
  bool not_null;
  bool has_default;
  bool in_key;
  bool rowid;  ///< its values come by themselves
};
std::vector<SqliteColumn> read_sqlite_columns(Connection& connection, std::string_view table) {
  const auto rows = connection("SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info($1)", std::string(table));
  std::int64_t keys = 0;
  for (std::size_t i = 0; i < rows->size(); ++i) keys += rows->integer(i, 4) > 0 ? 1 : 0;
  std::vector<SqliteColumn> columns;
  for (std::size_t i = 0; i < rows->size(); ++i) {
    const bool in_key = rows->integer(i, 4) > 0;
    const auto type = rows->text(i, 1);
    columns.push_back({rows->text(i, 0), type, rows->integer(i, 2) != 0, !rows->is_null(i, 3), in_key,
                       in_key && keys == 1 && text::equal_ignoring_ascii_case(type, "integer")});
  }
  return columns;
}

const OwnColumn* find_own(std::span<const OwnColumn> own, std::string_view name) {
  const auto found = std::ranges::find_if(own, [name](const OwnColumn& c) { return text::equal_ignoring_ascii_case(c.name, name); });
  return found == own.end() ? nullptr : &*found;
}

bool suits(const OwnColumn& own, const SqliteColumn& column) {
  if ((column.not_null && !own.filled) || (column.in_key && !own.key)) return false;
  const auto affinity = affinity_of(text::to_lower_ascii(column.type));
  switch (own.kind) {
    case OwnColumn::Kind::any: break;
    case OwnColumn::Kind::text: return affinity == Affinity::text || affinity == Affinity::blob;
    case OwnColumn::Kind::number: return affinity != Affinity::text && affinity != Affinity::real;
  }
  return true;
}

// Dropping a table deletes its rows first, and with ON DELETE CASCADE those that refer to them.
void require_no_references_sqlite(Connection& connection, const std::string& table) {
  const auto rows = connection(
      "SELECT m.name FROM sqlite_master AS m, pragma_foreign_key_list(m.name) AS f WHERE m.type = 'table' AND lower(f.\"table\") = $1",
      table);
  if (rows->empty()) return;
  throw Error(Code::conflict, "the database cannot be prepared: the table " + rows->text(0, 0) + " refers to " + table +
                                  ", which must be made anew. Drop that table or its foreign key first");
}

void relax_postgres(Connection& connection, const std::string& table, const std::string& column) {
  connection.script("ALTER TABLE " + table + " ALTER COLUMN " + column + " DROP IDENTITY IF EXISTS, ALTER COLUMN " + column +
                    " DROP DEFAULT");
  const auto key = connection(
      "SELECT 1 FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)"
      " WHERE indrelid = $1::text::regclass AND indisprimary AND attname = $2",
      table, column);
  if (key->empty()) connection.script("ALTER TABLE " + table + " ALTER COLUMN " + column + " DROP NOT NULL");
}

}  // namespace

Columns read_columns(Connection& connection, std::string_view table) {
  const auto* sql = connection.dialect() == Dialect::sqlite ? "SELECT lower(name), lower(type) FROM pragma_table_info($1)"
                                                            : "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute"
                                                              " WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped";
  const auto rows = connection(sql, std::string(table));
  Columns columns;
  for (std::size_t i = 0; i < rows->size(); ++i) columns.emplace(rows->text(i, 0), rows->text(i, 1));
  return columns;
}

void require_plain_table(Connection& connection, std::string_view table) {
  const auto* sql = connection.dialect() == Dialect::sqlite
                        ? "SELECT 1 FROM sqlite_master WHERE name = $1 AND type <> 'table'"
                        : "SELECT 1 FROM pg_class WHERE oid = $1::text::regclass AND (relkind <> 'r' OR relhassubclass OR relispartition)";
  if (connection(sql, std::string(table))->empty()) return;
  throw Error(Code::conflict,
              "the database cannot be prepared: " + std::string(table) +
                  " is a view or a table in parts, which cannot be adopted. Rename it, and copy its rows into a plain table "
                  "of that name if they are to stay readable");
}

bool rename_foreign_columns(Connection& connection, std::string_view table, std::span<const std::string_view> names, Columns& columns) {
  bool renamed = false;
  for (const auto& name : names) {
    const auto found = columns.find(name);
    if (found == columns.end()) continue;
    auto next = "old_" + std::string(name);
    while (columns.contains(next)) next.insert(0, "old_");
    connection.script("ALTER TABLE " + std::string(table) + " RENAME COLUMN " + std::string(name) + " TO " + next);
    if (connection.dialect() == Dialect::postgres) relax_postgres(connection, std::string(table), next);
    columns.emplace(std::move(next), found->second);
    columns.erase(found);
    renamed = true;
  }
  return renamed;
}

bool needs_new_table_sqlite(Connection& connection, std::string_view table, std::span<const OwnColumn> own) {
  return std::ranges::any_of(read_sqlite_columns(connection, table), [own](const SqliteColumn& column) {
    if (column.rowid) return false;
    if (const auto* ours = find_own(own, column.name); ours != nullptr) return !suits(*ours, column);
    return column.in_key || (column.not_null && !column.has_default);
  });
}

void make_new_table_sqlite(Connection& connection, std::string_view table, std::span<const OwnColumn> own, std::string_view order) {
  require_no_references_sqlite(connection, std::string(table));
  std::string definitions;
  std::string names;
  std::string values;
  const auto add = [&](const std::string& name, const std::string& definition, std::string_view value) {
    const std::string comma = names.empty() ? "" : ", ";
    definitions += comma + name + " " + definition;
    names += comma + name;
    values += comma + (value.empty() ? name : std::string(value));
  };
  for (const auto& column : own) add(std::string(column.name), std::string(column.definition), column.value);
  for (const auto& column : read_sqlite_columns(connection, table)) {
    if (find_own(own, column.name) == nullptr) add(quote(column.name), column.type + (column.rowid ? " PRIMARY KEY" : ""), {});
  }
  const std::string name(table);
  const auto fresh = name + "_new";
  // Views of the table stay as they are while it is away.
  connection.script("PRAGMA legacy_alter_table=ON");
  connection.script("CREATE TABLE " + fresh + " (" + definitions + "); INSERT INTO " + fresh + " (" + names + ") SELECT " + values +
                    " FROM " + name + " ORDER BY " + std::string(order) + "; DROP TABLE " + name + "; ALTER TABLE " + fresh +
                    " RENAME TO " + name);
  connection.script("PRAGMA legacy_alter_table=OFF");
}

}  // namespace loquat::db
