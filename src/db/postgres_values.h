#pragma once

#include <libpq-fe.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "db/sql.h"

/// How values travel to and from PostgreSQL. Inside db/ only.
namespace loquat::db {

struct ClearResult {
  void operator()(PGresult* result) const noexcept { PQclear(result); }
};
using PostgresResult = std::unique_ptr<PGresult, ClearResult>;

/// What the server says of a prepared statement: the types it inferred for the parameters (so one Value fits smallint,
/// uuid or bytea columns), and whether we read all of its columns in binary.
struct StatementTypes {
  std::vector<Oid> parameters;
  bool binary_result = false;
};
[[nodiscard]] StatementTypes read_statement_types(const PGresult* description);

/// The arrays that libpq takes. Points into the values given, which must outlive it.
class Parameters {
 public:
  /// Throws Error(invalid) for values that the type cannot hold (NUL in a text, a number out of range).
  Parameters(const Values& values, std::span<const Oid> types);
  [[nodiscard]] int count() const noexcept { return static_cast<int>(values_.size()); }
  [[nodiscard]] const char* const* values() const noexcept { return values_.data(); }
  [[nodiscard]] const int* lengths() const noexcept { return lengths_.data(); }
  [[nodiscard]] const int* formats() const noexcept { return formats_.data(); }

 private:
  struct Encoder;
  void add_text(const std::string& text);
  void add_binary(std::string bytes);
  void add_view(const std::string& bytes, bool binary);

  std::vector<const char*> values_;
  std::vector<int> lengths_;
  std::vector<int> formats_;
  std::vector<std::string> storage_;
};

[[nodiscard]] Result make_postgres_rows(PostgresResult result);

}  // namespace loquat::db
