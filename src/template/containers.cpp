#include <algorithm>
#include <cmath>

#include "template/numbers.h"
#include "template/objects.h"
#include "template/unicode.h"

namespace loquat::tmpl {

namespace {

constexpr std::size_t indexed_from = 9;

[[nodiscard]] Value borrow(Runtime& rt, std::string_view text) { return rt.keep(text); }

void rebuild(Runtime& rt, Dict& dict) {
  const std::size_t count = dict.entries.size();
  if (count < indexed_from) {
    dict.slots = nullptr;
    dict.slot_count = 0;
    return;
  }
  std::size_t wanted = 32;
  while (wanted < count * 3) {
    wanted *= 2;
  }
  if (wanted != dict.slot_count) {
    dict.slots = rt.memory.make_array<std::uint32_t>(wanted);
    dict.slot_count = wanted;
  } else {
    std::fill_n(dict.slots, wanted, 0U);
  }
  for (std::size_t i = 0; i < count; ++i) {
    std::size_t at = dict.entries[i].hash & (wanted - 1);
    while (dict.slots[at] != 0) {
      at = (at + 1) & (wanted - 1);
    }
    dict.slots[at] = static_cast<std::uint32_t>(i + 1);
  }
  rt.charge(count);
}

/// Number of the entry, or -1.
[[nodiscard]] std::int64_t locate(Runtime& rt, Dict& dict, const Value& key, std::uint64_t hash) {
  const Vec<Entry>& entries = entries_of(rt, dict);
  const auto matches = [&](const Entry& entry) {
    if (entry.hash != hash) {
      return false;
    }
    if (entry.key.is_string() && key.is_string()) {
      return entry.key.text() == key.text();
    }
    return identical(entry.key, key) || equal(rt, entry.key, key);
  };
  if (dict.slots == nullptr) {
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (matches(entries[i])) {
        return ssize(i);
      }
    }
    return -1;
  }
  for (std::size_t at = hash & (dict.slot_count - 1); dict.slots[at] != 0; at = (at + 1) & (dict.slot_count - 1)) {
    if (matches(entries[dict.slots[at] - 1])) {
      return ssize(dict.slots[at]) - 1;
    }
  }
  return -1;
}

[[nodiscard]] std::uint64_t combine(std::uint64_t seed, std::uint64_t hash) noexcept {
  return (seed ^ hash) * 0x9E3779B97F4A7C15ULL + (seed >> 31U) + 1;
}

}  // namespace

std::int64_t Range::length() const noexcept {
  if (step > 0) {
    return start < stop ? static_cast<std::int64_t>((static_cast<std::uint64_t>(stop) - static_cast<std::uint64_t>(start) - 1) /
                                                    static_cast<std::uint64_t>(step)) +
                              1
                        : 0;
  }
  return start > stop ? static_cast<std::int64_t>((static_cast<std::uint64_t>(start) - static_cast<std::uint64_t>(stop) - 1) /
                                                  (0 - static_cast<std::uint64_t>(step))) +
                            1
                      : 0;
}

std::uint64_t hash_text(std::string_view text) noexcept {
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  }
  hash ^= hash >> 32U;
  return hash == 0 ? 1 : hash;
}

Vec<Value>& items_of(Runtime& rt, List& list) {
  if (list.source != nullptr) {
    const json::array& source = *list.source;
    list.source = nullptr;
    rt.charge(source.size());
    list.items.reserve(rt.memory, source.size());
    for (const json::value& item : source) {
      list.items.push(rt.memory, rt.from_json(item));
    }
  }
  return list.items;
}

Vec<Entry>& entries_of(Runtime& rt, Dict& dict) {
  if (dict.source != nullptr) {
    const json::object& source = *dict.source;
    dict.source = nullptr;
    rt.charge(source.size());
    dict.entries.reserve(rt.memory, source.size());
    for (const auto& member : source) {
      const std::string_view key(member.key().data(), member.key().size());
      dict.entries.push(rt.memory, Entry{borrow(rt, key), rt.from_json(member.value()), hash_text(key)});
    }
    rebuild(rt, dict);
  }
  return dict.entries;
}

const Value* find(Runtime& rt, Dict& dict, const Value& key) {
  const std::int64_t at = locate(rt, dict, key, hash_of(rt, key));
  return at < 0 ? nullptr : &dict.entries[usize(at)].value;
}

