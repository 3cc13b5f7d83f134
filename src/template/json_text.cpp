#include "template/json_text.h"

#include <cmath>

#include "core/json.h"
#include "template/library.h"
#include "template/numbers.h"

namespace loquat::tmpl {

namespace {

class JsonWriter {
 public:
  JsonWriter(Runtime& rt, Builder& out, const JsonText& style) : rt_(rt), out_(out), style_(style) {}

  void write(const Value& value, std::int64_t depth) {
    rt_.check_stack();
    rt_.charge(1);
    if (depth > 200) {
      fail("the value is nested too deeply for JSON");
    }
    switch (value.kind) {
      case Kind::none: out_.append("null"); return;
      case Kind::boolean: out_.append(value.boolean ? "true" : "false"); return;
      case Kind::integer:
      case Kind::big: out_.append(int_digits(value)); return;
      case Kind::real: real(value.real); return;
      case Kind::string: string(value.text()); return;
      case Kind::list:
      case Kind::tuple: list(value, depth); return;
      case Kind::dict: dict(value, depth); return;
      default: rest(value, depth);
    }
  }

 private:
  void real(double number) {
    if (std::isfinite(number)) {
      std::string text;
      append_python_float(text, number);
      out_.append(text);
    } else if (style_.lenient) {
      out_.append("null");
    } else {
      out_.append(std::isnan(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity");
    }
  }

  void string(std::string_view text) {
    rt_.charge_bytes(text.size());
    std::string quoted;
    append_json_string(quoted, text, style_.ascii);
    out_.append(quoted);
  }

  void line(std::int64_t depth) {
    if (style_.indent >= 0) {
      out_.append('\n');
      rt_.memory.check(usize(style_.indent * depth));
      out_.append(usize(style_.indent * depth), ' ');
    }
  }

  void separate(bool first, std::int64_t depth) {
    if (!first) {
      out_.append(',');
      if (style_.spaced && style_.indent < 0) {
        out_.append(' ');
      }
    }
    line(depth);
  }

  void list(const Value& value, std::int64_t depth) {
    const Vec<Value>& items = items_of(rt_, *value.list);
    if (items.empty()) {
      out_.append("[]");
      return;
    }
    out_.append('[');
    for (std::size_t i = 0; i < items.size(); ++i) {
      separate(i == 0, depth + 1);
      write(items[i], depth + 1);
    }
    line(depth);
    out_.append(']');
  }

  void key(const Value& name) {
    if (name.is_string()) {
      string(name.text());
      return;
    }
    Builder text(rt_.memory);
    switch (name.kind) {
      case Kind::none: text.append("null"); break;
      case Kind::boolean: text.append(name.boolean ? "true" : "false"); break;
      case Kind::integer:
      case Kind::big:
      case Kind::real: print(rt_, name, text); break;
      default:
        if (!style_.lenient) {
          fail("keys must be str, int, float, bool or None, not " + std::string(type_name(name)));
        }
        print(rt_, name, text);
    }
    string(text.view());
  }

  void dict(const Value& value, std::int64_t depth) {
    const Vec<Entry>& entries = entries_of(rt_, *value.dict);
    if (entries.empty()) {
      out_.append("{}");
      return;
    }
    List* keys = rt_.make_list();
    List* values = rt_.make_list();
    for (const Entry& entry : entries) {
      keys->items.push(rt_.memory, entry.key);
      values->items.push(rt_.memory, entry.value);
    }
    if (style_.sort_keys) {
      sort(rt_, keys->items, values->items, false);
    }
    out_.append('{');
    for (std::size_t i = 0; i < keys->items.size(); ++i) {
      separate(i == 0, depth + 1);
      key(keys->items[i]);
      out_.append(style_.spaced ? ": " : ":");
      write(values->items[i], depth + 1);
    }
    line(depth);
    out_.append('}');
  }

  void rest(const Value& value, std::int64_t depth) {
    if (!style_.lenient) {
      fail("Object of type " + std::string(type_name(value)) + " is not JSON serializable");
    }
    if (value.is_undefined()) {
      out_.append("null");
    } else if (is_iterable(value)) {
      list(Value(to_list(rt_, value), Kind::list), depth);
    } else {
      string(text_of(rt_, value));
    }
  }

  Runtime& rt_;
  Builder& out_;
  const JsonText& style_;
};

}  // namespace

void write_json(Runtime& rt, const Value& value, Builder& out, const JsonText& style) { JsonWriter(rt, out, style).write(value, 0); }

}  // namespace loquat::tmpl
