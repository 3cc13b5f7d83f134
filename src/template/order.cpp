#include <algorithm>

#include "template/numbers.h"
#include "template/objects.h"

namespace loquat::tmpl {

namespace {

[[nodiscard]] std::string_view symbol(Compare op) noexcept {
  switch (op) {
    case Compare::lt: return "<";
    case Compare::le: return "<=";
    case Compare::gt: return ">";
    default: return ">=";
  }
}

[[nodiscard]] bool holds(Compare op, int order) noexcept {
  switch (op) {
    case Compare::lt: return order < 0;
    case Compare::le: return order <= 0;
    case Compare::gt: return order > 0;
    default: return order >= 0;
  }
}

[[nodiscard]] Value order_items(Runtime& rt, Compare op, const Value& a, const Value& b) {
  const Vec<Value>& x = items_of(rt, *a.list);
  const Vec<Value>& y = items_of(rt, *b.list);
  std::size_t i = 0;
  while (i < x.size() && i < y.size() && (identical(x[i], y[i]) || equal(rt, x[i], y[i]))) {
    rt.charge(1);
    ++i;
  }
  if (i < x.size() && i < y.size()) {
    return compare(rt, op, x[i], y[i]);
  }
  return Value::of(holds(op, x.size() < y.size() ? -1 : x.size() > y.size() ? 1 : 0));
}

[[nodiscard]] Value order(Runtime& rt, Compare op, const Value& a, const Value& b) {
  rt.check_stack();
  if (a.is_undefined() || b.is_undefined()) {
    if (is_silent(a) || is_silent(b)) {
      return rt.keep("undefined");
    }
    fail("the value of an inline if without else is undefined");
  }
  if (is_number(a) && is_number(b)) {
    const auto order = compare_numbers(a, b);
    return Value::of(order && holds(op, *order));
  }
  if (a.is_string() && b.is_string()) {
    rt.charge_bytes(std::min(a.string->size, b.string->size));
    return Value::of(holds(op, a.text().compare(b.text())));  // UTF-8 sorts as code points do
  }
  if (a.kind == b.kind && a.is_sequence()) {
    return order_items(rt, op, a, b);
  }
  fail("'" + std::string(symbol(op)) + "' not supported between instances of '" + std::string(type_name(a)) + "' and '" +
       std::string(type_name(b)) + "'");
}

}  // namespace

Value compare(Runtime& rt, Compare op, const Value& a, const Value& b) {
  switch (op) {
    case Compare::eq: return Value::of(equal(rt, a, b));
    case Compare::ne: return Value::of(!equal(rt, a, b));
    case Compare::in: return Value::of(contains(rt, b, a));
    case Compare::not_in: return Value::of(!contains(rt, b, a));
    default: return order(rt, op, a, b);
  }
}

bool less(Runtime& rt, const Value& a, const Value& b) { return truthy(rt, order(rt, Compare::lt, a, b)); }

namespace {

struct Pair {
  Value key;
  Value item;
};

/// The order in which CPython's list.sort compares short lists, so that even senseless comparisons (with undefined) agree.
void binary_insertion(Runtime& rt, Pair* items, std::size_t count, std::size_t sorted) {
  for (std::size_t start = std::max<std::size_t>(sorted, 1); start < count; ++start) {
    const Pair pivot = items[start];
    std::size_t left = 0;
    std::size_t right = start;
    while (left < right) {
      rt.charge(1);
      const std::size_t middle = left + (right - left) / 2;
      if (less(rt, pivot.key, items[middle].key)) {
        right = middle;
      } else {
        left = middle + 1;
      }
    }
    std::move_backward(items + left, items + start, items + start + 1);
    items[left] = pivot;
  }
}

/// Length of the run at the start; a descending one is reversed.
[[nodiscard]] std::size_t take_run(Runtime& rt, Pair* items, std::size_t count) {
  if (count < 2) {
    return count;
  }
  std::size_t run = 2;
  const bool descending = less(rt, items[1].key, items[0].key);
  while (run < count && less(rt, items[run].key, items[run - 1].key) == descending) {
    rt.charge(1);
    ++run;
  }
  if (descending) {
    std::reverse(items, items + run);
  }
  return run;
}

void merge_sort(Runtime& rt, Pair* items, Pair* spare, std::size_t count) {
  constexpr std::size_t short_list = 64;
  if (count < short_list) {
    binary_insertion(rt, items, count, take_run(rt, items, count));
    return;
  }
  const std::size_t half = count / 2;
  merge_sort(rt, items, spare, half);
  merge_sort(rt, items + half, spare, count - half);
  std::copy(items, items + half, spare);
  std::size_t left = 0;
  std::size_t right = half;
  std::size_t out = 0;
  while (left < half && right < count) {
    rt.charge(1);
    items[out++] = less(rt, items[right].key, spare[left].key) ? items[right++] : spare[left++];
  }
  std::copy(spare + left, spare + half, items + out);
}

}  // namespace

void sort(Runtime& rt, Vec<Value>& keys, Vec<Value>& items, bool reverse) {
  const std::size_t count = items.size();
  Pair* pairs = rt.memory.make_array<Pair>(count);
  for (std::size_t i = 0; i < count; ++i) {
    pairs[i] = {keys[i], items[i]};
  }
  if (reverse) {
    std::reverse(pairs, pairs + count);
  }
  merge_sort(rt, pairs, rt.memory.make_array<Pair>(count / 2 + 1), count);
  if (reverse) {
    std::reverse(pairs, pairs + count);
  }
  for (std::size_t i = 0; i < count; ++i) {
    keys[i] = pairs[i].key;
    items[i] = pairs[i].item;
  }
}

}  // namespace loquat::tmpl
