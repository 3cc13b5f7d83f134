#include "template/pretty.h"

#include <algorithm>

#include "template/library.h"
#include "template/numbers.h"
#include "template/unicode.h"

namespace loquat::tmpl {

namespace {

/// The algorithm of pprint.PrettyPrinter with its default settings (indent 1, width 80, sorted dicts).
class Pretty {
 public:
  Pretty(Runtime& rt, Builder& out) : rt_(rt), out_(out) {}

  void write(const Value& value, std::int64_t indent, std::int64_t allowance, int level) {
    rt_.check_stack();
    if (level > 100) {
      fail("the value is nested too deeply for pprint");
    }
    const Value flat = flatten(value);
    const bool splits = value.is_sequence() || value.is(Kind::dict) || (value.is_string() && (value.string->flags & Str::markup) == 0);
    if (length_of_text(*flat.string) <= width - indent - allowance || !splits) {
      out_.append(flat.text());
    } else if (value.is(Kind::dict)) {
      dict(value, indent, allowance + 1, level + 1);
    } else if (value.is_string()) {
      string(value, flat, indent, allowance, level + 1);
    } else {
      list(value, indent, allowance, level + 1);
    }
  }

 private:
  static constexpr std::int64_t width = 80;

  /// repr() with dicts sorted.
  [[nodiscard]] Value flatten(const Value& value) {
    Builder text(rt_.memory);
    flatten(value, text, 0);
    return finish(rt_, text);
  }

  void flatten(const Value& value, Builder& text, int depth) {
    rt_.check_stack();
    rt_.charge(1);
    if (depth > 200) {
      fail("the value is nested too deeply for pprint");
    }
    if (value.is(Kind::dict)) {
      const List* keys = sorted(value);
      text.append('{');
      for (std::size_t i = 0; i < keys->items.size(); ++i) {
        text.append(i == 0 ? "" : ", ");
        flatten(keys->items[i], text, depth + 1);
        text.append(": ");
        flatten(*find(rt_, *value.dict, keys->items[i]), text, depth + 1);
      }
      text.append('}');
    } else if (value.is_sequence()) {
      const bool tuple = value.is(Kind::tuple);
      const Vec<Value>& items = items_of(rt_, *value.list);
      text.append(tuple ? '(' : '[');
      for (std::size_t i = 0; i < items.size(); ++i) {
        text.append(i == 0 ? "" : ", ");
        flatten(items[i], text, depth + 1);
      }
      text.append(tuple ? (items.size() == 1 ? ",)" : ")") : "]");
    } else {
      repr(rt_, value, text);
    }
  }

  /// Keys in the order of pprint's _safe_key: by value, by type where values cannot be compared.
  [[nodiscard]] const List* sorted(const Value& dict) {
    List* keys = rt_.make_list();
    bool comparable = true;
    for (const Entry& entry : entries_of(rt_, *dict.dict)) {
      keys->items.push(rt_.memory, entry.key);
      const Value& first = keys->items[0];
      comparable = comparable && ((entry.key.is_string() && first.is_string()) || (is_number(entry.key) && is_number(first)));
    }
    if (comparable) {
      List* copy = to_list(rt_, Value(keys, Kind::list));
      sort(rt_, keys->items, copy->items, false);
      return keys;
    }
    // Insertion keeps the order of equals, and mixed keys are few.
    Vec<Value>& all = keys->items;
    for (std::size_t i = 1; i < all.size(); ++i) {
      for (std::size_t k = i; k > 0 && before(all[k], all[k - 1]); --k) {
        std::swap(all[k], all[k - 1]);
      }
    }
    return keys;
  }

  [[nodiscard]] bool before(const Value& a, const Value& b) {
    rt_.charge(1);
    if ((a.is_string() && b.is_string()) || (is_number(a) && is_number(b))) {
      return less(rt_, a, b);
    }
    return type_name(a) < type_name(b);
  }

  void line(std::int64_t indent) {
    out_.append(",\n");
    out_.append(usize(indent), ' ');
  }

