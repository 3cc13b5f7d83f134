#include "core/json.h"

#include <algorithm>
#include <array>
#include <boost/json/basic_parser_impl.hpp>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string>

#include "core/error.h"

namespace loquat {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// The code unit of a \uXXXX escape at `at`, or -1.
int escaped_unit(std::string_view text, std::size_t at) noexcept {
  if (at + 6 > text.size() || text[at] != '\\' || text[at + 1] != 'u') return -1;
  int unit = 0;
  for (std::size_t i = at + 2; i < at + 6; ++i) {
    const int digit = hex_value(text[i]);
    if (digit < 0) return -1;
    unit = unit * 16 + digit;
  }
  return unit;
}

bool is_high(int unit) noexcept { return unit >= 0xD800 && unit <= 0xDBFF; }
bool is_low(int unit) noexcept { return unit >= 0xDC00 && unit <= 0xDFFF; }

/// Replaces the escapes of lone surrogates by �; the length stays the same, so offsets do too.
std::string replace_lone_surrogates(std::string_view text) {
  std::string fixed(text);
  for (std::size_t i = 0; i + 1 < fixed.size();) {
    if (fixed[i] != '\\') {
      ++i;
      continue;
    }
    const int unit = escaped_unit(fixed, i);
    if (unit < 0) {
      i += 2;
      continue;
    }
    if (is_high(unit) && is_low(escaped_unit(fixed, i + 6))) {
      i += 12;
      continue;
    }
    if (is_high(unit) || is_low(unit)) fixed.replace(i, 6, "\\ufffd");
    i += 6;
  }
  return fixed;
}

bool has_surrogate_escape(std::string_view text) noexcept {
  for (std::size_t at = text.find("\\u"); at != std::string_view::npos; at = text.find("\\u", at + 2)) {
    if (at + 3 < text.size() && (text[at + 2] == 'd' || text[at + 2] == 'D') && hex_value(text[at + 3]) >= 8) return true;
  }
  return false;
}

/// Builds the value as json::parser does, but reads doubles exactly: Boost 1.81's own conversion is off by one unit in the
/// last place for every fifth number of 17 digits, and stored documents must come back as they were.
class DocumentBuilder {
 public:
  static constexpr std::size_t max_object_size = json::object::max_size();
  static constexpr std::size_t max_array_size = json::array::max_size();
  static constexpr std::size_t max_key_size = json::string::max_size();
  static constexpr std::size_t max_string_size = json::string::max_size();

  void reset(json::storage_ptr storage) { stack_.reset(std::move(storage)); }
  json::value release() { return stack_.release(); }

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) { return true; }
  bool on_object_end(std::size_t count, json::error_code&) { return stack_.push_object(count), true; }
  bool on_array_begin(json::error_code&) { return true; }
  bool on_array_end(std::size_t count, json::error_code&) { return stack_.push_array(count), true; }
  bool on_key_part(json::string_view text, std::size_t, json::error_code&) { return stack_.push_chars(text), true; }
  bool on_key(json::string_view text, std::size_t, json::error_code&) { return stack_.push_key(text), true; }
  bool on_string_part(json::string_view text, std::size_t, json::error_code&) { return stack_.push_chars(text), true; }
  bool on_string(json::string_view text, std::size_t, json::error_code&) { return stack_.push_string(text), true; }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(std::int64_t value, json::string_view, json::error_code&) { return stack_.push_int64(value), true; }
  bool on_uint64(std::uint64_t value, json::string_view, json::error_code&) { return stack_.push_uint64(value), true; }
  bool on_double(double rough, json::string_view text, json::error_code& error) {
    const auto value = exact(text, rough);
    if (!std::isfinite(value)) {
      error = make_error_code(json::error::exponent_overflow);
      return false;
    }
    stack_.push_double(value);
    return true;
  }
  bool on_bool(bool value, json::error_code&) { return stack_.push_bool(value), true; }
  bool on_null(json::error_code&) { return stack_.push_null(), true; }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  static double exact(json::string_view text, double rough) noexcept {
    double value = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
    if (result.ec == std::errc()) return value;
    // Out of range: too small (a zero, or nearly) or too large.
    return std::fabs(rough) < 1 ? std::copysign(0.0, rough) : std::numeric_limits<double>::infinity();
  }

