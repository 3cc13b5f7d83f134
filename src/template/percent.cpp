#include <charconv>
#include <cmath>

#include "template/format_spec.h"
#include "template/library.h"
#include "template/numbers.h"
#include "template/objects.h"
#include "template/unicode.h"

namespace loquat::tmpl {

namespace {

struct Conversion {
  bool left = false;
  bool zero = false;
  bool alternate = false;
  char sign = '-';
  std::int64_t width = 0;
  std::int64_t precision = -1;
  char type = '\0';
};

/// Things with items, which `%(name)s` may look into and which need not be used up.
[[nodiscard]] bool is_mapping_like(const Value& value) noexcept {
  return value.is(Kind::dict) || value.is(Kind::list) || value.is(Kind::range) || value.is_undefined();
}

/// printf-style formatting: `text % args`.
class PercentFormatter {
 public:
  PercentFormatter(Runtime& rt, const Value& format, const Value& args)
      : rt_(rt), text_(format.text()), args_(args), markup_((format.string->flags & Str::markup) != 0), out_(rt.memory) {
    if (args.is(Kind::tuple)) {
      count_ = items_of(rt, *args.list).size();
    }
  }

  [[nodiscard]] Value run() {
    rt_.charge_bytes(text_.size());
    while (at_ < text_.size()) {
      const std::size_t percent = std::min(text_.find('%', at_), text_.size());
      out_.append(text_.substr(at_, percent - at_));
      at_ = percent;
      if (at_ < text_.size()) {
        ++at_;
        convert();
      }
    }
    if (used_ < count_ && !is_mapping_like(args_)) {
      fail("not all arguments converted during string formatting");
    }
    return finish(rt_, out_, markup_ ? Str::markup : std::uint8_t{0});
  }

 private:
  [[nodiscard]] char peek() const {
    if (at_ >= text_.size()) {
      fail("incomplete format");
    }
    return text_[at_];
  }

  [[nodiscard]] Value next_argument() {
    if (key_value_) {
      return *key_value_;
    }
    if (used_ >= count_) {
      fail("not enough arguments for format string");
    }
    const std::size_t at = used_++;
    return args_.is(Kind::tuple) ? args_.list->items[at] : args_;
  }

  [[nodiscard]] std::int64_t star() {
    const Value value = next_argument();
    if (!value.is_index()) {
      fail("* wants int");
    }
    if (value.index() > 1'000'000'000'000 || value.index() < -1'000'000'000'000) {
      fail("width too big");
    }
    ++at_;
    return value.index();
  }

  [[nodiscard]] std::int64_t number() {
    std::int64_t value = 0;
    while (peek() >= '0' && peek() <= '9') {
      value = value * 10 + (text_[at_++] - '0');
      if (value > 1'000'000'000'000) {
        fail("width too big");
      }
    }
    return value;
  }

  void take_key() {
    std::size_t end = at_ + 1;
    int open = 1;
    while (end < text_.size() && open > 0) {
      open += text_[end] == '(' ? 1 : text_[end] == ')' ? -1 : 0;
      ++end;
    }
    if (open > 0) {
      fail("incomplete format key");
    }
    const std::string_view key = text_.substr(at_ + 1, end - at_ - 2);
    at_ = end;
    if (args_.is_undefined()) {
      key_value_ = get_item(rt_, args_, rt_.str(key));
      return;
    }
    if (!args_.is(Kind::dict)) {
      fail("format requires a mapping");
    }
    const Value* found = find(rt_, *args_.dict, rt_.str(key));
    if (found == nullptr) {
      fail("KeyError: '" + std::string(key) + "'");
    }
    key_value_ = *found;
  }

  void convert() {
    Conversion c;
    key_value_.reset();
    if (peek() == '%') {
      out_.append('%');
      ++at_;
      return;
    }
    if (peek() == '(') {
      take_key();
    }
    for (;; ++at_) {
      const char flag = peek();
      if (flag == '-') {
        c.left = true;
      } else if (flag == '0') {
        c.zero = true;
      } else if (flag == '#') {
        c.alternate = true;
      } else if (flag == '+') {
        c.sign = '+';
      } else if (flag == ' ') {
        c.sign = c.sign == '+' ? '+' : ' ';
      } else {
        break;
      }
    }
    c.width = peek() == '*' ? star() : number();
    if (c.width < 0) {
      c.left = true;
      c.width = -c.width;
    }
    if (peek() == '.') {
      ++at_;
      c.precision = std::max<std::int64_t>(peek() == '*' ? star() : number(), 0);
    }
    if (peek() == 'h' || peek() == 'l' || peek() == 'L') {
      ++at_;
    }
    c.type = peek();
    ++at_;
    write(c);
  }

  void write(const Conversion& c) {
    rt_.charge(1);
    switch (c.type) {
      case 's':
      case 'r':
      case 'a': write_text(c); return;
      case 'c': write_char(c); return;
      case 'd':
      case 'i':
      case 'u':
      case 'x':
      case 'X':
      case 'o': write_int(c); return;
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G': write_real(c); return;
      default: fail(std::string("unsupported format character '") + c.type + "'");
    }
  }

