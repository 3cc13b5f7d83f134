#include <algorithm>
#include <cstring>

#include "template/library.h"
#include "template/unicode.h"

/// Methods of str: searching, splitting, joining.
namespace loquat::tmpl {

namespace {

[[nodiscard]] std::uint8_t markup_of(const Value& self) noexcept { return self.string->flags & Str::markup; }

[[nodiscard]] Value part(Runtime& rt, const Value& self, std::string_view text) { return rt.keep(text, markup_of(self)); }

constexpr std::size_t npos = std::string_view::npos;

/// Linear whatever the texts are, unlike std::string_view::find.
[[nodiscard]] std::size_t find_in(std::string_view text, std::string_view wanted, std::size_t from = 0) noexcept {
  if (from > text.size()) {
    return npos;
  }
  if (wanted.empty()) {
    return from;
  }
  const void* found = memmem(text.data() + from, text.size() - from, wanted.data(), wanted.size());
  return found == nullptr ? npos : static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

/// The last place; linear in the number of places times the length of `wanted` only.
[[nodiscard]] std::size_t rfind_in(Runtime& rt, std::string_view text, std::string_view wanted) {
  if (wanted.empty()) {
    return text.size();
  }
  if (wanted.size() == 1) {
    return text.rfind(wanted.front());
  }
  for (std::size_t end = text.size(); end >= wanted.size(); --end) {
    if (text[end - 1] == wanted.back() && text[end - wanted.size()] == wanted.front()) {
      rt.charge_bytes(wanted.size());
      if (text.substr(end - wanted.size(), wanted.size()) == wanted) {
        return end - wanted.size();
      }
    }
  }
  return npos;
}

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

// --- splitting

struct SplitArgs {
  const Value* separator;
  std::int64_t limit;
};

[[nodiscard]] SplitArgs split_args(const Args& args) {
  const auto [separator, limit] = bind<2>("split", args, {"sep", "maxsplit"});
  if (separator != nullptr && !separator->is(Kind::none) && string_of(*separator).empty()) {
    fail("empty separator");
  }
  const bool blank = separator == nullptr || separator->is(Kind::none);
  const std::int64_t given = index_or(limit, -1);
  return {blank ? nullptr : separator, given < 0 ? std::numeric_limits<std::int64_t>::max() : given};
}

void split_blank(Runtime& rt, const Value& self, std::int64_t limit, List& out) {
  std::string_view rest = self.text();
  rest.remove_prefix(leading_space(rest));
  while (!rest.empty()) {
    if (limit-- == 0) {
      out.items.push(rt.memory, part(rt, self, rest));
      return;
    }
    std::size_t end = 0;
    while (end < rest.size()) {
      std::size_t next = end;
      if (is_space(next_char(rest, next))) {
        break;
      }
      end = next;
    }
    out.items.push(rt.memory, part(rt, self, rest.substr(0, end)));
    rest.remove_prefix(end);
    rest.remove_prefix(leading_space(rest));
  }
}

void rsplit_blank(Runtime& rt, const Value& self, std::int64_t limit, List& out) {
  std::string_view rest = self.text();
  rest.remove_suffix(trailing_space(rest));
  while (!rest.empty()) {
    if (limit-- == 0) {
      out.items.push(rt.memory, part(rt, self, rest));
      break;
    }
    std::size_t start = rest.size();
    while (start > 0) {
      const std::size_t before = previous_char(rest, start);
      std::size_t at = before;
      if (is_space(next_char(rest, at))) {
        break;
      }
      start = before;
    }
    out.items.push(rt.memory, part(rt, self, rest.substr(start)));
    rest = rest.substr(0, start);
    rest.remove_suffix(trailing_space(rest));
  }
  std::reverse(out.items.begin(), out.items.end());
}

Value split(Runtime& rt, const Value& self, const Args& args) {
  auto [separator, limit] = split_args(args);
  rt.charge_bytes(self.string->size);
  List* out = rt.make_list();
  if (separator == nullptr) {
    split_blank(rt, self, limit, *out);
    return Value(out, Kind::list);
  }
  const std::string_view text = self.text();
  const std::string_view by = separator->text();
  std::size_t start = 0;
  for (std::size_t at = find_in(text, by); at != npos && limit > 0; at = find_in(text, by, start), --limit) {
    out->items.push(rt.memory, part(rt, self, text.substr(start, at - start)));
    start = at + by.size();
  }
  out->items.push(rt.memory, part(rt, self, text.substr(start)));
  return Value(out, Kind::list);
}

Value rsplit(Runtime& rt, const Value& self, const Args& args) {
  auto [separator, limit] = split_args(args);
  rt.charge_bytes(self.string->size);
  List* out = rt.make_list();
  if (separator == nullptr) {
    rsplit_blank(rt, self, limit, *out);
    return Value(out, Kind::list);
  }
  std::string_view rest = self.text();
  const std::string_view by = separator->text();
  for (std::size_t at = rfind_in(rt, rest, by); at != npos && limit > 0; at = rfind_in(rt, rest, by), --limit) {
    out->items.push(rt.memory, part(rt, self, rest.substr(at + by.size())));
    rest = rest.substr(0, at);
  }
  out->items.push(rt.memory, part(rt, self, rest));
  std::reverse(out->items.begin(), out->items.end());
  return Value(out, Kind::list);
}

Value splitlines(Runtime& rt, const Value& self, const Args& args) {
  const auto [keepends] = bind<1>("splitlines", args, {"keepends"});
  return Value(split_lines(rt, self, flag_or(rt, keepends, false)), Kind::list);
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
    out->items.push(rt.memory, part(rt, self, piece));
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
  return part(rt, self, text);
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

constexpr std::array<NamedNative, 24> table{{
    {"find", find_method<false>},
    {"rfind", find_method<true>},
    {"index", index_method<false>},
    {"rindex", index_method<true>},
    {"count", count_method},
    {"startswith", starts_or_ends<false>},
    {"endswith", starts_or_ends<true>},
    {"replace", replace_method},
    {"split", split},
    {"rsplit", rsplit},
    {"splitlines", splitlines},
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
    return part(rt, self, text);
  }
  out.append(text.substr(start));
  return finish(rt, out, markup_of(self));
}

List* split_lines(Runtime& rt, const Value& self, bool keep_ends) {
  const std::string_view text = self.text();
  rt.charge_bytes(text.size());
  List* out = rt.make_list();
  std::size_t start = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t before = at;
    const char32_t c = next_char(text, at);
    if (!is_line_break(c)) {
      continue;
    }
    at += static_cast<std::size_t>(c == '\r' && at < text.size() && text[at] == '\n');
    out->items.push(rt.memory, part(rt, self, text.substr(start, (keep_ends ? at : before) - start)));
    start = at;
  }
  if (start < text.size()) {
    out->items.push(rt.memory, part(rt, self, text.substr(start)));
  }
  return out;
}

Value strip_text(Runtime& rt, const Value& self, const Value* chars, bool left, bool right) {
  std::string_view text = self.text();
  rt.charge_bytes(text.size());
  if (chars == nullptr || chars->is(Kind::none)) {
    text.remove_prefix(left ? leading_space(text) : 0);
    text.remove_suffix(right ? trailing_space(text) : 0);
    return part(rt, self, text);
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
  return part(rt, self, text);
}

}  // namespace loquat::tmpl
