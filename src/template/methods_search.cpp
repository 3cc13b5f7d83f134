#include <algorithm>

#include "template/library.h"
#include "template/text_search.h"
#include "template/unicode.h"

/// Methods of str: searching, replacing, joining, stripping.
namespace loquat::tmpl {

namespace {

[[nodiscard]] std::uint8_t markup_of(const Value& self) noexcept { return self.string->flags & Str::markup; }

/// The part of a text that find(x, start, end) looks at.
struct Window {
  std::string_view text;
  std::int64_t start = 0;  ///< in code points
  bool valid = true;       ///< false: start lies behind the end of the text
};

[[nodiscard]] Window window(Runtime& rt, const Value& self, const Value* start, const Value* end) {
  rt.charge_bytes(self.string->size);
  const auto given = [](const Value* v) { return v != nullptr && !v->is(Kind::none); };
  if (!given(start) && !given(end)) {
    return {self.text()};
  }
  const std::int64_t size = length_of_text(*self.string);
  const auto clamp = [size](std::int64_t at) { return std::max<std::int64_t>(at < 0 ? at + size : at, 0); };
  const std::int64_t from = given(start) ? clamp(index_of(*start)) : 0;
  const std::int64_t to = std::min(given(end) ? clamp(index_of(*end)) : size, size);
  if (from > size || from > to) {
    return {{}, from, false};
  }
  return {cut(*self.string, from, to), from};
}

template <bool from_right>
[[nodiscard]] std::int64_t search(Runtime& rt, const Value& self, const Args& args, std::string_view name) {
  const auto [wanted, start, end] = bind<3>(name, args, {"", "", ""}, 1);
  const std::string_view text = string_of(*wanted);
  const Window where = window(rt, self, start, end);
  if (!where.valid) {
    return -1;
  }
  const std::size_t at = from_right ? rfind_in(rt, where.text, text) : find_in(where.text, text);
  return at == npos ? -1 : where.start + count_chars(where.text.substr(0, at));
}

template <bool from_right>
Value find_method(Runtime& rt, const Value& self, const Args& args) {
  return Value::of(search<from_right>(rt, self, args, "find"));
}
template <bool from_right>
Value index_method(Runtime& rt, const Value& self, const Args& args) {
  const std::int64_t at = search<from_right>(rt, self, args, "index");
  if (at < 0) {
    fail("substring not found");
  }
  return Value::of(at);
}

Value count_method(Runtime& rt, const Value& self, const Args& args) {
  const auto [wanted, start, end] = bind<3>("count", args, {"", "", ""}, 1);
  const std::string_view text = string_of(*wanted);
  const Window where = window(rt, self, start, end);
  if (!where.valid) {
    return Value::of(std::int64_t{0});
  }
  if (text.empty()) {
    return Value::of(count_chars(where.text) + 1);
  }
  std::int64_t count = 0;
  for (std::size_t at = find_in(where.text, text); at != npos; at = find_in(where.text, text, at + text.size())) {
    ++count;
  }
  return Value::of(count);
}

template <bool at_end>
Value starts_or_ends(Runtime& rt, const Value& self, const Args& args) {
  const auto [wanted, start, end] = bind<3>(at_end ? "endswith" : "startswith", args, {"", "", ""}, 1);
  const Window where = window(rt, self, start, end);
  const auto matches = [&](const Value& affix) {
    const std::string_view text = string_of(affix);
    return where.valid && (at_end ? where.text.ends_with(text) : where.text.starts_with(text));
  };
  if (wanted->is(Kind::tuple)) {
    for (const Value& affix : items_of(rt, *wanted->list)) {
      rt.charge(1);
      if (matches(affix)) {
        return Value::of(true);
      }
    }
    return Value::of(false);
  }
  return Value::of(matches(*wanted));
}

Value replace_method(Runtime& rt, const Value& self, const Args& args) {
  const auto [old, with, count] = bind<3>("replace", args, {"", "", ""}, 2);
  const Value replacement = markup_of(self) != 0 && with->is_string() ? escape_value(rt, *with) : *with;
  return replace_text(rt, self, string_of(*old), string_of(replacement), index_or(count, -1));
}

template <bool from_right>
Value partition(Runtime& rt, const Value& self, const Args& args) {
  const auto [separator] = bind<1>("partition", args, {""}, 1);
  const std::string_view by = string_of(*separator);
  if (by.empty()) {
    fail("empty separator");
  }
  rt.charge_bytes(self.string->size);
  const std::string_view text = self.text();
  const std::size_t at = from_right ? rfind_in(rt, text, by) : find_in(text, by);
  List* out = rt.make_list();
  const bool found = at != npos;
  const std::string_view before = found ? text.substr(0, at) : from_right ? std::string_view() : text;
  const std::string_view after = found ? text.substr(at + by.size()) : from_right ? text : std::string_view();
  for (const std::string_view piece : {before, found ? by : std::string_view(), after}) {
    out->items.push(rt.memory, part_of(rt, self, piece));
  }
  return Value(out, Kind::tuple);
}

Value join(Runtime& rt, const Value& self, const Args& args) {
  const auto [iterable] = bind<1>("join", args, {""}, 1);
  const bool markup = markup_of(self) != 0;
  Builder out(rt.memory);
  Cursor cursor(rt, *iterable);
  bool first = true;
  for (Value item; cursor.next(rt, item); first = false) {
    if (!item.is_string() && !markup) {
      fail("sequence item: expected str instance, " + std::string(type_name(item)) + " found");
    }
    out.append(first ? std::string_view() : self.text());
    out.append(markup ? escape_value(rt, item).text() : item.text());
  }
  return finish(rt, out, markup_of(self));
}

// --- stripping

template <bool left, bool right>
Value strip(Runtime& rt, const Value& self, const Args& args) {
  const auto [chars] = bind<1>("strip", args, {""});
  return strip_text(rt, self, chars, left, right);
}

template <bool suffix>
Value remove_affix(Runtime& rt, const Value& self, const Args& args) {
  const auto [affix] = bind<1>(suffix ? "removesuffix" : "removeprefix", args, {""}, 1);
  std::string_view text = self.text();
  const std::string_view wanted = string_of(*affix);
  if (suffix && !wanted.empty() && text.ends_with(wanted)) {
    text.remove_suffix(wanted.size());
  } else if (!suffix && text.starts_with(wanted)) {
    text.remove_prefix(wanted.size());
  }
  return part_of(rt, self, text);
}

Value format_method(Runtime& rt, const Value& self, const Args& args) { return format_text(rt, self, args); }

Value format_map(Runtime& rt, const Value& self, const Args& args) {
  const auto [mapping] = bind<1>("format_map", args, {""}, 1);
  if (!mapping->is(Kind::dict)) {
    fail_type("format_map() needs a dict", *mapping);
  }
  Vec<Keyword> keywords;
  for (const Entry& entry : entries_of(rt, *mapping->dict)) {
    if (entry.key.is_string()) {
      keywords.push(rt.memory, {entry.key.string, entry.value});
    }
  }
  return format_text(rt, self, {.keywords = {keywords.begin(), keywords.size()}});
}

Value refuse(Runtime&, const Value&, const Args&) { fail("bytes and translation tables are not supported"); }

constexpr std::array<NamedNative, 21> table{{
    {"find", find_method<false>},
    {"rfind", find_method<true>},
    {"index", index_method<false>},
    {"rindex", index_method<true>},
    {"count", count_method},
    {"startswith", starts_or_ends<false>},
    {"endswith", starts_or_ends<true>},
    {"replace", replace_method},
    {"partition", partition<false>},
    {"rpartition", partition<true>},
    {"join", join},
    {"strip", strip<true, true>},
    {"lstrip", strip<true, false>},
    {"rstrip", strip<false, true>},
    {"removeprefix", remove_affix<false>},
    {"removesuffix", remove_affix<true>},
    {"format", format_method},
    {"format_map", format_map},
    {"encode", refuse},
    {"translate", refuse},
    {"maketrans", refuse},
}};

}  // namespace

NativeTable search_methods() noexcept { return table; }

Value replace_text(Runtime& rt, const Value& self, std::string_view old, std::string_view with, std::int64_t limit) {
  const std::string_view text = self.text();
  rt.charge_bytes(text.size());
  if (limit < 0) {
    limit = std::numeric_limits<std::int64_t>::max();
  }
  Builder out(rt.memory);
  if (old.empty()) {
    std::size_t at = 0;
    while (limit-- > 0) {
      out.append(with);
      if (at >= text.size()) {
        return finish(rt, out, markup_of(self));
      }
      const std::size_t start = at;
      (void)next_char(text, at);
      out.append(text.substr(start, at - start));
    }
    out.append(text.substr(at));
    return finish(rt, out, markup_of(self));
  }
  std::size_t start = 0;
  for (std::size_t at = find_in(text, old); at != npos && limit-- > 0; at = find_in(text, old, start)) {
    out.append(text.substr(start, at - start));
    out.append(with);
    start = at + old.size();
  }
  if (start == 0) {
    return part_of(rt, self, text);
  }
  out.append(text.substr(start));
  return finish(rt, out, markup_of(self));
}

Value strip_text(Runtime& rt, const Value& self, const Value* chars, bool left, bool right) {
  std::string_view text = self.text();
  rt.charge_bytes(text.size());
  if (chars == nullptr || chars->is(Kind::none)) {
    text.remove_prefix(left ? leading_space(text) : 0);
    text.remove_suffix(right ? trailing_space(text) : 0);
    return part_of(rt, self, text);
  }
  const std::u32string wanted = to_chars32(string_of(*chars));
  const auto strips = [&](char32_t c) {
    rt.charge(wanted.size() / 64);
    return wanted.find(c) != std::u32string::npos;
  };
  while (left && !text.empty()) {
    std::size_t at = 0;
    if (!strips(next_char(text, at))) {
      break;
    }
    text.remove_prefix(at);
  }
  while (right && !text.empty()) {
    const std::size_t start = previous_char(text, text.size());
    std::size_t at = start;
    if (!strips(next_char(text, at))) {
      break;
    }
    text = text.substr(0, start);
  }
  return part_of(rt, self, text);
}

}  // namespace loquat::tmpl
