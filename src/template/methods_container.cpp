#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>

#include "template/library.h"
#include "template/numbers.h"

/// Methods of list, tuple, dict, int and float.
namespace loquat::tmpl {

namespace {

// --- list

Value append(Runtime& rt, const Value& self, const Args& args) {
  const auto [item] = bind<1>("append", args, {""}, 1);
  items_of(rt, *self.list).push(rt.memory, *item);
  return Value::none();
}

Value extend(Runtime& rt, const Value& self, const Args& args) {
  const auto [more] = bind<1>("extend", args, {""}, 1);
  const List* added = to_list(rt, *more);
  for (const Value& item : added->items) {
    items_of(rt, *self.list).push(rt.memory, item);
  }
  return Value::none();
}

Value insert(Runtime& rt, const Value& self, const Args& args) {
  const auto [index, item] = bind<2>("insert", args, {"", ""}, 2);
  Vec<Value>& items = items_of(rt, *self.list);
  const std::int64_t size = ssize(items.size());
  const std::int64_t at = index_of(*index);
  rt.charge(items.size() / 16 + 1);
  items.insert(rt.memory, usize(std::clamp<std::int64_t>(at < 0 ? at + size : at, 0, size)), *item);
  return Value::none();
}

Value list_pop(Runtime& rt, const Value& self, const Args& args) {
  const auto [index] = bind<1>("pop", args, {""});
  Vec<Value>& items = items_of(rt, *self.list);
  const std::int64_t size = ssize(items.size());
  const std::int64_t given = index_or(index, -1);
  const std::int64_t at = given < 0 ? given + size : given;
  if (at < 0 || at >= size) {
    fail(size == 0 ? "pop from empty list" : "pop index out of range");
  }
  const Value item = items[usize(at)];
  rt.charge(items.size() / 16 + 1);
  items.erase(usize(at));
  return item;
}

[[nodiscard]] std::int64_t position(Runtime& rt, const Value& self, const Value& wanted, std::int64_t from, std::int64_t to) {
  const Vec<Value>& items = items_of(rt, *self.list);
  const std::int64_t size = ssize(items.size());
  const auto clamp = [size](std::int64_t at) { return std::clamp<std::int64_t>(at < 0 ? at + size : at, 0, size); };
  for (std::int64_t at = clamp(from); at < clamp(to); ++at) {
    rt.charge(1);
    if (identical(items[usize(at)], wanted) || equal(rt, items[usize(at)], wanted)) {
      return at;
    }
  }
  return -1;
}

Value list_index(Runtime& rt, const Value& self, const Args& args) {
  const auto [item, start, end] = bind<3>("index", args, {"", "", ""}, 1);
  const std::int64_t at = position(rt, self, *item, index_or(start, 0), index_or(end, std::numeric_limits<std::int64_t>::max()));
  if (at < 0) {
    fail("the value is not in the list");
  }
  return Value::of(at);
}

Value list_count(Runtime& rt, const Value& self, const Args& args) {
  const auto [item] = bind<1>("count", args, {""}, 1);
  std::int64_t count = 0;
  for (const Value& other : items_of(rt, *self.list)) {
    rt.charge(1);
    count += static_cast<std::int64_t>(identical(other, *item) || equal(rt, other, *item));
  }
  return Value::of(count);
}

Value remove(Runtime& rt, const Value& self, const Args& args) {
  const auto [item] = bind<1>("remove", args, {""}, 1);
  const std::int64_t at = position(rt, self, *item, 0, std::numeric_limits<std::int64_t>::max());
  if (at < 0) {
    fail("list.remove(x): x not in list");
  }
  items_of(rt, *self.list).erase(usize(at));
  return Value::none();
}

Value list_clear(Runtime& rt, const Value& self, const Args& args) {
  expect_none("clear", args);
  items_of(rt, *self.list).clear();
  return Value::none();
}

Value list_copy(Runtime& rt, const Value& self, const Args& args) {
  expect_none("copy", args);
  return Value(to_list(rt, self), Kind::list);
}

Value list_reverse(Runtime& rt, const Value& self, const Args& args) {
  expect_none("reverse", args);
  Vec<Value>& items = items_of(rt, *self.list);
  rt.charge(items.size());
  std::reverse(items.begin(), items.end());
  return Value::none();
}

Value list_sort(Runtime& rt, const Value& self, const Args& args) {
  for (const Keyword& keyword : args.keywords) {
    if (keyword.name->view() != "key" && keyword.name->view() != "reverse") {
      fail("sort() got an unexpected keyword argument");
    }
  }
  const auto [key, reverse] = bind<2>("sort", {.keywords = args.keywords}, {"key", "reverse"});
  if (!args.positional.empty()) {
    fail("sort() takes no positional arguments");
  }
  List* keys = rt.make_list();
  for (const Value& item : items_of(rt, *self.list)) {
    const bool own = key == nullptr || key->is(Kind::none);
    keys->items.push(rt.memory, own ? item : rt.call(*key, {.positional = {&item, 1}}));
  }
  sort(rt, keys->items, items_of(rt, *self.list), flag_or(rt, reverse, false));
  return Value::none();
}

// --- dict

Value get(Runtime& rt, const Value& self, const Args& args) {
  const auto [key, fallback] = bind<2>("get", args, {"", ""}, 1);
  Value out;
  if (key->is_string()) {
    if (find_text(rt, *self.dict, *key->string, out)) {
      return out;
    }
  } else if (const Value* found = find(rt, *self.dict, *key)) {
    return *found;
  }
  return fallback != nullptr ? *fallback : Value::none();
}

template <View::What what>
Value view(Runtime& rt, const Value& self, const Args& args) {
  expect_none("keys", args);
  Value value{Kind::view};
  value.view = rt.memory.make<View>(View{self.dict, what});
  return value;
}

Value dict_pop(Runtime& rt, const Value& self, const Args& args) {
  const auto [key, fallback] = bind<2>("pop", args, {"", ""}, 1);
  Value out;
  if (erase(rt, *self.dict, *key, out)) {
    return out;
  }
  if (fallback == nullptr) {
    fail("KeyError: the key is not in the dict");
  }
  return *fallback;
}

Value popitem(Runtime& rt, const Value& self, const Args& args) {
  expect_none("popitem", args);
  Vec<Entry>& entries = entries_of(rt, *self.dict);
  if (entries.empty()) {
    fail("popitem(): dictionary is empty");
  }
  const Entry last = entries.back();
  Value out;
  (void)erase(rt, *self.dict, last.key, out);
  return rt.pair(last.key, out);
}

Value setdefault(Runtime& rt, const Value& self, const Args& args) {
  const auto [key, fallback] = bind<2>("setdefault", args, {"", ""}, 1);
  if (const Value* found = find(rt, *self.dict, *key)) {
    return *found;
  }
  const Value value = fallback != nullptr ? *fallback : Value::none();
  set(rt, *self.dict, *key, value);
  return value;
}

Value update(Runtime& rt, const Value& self, const Args& args) {
  update_dict(rt, *self.dict, args);
  return Value::none();
}

Value dict_clear(Runtime&, const Value& self, const Args& args) {
  expect_none("clear", args);
  clear(*self.dict);
  return Value::none();
}

Value dict_copy(Runtime& rt, const Value& self, const Args& args) {
  expect_none("copy", args);
  Dict* copy = rt.make_dict();
  update_dict(rt, *copy, {.positional = {&self, 1}});
  return Value(copy);
}

Value fromkeys(Runtime& rt, const Value&, const Args& args) {
  const auto [keys, value] = bind<2>("fromkeys", args, {"", ""}, 1);
  Dict* dict = rt.make_dict();
  Cursor cursor(rt, *keys);
  for (Value key; cursor.next(rt, key);) {
    set(rt, *dict, key, value != nullptr ? *value : Value::none());
  }
  return Value(dict);
}

// --- numbers

Value int_bit_length(Runtime&, const Value& self, const Args& args) {
  expect_none("bit_length", args);
  return Value::of(bit_length(self));
}
Value int_bit_count(Runtime&, const Value& self, const Args& args) {
  expect_none("bit_count", args);
  return Value::of(bit_count(self));
}
Value conjugate(Runtime& rt, const Value& self, const Args& args) {
  expect_none("conjugate", args);
  return affirm(rt, self);
}
Value int_ratio(Runtime& rt, const Value& self, const Args& args) {
  expect_none("as_integer_ratio", args);
  return rt.pair(affirm(rt, self), Value::of(std::int64_t{1}));
}
Value int_is_integer(Runtime&, const Value&, const Args& args) {
  expect_none("is_integer", args);
  return Value::of(true);
}
Value real_is_integer(Runtime&, const Value& self, const Args& args) {
  expect_none("is_integer", args);
  return Value::of(std::isfinite(self.real) && self.real == std::floor(self.real));
}

/// A finite double is mantissa * 2^exponent.
struct Parts {
  std::uint64_t mantissa;
  int exponent;
};

[[nodiscard]] Parts parts_of(double number) noexcept {
  const auto bits = std::bit_cast<std::uint64_t>(number);
  const int exponent = static_cast<int>(bits >> 52U & 0x7FFU);
  const std::uint64_t fraction = bits & ((std::uint64_t{1} << 52U) - 1);
  return exponent == 0 ? Parts{fraction, -1074} : Parts{fraction | std::uint64_t{1} << 52U, exponent - 1075};
}

Value real_ratio(Runtime& rt, const Value& self, const Args& args) {
  expect_none("as_integer_ratio", args);
  if (!std::isfinite(self.real)) {
    fail("cannot convert Infinity or NaN to integer ratio");
  }
  auto [mantissa, exponent] = parts_of(self.real);
  const int even = mantissa == 0 ? 0 : std::min(std::countr_zero(mantissa), std::max(-exponent, 0));
  exponent = mantissa == 0 ? 0 : exponent + even;
  const auto whole = static_cast<std::int64_t>(mantissa >> static_cast<unsigned>(even));
  const Value one = Value::of(std::int64_t{1});
  const Value power = arithmetic(rt, Expr::Kind::pow, Value::of(std::int64_t{2}), Value::of(std::int64_t{std::abs(exponent)}));
  const Value top = Value::of(std::signbit(self.real) ? -whole : whole);
  return exponent < 0 ? rt.pair(top, power) : rt.pair(arithmetic(rt, Expr::Kind::mul, top, power), one);
}

Value real_hex(Runtime& rt, const Value& self, const Args& args) {
  expect_none("hex", args);
  const std::string_view sign = std::signbit(self.real) && !std::isnan(self.real) ? "-" : "";
  if (!std::isfinite(self.real)) {
    return rt.str(fmt::format("{}{}", sign, std::isnan(self.real) ? "nan" : "inf"));
  }
  if (self.real == 0) {
    return rt.str(fmt::format("{}0x0.0p+0", sign));
  }
  const auto [mantissa, exponent] = parts_of(self.real);
  const std::uint64_t fraction = mantissa & ((std::uint64_t{1} << 52U) - 1);
  return rt.str(fmt::format("{}0x{}.{:013x}p{:+}", sign, mantissa >> 52U, fraction, exponent + 52));
}

constexpr std::array<NamedNative, 11> list_table{{{"append", append},
                                                  {"extend", extend},
                                                  {"insert", insert},
                                                  {"pop", list_pop},
                                                  {"remove", remove},
                                                  {"clear", list_clear},
                                                  {"index", list_index},
                                                  {"count", list_count},
                                                  {"copy", list_copy},
                                                  {"reverse", list_reverse},
                                                  {"sort", list_sort}}};
constexpr std::array<NamedNative, 2> tuple_table{{{"index", list_index}, {"count", list_count}}};
constexpr std::array<NamedNative, 11> dict_table{{{"get", get},
                                                  {"keys", view<View::What::keys>},
                                                  {"values", view<View::What::values>},
                                                  {"items", view<View::What::items>},
                                                  {"pop", dict_pop},
                                                  {"popitem", popitem},
                                                  {"setdefault", setdefault},
                                                  {"update", update},
                                                  {"clear", dict_clear},
                                                  {"copy", dict_copy},
                                                  {"fromkeys", fromkeys}}};
constexpr std::array<NamedNative, 5> integer_table{{{"bit_length", int_bit_length},
                                                    {"bit_count", int_bit_count},
                                                    {"conjugate", conjugate},
                                                    {"as_integer_ratio", int_ratio},
                                                    {"is_integer", int_is_integer}}};
constexpr std::array<NamedNative, 4> real_table{
    {{"is_integer", real_is_integer}, {"conjugate", conjugate}, {"as_integer_ratio", real_ratio}, {"hex", real_hex}}};

}  // namespace

NativeTable list_methods() noexcept { return list_table; }
NativeTable tuple_methods() noexcept { return tuple_table; }
NativeTable dict_methods() noexcept { return dict_table; }
NativeTable integer_methods() noexcept { return integer_table; }
NativeTable real_methods() noexcept { return real_table; }

void update_dict(Runtime& rt, Dict& dict, const Args& args) {
  const auto [source] = bind<1>("dict", {.positional = args.positional}, {""});
  if (source != nullptr && source->is(Kind::dict)) {
    for (const Entry& entry : entries_of(rt, *source->dict)) {
      rt.charge(1);
      set(rt, dict, entry.key, entry.value);
    }
  } else if (source != nullptr) {
    Cursor cursor(rt, *source);
    for (Value item; cursor.next(rt, item);) {
      const List* pair = is_iterable(item) ? to_list(rt, item) : nullptr;
      if (pair == nullptr || pair->items.size() != 2) {
        fail("dictionary update sequence element is not a pair");
      }
      set(rt, dict, pair->items[0], pair->items[1]);
    }
  }
  for (const Keyword& keyword : args.keywords) {
    set(rt, dict, Value(keyword.name), keyword.value);
  }
}

}  // namespace loquat::tmpl
