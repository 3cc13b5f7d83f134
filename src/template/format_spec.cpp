#include "template/format_spec.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "core/json.h"
#include "template/numbers.h"
#include "template/unicode.h"

namespace loquat::tmpl {

namespace {

[[nodiscard]] bool is_align(char c) noexcept { return c == '<' || c == '>' || c == '=' || c == '^'; }

[[nodiscard]] std::int64_t take_number(std::string_view text, std::size_t& at) {
  std::int64_t number = 0;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
    number = number * 10 + (text[at++] - '0');
    if (number > 1'000'000'000'000) {
      fail("Too many decimal digits in format string");
    }
  }
  return number;
}

void take_align(std::string_view text, std::size_t& at, FormatSpec& spec) {
  if (text.empty()) {
    return;
  }
  std::size_t after_fill = 0;
  const char32_t fill = next_char(text, after_fill);
  if (after_fill < text.size() && is_align(text[after_fill])) {
    spec.fill = fill;
    spec.fill_given = true;
    spec.align = text[after_fill];
    at = after_fill + 1;
  } else if (is_align(text[0])) {
    spec.align = text[0];
    at = 1;
  }
}

/// As C's printf with that conversion. std::to_chars rounds as exactly, and faster, but knows no '#'.
[[nodiscard]] std::string print_double(char type, std::int64_t precision, bool alternate, double value) {
  if (!alternate && precision <= 60) {
    const auto form = type == 'f' || type == 'F'   ? std::chars_format::fixed
                      : type == 'e' || type == 'E' ? std::chars_format::scientific
                                                   : std::chars_format::general;
    char text[400];  // NOLINT(cppcoreguidelines-pro-type-member-init): written below
    if (form == std::chars_format::fixed && std::isfinite(value)) return {text, write_fixed(text, value, static_cast<int>(precision))};
    const int digits = form == std::chars_format::general && precision == 0 ? 1 : static_cast<int>(precision);
    const auto [end, error] = std::to_chars(text, text + sizeof text, value, form, digits);
    if (error == std::errc{}) {
      std::string out(text, end);
      return type == 'E' || type == 'G' ? to_upper(out) : out;
    }
  }
  const std::array<char, 6> form{'%', alternate ? '#' : '.', alternate ? '.' : '*', alternate ? '*' : type, alternate ? type : '\0', '\0'};
  std::string out(static_cast<std::size_t>(precision) + 340, '\0');
  const int size = std::snprintf(out.data(), out.size(), form.data(), static_cast<int>(precision), value);
  out.resize(static_cast<std::size_t>(std::max(size, 0)));
  return out;
}

/// g with '#', with an exponent from `limit` digits on. glibc's forgets that rounding can give one more: 999999.5 is 1.00000e+06.
[[nodiscard]] std::string print_alternate(char type, std::int64_t precision, std::int64_t limit, double value) {
  precision = std::max<std::int64_t>(precision, 1);
  const std::string scientific = print_double(type == 'g' ? 'e' : 'E', precision - 1, true, value);
  const int exponent = std::stoi(scientific.substr(scientific.find(type == 'g' ? 'e' : 'E') + 1));
  return exponent < -4 || exponent >= limit ? scientific : print_double('f', precision - 1 - exponent, true, value);
}

/// g with the exponent one digit sooner and a ".0" for whole numbers.
[[nodiscard]] std::string print_short(double value, std::int64_t precision) {
  precision = std::max<std::int64_t>(precision, 1);
  const std::string scientific = print_double('e', precision - 1, false, value);
  const std::size_t e = scientific.find('e');
  const int exponent = std::stoi(scientific.substr(e + 1));
  if (exponent < -4 || exponent + 1 > precision - 1) {
    std::string mantissa = scientific.substr(0, e);
    if (mantissa.find('.') != std::string::npos) {
      mantissa.erase(mantissa.find_last_not_of('0') + 1);
      if (mantissa.back() == '.') {
        mantissa.pop_back();
      }
    }
    return mantissa + scientific.substr(e);
  }
  std::string fixed = print_double('f', std::max<std::int64_t>(precision - 1 - exponent, 0), false, value);
  if (fixed.find('.') != std::string::npos) {
    fixed.erase(fixed.find_last_not_of('0') + 1);
    if (fixed.back() == '.') {
      fixed += '0';
    }
  } else {
    fixed += ".0";
  }
  return fixed;
}

}  // namespace

