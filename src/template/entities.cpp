#include "template/entities.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "template/unicode.h"

namespace loquat::tmpl {

namespace {

struct Entity {
  std::string_view name;
  std::array<char32_t, 2> chars;
};

constexpr Entity entities[] = {
#include "template/entities.inc"
};

/// What browsers make of the numbers 128 to 159, which are meant as Windows-1252.
constexpr std::array<char32_t, 32> windows{0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
                                           0x2039, 0x0152, 0x8D,   0x017D, 0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
                                           0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178};

[[nodiscard]] const Entity* find_entity(std::string_view name) noexcept {
  const auto* found = std::ranges::lower_bound(entities, name, {}, &Entity::name);
  return found != std::end(entities) && found->name == name ? found : nullptr;
}

void append_number(std::string& out, std::uint32_t code) {
  if (code >= 128 && code < 160) {
    append_char(out, windows[code - 128]);
  } else if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
    append_char(out, 0xFFFD);
  } else {
    const bool control = (code < 0x20 && code != '\t' && code != '\n' && code != '\f' && code != '\r') || code == 0x7F;
    const bool no_character = (code >= 0xFDD0 && code <= 0xFDEF) || (code & 0xFFFEU) == 0xFFFE;
    if (!control && !no_character) {
      append_char(out, code);
    }
  }
}

/// &#123; or &#x7b; at the start; gives its length, 0: none.
[[nodiscard]] std::size_t take_number(std::string_view text, std::string& out) {
  const bool hex = text.size() > 2 && (text[2] | 0x20) == 'x';
  std::size_t at = hex ? 3 : 2;
  const std::size_t first = at;
  std::uint32_t code = 0;
  for (; at < text.size(); ++at) {
    const char c = static_cast<char>(text[at] | 0x20);
    const std::uint32_t digit = text[at] >= '0' && text[at] <= '9' ? static_cast<std::uint32_t>(text[at] - '0')
                                : hex && c >= 'a' && c <= 'f'      ? static_cast<std::uint32_t>(c - 'a' + 10)
                                                                   : 99;
    if (digit == 99) {
      break;
    }
    code = std::min<std::uint32_t>(code * (hex ? 16 : 10) + digit, 0x110000);
  }
  if (at == first) {
    return 0;
  }
  append_number(out, code);
  return at + static_cast<std::size_t>(at < text.size() && text[at] == ';');
}

/// &name; at the start, or the longest name that needs no semicolon; gives its length, 0: none.
[[nodiscard]] std::size_t take_name(std::string_view text, std::string& out) {
  constexpr std::size_t longest = 33;
  std::size_t end = std::min(text.find_first_of("\t\n\f <&#;", 1), text.size());
  end = std::min({end + static_cast<std::size_t>(end < text.size() && text[end] == ';'), text.size(), longest + 1});
  for (; end > 2; --end) {
    if (const Entity* entity = find_entity(text.substr(1, end - 1))) {
      append_char(out, entity->chars[0]);
      if (entity->chars[1] != 0) {
        append_char(out, entity->chars[1]);
      }
      return end;
    }
  }
  return 0;
}

}  // namespace

std::string unescape_html(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t mark = std::min(text.find('&'), text.size());
    out += text.substr(0, mark);
    text.remove_prefix(mark);
    if (text.empty()) {
      break;
    }
    const bool number = text.size() > 1 && text[1] == '#';
    const std::size_t taken = number ? take_number(text, out) : take_name(text, out);
    if (taken == 0) {
      out += '&';
    }
    text.remove_prefix(std::max<std::size_t>(taken, 1));
  }
  return out;
}

}  // namespace loquat::tmpl
