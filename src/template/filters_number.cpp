#include <array>
#include <cmath>

#include "template/format_spec.h"
#include "template/library.h"
#include "template/numbers.h"

namespace loquat::tmpl {

namespace {

/// An inline if without else gives Jinja2's own Undefined, which fails when it is converted.
void require_usable(const Value& value) {
  if (value.is_undefined() && value.undefined->plain) {
    fail("the inline if-expression evaluated to false and no else section was defined.");
  }
}

Value abs_filter(Runtime& rt, const Value& value, const Args& args) {
  expect_none("abs", args);
  if (!is_number(value)) {
    fail("bad operand type for abs(): '" + std::string(type_name(value)) + "'");
  }
  return absolute(rt, value);
}

Value int_filter(Runtime& rt, const Value& value, const Args& args) {
  const auto [fallback, base] = bind<2>("int", args, {"default", "base"});
  const Value otherwise = fallback != nullptr ? *fallback : Value::of(std::int64_t{0});
  if (value.is_string()) {
    rt.charge_bytes(value.string->size * 16);
    const std::int64_t in_base = index_or(base, 10);
    if (const auto whole = parse_int(rt.memory, value.text(), in_base > 36 || in_base < 0 ? 1 : static_cast<int>(in_base))) {
      return *whole;
    }
    const auto real = parse_float(value.text());
    const auto whole = real ? truncate(rt.memory, *real) : std::nullopt;
    return whole ? *whole : otherwise;
  }
  if (value.is(Kind::real)) {
    const auto whole = truncate(rt.memory, value.real);
    if (!whole && std::isinf(value.real)) {
      fail("cannot convert float infinity to integer");
    }
    return whole ? *whole : otherwise;
  }
  require_usable(value);
  return is_int(value) ? affirm(rt, value) : otherwise;
}

Value float_filter(Runtime& rt, const Value& value, const Args& args) {
  const auto [fallback] = bind<1>("float", args, {"default"});
  if (is_number(value)) {
    return Value::of(to_double(value));
  }
  if (value.is_string()) {
    rt.charge_bytes(value.string->size);
    if (const auto real = parse_float(value.text())) {
      return Value::of(*real);
    }
  }
  require_usable(value);
  return fallback != nullptr ? *fallback : Value::of(0.0);
}

Value round_filter(Runtime& rt, const Value& value, const Args& args) {
  const auto [precision, method] = bind<2>("round", args, {"precision", "method"});
  const std::string_view how = method == nullptr ? "common" : method->is_string() ? method->text() : "";
  if (how != "common" && how != "ceil" && how != "floor") {
    fail("method must be common, ceil or floor");
  }
  if (!is_number(value)) {
    fail("type " + std::string(type_name(value)) + " doesn't define __round__ method");
  }
  const Value digits = precision != nullptr ? *precision : Value::of(std::int64_t{0});
  if (how == "common") {
    if (digits.is(Kind::none)) {
      return value.is(Kind::real) ? *truncate(rt.memory, std::nearbyint(value.real)) : affirm(rt, value);
    }
    return round_number(rt, value, index_of(digits));
  }
  const Value unit = arithmetic(rt, Expr::Kind::pow, Value::of(std::int64_t{10}), digits.is(Kind::boolean) ? affirm(rt, digits) : digits);
  Value scaled = arithmetic(rt, Expr::Kind::mul, value, unit);
  if (scaled.is(Kind::real)) {
    const auto whole = truncate(rt.memory, how == "ceil" ? std::ceil(scaled.real) : std::floor(scaled.real));
    if (!whole) {
      fail("cannot convert float NaN or infinity to integer");
    }
    scaled = *whole;
  }
  return arithmetic(rt, Expr::Kind::div, scaled, unit);
}

Value filesizeformat(Runtime& rt, const Value& value, const Args& args) {
  const auto [binary_units] = bind<1>("filesizeformat", args, {"binary"});
  const bool binary = flag_or(rt, binary_units, false);
  std::optional<double> bytes;
  if (is_number(value)) {
    bytes = to_double(value);
  } else if (value.is_string()) {
    bytes = parse_float(value.text());
  }
  if (!bytes) {
    fail("could not convert " + std::string(type_name(value)) + " to float");
  }
  const double base = binary ? 1024 : 1000;
  if (*bytes == 1) {
    return rt.keep("1 Byte");
  }
  if (*bytes < base) {
    const auto whole = truncate(rt.memory, *bytes);
    if (!whole) {
      fail("cannot convert float NaN or infinity to integer");
    }
    return rt.str(int_digits(*whole) + " Bytes");
  }
  constexpr std::array<std::string_view, 8> units{"k", "M", "G", "T", "P", "E", "Z", "Y"};
  double unit = base * base;
  std::size_t i = 0;
  while (i + 1 < units.size() && !(*bytes < unit)) {
    unit *= base;
    ++i;
  }
  const std::string_view name = binary && i == 0 ? "K" : units[i];
  const double scaled = base * *bytes / unit;
  std::string out = std::signbit(scaled) ? "-" : "";
  out += format_double(scaled, 'f', 1, false, false);
  out += ' ';
  out += name;
  out += binary ? "iB" : "B";
  return rt.str(out);
}

constexpr std::array<NamedNative, 5> table{
    {{"abs", abs_filter}, {"int", int_filter}, {"float", float_filter}, {"round", round_filter}, {"filesizeformat", filesizeformat}}};

}  // namespace

NativeTable number_filters() noexcept { return table; }

}  // namespace loquat::tmpl
