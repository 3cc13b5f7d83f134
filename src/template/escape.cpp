#include "template/escape.h"

#include <fmt/format.h>

#include <cmath>

#include "core/json.h"
#include "core/text.h"
#include "template/json_text.h"
#include "template/objects.h"

namespace loquat::tmpl {

namespace {

[[nodiscard]] bool is_unreserved(char c) noexcept { return text::is_ascii_alphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~'; }

[[nodiscard]] bool has(const Value& value, std::uint8_t flags) noexcept { return value.is_string() && (value.string->flags & flags) != 0; }

/// A whole JSON number, true, false or null.
[[nodiscard]] bool is_json_scalar(std::string_view text) {
  if (text == "true" || text == "false" || text == "null") {
    return true;
  }
  std::size_t at = text.starts_with('-') ? 1 : 0;
  const auto digits = [&]() {
    const std::size_t start = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
      ++at;
    }
    return at - start;
  };
  const bool zero = at < text.size() && text[at] == '0';
  const std::size_t whole = digits();
  if (whole == 0 || (zero && whole > 1)) {
    return false;
  }
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (digits() == 0) {
      return false;
    }
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    at += static_cast<std::size_t>(at < text.size() && (text[at] == '+' || text[at] == '-'));
    if (digits() == 0) {
      return false;
    }
  }
  return at == text.size();
}

}  // namespace

void Escaper::literal(std::string_view text, Builder& out) {
  out.append(text);
  if (mode_ != Escape::json_string) {
    return;
  }
  for (const char c : text) {
    if (!in_string_) {
      in_string_ = c == '"';
    } else if (after_backslash_) {
      after_backslash_ = false;
    } else if (c == '\\') {
      after_backslash_ = true;
    } else {
      in_string_ = c != '"';
    }
  }
}

void Escaper::value(Runtime& rt, const Value& value, Builder& out) {
  if (has(value, Str::raw)) {
    literal(value.text(), out);
  } else if (mode_ == Escape::url) {
    url(rt, value, out);
  } else {
    json(rt, value, out);
  }
}

void Escaper::url(Runtime& rt, const Value& value, Builder& out) {
  if (has(value, Str::author)) {
    out.append(value.text());
    return;
  }
  const bool encoded = has(value, Str::urlencoded);
  for (const char c : text_of(rt, value)) {
    if (is_unreserved(c) || (encoded && c != '/')) {
      out.append(c);
    } else {
      out.append(fmt::format("%{:02X}", static_cast<unsigned char>(c)));
    }
  }
}

void Escaper::json(Runtime& rt, const Value& value, Builder& out) {
  if (in_string_) {
    const std::string_view text = text_of(rt, value);
    if (text.empty()) {
      return;
    }
    if (after_backslash_) {  // the author's backslash must not join what a user typed
      out.append('\\');
      after_backslash_ = false;
    }
    std::string quoted;
    append_json_string(quoted, text);
    out.append(std::string_view(quoted).substr(1, quoted.size() - 2));
    return;
  }
  if (has(value, Str::author)) {
    literal(value.text(), out);
  } else if (value.is_undefined()) {
    out.append(value.undefined->plain ? "" : "null");
  } else if (has(value, Str::json) || (value.is_string() && is_json_scalar(value.text()))) {
    out.append(value.text());
  } else {
    write_json(rt, value, out, {.lenient = true});
  }
}

}  // namespace loquat::tmpl
