#include "template/numbers.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

#include "template/big.h"
#include "template/library.h"

namespace loquat::tmpl {

namespace {

constexpr std::int64_t min64 = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t max64 = std::numeric_limits<std::int64_t>::max();

[[nodiscard]] bool is_small(const Value& v) noexcept { return v.is_index(); }

[[nodiscard]] std::int64_t floor_div(std::int64_t a, std::int64_t b) noexcept {
  const std::int64_t q = a / b;
  return (a % b != 0 && ((a < 0) != (b < 0))) ? q - 1 : q;
}

[[nodiscard]] double float_mod(double a, double b) noexcept {
  double mod = std::fmod(a, b);
  if (mod != 0) {
    return (b < 0) != (mod < 0) ? mod + b : mod;
  }
  return std::copysign(0.0, b);
}

[[nodiscard]] double float_floor_div(double a, double b) noexcept {
  double mod = std::fmod(a, b);
  double div = (a - mod) / b;
  if (mod != 0 && (b < 0) != (mod < 0)) {
    div -= 1.0;
  }
  if (div == 0) {
    return std::copysign(0.0, a / b);
  }
  const double floored = std::floor(div);
  return div - floored > 0.5 ? floored + 1.0 : floored;
}

[[nodiscard]] double float_pow(double a, double b) {
  if (a == 0 && b < 0) {
    fail("0.0 cannot be raised to a negative power");
  }
  if (a < 0 && std::isfinite(a) && std::isfinite(b) && b != std::floor(b)) {
    fail("complex numbers are not supported");
  }
  const double result = std::pow(a, b);
  if (std::isinf(result) && std::isfinite(a) && std::isfinite(b)) {
    fail("Numerical result out of range");
  }
  return result;
}

[[nodiscard]] Value real_arithmetic(Expr::Kind op, double a, double b) {
  using Kind = Expr::Kind;
  if ((op == Kind::div || op == Kind::floordiv || op == Kind::mod) && b == 0) {
    fail("float division by zero");
  }
  switch (op) {
    case Kind::add: return Value::of(a + b);
    case Kind::sub: return Value::of(a - b);
    case Kind::mul: return Value::of(a * b);
    case Kind::div: return Value::of(a / b);
    case Kind::floordiv: return Value::of(float_floor_div(a, b));
    case Kind::mod: return Value::of(float_mod(a, b));
    default: return Value::of(float_pow(a, b));
  }
}

[[nodiscard]] Value true_division(const Value& a, const Value& b) {
  constexpr std::int64_t exact = std::int64_t{1} << 53;
  if (is_small(a) && is_small(b)) {
    const std::int64_t x = a.index();
    const std::int64_t y = b.index();
    if (x >= -exact && x <= exact && y >= -exact && y <= exact) {
      return Value::of(static_cast<double>(x) / static_cast<double>(y));
    }
  }
  const double ratio = big_ratio(a, b);
  if (std::isinf(ratio)) {
    fail("integer division result too large for a float");
  }
  return Value::of(ratio);
}

/// Both fit 64 bits; nothing when the result does not.
[[nodiscard]] std::optional<Value> small_arithmetic(Expr::Kind op, std::int64_t a, std::int64_t b) {
  using Kind = Expr::Kind;
  std::int64_t result = 0;
  switch (op) {
    case Kind::add: return __builtin_add_overflow(a, b, &result) ? std::nullopt : std::optional(Value::of(result));
    case Kind::sub: return __builtin_sub_overflow(a, b, &result) ? std::nullopt : std::optional(Value::of(result));
    case Kind::mul: return __builtin_mul_overflow(a, b, &result) ? std::nullopt : std::optional(Value::of(result));
    case Kind::floordiv: return a == min64 && b == -1 ? std::nullopt : std::optional(Value::of(floor_div(a, b)));
    case Kind::mod: return Value::of(b == -1 ? std::int64_t{0} : a - floor_div(a, b) * b);
    default: return std::nullopt;
  }
}

[[nodiscard]] Value int_pow(Runtime& rt, const Value& base, const Value& exponent) {
  if (compare_numbers(exponent, Value::of(std::int64_t{0})).value_or(0) < 0) {
    return Value::of(float_pow(to_double(base), to_double(exponent)));
  }
  return big_pow(rt.memory, base, exponent);
}

[[nodiscard]] std::uint64_t mix(std::uint64_t x) noexcept {
  x ^= x >> 32U;
  x *= 0x9E3779B97F4A7C15ULL;
  x ^= x >> 29U;
  return x == 0 ? 1 : x;
}

}  // namespace

Value from_unsigned(Memory& memory, std::uint64_t value) {
  if (value <= static_cast<std::uint64_t>(max64)) {
    return Value::of(static_cast<std::int64_t>(value));
  }
  return big_from_words(memory, false, std::span(&value, 1));
}

std::optional<Value> truncate(Memory& memory, double value) {
  if (!std::isfinite(value)) {
    return std::nullopt;
  }
  const double whole = std::trunc(value);
  if (whole >= -9223372036854775808.0 && whole < 9223372036854775808.0) {
    return Value::of(static_cast<std::int64_t>(whole));
  }
  return big_from_double(memory, whole);
}

double to_double(const Value& number) {
  switch (number.kind) {
    case Kind::boolean: return number.boolean ? 1.0 : 0.0;
    case Kind::integer: return static_cast<double>(number.integer);
    case Kind::real: return number.real;
    default: {
      const double value = big_to_double(number);
      if (std::isinf(value)) {
        fail("int too large to convert to float");
      }
      return value;
    }
  }
}

bool is_zero(const Value& number) noexcept {
  return number.is_index() ? number.index() == 0 : number.kind == Kind::real && number.real == 0;
}

std::uint64_t hash_number(const Value& number) noexcept {
  if (number.is_index()) {
    return mix(static_cast<std::uint64_t>(number.index()) + 0x1234567);
  }
  const double value = number.kind == Kind::real ? number.real : big_to_double(number);
  if (value >= -9223372036854775808.0 && value < 9223372036854775808.0 && value == std::trunc(value)) {
    return mix(static_cast<std::uint64_t>(static_cast<std::int64_t>(value)) + 0x1234567);
  }
  return mix(std::bit_cast<std::uint64_t>(value));
}

Value arithmetic(Runtime& rt, Expr::Kind op, const Value& a, const Value& b) {
  using Kind = Expr::Kind;
  if (a.kind == tmpl::Kind::real || b.kind == tmpl::Kind::real) {
    return real_arithmetic(op, to_double(a), to_double(b));
  }
  if ((op == Kind::div || op == Kind::floordiv || op == Kind::mod) && is_zero(b)) {
    fail("division by zero");
  }
  if (op == Kind::div) {
    return true_division(a, b);
  }
  if (op == Kind::pow) {
    return int_pow(rt, a, b);
  }
  if (is_small(a) && is_small(b)) {
    if (const auto result = small_arithmetic(op, a.index(), b.index())) {
      return *result;
    }
  }
  return big_arithmetic(rt.memory, op, a, b);
}

Value negate_number(Runtime& rt, const Value& number) {
  if (number.kind == Kind::real) {
    return Value::of(-number.real);
  }
  return arithmetic(rt, Expr::Kind::sub, Value::of(std::int64_t{0}), number);
}

Value absolute(Runtime& rt, const Value& number) {
  if (number.kind == Kind::real) {
    return Value::of(std::fabs(number.real));
  }
  if (compare_numbers(number, Value::of(std::int64_t{0})).value_or(0) < 0) {
    return negate_number(rt, number);
  }
  return number.kind == Kind::boolean ? Value::of(number.index()) : number;
}

namespace {

/// Rounds to `digits` decimals, exactly (half to even of the exact binary value), through the decimal expansion.
[[nodiscard]] double round_real(double value, std::int64_t digits) {
  if (!std::isfinite(value) || digits > 323) {
    return value;
  }
  if (digits < -308) {
    return std::copysign(0.0, value);
  }
  char text[700];  // NOLINT(cppcoreguidelines-pro-type-member-init): written by to_chars
  const char* end = nullptr;
  if (digits >= 0) {
    end = write_fixed(text, value, static_cast<int>(digits));
  } else {
    const double whole = std::fabs(value);
    const int integer_digits = whole < 1 ? 0 : static_cast<int>(std::floor(std::log10(whole))) + 1;
    const int significant = integer_digits + static_cast<int>(digits);
    if (significant < 0) {
      return std::copysign(0.0, value);
    }
    if (significant == 0) {
      const double unit = std::pow(10.0, static_cast<double>(-digits));
      return std::copysign(whole > unit / 2 ? unit : 0.0, value);
    }
    end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific, significant - 1).ptr;
  }
  double rounded = std::numeric_limits<double>::infinity();
  std::from_chars(text, end, rounded);
  if (std::isinf(rounded)) {
    fail("rounded value too large to represent");
  }
  return rounded;
}

}  // namespace

