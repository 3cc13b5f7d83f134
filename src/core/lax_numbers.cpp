// What pydantic-core 2.27 takes for a boolean or a number, found by asking it.
#include <charconv>
#include <string>

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include "core/lax_values.h"
#include "core/text.h"

namespace loquat::schema {
namespace {

/// No number is longer; Python, too, refuses integers of more than 4300 digits.
constexpr std::size_t longest = 5000;

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// Rust's str::trim: Unicode's White_Space.
std::string_view trim(std::string_view text) noexcept {
  if (text.size() > longest) return text;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  std::int64_t begin = 0;
  auto end = static_cast<std::int64_t>(text.size());
  while (begin < end) {
    std::int64_t at = begin;
    UChar32 c = 0;
    U8_NEXT(bytes, at, end, c);
    if (c < 0 || u_isUWhiteSpace(c) == 0) break;
    begin = at;
  }
  while (end > begin) {
    auto at = static_cast<std::int32_t>(end);
    UChar32 c = 0;
    U8_PREV(bytes, static_cast<std::int32_t>(begin), at, c);
    if (c < 0 || u_isUWhiteSpace(c) == 0) break;
    end = at;
  }
  return text.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
}

/// Without its underscores; empty when one stands at an end or beside another.
std::string without_underscores(std::string_view text) {
  if (text.starts_with('_') || text.ends_with('_') || text.contains("__")) return {};
  std::string out;
  for (const char c : text) {
    if (c != '_') out += c;
  }
  return out;
}

/// Cuts ".000" off an integer's text.
std::string_view without_zero_fraction(std::string_view text) noexcept {
  const auto point = text.find('.');
  if (point == std::string_view::npos || point == 0 || point + 1 == text.size()) return text;
  if (text.find_first_not_of('0', point + 1) != std::string_view::npos || !is_digit(text[point - 1])) return text;
  return text.substr(0, point);
}

}  // namespace

std::variant<std::int64_t, NumberFault> parse_integer(std::string_view text) {
  text = without_zero_fraction(trim(text));
  if (text.size() > 1 && (text[0] == '+' || text[0] == '-') && text[1] == '_') return NumberFault::unreadable;
  const std::string number = without_underscores(text);
  std::string_view digits = number;
  if (digits.starts_with('+')) digits.remove_prefix(1);
  const auto* begin = digits.data();
  const auto* end = begin + digits.size();
  std::int64_t value = 0;
  if (digits.starts_with('-') && number.starts_with('+')) return NumberFault::unreadable;
  const auto result = std::from_chars(begin, end, value);
  if (result.ptr != end || digits.empty()) return NumberFault::unreadable;
  if (result.ec == std::errc::result_out_of_range) return NumberFault::too_large;
  if (result.ec != std::errc()) return NumberFault::unreadable;
  return value;
}

std::optional<double> parse_float(std::string_view text) {
  // With underscores pydantic takes no blanks.
  const std::string number = text.contains('_') ? without_underscores(text) : std::string(trim(text));
  std::string_view digits = number;
  if (digits.starts_with('+')) digits.remove_prefix(1);
  if (digits.empty() || (digits.starts_with('-') && number.starts_with('+'))) return std::nullopt;
  // from_chars also reads nan(...), which Rust does not.
  if (digits.contains('(')) return std::nullopt;
  double value = 0;
  const auto* end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), end, value);
  if (result.ptr != end) return std::nullopt;
  if (result.ec == std::errc::result_out_of_range) return std::strtod(std::string(digits).c_str(), nullptr);
  if (result.ec != std::errc()) return std::nullopt;
  return value;
}

std::optional<bool> parse_boolean(std::string_view text) {
  const std::string lower = text::to_lower_ascii(text);
  for (const std::string_view yes : {"1", "true", "t", "yes", "y", "on"}) {
    if (lower == yes) return true;
  }
  for (const std::string_view no : {"0", "false", "f", "no", "n", "off"}) {
    if (lower == no) return false;
  }
  return std::nullopt;
}

}  // namespace loquat::schema