  void write_padded(const Conversion& c, const Str& text) {
    FormatSpec spec;
    spec.width = c.width;
    std::int64_t chars = length_of_text(text);
    std::string_view content = text.view();
    if (c.precision >= 0 && c.precision < chars) {
      chars = c.precision;
      content = cut(text, 0, chars);
    }
    pad(spec, content, chars, c.left ? '<' : '>', out_);
  }

  void write_text(const Conversion& c) {
    Value value = next_argument();
    if (c.type == 's') {
      value = markup_ ? escape_value(rt_, value) : soft_str(rt_, value);
      write_padded(c, *value.string);
      return;
    }
    Builder text(rt_.memory);
    if (c.type == 'a' && value.is_string()) {
      repr_text(value.text(), text, true);
    } else {
      repr(rt_, value, text);
    }
    const Value shown = markup_ ? escape_value(rt_, finish(rt_, text)) : finish(rt_, text);
    write_padded(c, *shown.string);
  }

  void write_char(const Conversion& c) {
    const Value value = next_argument();
    Conversion plain = c;
    plain.precision = -1;
    if (value.is_string() && length_of_text(*value.string) == 1) {
      write_padded(plain, *value.string);
      return;
    }
    if (!value.is_index() || value.index() < 0 || value.index() > 0x10FFFF) {
      fail("%c requires int or char");
    }
    std::string text;
    append_char(text, static_cast<char32_t>(value.index()));
    write_padded(plain, *rt_.str(text).string);
  }

  void write_digits(const Conversion& c, bool negative, std::string_view prefix, const std::string& digits) {
    FormatSpec spec;
    spec.width = c.width;
    spec.type = 'd';
    spec.align = c.left ? '<' : '\0';
    const std::string_view sign = sign_of(negative, c.sign);
    rt_.memory.check(usize(c.width));
    if (c.zero && !c.left) {
      FormatSpec inner;
      inner.fill = '0';
      inner.width = std::max<std::int64_t>(c.width - ssize(sign.size() + prefix.size()), 0);
      out_.append(sign);
      out_.append(prefix);
      pad(inner, digits, ssize(digits.size()), '>', out_);
      return;
    }
    if (c.width == 0) {
      out_.append(sign);
      out_.append(prefix);
      out_.append(digits);
      return;
    }
    const std::string whole = std::string(sign) + std::string(prefix) + digits;
    pad(spec, whole, ssize(whole.size()), '>', out_);
  }

  void write_int(const Conversion& c) {
    Value value = next_argument();
    const bool decimal = c.type == 'd' || c.type == 'i' || c.type == 'u';
    if (decimal && value.is(Kind::real)) {
      const auto whole = truncate(rt_.memory, value.real);
      if (!whole) {
        fail("cannot convert float NaN or infinity to integer");
      }
      value = *whole;
    }
    if (!is_int(value)) {
      fail(std::string("%") + c.type + " format: a real number is required, not " + std::string(type_name(value)));
    }
    const int base = decimal ? 10 : c.type == 'o' ? 8 : 16;
    std::string digits = int_digits(value, base);
    const bool negative = digits.starts_with('-');
    if (negative) {
      digits.erase(0, 1);
    }
    if (c.type == 'X') {
      digits = to_upper(digits);
    }
    if (c.precision > ssize(digits.size())) {
      if (c.precision > max_precision) {
        fail("precision too large");
      }
      digits.insert(0, usize(c.precision) - digits.size(), '0');
    }
    const std::string_view prefix = !c.alternate || decimal ? "" : c.type == 'o' ? "0o" : c.type == 'x' ? "0x" : "0X";
    write_digits(c, negative, prefix, digits);
  }

  void write_real(const Conversion& c) {
    const Value value = next_argument();
    if (!is_number(value)) {
      fail("must be real number, not " + std::string(type_name(value)));
    }
    const double number = to_double(value);
    if (c.type == 'f' && c.width == 0 && c.precision <= 60 && !c.alternate && std::isfinite(number)) {
      char text[400];  // NOLINT(cppcoreguidelines-pro-type-member-init): written below
      const int digits = c.precision < 0 ? 6 : static_cast<int>(c.precision);
      const char* end = write_fixed(text, std::fabs(number), digits);
      out_.append(sign_of(std::signbit(number), c.sign));
      out_.append({text, static_cast<std::size_t>(end - text)});
      return;
    }
    write_digits(c, std::signbit(number) && !std::isnan(number), "", format_double(number, c.type, c.precision, c.alternate, false));
  }

  Runtime& rt_;
  std::string_view text_;
  Value args_;
  bool markup_;
  Builder out_;
  std::size_t at_ = 0;
  std::size_t count_ = 1;
  std::size_t used_ = 0;
  std::optional<Value> key_value_;
};

}  // namespace

Value percent_format(Runtime& rt, const Value& format, const Value& args) { return PercentFormatter(rt, format, args).run(); }

}  // namespace loquat::tmpl
