#include <algorithm>
#include <limits>

#include "template/numbers.h"
#include "template/objects.h"

namespace loquat::tmpl {

namespace {

using Op = Expr::Kind;

[[nodiscard]] std::string_view symbol(Op op) noexcept {
  switch (op) {
    case Op::add: return "+";
    case Op::sub: return "-";
    case Op::mul: return "*";
    case Op::div: return "/";
    case Op::floordiv: return "//";
    case Op::mod: return "%";
    default: return "** or pow()";
  }
}

[[noreturn]] void fail_operands(Op op, const Value& a, const Value& b) {
  fail("unsupported operand type(s) for " + std::string(symbol(op)) + ": '" + std::string(type_name(a)) + "' and '" +
       std::string(type_name(b)) + "'");
}

/// Arithmetic with something undefined gives the text "undefined"; the old bots' Undefined class forgot subtraction, which fails.
[[nodiscard]] Value with_undefined(Runtime& rt, Op op, const Value& a, const Value& b) {
  const Undefined& first = a.is_undefined() ? *a.undefined : *b.undefined;
  if (op == Op::sub || !(is_silent(a) || is_silent(b))) {
    fail("'" + std::string(first.name) + "' is undefined");
  }
  return rt.keep("undefined");
}

[[nodiscard]] bool is_markup(const Value& value) noexcept { return value.is_string() && (value.string->flags & Str::markup) != 0; }

[[nodiscard]] Value join_texts(Runtime& rt, const Value& a, const Value& b) {
  const bool markup = is_markup(a) || is_markup(b);
  const Value left = markup ? escape_value(rt, a) : a;
  const Value right = markup ? escape_value(rt, b) : b;
  rt.charge_bytes(left.string->size + right.string->size);
  Builder out(rt.memory);
  out.append(left.text());
  out.append(right.text());
  return finish(rt, out, markup ? Str::markup : std::uint8_t{0});
}

[[nodiscard]] Value join_lists(Runtime& rt, const Value& a, const Value& b) {
  List* out = rt.make_list();
  const Vec<Value>& x = items_of(rt, *a.list);
  const Vec<Value>& y = items_of(rt, *b.list);
  rt.charge(x.size() + y.size());
  out->items.reserve(rt.memory, x.size() + y.size());
  for (const Vec<Value>* part : {&x, &y}) {
    for (const Value& item : *part) {
      out->items.push(rt.memory, item);
    }
  }
  return Value(out, a.kind);
}

[[nodiscard]] Value repeat(Runtime& rt, const Value& sequence, const Value& times) {
  if (times.is(Kind::big)) {
    fail("cannot fit 'int' into an index-sized integer");
  }
  const std::size_t count = usize(std::max<std::int64_t>(times.index(), 0));
  if (sequence.is_string()) {
    const std::size_t size = sequence.string->size;
    if (size != 0 && count > std::numeric_limits<std::uint32_t>::max() / size) {
      fail("the template needs too much memory");
    }
    rt.memory.check(size * count);
    rt.charge_bytes(size * count);
    Builder out(rt.memory);
    if (size == 1) {
      out.append(count, sequence.string->data[0]);
    } else {
      for (std::size_t i = 0; size != 0 && i < count; ++i) {
        out.append(sequence.text());
      }
    }
    return finish(rt, out, sequence.string->flags & Str::markup);
  }
  const Vec<Value>& items = items_of(rt, *sequence.list);
  const std::size_t size = items.size();
  if (size != 0 && count > std::numeric_limits<std::uint32_t>::max() / size) {
    fail("the template needs too much memory");
  }
  List* out = rt.make_list();
  rt.charge(size * count);
  out->items.reserve(rt.memory, size * count);
  for (std::size_t i = 0; size != 0 && i < count; ++i) {
    for (std::size_t k = 0; k < size; ++k) {
      out->items.push(rt.memory, items[k]);
    }
  }
  return Value(out, sequence.kind);
}

[[nodiscard]] bool is_repeatable(const Value& value) noexcept { return value.is_string() || value.is_sequence(); }

}  // namespace

Value binary(Runtime& rt, Expr::Kind op, const Value& a, const Value& b) {
  if (is_number(a) && is_number(b)) {
    return arithmetic(rt, op, a, b);
  }
  if (op == Op::mod && a.is_string()) {
    return percent_format(rt, a, b);
  }
  if (a.is_undefined() || b.is_undefined()) {
    return with_undefined(rt, op, a, b);
  }
  if (op == Op::add) {
    if (a.is_string() && b.is_string()) {
      return join_texts(rt, a, b);
    }
    if (a.is_sequence() && a.kind == b.kind) {
      return join_lists(rt, a, b);
    }
    if (is_markup(a) || is_markup(b)) {
      fail("can only concatenate str to Markup");
    }
  }
  if (op == Op::mul) {
    if (is_repeatable(a) && is_int(b)) {
      return repeat(rt, a, b);
    }
    if (is_repeatable(b) && is_int(a)) {
      return repeat(rt, b, a);
    }
  }
  fail_operands(op, a, b);
}

Value negate(Runtime& rt, const Value& value) {
  if (is_number(value)) {
    return negate_number(rt, value);
  }
  if (value.is_undefined() && !value.undefined->plain) {
    return rt.keep("undefined");
  }
  fail("bad operand type for unary -: '" + std::string(type_name(value)) + "'");
}

Value affirm(Runtime& rt, const Value& value) {
  if (is_number(value)) {
    return value.is(Kind::boolean) ? Value::of(value.index()) : value;
  }
  if (value.is_undefined() && !value.undefined->plain) {
    return rt.keep("undefined");
  }
  fail("bad operand type for unary +: '" + std::string(type_name(value)) + "'");
}

}  // namespace loquat::tmpl
