#include "template/unescape.h"

#include "template/memory.h"
#include "template/unicode.h"

namespace loquat::tmpl {

namespace {

[[nodiscard]] bool digit(char c) noexcept { return c >= '0' && c <= '9'; }

[[nodiscard]] char32_t hex(std::string_view raw, std::size_t at, std::size_t length) {
  char32_t code = 0;
  for (std::size_t i = at; i < at + length; ++i) {
    const char c = i < raw.size() ? static_cast<char>(raw[i] | 0x20) : '\0';
    if (i < raw.size() && digit(raw[i])) {
      code = code * 16 + static_cast<char32_t>(raw[i] - '0');
    } else if (c >= 'a' && c <= 'f') {
      code = code * 16 + static_cast<char32_t>(c - 'a' + 10);
    } else {
      fail("truncated escape in a string");
    }
  }
  if (code > 0x10FFFF) {
    fail("illegal Unicode character");
  }
  return code;
}

[[nodiscard]] std::size_t unescape_name(std::string_view raw, std::size_t i, std::string& out) {
  const std::size_t close = raw.find('}', i);
  if (i + 1 >= raw.size() || raw[i + 1] != '{' || close == std::string_view::npos) {
    fail("malformed \\N character escape");
  }
  const char32_t c = char_by_name(std::string(raw.substr(i + 2, close - i - 2)));
  if (c == 0) {
    fail("unknown Unicode character name");
  }
  append_char(out, c);
  return close;
}

/// Reads the escape whose letter is at `i`; gives the position of its last byte.
[[nodiscard]] std::size_t unescape_one(std::string_view raw, std::size_t i, std::string& out) {
  constexpr std::string_view letters = "abfnrtv\\'\"";
  constexpr std::string_view meanings = "\a\b\f\n\r\t\v\\'\"";
  const char c = raw[i];
  if (const std::size_t known = letters.find(c); known != std::string_view::npos) {
    out += meanings[known];
    return i;
  }
  if (c == '\n') {
    return i;
  }
  if (c >= '0' && c <= '7') {
    char32_t code = 0;
    std::size_t end = i;
    while (end < raw.size() && end < i + 3 && raw[end] >= '0' && raw[end] <= '7') {
      code = code * 8 + static_cast<char32_t>(raw[end++] - '0');
    }
    append_char(out, code);
    return end - 1;
  }
  const std::size_t length = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
  if (length != 0) {
    append_char(out, hex(raw, i + 1, length));
    return i + length;
  }
  if (c == 'N') {
    return unescape_name(raw, i, out);
  }
  out += '\\';
  out += c;
  return i;
}

}  // namespace

std::string unescape_string(std::string_view raw) {
  std::string out;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\') {
      out += raw[i];
      continue;
    }
    if (i + 1 < raw.size()) {
      i = unescape_one(raw, i + 1, out);
    }
  }
  return out;
}

}  // namespace loquat::tmpl