  json::value_stack stack_;
};

using DocumentParser = json::basic_parser<DocumentBuilder>;

json::parse_options options_for(std::size_t max_depth) {
  json::parse_options options;
  options.max_depth = max_depth;
  return options;
}

bool read_document(DocumentParser& parser, std::string_view text, json::value& out, JsonError& error) {
  parser.reset();
  parser.handler().reset(out.storage());
  json::error_code failure;
  const std::size_t consumed = parser.write_some(false, text.data(), text.size(), failure);
  if (!failure && consumed < text.size()) failure = make_error_code(json::error::extra_data);
  if (failure) {
    error = {consumed, failure.message(), failure == json::error::too_deep};
    return false;
  }
  out = parser.handler().release();
  return true;
}

void append_unicode_escape(std::string& out, std::uint32_t code_point) {
  const auto unit = [&out](std::uint32_t value) {
    out += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) out += hex_digits[(value >> shift) & 15U];
  };
  if (code_point >= 0x10000) {
    code_point -= 0x10000;
    unit(0xD800 + (code_point >> 10));
    unit(0xDC00 + (code_point & 0x3FFU));
  } else {
    unit(code_point);
  }
}

/// Decodes one code point of valid UTF-8 and moves `at` behind it.
std::uint32_t next_code_point(std::string_view text, std::size_t& at) noexcept {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const std::uint32_t first = byte(at);
  if (first < 0x80) return at += 1, first;
  if (first < 0xE0) return at += 2, ((first & 0x1FU) << 6) | (byte(at - 1) & 0x3FU);
  if (first < 0xF0) return at += 3, ((first & 0x0FU) << 12) | ((byte(at - 2) & 0x3FU) << 6) | (byte(at - 1) & 0x3FU);
  return at += 4, ((first & 0x07U) << 18) | ((byte(at - 3) & 0x3FU) << 12) | ((byte(at - 2) & 0x3FU) << 6) | (byte(at - 1) & 0x3FU);
}

/// From `at` on, the first byte that must be escaped; eight bytes a step (Mycroft's tests for a zero byte in a word).
std::size_t plain_prefix(std::string_view text, std::size_t at, bool ascii) noexcept {
  constexpr std::uint64_t ones = 0x0101010101010101ULL;
  constexpr std::uint64_t tops = 0x8080808080808080ULL;
  const auto zero_byte = [](std::uint64_t word) { return (word - ones) & ~word & tops; };
  for (; at + 8 <= text.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + at, 8);
    const std::uint64_t control = (word - ones * 0x20) & ~word & tops;
    const std::uint64_t beyond = ascii ? (word & tops) | zero_byte(word ^ ones * 0x7F) : 0;
    if ((control | zero_byte(word ^ ones * '"') | zero_byte(word ^ ones * '\\') | beyond) != 0) break;
  }
  for (; at < text.size(); ++at) {
    const auto c = static_cast<unsigned char>(text[at]);
    if (c < 0x20 || c == '"' || c == '\\' || (ascii && c >= 0x7F)) break;
  }
  return at;
}

template <class Integer>
void append_integer(std::string& out, Integer value) {
  std::array<char, 24> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  out.append(buffer.data(), end);
}

}  // namespace

bool try_parse_json(std::string_view text, json::value& out, JsonError& error, std::size_t max_depth) {
  std::string fixed;
  if (has_surrogate_escape(text)) {
    fixed = replace_lone_surrogates(text);
    text = fixed;
  }
  constexpr std::size_t usual_depth = 128;
  constexpr std::size_t usual_size = 64 * 1024;
  if (max_depth == usual_depth && text.size() <= usual_size) {
    // The parser's memory is kept for the next text of this thread, unless it could be much.
    thread_local DocumentParser parser(options_for(usual_depth));
    return read_document(parser, text, out, error);
  }
  DocumentParser parser(options_for(max_depth));
  return read_document(parser, text, out, error);
}

