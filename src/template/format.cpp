#include <fmt/format.h>

#include <cmath>

#include "template/format_spec.h"
#include "template/library.h"
#include "template/numbers.h"
#include "template/objects.h"
#include "template/unicode.h"

namespace loquat::tmpl {

namespace {

[[noreturn]] void fail_code(char type, std::string_view name) {
  fail(std::string("Unknown format code '") + type + "' for object of type '" + std::string(name) + "'");
}

void format_string(Runtime& rt, const Value& value, const FormatSpec& spec, Builder& out) {
  if (spec.type != '\0' && spec.type != 's') {
    fail_code(spec.type, "str");
  }
  if (spec.sign != '\0' || spec.no_negative_zero || spec.alternate || spec.grouping != '\0' || spec.align == '=') {
    fail("format specifier not allowed in string format specifier");
  }
  const Str& text = *value.string;
  std::int64_t chars = length_of_text(text);
  std::string_view content = text.view();
  if (spec.precision >= 0 && spec.precision < chars) {
    chars = spec.precision;
    content = cut(text, 0, chars);
  }
  rt.charge_bytes(text.size);
  pad(spec, content, chars, '<', out);
}

void format_real(double value, FormatSpec spec, Builder& out) {
  const bool percent = spec.type == '%';
  if (percent) {
    value *= 100;
  }
  const char type = percent ? 'f' : spec.type == 'n' ? 'g' : spec.type;
  bool negative = std::signbit(value) && !std::isnan(value);
  std::string digits = format_double(value, type, spec.precision, spec.alternate, type == '\0');
  if (spec.no_negative_zero && digits.substr(0, digits.find_first_of("eE")).find_first_of("123456789if") == std::string::npos) {
    negative = false;
  }
  if (percent) {
    digits += '%';
  }
  write_number(spec, sign_of(negative, spec.sign), {}, digits, out);
}

void format_char(const Value& value, const FormatSpec& spec, Builder& out) {
  const std::int64_t code = value.is_index() ? value.index() : -1;
  if (code < 0 || code > 0x10FFFF || spec.precision >= 0 || spec.sign != '\0' || spec.alternate || spec.grouping != '\0') {
    fail("%c arg not in range(0x110000)");
  }
  std::string text;
  append_char(text, static_cast<char32_t>(code));
  pad(spec, text, 1, '>', out);
}

void format_int(const Value& value, const FormatSpec& spec, Builder& out) {
  int base = 10;
  std::string_view prefix;
  switch (spec.type) {
    case '\0':
    case 'd':
    case 'n': break;
    case 'x':
      base = 16;
      prefix = "0x";
      break;
    case 'X':
      base = 16;
      prefix = "0X";
      break;
    case 'o':
      base = 8;
      prefix = "0o";
      break;
    case 'b':
      base = 2;
      prefix = "0b";
      break;
    case 'c': format_char(value, spec, out); return;
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
    case '%': format_real(to_double(value), spec, out); return;
    default: fail_code(spec.type, "int");
  }
  if (spec.no_negative_zero) {
    fail("Negative zero coercion (z) not allowed in integer format specifier");
  }
  if (spec.precision >= 0) {
    fail("Precision not allowed in integer format specifier");
  }
  if (spec.grouping == ',' && base != 10) {
    fail(std::string("Cannot specify ',' with '") + spec.type + "'.");
  }
  std::string digits = int_digits(value, base);
  const bool negative = digits.starts_with('-');
  if (negative) {
    digits.erase(0, 1);
  }
  if (spec.type == 'X') {
    digits = to_upper(digits);
  }
  write_number(spec, sign_of(negative, spec.sign), spec.alternate ? prefix : std::string_view(), digits, out);
}

/// Replacement fields of one str.format call.
class Formatter {
 public:
  Formatter(Runtime& rt, const Args& args, bool markup) : rt_(rt), args_(args), markup_(markup) {}