bool find_text(Runtime& rt, Dict& dict, const Str& key, Value& out) {
  if (dict.source != nullptr) {
    const auto found = dict.source->find(json::string_view(key.data, key.size));
    if (found == dict.source->end()) {
      return false;
    }
    if (!found->value().is_object() && !found->value().is_array()) {
      out = rt.from_json(found->value());
      return true;
    }
  }
  const Value* found = find(rt, dict, Value(&key));
  if (found == nullptr) {
    return false;
  }
  out = *found;
  return true;
}

void set(Runtime& rt, Dict& dict, const Value& key, const Value& value) {
  const std::uint64_t hash = hash_of(rt, key);
  const std::int64_t at = locate(rt, dict, key, hash);
  if (at >= 0) {
    dict.entries[usize(at)].value = value;
    return;
  }
  dict.entries.push(rt.memory, Entry{key, value, hash});
  const std::size_t count = dict.entries.size();
  if (count >= indexed_from && (dict.slots == nullptr || count * 2 > dict.slot_count)) {
    rebuild(rt, dict);
  } else if (dict.slots != nullptr) {
    std::size_t slot = hash & (dict.slot_count - 1);
    while (dict.slots[slot] != 0) {
      slot = (slot + 1) & (dict.slot_count - 1);
    }
    dict.slots[slot] = static_cast<std::uint32_t>(count);
  }
}

bool erase(Runtime& rt, Dict& dict, const Value& key, Value& out) {
  const std::int64_t at = locate(rt, dict, key, hash_of(rt, key));
  if (at < 0) {
    return false;
  }
  out = dict.entries[usize(at)].value;
  dict.entries.erase(usize(at));
  rt.charge(dict.entries.size() / 16 + 1);
  rebuild(rt, dict);
  return true;
}

void clear(Dict& dict) noexcept {
  dict.source = nullptr;
  dict.entries.clear();
  dict.slots = nullptr;
  dict.slot_count = 0;
}

std::uint64_t hash_of(Runtime& rt, const Value& value) {
  switch (value.kind) {
    case Kind::string:
      if (value.string->hash == 0) {
        rt.charge_bytes(value.string->size);
        value.string->hash = hash_text(value.text());
      }
      return value.string->hash;
    case Kind::boolean:
    case Kind::integer:
    case Kind::big:
    case Kind::real: return hash_number(value);
    case Kind::tuple: {
      rt.check_stack();
      std::uint64_t hash = 7;
      for (const Value& item : items_of(rt, *value.list)) {
        rt.charge(1);
        hash = combine(hash, hash_of(rt, item));
      }
      return hash;
    }
    case Kind::list:
    case Kind::dict: fail("unhashable type: '" + std::string(type_name(value)) + "'");
    case Kind::view:
      if (value.view->what != View::What::values) {
        fail("unhashable type: '" + std::string(type_name(value)) + "'");
      }
      return 3;
    case Kind::undefined: return value.undefined->plain ? 11 : 13;
    case Kind::none: return 17;
    case Kind::range: return combine(static_cast<std::uint64_t>(value.range->start), static_cast<std::uint64_t>(value.range->step));
    default: return reinterpret_cast<std::uintptr_t>(value.iterator) | 1U;
  }
}

bool is_hashable(Runtime& rt, const Value& value) {
  if (value.kind == Kind::tuple) {
    rt.check_stack();
    return std::ranges::all_of(items_of(rt, *value.list), [&](const Value& item) { return is_hashable(rt, item); });
  }
  return value.kind != Kind::list && value.kind != Kind::dict && !(value.kind == Kind::view && value.view->what != View::What::values);
}

// --- truth and equality

bool truthy(Runtime& rt, const Value& value) {
  switch (value.kind) {
    case Kind::missing:
    case Kind::undefined:
    case Kind::none: return false;
    case Kind::boolean: return value.boolean;
    case Kind::integer: return value.integer != 0;
    case Kind::real: return value.real != 0;
    case Kind::string: return value.string->size != 0;
    case Kind::list:
    case Kind::tuple:
    case Kind::dict:
    case Kind::view:
    case Kind::range: return length(rt, value).value_or(1) != 0;
    default: return true;
  }
}

bool identical(const Value& a, const Value& b) noexcept {
  if (a.kind != b.kind) {
    return false;
  }
  switch (a.kind) {
    case Kind::none:
    case Kind::missing: return true;
    case Kind::boolean: return a.boolean == b.boolean;
    case Kind::integer: return a.integer == b.integer;
    case Kind::real: return a.real == b.real;
    case Kind::string: return a.string == b.string || a.text() == b.text();
    default: return a.integer == b.integer;  // the same object
  }
}