json::value parse_json(std::string_view text, std::size_t max_depth, json::storage_ptr storage) {
  json::value value(std::move(storage));
  JsonError error;
  if (!try_parse_json(text, value, error, max_depth))
    throw Error(Code::malformed, "invalid JSON: " + error.message + " at byte " + std::to_string(error.offset));
  return value;
}

void append_json_string(std::string& out, std::string_view text, bool ascii) {
  out += '"';
  std::size_t copied = 0;
  for (std::size_t i = plain_prefix(text, 0, ascii); i < text.size(); i = plain_prefix(text, i, ascii)) {
    out.append(text, copied, i - copied);
    switch (text[i]) {
      case '"':
        out += "\\\"";
        ++i;
        break;
      case '\\':
        out += "\\\\";
        ++i;
        break;
      case '\n':
        out += "\\n";
        ++i;
        break;
      case '\r':
        out += "\\r";
        ++i;
        break;
      case '\t':
        out += "\\t";
        ++i;
        break;
      case '\b':
        out += "\\b";
        ++i;
        break;
      case '\f':
        out += "\\f";
        ++i;
        break;
      default: append_unicode_escape(out, next_code_point(text, i));
    }
    i = std::min(i, text.size());
    copied = i;
  }
  out.append(text, copied, text.size() - copied);
  out += '"';
}

void append_python_float(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
    return;
  }
  if (std::isinf(value)) {
    out += value < 0 ? "-Infinity" : "Infinity";
    return;
  }
  std::array<char, 64> buffer;
  const double magnitude = std::fabs(value);
  // Python's repr: exponent form below 1e-4 and from 1e16 on.
  const bool exponent = magnitude != 0 && (magnitude < 1e-4 || magnitude >= 1e16);
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                 exponent ? std::chars_format::scientific : std::chars_format::fixed)
                       .ptr;
  const std::string_view digits(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
  out += digits;
  if (digits.find_first_of(".e") == std::string_view::npos) out += ".0";
}

void append_json(std::string& out, const json::value& value, JsonStyle style) {
  switch (value.kind()) {
    case json::kind::null: out += "null"; return;
    case json::kind::bool_: out += value.get_bool() ? "true" : "false"; return;
    case json::kind::int64: append_integer(out, value.get_int64()); return;
    case json::kind::uint64: append_integer(out, value.get_uint64()); return;
    case json::kind::double_: append_python_float(out, value.get_double()); return;
    case json::kind::string: append_json_string(out, as_view(value.get_string()), style.ascii); return;
    case json::kind::array: {
      out += '[';
      bool first = true;
      for (const auto& item : value.get_array()) {
        if (!first) out += style.spaced ? ", " : ",";
        first = false;
        append_json(out, item, style);
      }
      out += ']';
      return;
    }
    case json::kind::object: {
      out += '{';
      bool first = true;
      for (const auto& member : value.get_object()) {
        if (!first) out += style.spaced ? ", " : ",";
        first = false;
        append_json_string(out, {member.key().data(), member.key().size()}, style.ascii);
        out += style.spaced ? ": " : ":";
        append_json(out, member.value(), style);
      }
      out += '}';
      return;
    }
  }
}

std::string to_json(const json::value& value, JsonStyle style) {
  std::string out;
  out.reserve(256);
  append_json(out, value, style);
  return out;
}

const json::value* find_member(const json::value& object, std::string_view name) noexcept {
  const auto* members = object.if_object();
  return members == nullptr ? nullptr : members->if_contains(json::string_view(name.data(), name.size()));
}

std::string_view string_member(const json::value& object, std::string_view name) noexcept {
  const auto* member = find_member(object, name);
  const auto* text = member == nullptr ? nullptr : member->if_string();
  return text == nullptr ? std::string_view() : as_view(*text);
}

}  // namespace loquat
