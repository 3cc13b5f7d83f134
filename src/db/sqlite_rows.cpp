#include "db/sqlite_rows.h"

#include <fmt/format.h>

#include "db/errors.h"

namespace loquat::db {

void SqliteRows::add(sqlite3_stmt* statement) {
  for (int column = 0; column < static_cast<int>(columns_); ++column) {
    Cell cell;
    cell.type = sqlite3_column_type(statement, column);
    if (cell.type == SQLITE_INTEGER) {
      cell.integer = sqlite3_column_int64(statement, column);
    } else if (cell.type == SQLITE_FLOAT) {
      cell.real = sqlite3_column_double(statement, column);
    } else if (cell.type != SQLITE_NULL) {
      const auto* data = static_cast<const char*>(sqlite3_column_blob(statement, column));
      cell.length = static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
      cell.integer = static_cast<std::int64_t>(bytes_.size());
      if (cell.length > 0) bytes_.append(data, cell.length);
    }
    cells_.push_back(cell);
  }
}

std::string SqliteRows::text(std::size_t row, std::size_t column) const {
  const auto& value = cell(row, column);
  switch (value.type) {
    case SQLITE_INTEGER: return std::to_string(value.integer);
    case SQLITE_FLOAT: return fmt::format("{}", value.real);
    case SQLITE_NULL: throw wrong_schema("an unexpected NULL");
    default: return std::string(view(value));
  }
}

std::int64_t SqliteRows::integer(std::size_t row, std::size_t column) const {
  const auto& value = cell(row, column);
  switch (value.type) {
    case SQLITE_INTEGER: return value.integer;
    case SQLITE_FLOAT: {
      constexpr double limit = 9.2e18;
      if (value.real > -limit && value.real < limit && static_cast<double>(static_cast<std::int64_t>(value.real)) == value.real) {
        return static_cast<std::int64_t>(value.real);
      }
      throw wrong_schema("a real that is no integer");
    }
    case SQLITE_NULL: throw wrong_schema("an unexpected NULL");
    default: return integer_of(view(value));
  }
}

double SqliteRows::real(std::size_t row, std::size_t column) const {
  const auto& value = cell(row, column);
  switch (value.type) {
    case SQLITE_INTEGER: return static_cast<double>(value.integer);
    case SQLITE_FLOAT: return value.real;
    case SQLITE_NULL: throw wrong_schema("an unexpected NULL");
    default: return real_of(view(value));
  }
}

bool SqliteRows::boolean(std::size_t row, std::size_t column) const {
  const auto& value = cell(row, column);
  switch (value.type) {
    case SQLITE_INTEGER: return value.integer != 0;
    case SQLITE_FLOAT: return value.real != 0;
    case SQLITE_NULL: throw wrong_schema("an unexpected NULL");
    default: return boolean_of(view(value));
  }
}

std::string SqliteRows::bytes(std::size_t row, std::size_t column) const {
  const auto& value = cell(row, column);
  if (value.type == SQLITE_TEXT || value.type == SQLITE_BLOB) return std::string(view(value));
  throw wrong_schema(value.type == SQLITE_NULL ? "an unexpected NULL" : "a number where bytes belong");
}

Time SqliteRows::time(std::size_t row, std::size_t column) const {
  const auto& value = cell(row, column);
  if (value.type == SQLITE_INTEGER) return from_microseconds(value.integer);
  if (value.type == SQLITE_TEXT) {
    if (const auto parsed = parse_iso8601(view(value))) return *parsed;
  }
  throw wrong_schema("a value that is no time");
}

}  // namespace loquat::db
