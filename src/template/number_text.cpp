#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "template/big.h"
#include "template/numbers.h"
#include "template/unicode.h"

/// Reading numbers as Python's int() and float() do, and writing them with a given number of decimals.
namespace loquat::tmpl {

namespace {

/// Digits of any script as ASCII, underscores between digits removed; false when one stands elsewhere.
[[nodiscard]] bool clean_number(std::string_view text, std::string& out) {
  text = strip_space(text);
  bool after_digit = false;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_char(text, at);
    if (c == '_') {
      std::size_t after = at;
      const bool before_digit = at < text.size() && is_ascii(text.substr(at, 1)) && std::isalnum(static_cast<unsigned char>(text[after]));
      if (!after_digit || !before_digit) {
        return false;
      }
      after_digit = false;
      continue;
    }
    const int digit = decimal_value(c);
    after_digit = digit >= 0 || (c < 0x80 && std::isalpha(static_cast<int>(c)) != 0);
    if (digit >= 0) {
      out += static_cast<char>('0' + digit);
    } else {
      append_char(out, c);
    }
  }
  return !out.empty();
}

[[nodiscard]] int digit_of(char c) noexcept {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'z' ? lower - 'a' + 10 : 99;
}

[[nodiscard]] int base_of_prefix(std::string_view text) noexcept {
  if (text.size() < 3 || text[0] != '0') {
    return 0;
  }
  const char letter = static_cast<char>(text[1] | 0x20);
  return letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
}

}  // namespace

std::optional<Value> parse_int(Memory& memory, std::string_view text, int base) {
  if (base != 0 && (base < 2 || base > 36)) {
    return std::nullopt;
  }
  std::string clean;
  if (!clean_number(text, clean)) {
    return std::nullopt;
  }
  std::string_view digits = clean;
  const bool negative = digits.front() == '-';
  if (negative || digits.front() == '+') {
    digits.remove_prefix(1);
  }
  const int prefix = base_of_prefix(digits);
  if (prefix != 0 && (base == 0 || base == prefix)) {
    digits.remove_prefix(2);
    base = prefix;
  } else if (base == 0) {
    base = 10;
    if (digits.size() > 1 && digits.front() == '0' && digits.find_first_not_of('0') != std::string_view::npos) {
      return std::nullopt;
    }
  }
  if (digits.empty() || !std::ranges::all_of(digits, [base](char c) { return digit_of(c) < base; })) {
    return std::nullopt;
  }
  std::int64_t small = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), small, base);
  if (error == std::errc{} && end == digits.data() + digits.size()) {
    return Value::of(negative ? -small : small);
  }
  return big_from_digits(memory, negative, digits, base);
}

Value parse_integer_literal(Memory& memory, std::string_view text) {
  const auto value = parse_int(memory, text, 0);
  return value ? *value : Value::of(std::int64_t{0});
}

std::optional<double> parse_float(std::string_view text) {
  std::string clean;
  if (!clean_number(text, clean)) {
    return std::nullopt;
  }
  std::string_view rest = clean;
  const bool negative = rest.front() == '-';
  if (negative || rest.front() == '+') {
    rest.remove_prefix(1);
  }
  const std::string lower = to_lower(rest);
  double value = 0;
  if (lower == "inf" || lower == "infinity") {
    value = std::numeric_limits<double>::infinity();
  } else if (lower == "nan") {
    value = std::numeric_limits<double>::quiet_NaN();
  } else {
    if (rest.empty() || (digit_of(rest.front()) > 9 && rest.front() != '.')) {
      return std::nullopt;
    }
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    if (end != rest.data() + rest.size() || error == std::errc::invalid_argument) {
      return std::nullopt;
    }
    if (error == std::errc::result_out_of_range) {
      value = std::strtod(std::string(rest).c_str(), nullptr);
    }
  }
  return negative ? -value : value;
}

char* write_fixed(char* out, double value, int digits) {
  static constexpr std::array<std::uint64_t, 10> powers{1,       10,        100,        1'000,       10'000,
                                                        100'000, 1'000'000, 10'000'000, 100'000'000, 1'000'000'000};
  const double size = std::fabs(value);
  const bool usual = digits < static_cast<int>(powers.size()) && size < 9e15;
  if (!usual || size * static_cast<double>(powers[static_cast<std::size_t>(digits)]) > 9e18)
    return std::to_chars(out, out + digits + 320, value, std::chars_format::fixed, digits).ptr;
  // value = mantissa / 2^shift, and mantissa * 10^digits fits 128 bits, so what the shift cuts off is exact.
  if (std::signbit(value)) *out++ = '-';
  const auto bits = std::bit_cast<std::uint64_t>(size);
  const int exponent = std::max(static_cast<int>(bits >> 52U), 1);
  const std::uint64_t hidden = bits >> 52U == 0 ? 0 : std::uint64_t{1} << 52U;
  const std::uint64_t mantissa = (bits & ((std::uint64_t{1} << 52U) - 1)) | hidden;
  const int shift = 1075 - exponent;
  const auto scale = powers[static_cast<std::size_t>(digits)];
  std::uint64_t whole = 0;
  if (shift < 120) {  // below, less than half of the last decimal is left
    const auto product = static_cast<unsigned __int128>(mantissa) * scale;
    const auto rest = product & ((static_cast<unsigned __int128>(1) << shift) - 1);
    const auto half = static_cast<unsigned __int128>(1) << shift >> 1;
    whole = static_cast<std::uint64_t>(product >> shift);
    if (rest > half || (rest == half && shift > 0 && whole % 2 == 1)) ++whole;
  }
  out = std::to_chars(out, out + 20, whole / scale).ptr;
  if (digits == 0) return out;
  *out++ = '.';
  std::uint64_t decimals = whole % scale;
  for (int i = digits - 1; i >= 0; --i, decimals /= 10) out[i] = static_cast<char>('0' + decimals % 10);
  return out + digits;
}

}  // namespace loquat::tmpl
