#pragma once

#include <sqlite3.h>

#include <string>
#include <vector>

#include "db/sql.h"

namespace loquat::db {

/// Rows copied out of a statement, so that the connection is free at once.
class SqliteRows final : public Rows {
 public:
  explicit SqliteRows(int columns) : columns_(static_cast<std::size_t>(columns)) {}
  void add(sqlite3_stmt* statement);
  void set_affected(std::int64_t count) noexcept { affected_ = count; }

  [[nodiscard]] std::size_t size() const noexcept override { return columns_ == 0 ? 0 : cells_.size() / columns_; }
  [[nodiscard]] bool is_null(std::size_t row, std::size_t column) const override { return cell(row, column).type == SQLITE_NULL; }
  [[nodiscard]] std::string text(std::size_t row, std::size_t column) const override;
  [[nodiscard]] std::int64_t integer(std::size_t row, std::size_t column) const override;
  [[nodiscard]] double real(std::size_t row, std::size_t column) const override;
  [[nodiscard]] bool boolean(std::size_t row, std::size_t column) const override;
  [[nodiscard]] std::string bytes(std::size_t row, std::size_t column) const override;
  [[nodiscard]] Time time(std::size_t row, std::size_t column) const override;
  [[nodiscard]] std::int64_t affected() const noexcept override { return affected_; }

 private:
  struct Cell {
    int type = SQLITE_NULL;
    std::int64_t integer = 0;  ///< or the offset into bytes_
    std::size_t length = 0;
    double real = 0;
  };
  [[nodiscard]] const Cell& cell(std::size_t row, std::size_t column) const { return cells_.at(row * columns_ + column); }
  [[nodiscard]] std::string_view view(const Cell& cell) const {
    return std::string_view(bytes_).substr(static_cast<std::size_t>(cell.integer), cell.length);
  }

  std::size_t columns_;
  std::vector<Cell> cells_;
  std::string bytes_;
  std::int64_t affected_ = 0;
};

}  // namespace loquat::db
