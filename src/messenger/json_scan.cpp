#include "messenger/json_scan.h"

#include <string>

namespace loquat::messenger::scan {
namespace {

constexpr std::size_t failed = static_cast<std::size_t>(-1);

bool is_blank(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_hex(char c) noexcept { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

std::size_t skip_blanks(std::string_view text, std::size_t at) noexcept {
  while (at < text.size() && is_blank(text[at])) ++at;
  return at;
}

char at_or_nul(std::string_view text, std::size_t at) noexcept { return at < text.size() ? text[at] : '\0'; }

/// From the opening quote to behind the closing one.
std::size_t skip_string(std::string_view text, std::size_t at) noexcept {
  for (++at; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '"') return at + 1;
    if (static_cast<unsigned char>(c) < 0x20) return failed;
    if (c != '\\') continue;
    const char escape = at_or_nul(text, ++at);
    if (escape == 'u') {
      for (int i = 0; i < 4; ++i) {
        if (!is_hex(at_or_nul(text, ++at))) return failed;
      }
    } else if (escape == '\0' || std::string_view("\"\\/bfnrt").find(escape) == std::string_view::npos) {
      return failed;
    }
  }
  return failed;
}

std::size_t skip_digits(std::string_view text, std::size_t at) noexcept {
  const std::size_t start = at;
  while (is_digit(at_or_nul(text, at))) ++at;
  return at == start ? failed : at;
}

std::size_t skip_number(std::string_view text, std::size_t at) noexcept {
  if (at_or_nul(text, at) == '-') ++at;
  if (at_or_nul(text, at) == '0') {
    ++at;
  } else if ((at = skip_digits(text, at)) == failed) {
    return failed;
  }
  if (at_or_nul(text, at) == '.' && (at = skip_digits(text, at + 1)) == failed) return failed;
  if (at_or_nul(text, at) == 'e' || at_or_nul(text, at) == 'E') {
    ++at;
    if (at_or_nul(text, at) == '+' || at_or_nul(text, at) == '-') ++at;
    at = skip_digits(text, at);
  }
  return at;
}

/// A string, number or literal.
std::size_t skip_scalar(std::string_view text, std::size_t at) noexcept {
  const char c = at_or_nul(text, at);
  if (c == '"') return skip_string(text, at);
  if (c == '-' || is_digit(c)) return skip_number(text, at);
  for (const std::string_view literal : {"true", "false", "null"}) {
    if (text.substr(at).starts_with(literal)) return at + literal.size();
  }
  return failed;
}

/// A member's name and the colon behind it; `at` is on the quote.
std::size_t skip_name(std::string_view text, std::size_t at) noexcept {
  if (at_or_nul(text, at) != '"') return failed;
  at = skip_string(text, at);
  if (at == failed) return failed;
  at = skip_blanks(text, at);
  return at_or_nul(text, at) == ':' ? skip_blanks(text, at + 1) : failed;
}

}  // namespace

std::optional<std::size_t> skip_value(std::string_view text, std::size_t at) {
  std::string open;  // the brackets that are open, as a stack
  at = skip_blanks(text, at);
  for (;;) {
    // `at` is where a value begins.
    const char c = at_or_nul(text, at);
    if (c == '{' || c == '[') {
      const char close = c == '{' ? '}' : ']';
      at = skip_blanks(text, at + 1);
      if (at_or_nul(text, at) != close) {
        open += close;
        if (c == '{' && (at = skip_name(text, at)) == failed) return std::nullopt;
        continue;
      }
      ++at;
    } else if ((at = skip_scalar(text, at)) == failed) {
      return std::nullopt;
    }
    // Behind a value: close what ends here, or go to the next value.
    for (;;) {
      if (open.empty()) return at;
      at = skip_blanks(text, at);
      if (at_or_nul(text, at) == ',') break;
      if (at_or_nul(text, at) != open.back()) return std::nullopt;
      open.pop_back();
      ++at;
    }
    at = skip_blanks(text, at + 1);
    if (open.back() == '}' && (at = skip_name(text, at)) == failed) return std::nullopt;
  }
}

bool is_object(std::string_view text) {
  const auto start = skip_blanks(text, 0);
  if (at_or_nul(text, start) != '{') return false;
  const auto end = skip_value(text, start);
  return end && skip_blanks(text, *end) == text.size();
}

std::vector<std::pair<std::string_view, std::string_view>> members(std::string_view text) {
  std::vector<std::pair<std::string_view, std::string_view>> found;
  std::size_t at = skip_blanks(text, 0);
  if (at_or_nul(text, at) != '{') return found;
  at = skip_blanks(text, at + 1);
  while (at_or_nul(text, at) == '"') {
    const auto name_end = skip_string(text, at);
    const auto value = skip_name(text, at);
    if (name_end == failed || value == failed) break;
    const auto end = skip_value(text, value);
    if (!end) break;
    found.emplace_back(text.substr(at + 1, name_end - at - 2), text.substr(value, *end - value));
    at = skip_blanks(text, *end);
    if (at_or_nul(text, at) != ',') break;
    at = skip_blanks(text, at + 1);
  }
  return found;
}

std::vector<std::string_view> elements(std::string_view text) {
  std::vector<std::string_view> found;
  std::size_t at = skip_blanks(text, 0);
  if (at_or_nul(text, at) != '[') return found;
  at = skip_blanks(text, at + 1);
  while (at_or_nul(text, at) != ']') {
    const auto end = skip_value(text, at);
    if (!end) break;
    found.push_back(text.substr(at, *end - at));
    at = skip_blanks(text, *end);
    if (at_or_nul(text, at) != ',') break;
    at = skip_blanks(text, at + 1);
  }
  return found;
}

}  // namespace loquat::messenger::scan