  void dict(const Value& value, std::int64_t indent, std::int64_t allowance, int level) {
    const List* keys = sorted(value);
    out_.append('{');
    for (std::size_t i = 0; i < keys->items.size(); ++i) {
      const bool last = i + 1 == keys->items.size();
      const Value key = flatten(keys->items[i]);
      out_.append(key.text());
      out_.append(": ");
      write(*find(rt_, *value.dict, keys->items[i]), indent + 1 + length_of_text(*key.string) + 2, last ? allowance : 1, level);
      if (!last) {
        line(indent + 1);
      }
    }
    out_.append('}');
  }

  void list(const Value& value, std::int64_t indent, std::int64_t allowance, int level) {
    const Vec<Value>& items = items_of(rt_, *value.list);
    const bool tuple = value.is(Kind::tuple);
    const std::string_view end = tuple ? (items.size() == 1 ? ",)" : ")") : "]";
    out_.append(tuple ? '(' : '[');
    for (std::size_t i = 0; i < items.size(); ++i) {
      const bool last = i + 1 == items.size();
      if (i > 0) {
        line(indent + 1);
      }
      write(items[i], indent + 1, last ? allowance + ssize(end.size()) : 1, level);
    }
    out_.append(end);
  }

  [[nodiscard]] static std::int64_t chars(std::string_view text) noexcept { return count_chars(text); }

  [[nodiscard]] std::string quoted(std::string_view text) {
    Builder out(rt_.memory);
    repr_text(text, out);
    return std::string(out.view());
  }

  /// Words with the white space after them.
  [[nodiscard]] static std::vector<std::string_view> words(std::string_view text) {
    std::vector<std::string_view> out;
    std::size_t start = 0;
    bool in_space = false;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t before = at;
      const bool space = is_space(next_char(text, at));
      if (in_space && !space) {
        out.push_back(text.substr(start, before - start));
        start = before;
      }
      in_space = space;
    }
    out.push_back(text.substr(start));
    return out;
  }

  void split_line(std::string_view text, std::int64_t room, std::int64_t last_room, std::vector<std::string>& chunks) {
    std::string current;
    const std::vector<std::string_view> parts = words(text);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      rt_.charge_bytes(current.size());
      const std::string candidate = current + std::string(parts[i]);
      if (chars(quoted(candidate)) > (i + 1 == parts.size() ? last_room : room)) {
        if (!current.empty()) {
          chunks.push_back(quoted(current));
        }
        current = parts[i];
      } else {
        current = candidate;
      }
    }
    if (!current.empty()) {
      chunks.push_back(quoted(current));
    }
  }

  void string(const Value& value, const Value& flat, std::int64_t indent, std::int64_t allowance, int level) {
    const bool outermost = level == 1;
    indent += static_cast<std::int64_t>(outermost);
    allowance += static_cast<std::int64_t>(outermost);
    const std::int64_t room = width - indent;
    std::vector<std::string> chunks;
    const List* lines = split_lines(rt_, rt_.keep(value.text()), true);
    std::string shown(flat.text());
    for (std::size_t i = 0; i < lines->items.size(); ++i) {
      const bool last = i + 1 == lines->items.size();
      shown = quoted(lines->items[i].text());
      if (chars(shown) <= room - (last ? allowance : 0)) {
        chunks.push_back(shown);
      } else {
        split_line(lines->items[i].text(), room, room - (last ? allowance : 0), chunks);
      }
    }
    if (chunks.size() == 1) {
      out_.append(shown);
      return;
    }
    out_.append(outermost ? "(" : "");
    for (std::size_t i = 0; i < chunks.size(); ++i) {
      if (i > 0) {
        out_.append('\n');
        out_.append(usize(indent), ' ');
      }
      out_.append(chunks[i]);
    }
    out_.append(outermost ? ")" : "");
  }

  Runtime& rt_;
  Builder& out_;
};

}  // namespace

void pretty_print(Runtime& rt, const Value& value, Builder& out) { Pretty(rt, out).write(value, 0, 0, 0); }

}  // namespace loquat::tmpl