  void run(std::string_view text, Builder& out, int depth) {
    if (depth > 2) {
      fail("Max string recursion exceeded");
    }
    rt_.charge_bytes(text.size());
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t brace = std::min(text.find_first_of("{}", at), text.size());
      out.append(text.substr(at, brace - at));
      if (brace == text.size()) {
        return;
      }
      if (brace + 1 < text.size() && text[brace + 1] == text[brace]) {
        out.append(text[brace]);
        at = brace + 2;
        continue;
      }
      if (text[brace] == '}') {
        fail("Single '}' encountered in format string");
      }
      at = field(text, brace + 1, out, depth);
    }
  }

 private:
  /// Formats the field that starts at `at`; gives the position after its closing brace.
  [[nodiscard]] std::size_t field(std::string_view text, std::size_t at, Builder& out, int depth) {
    rt_.charge(1);
    std::size_t end = at;
    int open = 1;
    bool in_index = false;
    std::size_t name_end = std::string_view::npos;
    for (; end < text.size(); ++end) {
      const char c = text[end];
      if (name_end == std::string_view::npos) {
        if (c == '[') {
          in_index = true;
        } else if (c == ']') {
          in_index = false;
        } else if (!in_index && (c == '!' || c == ':')) {
          name_end = end;
        }
      }
      if (c == '{' && !in_index) {
        ++open;
      } else if (c == '}' && !in_index && --open == 0) {
        break;
      }
    }
    if (end >= text.size()) {
      fail(at >= text.size() ? "Single '{' encountered in format string" : "expected '}' before end of string");
    }
    name_end = std::min(name_end, end);
    std::string_view rest = text.substr(name_end, end - name_end);
    const std::string_view name = text.substr(at, name_end - at);
    if (name.find('{') != std::string_view::npos) {
      fail("unexpected '{' in field name");
    }
    Value value = find_field(name);
    value = convert(value, rest);
    format(value, rest, out, depth);
    return end + 1;
  }

  [[nodiscard]] Value convert(const Value& value, std::string_view& rest) {
    if (!rest.starts_with('!')) {
      return value;
    }
    if (rest.size() < 2 || (rest.size() > 2 && rest[2] != ':')) {
      fail("expected ':' after conversion specifier");
    }
    const char kind = rest[1];
    rest.remove_prefix(2);
    Builder text(rt_.memory);
    switch (kind) {
      case 's': return to_str(rt_, value);
      case 'r': repr(rt_, value, text); return finish(rt_, text);
      case 'a': {
        repr(rt_, value, text);
        return ascii_only(text.view());
      }
      default: fail(std::string("Unknown conversion specifier '") + kind + "'");
    }
  }

  [[nodiscard]] Value ascii_only(std::string_view text) {
    Builder out(rt_.memory);
    for (std::size_t at = 0; at < text.size();) {
      const char32_t c = next_char(text, at);
      const auto code = static_cast<std::uint32_t>(c);
      if (c < 0x80) {
        out.append(static_cast<char>(c));
      } else {
        out.append(code < 0x100     ? fmt::format("\\x{:02x}", code)
                   : code < 0x10000 ? fmt::format("\\u{:04x}", code)
                                    : fmt::format("\\U{:08x}", code));
      }
    }
    return finish(rt_, out);
  }

  void format(const Value& value, std::string_view rest, Builder& out, int depth) {
    std::string_view spec = rest.starts_with(':') ? rest.substr(1) : std::string_view();
    Builder nested(rt_.memory);
    if (spec.find_first_of("{}") != std::string_view::npos) {
      run(spec, nested, depth + 1);
      spec = nested.view();
    }
    if (!markup_) {
      format_value(rt_, value, spec, out);
      return;
    }
    if (value.is_string() && (value.string->flags & Str::markup) != 0) {
      out.append(value.text());
      return;
    }
    Builder plain(rt_.memory);
    format_value(rt_, value, spec, plain);
    escape_html(plain.view(), out);
  }

