#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "template/ast.h"
#include "template/memory.h"
#include "template/value.h"

/// Python's int and float. Integers are exact up to 4096 bits; beyond that the rendering fails ("the number is too large").
namespace loquat::tmpl {

class Runtime;

[[nodiscard]] inline bool is_int(const Value& v) noexcept {
  return v.kind == Kind::integer || v.kind == Kind::big || v.kind == Kind::boolean;
}
[[nodiscard]] inline bool is_number(const Value& v) noexcept { return is_int(v) || v.kind == Kind::real; }

/// Digits with an optional 0x, 0b, 0o.
[[nodiscard]] Value parse_integer_literal(Memory& memory, std::string_view text);
/// int(text, base); nothing when it is no integer.
[[nodiscard]] std::optional<Value> parse_int(Memory& memory, std::string_view text, int base);
/// float(text)
[[nodiscard]] std::optional<double> parse_float(std::string_view text);

[[nodiscard]] Value from_unsigned(Memory& memory, std::uint64_t value);
/// int(real); nothing for infinity and NaN.
[[nodiscard]] std::optional<Value> truncate(Memory& memory, double value);
[[nodiscard]] double to_double(const Value& number);
/// Writes a finite number with `digits` decimals (0 to 323), rounded exactly, half to even; the end. `out` needs digits + 320 chars.
[[nodiscard]] char* write_fixed(char* out, double value, int digits);
[[nodiscard]] bool is_zero(const Value& number) noexcept;
[[nodiscard]] std::uint64_t hash_number(const Value& number) noexcept;

/// + - * / // % **; both are numbers.
[[nodiscard]] Value arithmetic(Runtime& rt, Expr::Kind op, const Value& a, const Value& b);
[[nodiscard]] Value negate_number(Runtime& rt, const Value& number);
[[nodiscard]] Value absolute(Runtime& rt, const Value& number);
/// round(number, digits); an int stays an int.
[[nodiscard]] Value round_number(Runtime& rt, const Value& number, std::int64_t digits);
/// -1, 0, 1; nothing when one is NaN.
[[nodiscard]] std::optional<int> compare_numbers(const Value& a, const Value& b);

/// Digits of an int in a base of 2, 8, 10 or 16 (lower case), with a minus sign, without a prefix.
[[nodiscard]] std::string int_digits(const Value& number, int base = 10);
[[nodiscard]] std::int64_t bit_length(const Value& number);
[[nodiscard]] std::int64_t bit_count(const Value& number);

}  // namespace loquat::tmpl
