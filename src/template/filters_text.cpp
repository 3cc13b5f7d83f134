#include <algorithm>

#include "template/library.h"
#include "template/unicode.h"
#include "template/wrap.h"

namespace loquat::tmpl {

namespace {

[[nodiscard]] Native string_method(std::string_view name) { return find_methods(name)->string; }

Value upper(Runtime& rt, const Value& value, const Args& args) {
  static const Native native = string_method("upper");
  return native(rt, soft_str(rt, value), args);
}
Value lower(Runtime& rt, const Value& value, const Args& args) {
  static const Native native = string_method("lower");
  return native(rt, soft_str(rt, value), args);
}
Value capitalize(Runtime& rt, const Value& value, const Args& args) {
  static const Native native = string_method("capitalize");
  return native(rt, soft_str(rt, value), args);
}

Value center(Runtime& rt, const Value& value, const Args& args) {
  const auto [width] = bind<1>("center", args, {"width"});
  const Value columns = width != nullptr ? *width : Value::of(std::int64_t{80});
  static const Native native = string_method("center");
  return native(rt, soft_str(rt, value), {.positional = {&columns, 1}});
}

[[nodiscard]] bool starts_word(char32_t c) noexcept { return c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || is_space(c); }

Value title(Runtime& rt, const Value& value, const Args& args) {
  expect_none("title", args);
  const Value text = soft_str(rt, value);
  rt.charge_bytes(text.string->size * 8);
  std::string out;
  const std::string_view all = text.text();
  for (std::size_t at = 0; at < all.size();) {
    std::size_t after_first = at;
    const bool separator = starts_word(next_char(all, after_first));
    std::size_t end = after_first;
    while (end < all.size()) {
      std::size_t next = end;
      if (starts_word(next_char(all, next)) != separator) {
        break;
      }
      end = next;
    }
    out += to_upper(all.substr(at, after_first - at));
    out += to_lower(all.substr(after_first, end - after_first));
    at = end;
  }
  return rt.str(out);
}

Value trim(Runtime& rt, const Value& value, const Args& args) {
  const auto [chars] = bind<1>("trim", args, {"chars"});
  return strip_text(rt, soft_str(rt, value), chars, true, true);
}

Value replace(Runtime& rt, const Value& value, const Args& args) {
  const auto [old, with, count] = bind<3>("replace", args, {"old", "new", "count"}, 2);
  const bool all = count == nullptr || count->is(Kind::none);
  return replace_text(rt, to_str(rt, value), text_of(rt, *old), text_of(rt, *with), all ? -1 : index_of(*count));
}

Value format(Runtime& rt, const Value& value, const Args& args) {
  if (!args.positional.empty() && !args.keywords.empty()) {
    fail("can't handle positional and keyword arguments at the same time");
  }
  const Value text = soft_str(rt, value);
  if (!args.keywords.empty()) {
    Dict* dict = rt.make_dict();
    for (const Keyword& keyword : args.keywords) {
      set(rt, *dict, Value(keyword.name), keyword.value);
    }
    return percent_format(rt, text, Value(dict));
  }
  List* list = rt.make_list();
  list->items.reserve(rt.memory, args.positional.size());
  for (const Value& item : args.positional) {
    list->items.push(rt.memory, item);
  }
  return percent_format(rt, text, Value(list, Kind::tuple));
}

Value string(Runtime& rt, const Value& value, const Args& args) {
  expect_none("string", args);
  return soft_str(rt, value);
}

/// The text an operation of str needs; undefined counts as "undefined", as adding a newline to it gives that.
[[nodiscard]] Value line_source(Runtime& rt, const Value& value) {
  if (value.is_undefined() && !value.undefined->plain) {
    return rt.keep("undefined");
  }
  (void)string_of(value);
  return value;
}

Value indent(Runtime& rt, const Value& value, const Args& args) {
  const auto [width, first, blank] = bind<3>("indent", args, {"width", "first", "blank"});
  std::string_view with;
  if (width != nullptr && width->is_string()) {
    with = width->text();
  } else {
    const std::int64_t count = std::max<std::int64_t>(index_or(width, 4), 0);
    rt.memory.check(usize(count));
    Builder blanks(rt.memory);
    blanks.append(usize(count), ' ');
    with = blanks.view();
  }
  const Value source = line_source(rt, value);
  Builder ended(rt.memory);
  ended.append(source.text());
  ended.append('\n');
  const List* lines = split_lines(rt, finish(rt, ended, source.string->flags & Str::markup), false);
  const bool all = flag_or(rt, blank, false);
  Builder out(rt.memory);
  if (flag_or(rt, first, false)) {
    out.append(with);
  }
  bool is_first = true;
  for (const Value& line : lines->items) {
    rt.charge_bytes(with.size());
    if (!is_first) {
      out.append('\n');
      out.append(all || line.string->size != 0 ? with : std::string_view());
    }
    is_first = false;
    out.append(line.text());
  }
  return finish(rt, out, source.string->flags & Str::markup);
}

Value truncate(Runtime& rt, const Value& value, const Args& args) {
  const auto [length_arg, killwords, end_arg, leeway_arg] = bind<4>("truncate", args, {"length", "killwords", "end", "leeway"});
  const std::int64_t size = index_or(length_arg, 255);
  const Value end = end_arg != nullptr ? *end_arg : rt.keep("...");
  const std::int64_t leeway = leeway_arg == nullptr || leeway_arg->is(Kind::none) ? 5 : index_of(*leeway_arg);
  const auto end_size = length(rt, end);
  if (!end_size || size < *end_size || leeway < 0) {
    fail("truncate: the length must be at least that of the end, and leeway not negative");
  }
  const auto chars = length(rt, value);
  if (!chars) {
    fail("object of type '" + std::string(type_name(value)) + "' has no len()");
  }
  if (*chars <= size || *chars - size <= leeway) {
    return value;
  }
  const std::string_view tail = string_of(end);
  (void)string_of(value);
  std::string_view kept = cut(*value.string, 0, size - *end_size);
  if (!flag_or(rt, killwords, false)) {
    const std::size_t blank = kept.rfind(' ');
    kept = blank == std::string_view::npos ? kept : kept.substr(0, blank);
  }
  Builder out(rt.memory);
  out.append(kept);
  out.append(tail);
  return finish(rt, out, value.string->flags & Str::markup);
}

Value wordcount(Runtime& rt, const Value& value, const Args& args) {
  expect_none("wordcount", args);
  const std::string_view text = text_of(rt, value);
  rt.charge_bytes(text.size());
  std::int64_t count = 0;
  bool inside = false;
  for (std::size_t at = 0; at < text.size();) {
    const bool word = is_word(next_char(text, at));
    count += static_cast<std::int64_t>(word && !inside);
    inside = word;
  }
  return Value::of(count);
}

Value wordwrap(Runtime& rt, const Value& value, const Args& args) {
  const auto [width, break_words, with, hyphens] =
      bind<4>("wordwrap", args, {"width", "break_long_words", "wrapstring", "break_on_hyphens"});
  if (value.is_undefined()) {
    fail("'str' object is not callable");
  }
  (void)string_of(value);
  const WrapStyle style{index_or(width, 79), flag_or(rt, break_words, true), flag_or(rt, hyphens, true)};
  const std::string_view between = with == nullptr || with->is(Kind::none) ? "\n" : string_of(*with);
  rt.charge_bytes(value.string->size * 8);
  rt.memory.check(value.string->size * 8);
  Builder out(rt.memory);
  bool first = true;
  for (const Value& line : split_lines(rt, value, false)->items) {
    if (!first) {
      out.append(between);
    }
    first = false;
    bool first_part = true;
    for (const std::string& part : wrap_line(line.text(), style)) {
      out.append(first_part ? std::string_view() : between);
      first_part = false;
      out.append(part);
    }
  }
  return finish(rt, out);
}

constexpr std::array<NamedNative, 13> table{{{"upper", upper},
                                             {"lower", lower},
                                             {"capitalize", capitalize},
                                             {"center", center},
                                             {"title", title},
                                             {"trim", trim},
                                             {"replace", replace},
                                             {"format", format},
                                             {"string", string},
                                             {"indent", indent},
                                             {"truncate", truncate},
                                             {"wordcount", wordcount},
                                             {"wordwrap", wordwrap}}};

}  // namespace

NativeTable text_filters() noexcept { return table; }

}  // namespace loquat::tmpl
