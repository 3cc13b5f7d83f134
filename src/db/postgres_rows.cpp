#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "db/errors.h"
#include "db/postgres_types.h"
#include "db/postgres_values.h"

namespace loquat::db {
namespace {

constexpr std::array binary_types = {pg::boolean,   pg::bytea,       pg::int8,   pg::int2,  pg::int4,    pg::text,
                                     pg::json,      pg::float8,      pg::bpchar, pg::name,  pg::varchar, pg::unknown,
                                     pg::timestamp, pg::timestamptz, pg::uuid,   pg::void_, pg::jsonb};

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  throw wrong_schema("a text that is no hex");
}

std::string from_hex(std::string_view digits) {
  std::string out;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) out += static_cast<char>(hex_digit(digits[i]) * 16 + hex_digit(digits[i + 1]));
  return out;
}

class PostgresRows final : public Rows {
 public:
  explicit PostgresRows(PostgresResult result) : result_(std::move(result)), size_(static_cast<std::size_t>(PQntuples(result_.get()))) {}

  [[nodiscard]] std::size_t size() const noexcept override { return size_; }
  [[nodiscard]] bool is_null(std::size_t row, std::size_t column) const override {
    check(row, column);
    return PQgetisnull(result_.get(), static_cast<int>(row), static_cast<int>(column)) != 0;
  }
  [[nodiscard]] std::string text(std::size_t row, std::size_t column) const override;
  [[nodiscard]] std::int64_t integer(std::size_t row, std::size_t column) const override;
  [[nodiscard]] double real(std::size_t row, std::size_t column) const override;
  [[nodiscard]] bool boolean(std::size_t row, std::size_t column) const override;
  [[nodiscard]] std::string bytes(std::size_t row, std::size_t column) const override;
  [[nodiscard]] Time time(std::size_t row, std::size_t column) const override;
  [[nodiscard]] std::int64_t affected() const noexcept override {
    const std::string_view count = PQcmdTuples(result_.get());
    std::int64_t value = 0;
    std::from_chars(count.data(), count.data() + count.size(), value);
    return value;
  }

 private:
  struct Cell {
    Oid type = 0;
    bool binary = false;
    std::string_view data;
  };
  void check(std::size_t row, std::size_t column) const {
    if (row >= size_ || column >= static_cast<std::size_t>(PQnfields(result_.get())))
      throw wrong_schema("a row or column that is not there");
  }
  [[nodiscard]] Cell cell(std::size_t row, std::size_t column) const {
    if (is_null(row, column)) throw wrong_schema("an unexpected NULL");
    const int r = static_cast<int>(row);
    const int c = static_cast<int>(column);
    return {PQftype(result_.get(), c),
            PQfformat(result_.get(), c) == 1,
            {PQgetvalue(result_.get(), r, c), static_cast<std::size_t>(PQgetlength(result_.get(), r, c))}};
  }

  PostgresResult result_;
  std::size_t size_;
};

// `data` has the length that its type has: the server says so.
std::int64_t binary_integer(Oid type, std::string_view data) {
  switch (type) {
    case pg::int8: return pg::read<std::int64_t>(data.data());
    case pg::int4: return pg::read<std::int32_t>(data.data());
    case pg::int2: return pg::read<std::int16_t>(data.data());
    case pg::boolean: return data[0] != '\0' ? 1 : 0;
    default: throw wrong_schema("no integer, type " + std::to_string(type));
  }
}

Time binary_time(std::string_view data) {
  const auto value = pg::read<std::int64_t>(data.data());
  if (value > std::numeric_limits<std::int64_t>::max() - pg::epoch_microseconds) return Time::max();  // infinity
  if (value == std::numeric_limits<std::int64_t>::min()) return Time::min();
  return from_microseconds(value + pg::epoch_microseconds);
}

bool holds_text(Oid type) noexcept {
  return type == pg::text || type == pg::varchar || type == pg::bpchar || type == pg::json || type == pg::name || type == pg::unknown;
}

std::string PostgresRows::text(std::size_t row, std::size_t column) const {
  const auto value = cell(row, column);
  if (!value.binary || holds_text(value.type)) return std::string(value.data);
  switch (value.type) {
    case pg::jsonb: return std::string(value.data.substr(1));  // after the version
    case pg::boolean: return value.data[0] != '\0' ? "true" : "false";
    case pg::float8: return fmt::format("{}", std::bit_cast<double>(pg::read<std::uint64_t>(value.data.data())));
    case pg::timestamp:
    case pg::timestamptz: return to_iso8601(binary_time(value.data));
    case pg::uuid: return message_id(row, column).to_string();
    case pg::bytea: return std::string(value.data);
    case pg::void_: return {};
    default: return std::to_string(binary_integer(value.type, value.data));
  }
}

std::int64_t PostgresRows::integer(std::size_t row, std::size_t column) const {
  const auto value = cell(row, column);
  if (!value.binary || holds_text(value.type)) return integer_of(value.data);
  return binary_integer(value.type, value.data);
}

double PostgresRows::real(std::size_t row, std::size_t column) const {
  const auto value = cell(row, column);
  if (!value.binary || holds_text(value.type)) return real_of(value.data);
  if (value.type == pg::float8) return std::bit_cast<double>(pg::read<std::uint64_t>(value.data.data()));
  return static_cast<double>(binary_integer(value.type, value.data));
}

bool PostgresRows::boolean(std::size_t row, std::size_t column) const {
  const auto value = cell(row, column);
  if (!value.binary || holds_text(value.type)) return boolean_of(value.data);
  return binary_integer(value.type, value.data) != 0;
}

std::string PostgresRows::bytes(std::size_t row, std::size_t column) const {
  const auto value = cell(row, column);
  if (value.binary || holds_text(value.type)) return std::string(value.data);
  if (value.type == pg::bytea && value.data.starts_with("\\x")) return from_hex(value.data.substr(2));
  if (value.type == pg::uuid) {
    std::string digits(value.data);
    std::erase(digits, '-');
    return from_hex(digits);
  }
  throw wrong_schema("no bytes, type " + std::to_string(value.type));
}

Time PostgresRows::time(std::size_t row, std::size_t column) const {
  const auto value = cell(row, column);
  if (value.binary && (value.type == pg::timestamptz || value.type == pg::timestamp)) return binary_time(value.data);
  if (value.binary && value.type == pg::int8) return from_microseconds(binary_integer(value.type, value.data));
  std::string text(value.data);
  if (value.type == pg::timestamptz && text.size() > 3 && (text[text.size() - 3] == '+' || text[text.size() - 3] == '-')) text += ":00";
  if (const auto parsed = parse_iso8601(text)) return *parsed;
  throw wrong_schema("a value that is no time");
}

}  // namespace

StatementTypes read_statement_types(const PGresult* description) {
  StatementTypes types;
  const int parameters = PQnparams(description);
  for (int i = 0; i < parameters; ++i) types.parameters.push_back(PQparamtype(description, i));
  types.binary_result = true;
  const int columns = PQnfields(description);
  for (int i = 0; i < columns; ++i) {
    if (std::ranges::find(binary_types, PQftype(description, i)) == binary_types.end()) types.binary_result = false;
  }
  return types;
}

Result make_postgres_rows(PostgresResult result) { return std::make_unique<PostgresRows>(std::move(result)); }

}  // namespace loquat::db
