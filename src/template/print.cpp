#include <fmt/format.h>

#include <cmath>

#include "core/json.h"
#include "template/library.h"
#include "template/loop.h"
#include "template/numbers.h"
#include "template/objects.h"
#include "template/unicode.h"

namespace loquat::tmpl {

std::string_view type_name(const Value& value) noexcept {
  switch (value.kind) {
    case Kind::missing:
    case Kind::undefined: return "Undefined";
    case Kind::none: return "NoneType";
    case Kind::boolean: return "bool";
    case Kind::integer:
    case Kind::big: return "int";
    case Kind::real: return "float";
    case Kind::string: return "str";
    case Kind::list: return "list";
    case Kind::tuple: return "tuple";
    case Kind::dict: return "dict";
    case Kind::view:
      switch (value.view->what) {
        case View::What::keys: return "dict_keys";
        case View::What::values: return "dict_values";
        default: return "dict_items";
      }
    case Kind::range: return "range";
    case Kind::iterator: return value.iterator->type_name();
    case Kind::function: return "builtin_function_or_method";
    case Kind::macro: return "Macro";
    case Kind::nspace: return "Namespace";
    case Kind::cycler: return "Cycler";
    case Kind::joiner: return "Joiner";
    case Kind::loop: return "LoopContext";
  }
  return "object";
}

void repr_text(std::string_view text, Builder& out, bool ascii) {
  const bool double_quotes = text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
  const char quote = double_quotes ? '"' : '\'';
  out.append(quote);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    const char32_t c = next_char(text, at);
    if (c == '\\' || c == static_cast<char32_t>(quote)) {
      out.append('\\');
      out.append(static_cast<char>(c));
    } else if (c == '\n') {
      out.append("\\n");
    } else if (c == '\r') {
      out.append("\\r");
    } else if (c == '\t') {
      out.append("\\t");
    } else if (c < 0x7F && c >= 0x20) {
      out.append(static_cast<char>(c));
    } else if (c >= 0x80 && !ascii && is_printable(c)) {
      out.append(text.substr(start, at - start));
    } else {
      const auto code = static_cast<std::uint32_t>(c);
      out.append(code < 0x100     ? fmt::format("\\x{:02x}", code)
                 : code < 0x10000 ? fmt::format("\\u{:04x}", code)
                                  : fmt::format("\\U{:08x}", code));
    }
  }
  out.append(quote);
}

