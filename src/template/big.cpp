#include "template/big.h"

#include <algorithm>
#include <bit>
#include <boost/multiprecision/cpp_int.hpp>
#include <cmath>
#include <limits>
#include <vector>

namespace loquat::tmpl {

namespace {

namespace mp = boost::multiprecision;
using Int = mp::cpp_int;

constexpr std::int64_t max_bits = 4096;

[[noreturn]] void fail_size() { fail("the number is too large"); }

[[nodiscard]] Int widen(const Value& number) {
  if (number.is_index()) {
    return Int(number.index());
  }
  Int result;
  mp::import_bits(result, number.big->words.begin(), number.big->words.end(), 64, false);
  return number.big->negative ? -result : result;
}

[[nodiscard]] Value narrow(Memory& memory, const Int& number) {
  if (number >= std::numeric_limits<std::int64_t>::min() && number <= std::numeric_limits<std::int64_t>::max()) {
    return Value::of(static_cast<std::int64_t>(number));
  }
  std::vector<std::uint64_t> words;
  mp::export_bits(number, std::back_inserter(words), 64, false);
  return big_from_words(memory, number < 0, words);
}

[[nodiscard]] std::int64_t bits(const Int& number) { return number == 0 ? 0 : static_cast<std::int64_t>(mp::msb(mp::abs(number))) + 1; }

/// Rounds towards minus infinity, as Python does.
void floor_divide(const Int& a, const Int& b, Int& quotient, Int& rest) {
  mp::divide_qr(a, b, quotient, rest);
  if (rest != 0 && (rest < 0) != (b < 0)) {
    quotient -= 1;
    rest += b;
  }
}

}  // namespace

Value big_from_words(Memory& memory, bool negative, std::span<const std::uint64_t> words) {
  if (ssize(words.size()) * 64 > max_bits + 63) {
    fail_size();
  }
  std::uint64_t* kept = memory.make_array<std::uint64_t>(words.size());
  std::ranges::copy(words, kept);
  Value value{Kind::big};
  value.big = memory.make<Big>(Big{negative, {kept, words.size()}});
  return value;
}

Value big_from_double(Memory& memory, double whole) { return narrow(memory, Int(whole)); }

Value big_from_digits(Memory& memory, bool negative, std::string_view digits, int base) {
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
  if (digits.size() > static_cast<std::size_t>(max_bits)) {
    fail_size();
  }
  Int number = 0;
  for (const char c : digits) {
    const int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
    number = number * base + digit;
    if (bits(number) > max_bits) {
      fail_size();
    }
  }
  return narrow(memory, negative ? -number : number);
}

double big_to_double(const Value& number) { return big_ratio(number, Value::of(std::int64_t{1})); }

double big_ratio(const Value& a, const Value& b) {
  using Real = std::numeric_limits<double>;
  const Int x = widen(a);
  const Int y = widen(b);
  const double sign = (x < 0) != (y < 0) ? -1.0 : 1.0;
  if (x == 0) {
    return std::copysign(0.0, sign);
  }
  // The quotient with at least two bits more than a double keeps, or than a denormal one has.
  const std::int64_t shift = std::max<std::int64_t>(bits(x) - bits(y), Real::min_exponent) - Real::digits - 2;
  Int quotient;
  Int rest;
  if (shift <= 0) {
    mp::divide_qr(Int(mp::abs(x) << static_cast<unsigned>(-shift)), Int(mp::abs(y)), quotient, rest);
  } else {
    mp::divide_qr(Int(mp::abs(x)), Int(mp::abs(y) << static_cast<unsigned>(shift)), quotient, rest);
  }
  const std::int64_t extra = std::max(bits(quotient), Real::min_exponent - shift) - Real::digits;
  auto kept = static_cast<std::uint64_t>(quotient);
  const std::uint64_t half = std::uint64_t{1} << static_cast<unsigned>(extra - 1);
  const std::uint64_t cut = kept & (2 * half - 1);
  kept -= cut;
  if (cut > half || (cut == half && (rest != 0 || (kept & (2 * half)) != 0))) {
    kept += 2 * half;
  }
  return std::copysign(std::ldexp(static_cast<double>(kept), static_cast<int>(shift)), sign);
}

int big_compare_real(const Value& number, double real) {
  if (std::isinf(real)) {
    return real > 0 ? -1 : 1;
  }
  // The number is beyond 64 bits, where a double has no fraction.
  const int order = widen(number).compare(Int(std::trunc(real)));
  return order < 0 ? -1 : order > 0 ? 1 : 0;
}

Value big_arithmetic(Memory& memory, Expr::Kind op, const Value& a, const Value& b) {
  const Int x = widen(a);
  const Int y = widen(b);
  Int quotient;
  Int rest;
  switch (op) {
    case Expr::Kind::add: return narrow(memory, x + y);
    case Expr::Kind::sub: return narrow(memory, x - y);
    case Expr::Kind::mul: return narrow(memory, x * y);
    case Expr::Kind::floordiv: floor_divide(x, y, quotient, rest); return narrow(memory, quotient);
    default: floor_divide(x, y, quotient, rest); return narrow(memory, rest);
  }
}

Value big_pow(Memory& memory, const Value& base, const Value& exponent) {
  const Int x = widen(base);
  if (x == 0 || x == 1 || x == -1) {
    const bool odd = widen(exponent) % 2 != 0;
    const bool zero_power = widen(exponent) == 0;
    const Int result = zero_power ? Int(1) : x == -1 && !odd ? Int(1) : x;
    return narrow(memory, result);
  }
  if (!exponent.is_index() || exponent.index() > max_bits || (bits(x) - 1) * exponent.index() > max_bits) {
    fail_size();
  }
  return narrow(memory, mp::pow(x, static_cast<unsigned>(exponent.index())));
}

int big_compare(const Value& a, const Value& b) {
  const int order = widen(a).compare(widen(b));
  return order < 0 ? -1 : order > 0 ? 1 : 0;
}

std::string big_digits(const Value& number, int base) {
  const Int wide = widen(number);
  if (base == 10) {
    return wide.str();
  }
  if (base == 2) {
    std::string out;
    for (Int rest = mp::abs(wide); rest != 0; rest >>= 1) {
      out += (rest & 1) != 0 ? '1' : '0';
    }
    std::ranges::reverse(out);
    return wide < 0 ? "-" + out : out;
  }
  const Int magnitude = mp::abs(wide);
  const std::string digits = magnitude.str(0, base == 16 ? std::ios_base::hex : std::ios_base::oct);
  return wide < 0 ? "-" + digits : digits;
}

int big_sign(const Value& number) noexcept { return number.big->negative ? -1 : 1; }

std::int64_t big_bit_length(const Value& number) { return bits(widen(number)); }

std::int64_t big_bit_count(const Value& number) {
  std::int64_t count = 0;
  for (const std::uint64_t word : number.big->words) {
    count += std::popcount(word);
  }
  return count;
}

}  // namespace loquat::tmpl