  [[nodiscard]] Value find_field(std::string_view name) {
    const std::size_t first_end = std::min(name.find_first_of(".["), name.size());
    Value value = find_argument(name.substr(0, first_end));
    std::size_t at = first_end;
    while (at < name.size()) {
      if (name[at] == '.') {
        const std::size_t end = std::min(name.find_first_of(".[", at + 1), name.size());
        value = attribute(value, name.substr(at + 1, end - at - 1));
        at = end;
        continue;
      }
      const std::size_t close = name.find(']', at);
      if (name[at] != '[' || close == std::string_view::npos || close == at + 1) {
        fail("Missing ']' in format string");
      }
      const std::string_view key = name.substr(at + 1, close - at - 1);
      const bool number = key.find_first_not_of("0123456789") == std::string_view::npos;
      const auto index = number ? parse_int(rt_.memory, key, 10) : std::nullopt;
      value = get_item(rt_, value, index ? *index : rt_.str(key));
      if (value.is_undefined()) {
        fail("no item '" + std::string(key) + "' for a format field");
      }
      at = close + 1;
    }
    return value;
  }

  [[nodiscard]] Value attribute(const Value& object, std::string_view name) {
    const Value key = rt_.str(name);
    const Value value = object.is(Kind::dict) ? Value() : get_attribute(rt_, object, *key.string);
    if (name.empty() || value.is(Kind::missing) || value.is_undefined()) {
      fail("'" + std::string(type_name(object)) + "' object has no attribute '" + std::string(name) + "'");
    }
    return value;
  }

  [[nodiscard]] Value find_argument(std::string_view name) {
    const bool number = name.find_first_not_of("0123456789") == std::string_view::npos;
    if (!number) {
      for (const Keyword& keyword : args_.keywords) {
        if (keyword.name->view() == name) {
          return keyword.value;
        }
      }
      fail("no argument '" + std::string(name) + "' for a format field");
    }
    const Numbering wanted = name.empty() ? Numbering::automatic : Numbering::manual;
    if (numbering_ != Numbering::none && numbering_ != wanted) {
      fail("cannot switch between manual field specification and automatic field numbering");
    }
    numbering_ = wanted;
    std::size_t at = next_;
    if (name.empty()) {
      ++next_;
    } else {
      const auto index = parse_int(rt_.memory, name, 10);
      at = index && index->is_index() ? usize(index->index()) : args_.positional.size();
    }
    if (at >= args_.positional.size()) {
      fail("Replacement index out of range for positional args tuple");
    }
    return args_.positional[at];
  }

  enum class Numbering { none, automatic, manual };

  Runtime& rt_;
  const Args& args_;
  bool markup_;
  std::size_t next_ = 0;
  Numbering numbering_ = Numbering::none;
};

}  // namespace

void format_value(Runtime& rt, const Value& value, std::string_view spec, Builder& out) {
  if (spec.empty()) {
    print(rt, value, out);
    return;
  }
  switch (value.kind) {
    case Kind::string: format_string(rt, value, parse_format_spec(spec), out); return;
    case Kind::boolean:
    case Kind::integer:
    case Kind::big: format_int(value, parse_format_spec(spec), out); return;
    case Kind::real: {
      const FormatSpec parsed = parse_format_spec(spec);
      if (std::string_view("eEfFgGn%").find(parsed.type) == std::string_view::npos && parsed.type != '\0') {
        fail_code(parsed.type, "float");
      }
      format_real(value.real, parsed, out);
      return;
    }
    default: fail("unsupported format string passed to " + std::string(type_name(value)) + ".__format__");
  }
}

Value format_text(Runtime& rt, const Value& format, const Args& args) {
  const bool markup = (format.string->flags & Str::markup) != 0;
  Builder out(rt.memory);
  Formatter(rt, args, markup).run(format.text(), out, 1);
  return finish(rt, out, markup ? Str::markup : std::uint8_t{0});
}

}  // namespace loquat::tmpl
