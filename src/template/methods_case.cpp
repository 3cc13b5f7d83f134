#include <algorithm>

#include "template/library.h"
#include "template/unicode.h"

/// Methods of str: case, kinds of characters, padding.
namespace loquat::tmpl {

namespace {

[[nodiscard]] std::uint8_t markup_of(const Value& self) noexcept { return self.string->flags & Str::markup; }

constexpr char32_t capital_sigma = 0x3A3;

/// One character of a text, and what is around it.
struct Place {
  std::string_view before;
  std::string_view self;
  std::string_view after;
};

/// Whether a sigma there is the last letter of its word. What case ignores is passed over, on both sides at most to the next sigma.
[[nodiscard]] bool is_final(const Place& place) noexcept {
  for (std::size_t at = place.before.size();;) {
    if (at == 0) {
      return false;
    }
    at = previous_char(place.before, at);
    std::size_t end = at;
    const char32_t c = next_char(place.before, end);
    if (!is_case_ignorable(c)) {
      if (!is_cased(c)) {
        return false;
      }
      break;
    }
  }
  for (std::size_t at = 0; at < place.after.size();) {
    const char32_t c = next_char(place.after, at);
    if (!is_case_ignorable(c)) {
      return !is_cased(c);
    }
  }
  return true;
}

[[nodiscard]] std::string lower_at(char32_t c, const Place& place) {
  return c != capital_sigma ? to_lower(place.self) : is_final(place) ? "ς" : "σ";
}

template <class Map>
[[nodiscard]] std::string per_char(std::string_view text, Map&& map) {
  std::string out;
  bool after_cased = false;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    const char32_t c = next_char(text, at);
    out += map(c, Place{text.substr(0, start), text.substr(start, at - start), text.substr(at)}, after_cased);
    after_cased = is_cased(c);
  }
  return out;
}

[[nodiscard]] std::string capitalized(std::string_view text) {
  if (text.empty()) {
    return {};
  }
  std::size_t first = 0;
  (void)next_char(text, first);
  // Lowered whole: a sigma that ends the word needs to see what is before it.
  return to_title_char(text.substr(0, first)) + to_lower(text).substr(to_lower(text.substr(0, first)).size());
}

[[nodiscard]] std::string titled(std::string_view text) {
  return per_char(
      text, [](char32_t c, const Place& place, bool after_cased) { return after_cased ? lower_at(c, place) : to_title_char(place.self); });
}

[[nodiscard]] std::string swapped(std::string_view text) {
  return per_char(text, [](char32_t c, const Place& place, bool) {
    return is_upper(c) ? lower_at(c, place) : is_lower(c) ? to_upper(place.self) : std::string(place.self);
  });
}

template <std::string (*map)(std::string_view)>
Value mapped(Runtime& rt, const Value& self, const Args& args) {
  expect_none("method", args);
  rt.charge_bytes(self.string->size * 8);
  rt.memory.check(self.string->size * 4);
  return rt.str(map(self.text()), markup_of(self));
}

/// to_upper and to_lower of ASCII without a detour.
template <std::string (*map)(std::string_view), char first, char last>
Value shifted(Runtime& rt, const Value& self, const Args& args) {
  const std::string_view text = self.text();
  if (!is_ascii(text) || args.count() != 0) {
    return mapped<map>(rt, self, args);
  }
  rt.charge_bytes(text.size());
  char* out = rt.memory.allocate(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    out[i] = text[i] >= first && text[i] <= last ? static_cast<char>(text[i] ^ 0x20) : text[i];
  }
  return rt.keep({out, text.size()}, markup_of(self));
}

/// True when there are characters and all of them are of the kind.
template <bool (*kind)(char32_t) noexcept, bool empty = false>
Value all_are(Runtime& rt, const Value& self, const Args& args) {
  expect_none("method", args);
  const std::string_view text = self.text();
  rt.charge_bytes(text.size());
  for (std::size_t at = 0; at < text.size();) {
    if (!kind(next_char(text, at))) {
      return Value::of(false);
    }
  }
  return Value::of(empty || !text.empty());
}

[[nodiscard]] bool is_alnum(char32_t c) noexcept { return is_alpha(c) || is_decimal(c) || is_digit(c) || is_numeric(c); }
[[nodiscard]] bool is_ascii_char(char32_t c) noexcept { return c < 0x80; }

template <bool upper>
Value cased(Runtime& rt, const Value& self, const Args& args) {
  return find_test(upper ? "upper" : "lower")(rt, self, args);
}

Value istitle(Runtime& rt, const Value& self, const Args& args) {
  expect_none("istitle", args);
  rt.charge_bytes(self.string->size);
  bool after_cased = false;
  bool some = false;
  for (std::size_t at = 0; at < self.text().size();) {
    const char32_t c = next_char(self.text(), at);
    const bool starts = is_upper(c) || is_title(c);
    if ((starts && after_cased) || (is_lower(c) && !after_cased)) {
      return Value::of(false);
    }
    after_cased = starts || is_lower(c);
    some = some || after_cased;
  }
  return Value::of(some);
}

Value isidentifier(Runtime& rt, const Value& self, const Args& args) {
  expect_none("isidentifier", args);
  rt.charge_bytes(self.string->size);
  for (std::size_t at = 0; at < self.text().size();) {
    const bool first = at == 0;
    const char32_t c = next_char(self.text(), at);
    if (!(first ? is_id_start(c) : is_id_part(c))) {
      return Value::of(false);
    }
  }
  return Value::of(self.string->size != 0);
}

// --- padding

enum class Side { left, right, both };

template <Side side>
Value padded(Runtime& rt, const Value& self, const Args& args) {
  const auto [width, fill] = bind<2>("pad", args, {"", ""}, 1);
  const std::string_view with = fill == nullptr ? " " : string_of(*fill);
  if (count_chars(with) != 1) {
    fail("The fill character must be exactly one character long");
  }
  const std::int64_t wanted = index_of(*width);
  const std::int64_t missing = wanted - length_of_text(*self.string);
  if (missing <= 0) {
    return rt.keep(self.text(), markup_of(self));
  }
  const std::int64_t before = side == Side::left ? missing : side == Side::right ? 0 : missing / 2 + (missing & wanted & 1);
  if (missing > 0xFFFFFFFF) {
    fail("the template needs too much memory");
  }
  rt.memory.check(usize(missing) * with.size());
  Builder out(rt.memory);
  const auto add = [&](std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      out.append(with);
    }
  };
  rt.charge_bytes(usize(missing));
  add(before);
  out.append(self.text());
  add(missing - before);
  return finish(rt, out, markup_of(self));
}