namespace {

[[nodiscard]] bool equal_items(Runtime& rt, List& a, List& b) {
  if (&a == &b) {
    return true;
  }
  const Vec<Value>& x = items_of(rt, a);
  const Vec<Value>& y = items_of(rt, b);
  if (x.size() != y.size()) {
    return false;
  }
  for (std::size_t i = 0; i < x.size() && i < y.size(); ++i) {
    rt.charge(1);
    if (!equal(rt, x[i], y[i])) {
      return false;
    }
  }
  return true;
}

[[nodiscard]] bool equal_dicts(Runtime& rt, Dict& a, Dict& b) {
  if (&a == &b) {
    return true;
  }
  const Vec<Entry>& x = entries_of(rt, a);
  if (x.size() != entries_of(rt, b).size()) {
    return false;
  }
  for (const Entry& entry : x) {
    rt.charge(1);
    const std::int64_t at = locate(rt, b, entry.key, entry.hash);
    if (at < 0 || !equal(rt, entry.value, b.entries[usize(at)].value)) {
      return false;
    }
  }
  return true;
}

[[nodiscard]] bool equal_views(Runtime& rt, const Value& a, const Value& b) {
  if (a.view == b.view) {
    return true;
  }
  if (a.view->what == View::What::values || b.view->what == View::What::values || length(rt, a) != length(rt, b)) {
    return false;
  }
  Cursor cursor(rt, a);
  for (Value item; cursor.next(rt, item);) {
    if (!contains(rt, b, item)) {
      return false;
    }
  }
  return true;
}

}  // namespace

bool equal(Runtime& rt, const Value& a, const Value& b) {
  if (is_number(a) && is_number(b)) {
    return compare_numbers(a, b) == 0;
  }
  if (a.kind != b.kind) {
    return false;
  }
  rt.check_stack();
  switch (a.kind) {
    case Kind::undefined: return a.undefined->plain == b.undefined->plain;
    case Kind::string:
      if (a.string->size != b.string->size) {
        return false;
      }
      rt.charge_bytes(a.string->size);
      return a.text() == b.text();
    case Kind::list:
    case Kind::tuple: return equal_items(rt, *a.list, *b.list);
    case Kind::dict: return equal_dicts(rt, *a.dict, *b.dict);
    case Kind::view: return equal_views(rt, a, b);
    case Kind::range: {
      const Range& x = *a.range;
      const Range& y = *b.range;
      const std::int64_t n = x.length();
      return n == y.length() && (n == 0 || (x.start == y.start && (n == 1 || x.step == y.step)));
    }
    default: return identical(a, b);
  }
}

bool contains(Runtime& rt, const Value& container, const Value& item) {
  switch (container.kind) {
    case Kind::string: {
      if (!item.is_string()) {
        fail("'in <string>' requires string as left operand, not " + std::string(type_name(item)));
      }
      rt.charge_bytes(container.string->size + item.string->size);
      return memmem(container.string->data, container.string->size, item.string->data, item.string->size) != nullptr ||
             item.string->size == 0;
    }
    case Kind::dict: return find(rt, *container.dict, item) != nullptr;
    case Kind::view:
      if (container.view->what == View::What::keys) {
        return find(rt, *container.view->dict, item) != nullptr;
      }
      break;
    case Kind::range:
      if (item.is_index()) {
        const Range& range = *container.range;
        const std::int64_t value = item.index();
        const bool inside = range.step > 0 ? value >= range.start && value < range.stop : value <= range.start && value > range.stop;
        return inside && (static_cast<std::uint64_t>(value) - static_cast<std::uint64_t>(range.start)) %
                                 (range.step > 0 ? static_cast<std::uint64_t>(range.step) : 0 - static_cast<std::uint64_t>(range.step)) ==
                             0;
      }
      break;
    default: break;
  }
  if (!is_iterable(container)) {
    fail("argument of type '" + std::string(type_name(container)) + "' is not iterable");
  }
  Cursor cursor(rt, container);
  for (Value candidate; cursor.next(rt, candidate);) {
    if (identical(candidate, item) || equal(rt, candidate, item)) {
      return true;
    }
  }
  return false;
}

}  // namespace loquat::tmpl
