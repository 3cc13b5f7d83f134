#include "template/unicode.h"

#include <unicode/bytestream.h>
#include <unicode/casemap.h>
#include <unicode/stringoptions.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <limits>

#include "core/text.h"

namespace loquat::tmpl {

namespace {

constexpr char32_t replacement = 0xFFFD;

[[nodiscard]] UChar32 u(char32_t c) noexcept { return static_cast<UChar32>(c); }

template <class F>
[[nodiscard]] std::string map_case(std::string_view text, F&& map) {
  std::string out;
  if (text.size() > static_cast<std::size_t>(std::numeric_limits<int32_t>::max() / 4)) {
    return std::string(text);
  }
  icu::StringByteSink<std::string> sink(&out, static_cast<int32_t>(text.size()));
  UErrorCode status = U_ZERO_ERROR;
  map(icu::StringPiece(text.data(), static_cast<int32_t>(text.size())), sink, status);
  return out;
}

}  // namespace

char32_t next_char(std::string_view text, std::size_t& at) noexcept {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  const std::uint8_t first = bytes[at];
  if (first < 0x80) {
    ++at;
    return first;
  }
  const auto size = static_cast<int32_t>(std::min<std::size_t>(text.size() - at, 4));
  int32_t i = 0;
  UChar32 c = 0;
  U8_NEXT(bytes + at, i, size, c);
  if (c < 0) {
    ++at;
    return replacement;
  }
  at += static_cast<std::size_t>(i);
  return static_cast<char32_t>(c);
}

std::size_t previous_char(std::string_view text, std::size_t at) noexcept {
  // The longest of up to four bytes that decodes to exactly one code point ending here; otherwise a single bad byte.
  for (std::size_t back = std::min<std::size_t>(at, 4); back > 1; --back) {
    std::size_t probe = at - back;
    if (static_cast<unsigned char>(text[probe]) >= 0xC0) {
      const char32_t c = next_char(text.substr(0, at), probe);
      if (probe == at && c != replacement) {
        return at - back;
      }
      if (probe == at && back == 3) {
        return at - back;
      }
    }
  }
  return at - 1;
}

std::int64_t count_chars(std::string_view text) noexcept {
  std::int64_t count = 0;
  for (std::size_t at = 0; at < text.size(); ++count) {
    (void)next_char(text, at);
  }
  return count;
}

std::size_t encode_char(char32_t c, char* out) noexcept {
  if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) {
    c = replacement;
  }
  std::size_t size = 0;
  if (c < 0x80) {
    out[size++] = static_cast<char>(c);
  } else if (c < 0x800) {
    out[size++] = static_cast<char>(0xC0U | (c >> 6U));
    out[size++] = static_cast<char>(0x80U | (c & 0x3FU));
  } else if (c < 0x10000) {
    out[size++] = static_cast<char>(0xE0U | (c >> 12U));
    out[size++] = static_cast<char>(0x80U | ((c >> 6U) & 0x3FU));
    out[size++] = static_cast<char>(0x80U | (c & 0x3FU));
  } else {
    out[size++] = static_cast<char>(0xF0U | (c >> 18U));
    out[size++] = static_cast<char>(0x80U | ((c >> 12U) & 0x3FU));
    out[size++] = static_cast<char>(0x80U | ((c >> 6U) & 0x3FU));
    out[size++] = static_cast<char>(0x80U | (c & 0x3FU));
  }
  return size;
}

void append_char(std::string& out, char32_t c) {
  char bytes[4];
  out.append(bytes, encode_char(c, bytes));
}

bool is_ascii(std::string_view text) noexcept {
  unsigned char seen = 0;
  for (const char c : text) {
    seen |= static_cast<unsigned char>(c);
  }
  return seen < 0x80;
}

std::u32string to_chars32(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    out.push_back(next_char(text, at));
  }
  return out;
}

std::string to_utf8(std::u32string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char32_t c : text) {
    append_char(out, c);
  }
  return out;
}