namespace {

/// The containers being printed, innermost first: a list inside itself is shown as [...].
struct Printing {
  const void* object;
  const Printing* around;
  [[nodiscard]] static bool is_inside(const Printing* chain, const void* object) noexcept {
    for (; chain != nullptr; chain = chain->around) {
      if (chain->object == object) {
        return true;
      }
    }
    return false;
  }
};

void repr_in(Runtime& rt, const Value& value, Builder& out, const Printing* around);

void repr_list(Runtime& rt, const Value& value, Builder& out, const Printing* around) {
  const bool tuple = value.is(Kind::tuple);
  if (Printing::is_inside(around, value.list)) {
    out.append(tuple ? "(...)" : "[...]");
    return;
  }
  const Printing here{value.list, around};
  const Vec<Value>& items = items_of(rt, *value.list);
  out.append(tuple ? '(' : '[');
  for (std::size_t i = 0; i < items.size(); ++i) {
    out.append(i == 0 ? "" : ", ");
    repr_in(rt, items[i], out, &here);
  }
  out.append(tuple ? (items.size() == 1 ? ",)" : ")") : "]");
}

void repr_dict(Runtime& rt, Dict& dict, Builder& out, const Printing* around) {
  if (Printing::is_inside(around, &dict)) {
    out.append("{...}");
    return;
  }
  const Printing here{&dict, around};
  const Vec<Entry>& entries = entries_of(rt, dict);
  out.append('{');
  for (std::size_t i = 0; i < entries.size(); ++i) {
    out.append(i == 0 ? "" : ", ");
    repr_in(rt, entries[i].key, out, &here);
    out.append(": ");
    repr_in(rt, entries[i].value, out, &here);
  }
  out.append('}');
}

void repr_view(Runtime& rt, const Value& value, Builder& out, const Printing* around) {
  if (Printing::is_inside(around, value.view->dict)) {
    out.append("...");
    return;
  }
  out.append(type_name(value));
  out.append('(');
  repr_list(rt, Value(to_list(rt, value), Kind::list), out, around);
  out.append(')');
}

void repr_rest(Runtime& rt, const Value& value, Builder& out, const Printing* around) {
  switch (value.kind) {
    case Kind::range:
      out.append(value.range->step == 1 ? fmt::format("range({}, {})", value.range->start, value.range->stop)
                                        : fmt::format("range({}, {}, {})", value.range->start, value.range->stop, value.range->step));
      return;
    case Kind::macro:
      out.append("<Macro ");
      if (value.macro->node->name == nullptr) {
        out.append("anonymous");
      } else {
        repr_text(value.macro->node->name->view(), out);
      }
      out.append('>');
      return;
    case Kind::nspace:
      out.append("<Namespace ");
      repr_dict(rt, *value.dict, out, around);
      out.append('>');
      return;
    case Kind::loop: out.append(fmt::format("<LoopContext {}/{}>", value.loop->index0 + 1, length_of_loop(rt, *value.loop))); return;
    case Kind::function:
      if (value.function->is_class) {
        out.append(fmt::format("<class '{}'>", value.function->name));
      } else {
        out.append(fmt::format("<built-in method {} of {} object>", value.function->name, type_name(value.function->self)));
      }
      return;
    case Kind::iterator: out.append(fmt::format("<{} object>", value.iterator->type_name())); return;
    default: out.append(fmt::format("<{} object>", type_name(value)));
  }
}

void repr_real(double number, Builder& out) {
  if (!std::isfinite(number)) {
    out.append(std::isnan(number) ? "nan" : number > 0 ? "inf" : "-inf");
    return;
  }
  std::string text;
  append_python_float(text, number);
  out.append(text);
}

void repr_in(Runtime& rt, const Value& value, Builder& out, const Printing* around) {
  rt.check_stack();
  rt.charge(1);
  switch (value.kind) {
    case Kind::missing:
    case Kind::undefined: out.append("Undefined"); return;
    case Kind::none: out.append("None"); return;
    case Kind::boolean: out.append(value.boolean ? "True" : "False"); return;
    case Kind::integer: {
      const fmt::format_int digits(value.integer);
      out.append({digits.data(), digits.size()});
      return;
    }
    case Kind::big: out.append(int_digits(value)); return;
    case Kind::real: repr_real(value.real, out); return;
    case Kind::string:
      if ((value.string->flags & Str::markup) != 0) {
        out.append("Markup(");
        repr_text(value.text(), out);
        out.append(')');
      } else {
        repr_text(value.text(), out);
      }
      return;
    case Kind::list:
    case Kind::tuple: repr_list(rt, value, out, around); return;
    case Kind::dict: repr_dict(rt, *value.dict, out, around); return;
    case Kind::view: repr_view(rt, value, out, around); return;
    default: repr_rest(rt, value, out, around);
  }
}

}  // namespace

void repr(Runtime& rt, const Value& value, Builder& out) { repr_in(rt, value, out, nullptr); }

void print(Runtime& rt, const Value& value, Builder& out) {
  if (value.is_string()) {
    rt.charge_bytes(value.string->size);
    out.append(value.text());
  } else if (!value.is_undefined() && !value.is(Kind::missing)) {
    repr_in(rt, value, out, nullptr);
  }
}

Value finish(Runtime& rt, const Builder& built, std::uint8_t flags) { return rt.keep(built.view(), flags); }

Value soft_str(Runtime& rt, const Value& value) {
  if (value.is_string()) {
    return value;
  }
  Builder out(rt.memory);
  print(rt, value, out);
  return finish(rt, out);
}

Value to_str(Runtime& rt, const Value& value) {
  if (value.is_string() && (value.string->flags & Str::markup) != 0) {
    return rt.keep(value.text());
  }
  return soft_str(rt, value);
}

std::string_view text_of(Runtime& rt, const Value& value) { return soft_str(rt, value).text(); }

void escape_html(std::string_view text, Builder& out) {
  for (const char c : text) {
    switch (c) {
      case '&': out.append("&amp;"); break;
      case '<': out.append("&lt;"); break;
      case '>': out.append("&gt;"); break;
      case '\'': out.append("&#39;"); break;
      case '"': out.append("&#34;"); break;
      default: out.append(c);
    }
  }
}

Value escape_value(Runtime& rt, const Value& value) {
  if (value.is_string() && (value.string->flags & Str::markup) != 0) {
    return value;
  }
  Builder out(rt.memory);
  escape_html(text_of(rt, value), out);
  return finish(rt, out, Str::markup);
}

std::int64_t length_of_text(const Str& text) noexcept {
  if (text.chars < 0) {
    text.chars = count_chars(text.view());
  }
  return text.chars;
}

}  // namespace loquat::tmpl