FormatSpec parse_format_spec(std::string_view text) {
  FormatSpec spec;
  std::size_t at = 0;
  take_align(text, at, spec);
  const auto peek = [&]() { return at < text.size() ? text[at] : '\0'; };
  if (peek() == '+' || peek() == '-' || peek() == ' ') {
    spec.sign = text[at++];
  }
  if (peek() == 'z') {
    spec.no_negative_zero = true;
    ++at;
  }
  if (peek() == '#') {
    spec.alternate = true;
    ++at;
  }
  if (peek() == '0') {
    spec.zero = true;
    spec.fill = spec.fill_given ? spec.fill : U'0';
    ++at;
  }
  spec.width = take_number(text, at);
  if (peek() == ',' || peek() == '_') {
    spec.grouping = text[at++];
    if (peek() == ',' || peek() == '_') {
      fail("Cannot specify both ',' and '_'.");
    }
  }
  if (peek() == '.') {
    ++at;
    if (peek() < '0' || peek() > '9') {
      fail("Format specifier missing precision");
    }
    spec.precision = take_number(text, at);
  }
  if (at < text.size()) {
    spec.type = text[at++];
  }
  if (at != text.size() || static_cast<unsigned char>(spec.type) >= 0x80) {
    fail("Invalid format specifier");
  }
  return spec;
}

std::string format_double(double value, char type, std::int64_t precision, bool alternate, bool short_form) {
  const bool upper = type == 'E' || type == 'F' || type == 'G';
  if (std::isnan(value)) {
    return upper ? "NAN" : "nan";
  }
  value = std::fabs(value);
  if (std::isinf(value)) {
    return upper ? "INF" : "inf";
  }
  if (precision > max_precision) {
    fail("precision too big");
  }
  if (short_form) {
    if (precision >= 0) {
      return alternate ? print_alternate('g', precision, std::max<std::int64_t>(precision, 1) - 1, value) : print_short(value, precision);
    }
    std::string text;
    append_python_float(text, value);
    if (alternate && text.find('.') == std::string::npos) {
      text.insert(text.find('e'), 1, '.');
    }
    return text;
  }
  const std::int64_t digits = precision < 0 ? 6 : precision;
  if (alternate && (type == 'g' || type == 'G')) {
    return print_alternate(type, digits, std::max<std::int64_t>(digits, 1), value);
  }
  return print_double(type, digits, alternate, value);
}

void pad(const FormatSpec& spec, std::string_view content, std::int64_t chars, char natural_align, Builder& out) {
  const std::int64_t missing = std::max<std::int64_t>(spec.width - chars, 0);
  if (missing == 0) {
    out.append(content);
    return;
  }
  out.memory().check(usize(missing));
  const char align = spec.align != '\0' ? spec.align : natural_align;
  const std::int64_t left = align == '<' ? 0 : align == '^' ? missing / 2 : missing;
  std::array<char, 4> fill{};
  const std::size_t size = encode_char(spec.fill, fill.data());
  const auto add = [&](std::int64_t count) {
    if (size == 1) {
      out.append(usize(count), fill[0]);
      return;
    }
    for (std::int64_t i = 0; i < count; ++i) {
      out.append({fill.data(), size});
    }
  };
  add(left);
  out.append(content);
  add(missing - left);
}

std::string_view sign_of(bool negative, char sign) noexcept { return negative ? "-" : sign == '+' ? "+" : sign == ' ' ? " " : ""; }

void write_number(const FormatSpec& spec, std::string_view sign, std::string_view prefix, std::string_view digits, Builder& out) {
  const bool inside = spec.align == '=' || (spec.zero && spec.align == '\0');
  const bool fill_zero = inside && spec.fill == '0';
  std::size_t whole = digits.find_first_not_of("0123456789abcdefABCDEF");
  const bool decimal = spec.type != 'x' && spec.type != 'X' && spec.type != 'o' && spec.type != 'b';
  if (decimal) {
    whole = digits.find_first_not_of("0123456789");
  }
  whole = std::min(whole, digits.size());
  std::string body(digits);
  const auto target = spec.width - ssize(sign.size() + prefix.size());
  out.memory().check(usize(std::max<std::int64_t>(target, 0)));
  const std::size_t group = decimal ? 3 : 4;
  if (spec.grouping != '\0' && whole > 0) {
    std::string grouped;
    const std::int64_t rest = ssize(digits.size() - whole);
    std::size_t in_group = 0;
    for (std::size_t i = whole; i > 0 || (fill_zero && ssize(grouped.size()) + rest < target);) {
      if (in_group == group) {
        grouped += spec.grouping;
        in_group = 0;
      }
      grouped += i > 0 ? digits[--i] : '0';
      ++in_group;
    }
    std::ranges::reverse(grouped);
    body = grouped + std::string(digits.substr(whole));
  } else if (fill_zero && whole > 0 && ssize(body.size()) < target) {
    body.insert(0, usize(target) - body.size(), '0');
  }
  const std::string head = std::string(sign) + std::string(prefix);
  if (inside) {
    FormatSpec inner = spec;
    inner.width = std::max<std::int64_t>(spec.width - ssize(head.size()), 0);
    inner.align = '>';
    out.append(head);
    pad(inner, body, ssize(body.size()), '>', out);
  } else {
    pad(spec, head + body, ssize(head.size() + body.size()), '>', out);
  }
}

}  // namespace loquat::tmpl
