#include "template/library.h"
#include "template/numbers.h"
#include "template/unicode.h"

/// Jinja's tests: `x is odd`.
namespace loquat::tmpl {

namespace {

[[nodiscard]] Value remainder_is(Runtime& rt, const Value& value, std::int64_t by, std::int64_t wanted) {
  const Value rest = binary(rt, Expr::Kind::mod, value, Value::of(by));
  return Value::of(equal(rt, rest, Value::of(wanted)));
}

Value is_odd(Runtime& rt, const Value& value, const Args& args) {
  expect_none("odd", args);
  return remainder_is(rt, value, 2, 1);
}
Value is_even(Runtime& rt, const Value& value, const Args& args) {
  expect_none("even", args);
  return remainder_is(rt, value, 2, 0);
}
Value is_divisible(Runtime& rt, const Value& value, const Args& args) {
  const auto [num] = bind<1>("divisibleby", args, {"num"}, 1);
  return Value::of(equal(rt, binary(rt, Expr::Kind::mod, value, *num), Value::of(std::int64_t{0})));
}

template <Kind... kinds>
Value is_kind(Runtime&, const Value& value, const Args& args) {
  expect_none("test", args);
  return Value::of((value.is(kinds) || ...));
}

Value is_defined(Runtime&, const Value& value, const Args& args) {
  expect_none("defined", args);
  return Value::of(!value.is_undefined());
}
Value is_true(Runtime&, const Value& value, const Args& args) {
  expect_none("true", args);
  return Value::of(value.is(Kind::boolean) && value.boolean);
}
Value is_false(Runtime&, const Value& value, const Args& args) {
  expect_none("false", args);
  return Value::of(value.is(Kind::boolean) && !value.boolean);
}
Value is_number_test(Runtime&, const Value& value, const Args& args) {
  expect_none("number", args);
  return Value::of(is_number(value));
}
Value is_sequence_test(Runtime&, const Value& value, const Args& args) {
  expect_none("sequence", args);
  return Value::of(value.is_string() || value.is_sequence() || value.is(Kind::dict) || value.is(Kind::range) || value.is_undefined());
}
Value is_iterable_test(Runtime&, const Value& value, const Args& args) {
  expect_none("iterable", args);
  return Value::of(is_iterable(value));
}
Value is_callable_test(Runtime&, const Value& value, const Args& args) {
  expect_none("callable", args);
  return Value::of(value.is(Kind::function) || value.is(Kind::macro) || value.is(Kind::joiner) || value.is(Kind::loop) ||
                   value.is_undefined());
}

/// str.islower() or isupper(): some cased characters, all of them in that case.
[[nodiscard]] Value all_cased(Runtime& rt, const Value& value, bool (*wanted)(char32_t) noexcept, bool (*other)(char32_t) noexcept) {
  const std::string_view text = text_of(rt, value);
  rt.charge_bytes(text.size());
  bool some = false;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_char(text, at);
    if (other(c) || is_title(c)) {
      return Value::of(false);
    }
    some = some || wanted(c);
  }
  return Value::of(some);
}
Value is_lower_test(Runtime& rt, const Value& value, const Args& args) {
  expect_none("lower", args);
  return all_cased(rt, value, is_lower, is_upper);
}
Value is_upper_test(Runtime& rt, const Value& value, const Args& args) {
  expect_none("upper", args);
  return all_cased(rt, value, is_upper, is_lower);
}
Value is_escaped(Runtime&, const Value& value, const Args& args) {
  expect_none("escaped", args);
  return Value::of(value.is_string() && (value.string->flags & Str::markup) != 0);
}
Value is_filter(Runtime& rt, const Value& value, const Args& args) {
  expect_none("filter", args);
  if (!is_hashable(rt, value)) {
    fail("unhashable type: '" + std::string(type_name(value)) + "'");
  }
  return Value::of(value.is_string() && find_filter(value.text()) != nullptr);
}
Value is_test(Runtime& rt, const Value& value, const Args& args) {
  expect_none("test", args);
  if (!is_hashable(rt, value)) {
    fail("unhashable type: '" + std::string(type_name(value)) + "'");
  }
  return Value::of(value.is_string() && find_test(value.text()) != nullptr);
}
Value is_same(Runtime&, const Value& value, const Args& args) {
  const auto [other] = bind<1>("sameas", args, {"other"}, 1);
  return Value::of(identical(value, *other));
}

template <Compare op>
Value compares(Runtime& rt, const Value& value, const Args& args) {
  const auto [other] = bind<1>("test", args, {op == Compare::in ? "seq" : ""}, 1);
  return compare(rt, op, value, *other);
}

constexpr std::array<NamedNative, 39> table{{
    {"odd", is_odd},
    {"even", is_even},
    {"divisibleby", is_divisible},
    {"defined", is_defined},
    {"undefined", is_kind<Kind::undefined>},
    {"filter", is_filter},
    {"test", is_test},
    {"none", is_kind<Kind::none>},
    {"boolean", is_kind<Kind::boolean>},
    {"false", is_false},
    {"true", is_true},
    {"integer", is_kind<Kind::integer, Kind::big>},
    {"float", is_kind<Kind::real>},
    {"lower", is_lower_test},
    {"upper", is_upper_test},
    {"string", is_kind<Kind::string>},
    {"mapping", is_kind<Kind::dict>},
    {"number", is_number_test},
    {"sequence", is_sequence_test},
    {"iterable", is_iterable_test},
    {"callable", is_callable_test},
    {"sameas", is_same},
    {"escaped", is_escaped},
    {"in", compares<Compare::in>},
    {"==", compares<Compare::eq>},
    {"eq", compares<Compare::eq>},
    {"equalto", compares<Compare::eq>},
    {"!=", compares<Compare::ne>},
    {"ne", compares<Compare::ne>},
    {">", compares<Compare::gt>},
    {"gt", compares<Compare::gt>},
    {"greaterthan", compares<Compare::gt>},
    {">=", compares<Compare::ge>},
    {"ge", compares<Compare::ge>},
    {"<", compares<Compare::lt>},
    {"lt", compares<Compare::lt>},
    {"lessthan", compares<Compare::lt>},
    {"<=", compares<Compare::le>},
    {"le", compares<Compare::le>},
}};

}  // namespace

NativeTable predicates() noexcept { return table; }

}  // namespace loquat::tmpl