bool is_space(char32_t c) noexcept {
  if (c < 0x80) {
    return c == ' ' || (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x1F);
  }
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

bool is_alpha(char32_t c) noexcept { return (U_GET_GC_MASK(u(c)) & U_GC_L_MASK) != 0; }
bool is_decimal(char32_t c) noexcept { return u_charType(u(c)) == U_DECIMAL_DIGIT_NUMBER; }
bool is_digit(char32_t c) noexcept {
  const int32_t type = u_getIntPropertyValue(u(c), UCHAR_NUMERIC_TYPE);
  return type == U_NT_DECIMAL || type == U_NT_DIGIT;
}
bool is_numeric(char32_t c) noexcept { return u_getIntPropertyValue(u(c), UCHAR_NUMERIC_TYPE) != U_NT_NONE; }
bool is_printable(char32_t c) noexcept {
  if (c == ' ') {
    return true;
  }
  return (U_GET_GC_MASK(u(c)) & (U_GC_C_MASK | U_GC_Z_MASK)) == 0;
}
bool is_lower(char32_t c) noexcept { return u_isULowercase(u(c)) != 0; }
bool is_upper(char32_t c) noexcept { return u_isUUppercase(u(c)) != 0; }
bool is_title(char32_t c) noexcept { return u_charType(u(c)) == U_TITLECASE_LETTER; }
bool is_cased(char32_t c) noexcept { return is_lower(c) || is_upper(c) || is_title(c); }
bool is_case_ignorable(char32_t c) noexcept { return u_hasBinaryProperty(u(c), UCHAR_CASE_IGNORABLE) != 0; }
bool is_word(char32_t c) noexcept {
  if (c < 0x80) {
    return text::is_ascii_alphanumeric(c) || c == '_';
  }
  return is_alpha(c) || is_numeric(c);
}
bool is_id_start(char32_t c) noexcept { return c == '_' || u_hasBinaryProperty(u(c), UCHAR_XID_START) != 0; }
bool is_id_part(char32_t c) noexcept { return u_hasBinaryProperty(u(c), UCHAR_XID_CONTINUE) != 0; }
bool is_line_break(char32_t c) noexcept {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
}
int decimal_value(char32_t c) noexcept {
  if (c < 0x80) {
    return c >= '0' && c <= '9' ? static_cast<int>(c - '0') : -1;
  }
  return is_decimal(c) ? u_charDigitValue(u(c)) : -1;
}

std::string to_upper(std::string_view text) {
  if (is_ascii(text)) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    return out;
  }
  return map_case(text, [](icu::StringPiece in, icu::ByteSink& sink, UErrorCode& status) {
    icu::CaseMap::utf8ToUpper("", 0, in, sink, nullptr, status);
  });
}

std::string to_lower(std::string_view text) {
  if (is_ascii(text)) return text::to_lower_ascii(text);
  return map_case(text, [](icu::StringPiece in, icu::ByteSink& sink, UErrorCode& status) {
    icu::CaseMap::utf8ToLower("", 0, in, sink, nullptr, status);
  });
}

std::string to_folded(std::string_view text) {
  return map_case(
      text, [](icu::StringPiece in, icu::ByteSink& sink, UErrorCode& status) { icu::CaseMap::utf8Fold(0, in, sink, nullptr, status); });
}

std::string to_title_char(std::string_view one_char) {
  if (is_ascii(one_char)) {
    return to_upper(one_char);
  }
  return map_case(one_char, [](icu::StringPiece in, icu::ByteSink& sink, UErrorCode& status) {
    icu::CaseMap::utf8ToTitle("", U_TITLECASE_WHOLE_STRING | U_TITLECASE_NO_LOWERCASE | U_TITLECASE_NO_BREAK_ADJUSTMENT, nullptr, in, sink,
                              nullptr, status);
  });
}

char32_t char_by_name(const std::string& name) noexcept {
  for (const auto choice : {U_UNICODE_CHAR_NAME, U_CHAR_NAME_ALIAS}) {
    UErrorCode status = U_ZERO_ERROR;
    const UChar32 c = u_charFromName(choice, name.c_str(), &status);
    if (U_SUCCESS(status) && c > 0 && c != 0xFFFF) {
      return static_cast<char32_t>(c);
    }
  }
  return 0;
}

std::size_t leading_space(std::string_view text) noexcept {
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t next = at;
    if (!is_space(next_char(text, next))) {
      break;
    }
    at = next;
  }
  return at;
}

std::size_t trailing_space(std::string_view text) noexcept {
  std::size_t end = text.size();
  while (end > 0) {
    const std::size_t start = previous_char(text, end);
    std::size_t at = start;
    if (!is_space(next_char(text, at))) {
      break;
    }
    end = start;
  }
  return text.size() - end;
}

std::string_view strip_space(std::string_view text) noexcept {
  text.remove_prefix(leading_space(text));
  text.remove_suffix(trailing_space(text));
  return text;
}

}  // namespace loquat::tmpl