Value zfill(Runtime& rt, const Value& self, const Args& args) {
  const auto [width] = bind<1>("zfill", args, {""}, 1);
  const std::int64_t missing = index_of(*width) - length_of_text(*self.string);
  if (missing <= 0) {
    return rt.keep(self.text(), markup_of(self));
  }
  if (missing > 0xFFFFFFFF) {
    fail("the template needs too much memory");
  }
  rt.memory.check(usize(missing));
  rt.charge_bytes(usize(missing));
  const std::size_t sign = self.text().starts_with('-') || self.text().starts_with('+') ? 1 : 0;
  Builder out(rt.memory);
  out.append(self.text().substr(0, sign));
  out.append(usize(missing), '0');
  out.append(self.text().substr(sign));
  return finish(rt, out, markup_of(self));
}

Value expandtabs(Runtime& rt, const Value& self, const Args& args) {
  const auto [tabsize] = bind<1>("expandtabs", args, {"tabsize"});
  const std::int64_t size = index_or(tabsize, 8);
  rt.charge_bytes(self.string->size);
  Builder out(rt.memory);
  std::int64_t column = 0;
  for (std::size_t at = 0; at < self.text().size();) {
    const std::size_t start = at;
    const char32_t c = next_char(self.text(), at);
    if (c == '\t') {
      const std::int64_t blanks = size > 0 ? size - column % size : 0;
      rt.memory.check(usize(blanks));
      out.append(usize(blanks), ' ');
      column += blanks;
      continue;
    }
    column = c == '\n' || c == '\r' ? 0 : column + 1;
    out.append(self.text().substr(start, at - start));
  }
  return finish(rt, out, markup_of(self));
}

constexpr std::array<NamedNative, 23> table{{
    {"upper", shifted<to_upper, 'a', 'z'>},
    {"lower", shifted<to_lower, 'A', 'Z'>},
    {"casefold", mapped<to_folded>},
    {"capitalize", mapped<capitalized>},
    {"title", mapped<titled>},
    {"swapcase", mapped<swapped>},
    {"isalpha", all_are<is_alpha>},
    {"isalnum", all_are<is_alnum>},
    {"isdecimal", all_are<is_decimal>},
    {"isdigit", all_are<is_digit>},
    {"isnumeric", all_are<is_numeric>},
    {"isspace", all_are<is_space>},
    {"isprintable", all_are<is_printable, true>},
    {"isascii", all_are<is_ascii_char, true>},
    {"isupper", cased<true>},
    {"islower", cased<false>},
    {"istitle", istitle},
    {"isidentifier", isidentifier},
    {"ljust", padded<Side::right>},
    {"rjust", padded<Side::left>},
    {"center", padded<Side::both>},
    {"zfill", zfill},
    {"expandtabs", expandtabs},
}};

}  // namespace

NativeTable case_methods() noexcept { return table; }

}  // namespace loquat::tmpl
