#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "db/sql.h"

/// What the adoption of tables that older services made has in common. Inside a migration's transaction; `table` is a plain name of ours.
namespace loquat::db {

/// Column name -> declared type. SQLite: both in lower case.
using Columns = std::map<std::string, std::string, std::less<>>;
[[nodiscard]] Columns read_columns(Connection& connection, std::string_view table);

/// Throws Error(conflict) when the name is a view's, or that of a table in parts: their rows cannot be numbered or changed in place.
void require_plain_table(Connection& connection, std::string_view table);

/// Columns whose names mean something else to us stay as `old_...`, refusing nothing. Changes `columns` likewise. False: there are none.
bool rename_foreign_columns(Connection& connection, std::string_view table, std::span<const std::string_view> names, Columns& columns);

/// A column of ours in a table on SQLite.
struct OwnColumn {
  enum class Kind : std::uint8_t { any, text, number };

  std::string_view name;
  std::string_view definition;  ///< its type and constraints
  Kind kind = Kind::any;        ///< what must not become something else
  bool filled = false;          ///< we never write NULL
  bool key = false;             ///< it may be the primary key
  std::string_view value = {};  ///< of the rows that are there; empty: the column itself
};
/// Whether the table would refuse or change what we write, which SQLite can cure only with a new one. Columns of ours may be missing.
[[nodiscard]] bool needs_new_table_sqlite(Connection& connection, std::string_view table, std::span<const OwnColumn> own);
/// Makes the table anew with the rows in `order`: columns of ours as they are defined here, the others with their values but without
/// constraints. All columns of ours must be there. Indexes are gone. Throws Error(conflict) when other tables refer to it.
void make_new_table_sqlite(Connection& connection, std::string_view table, std::span<const OwnColumn> own, std::string_view order);

}  // namespace loquat::db
