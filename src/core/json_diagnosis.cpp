#include "core/json_diagnosis.h"

#include <optional>

#include "core/text.h"

namespace loquat {
namespace {

constexpr std::size_t deepest = 1000;

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_hex(char c) noexcept { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/// Walks the text as CPython's C scanner does; each step gives the offset behind what it read, or nothing after an error.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  JsonDiagnosis run() {
    const auto end = value(skip_blanks(0), 0);
    if (end && skip_blanks(*end) != text_.size()) fail("Extra data", skip_blanks(*end));
    if (message_.empty()) return {};
    return {std::string(message_), text::length(text_.substr(0, at_))};
  }

 private:
  using Next = std::optional<std::size_t>;

  /// '\0' behind the end; a NUL inside the text is no token either.
  [[nodiscard]] char peek(std::size_t at) const noexcept { return at < text_.size() ? text_[at] : '\0'; }

  Next fail(std::string_view message, std::size_t at) {
    message_ = message;
    at_ = at;
    return std::nullopt;
  }

  [[nodiscard]] std::size_t skip_blanks(std::size_t at) const noexcept {
    while (peek(at) == ' ' || peek(at) == '\t' || peek(at) == '\n' || peek(at) == '\r') ++at;
    return at;
  }

  Next value(std::size_t at, std::size_t depth) {
    if (depth > deepest) return std::nullopt;
    switch (peek(at)) {
      case '"': return string(at);
      case '{': return object(at + 1, depth);
      case '[': return array(at + 1, depth);
      case 'n': return word(at, "null");
      case 't': return word(at, "true");
      case 'f': return word(at, "false");
      default: return number(at);
    }
  }

  Next word(std::size_t at, std::string_view expected) {
    if (text_.substr(at, expected.size()) != expected) return fail("Expecting value", at);
    return at + expected.size();
  }

  Next number(std::size_t start) {
    std::size_t at = start;
    if (peek(at) == '-') ++at;
    if (!is_digit(peek(at))) return fail("Expecting value", start);
    if (peek(at) == '0') {
      ++at;
    } else {
      while (is_digit(peek(at))) ++at;
    }
    if (peek(at) == '.' && is_digit(peek(at + 1))) {
      ++at;
      while (is_digit(peek(at))) ++at;
    }
    if (peek(at) == 'e' || peek(at) == 'E') {
      std::size_t exponent = at + 1;
      if (peek(exponent) == '+' || peek(exponent) == '-') ++exponent;
      if (is_digit(peek(exponent))) {
        while (is_digit(peek(exponent))) ++exponent;
        at = exponent;
      }
    }
    return at;
  }

  Next string(std::size_t start) {
    for (std::size_t at = start + 1; at < text_.size();) {
      const char c = text_[at];
      if (c == '"') return at + 1;
      if (static_cast<unsigned char>(c) < 0x20) return fail("Invalid control character at", at);
      if (c != '\\') {
        ++at;
        continue;
      }
      if (at + 1 == text_.size()) break;
      const auto next = escape(at);
      if (!next) return std::nullopt;
      at = *next;
    }
    return fail("Unterminated string starting at", start);
  }

  Next escape(std::size_t at) {
    if (peek(at + 1) != 'u') {
      if (std::string_view("\"\\/bfnrt").find(text_[at + 1]) == std::string_view::npos) return fail("Invalid \\escape", at);
      return at + 2;
    }
    // Python wants a character behind the four digits, too.
    if (at + 6 >= text_.size()) return fail("Invalid \\uXXXX escape", at + 1);
    for (std::size_t i = at + 2; i < at + 6; ++i) {
      if (!is_hex(text_[i])) return fail("Invalid \\uXXXX escape", at + 1);
    }
    return at + 6;
  }

  Next object(std::size_t at, std::size_t depth) {
    at = skip_blanks(at);
    if (peek(at) == '}') return at + 1;
    while (true) {
      if (peek(at) != '"') return fail("Expecting property name enclosed in double quotes", at);
      Next next = string(at);
      if (!next) return next;
      at = skip_blanks(*next);
      if (peek(at) != ':') return fail("Expecting ':' delimiter", at);
      next = value(skip_blanks(at + 1), depth + 1);
      if (!next) return next;
      at = skip_blanks(*next);
      if (peek(at) == '}') return at + 1;
      if (peek(at) != ',') return fail("Expecting ',' delimiter", at);
      at = skip_blanks(at + 1);
    }
  }

  Next array(std::size_t at, std::size_t depth) {
    at = skip_blanks(at);
    if (peek(at) == ']') return at + 1;
    while (true) {
      const Next next = value(at, depth + 1);
      if (!next) return next;
      at = skip_blanks(*next);
      if (peek(at) == ']') return at + 1;
      if (peek(at) != ',') return fail("Expecting ',' delimiter", at);
      at = skip_blanks(at + 1);
    }
  }

  std::string_view text_;
  std::string_view message_;
  std::size_t at_ = 0;
};

}  // namespace

JsonDiagnosis diagnose_json(std::string_view text) { return Scanner(text).run(); }

}  // namespace loquat