Value round_number(Runtime& rt, const Value& number, std::int64_t digits) {
  if (number.kind == Kind::real) {
    return Value::of(round_real(number.real, digits));
  }
  if (digits >= 0) {
    return number.kind == Kind::boolean ? Value::of(number.index()) : number;
  }
  if (digits < -1200) {
    return Value::of(std::int64_t{0});
  }
  const Value unit = big_pow(rt.memory, Value::of(std::int64_t{10}), Value::of(-digits));
  const Value two = Value::of(std::int64_t{2});
  const Value quotient = arithmetic(rt, Expr::Kind::floordiv, number, unit);
  const Value rest = arithmetic(rt, Expr::Kind::mod, number, unit);
  const int half = compare_numbers(arithmetic(rt, Expr::Kind::mul, rest, two), unit).value_or(0);
  const bool odd = !is_zero(arithmetic(rt, Expr::Kind::mod, quotient, two));
  const bool up = half > 0 || (half == 0 && odd);
  const Value rounded = up ? arithmetic(rt, Expr::Kind::add, quotient, Value::of(std::int64_t{1})) : quotient;
  return arithmetic(rt, Expr::Kind::mul, rounded, unit);
}

std::optional<int> compare_numbers(const Value& a, const Value& b) {
  const auto order = [](auto x, auto y) { return x < y ? -1 : x > y ? 1 : 0; };
  if (is_small(a) && is_small(b)) {
    return order(a.index(), b.index());
  }
  if (a.kind != Kind::real && b.kind != Kind::real) {
    return big_compare(a, b);
  }
  const auto is_nan = [](const Value& v) { return v.kind == Kind::real && std::isnan(v.real); };
  if (is_nan(a) || is_nan(b)) {
    return std::nullopt;
  }
  if (a.kind == Kind::big) {
    return big_compare_real(a, b.real);
  }
  if (b.kind == Kind::big) {
    return -big_compare_real(b, a.real);
  }
  // A long double holds every 64-bit integer and every double exactly.
  const auto wide = [](const Value& v) -> long double { return is_small(v) ? static_cast<long double>(v.index()) : v.real; };
  return order(wide(a), wide(b));
}

std::string int_digits(const Value& number, int base) {
  if (number.is_index()) {
    std::array<char, 72> text{};
    const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), number.index(), base);
    return {text.data(), end};
  }
  return big_digits(number, base);
}

std::int64_t bit_length(const Value& number) {
  if (!number.is_index()) {
    return big_bit_length(number);
  }
  const std::int64_t value = number.index();
  const std::uint64_t positive = value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
  return 64 - std::countl_zero(positive);
}

std::int64_t bit_count(const Value& number) {
  if (!number.is_index()) {
    return big_bit_count(number);
  }
  const std::int64_t value = number.index();
  return std::popcount(value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value));
}

}  // namespace loquat::tmpl
