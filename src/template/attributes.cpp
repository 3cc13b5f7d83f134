#include <algorithm>
#include <limits>

#include "template/big.h"
#include "template/library.h"
#include "template/loop.h"
#include "template/numbers.h"
#include "template/objects.h"
#include "template/unicode.h"

namespace loquat::tmpl {

std::optional<std::int64_t> length(Runtime& rt, const Value& value) {
  switch (value.kind) {
    case Kind::undefined: return 0;
    case Kind::string:
      if (value.string->chars < 0) {
        rt.charge_bytes(value.string->size);
      }
      return length_of_text(*value.string);
    case Kind::list:
    case Kind::tuple: return ssize(value.list->source != nullptr ? value.list->source->size() : value.list->items.size());
    case Kind::dict: return ssize(value.dict->source != nullptr ? value.dict->source->size() : value.dict->entries.size());
    case Kind::view: return ssize(entries_of(rt, *value.view->dict).size());
    case Kind::range: return value.range->length();
    case Kind::loop: return length_of_loop(rt, *value.loop);
    default: return std::nullopt;
  }
}

std::string_view cut(const Str& text, std::int64_t start, std::int64_t stop) noexcept {
  if (start >= stop) {
    return {};
  }
  if (length_of_text(text) == ssize(text.size)) {
    return text.view().substr(usize(start), usize(stop - start));
  }
  std::size_t at = 0;
  std::int64_t count = 0;
  while (count < start) {
    (void)next_char(text.view(), at);
    ++count;
  }
  const std::size_t from = at;
  while (count < stop) {
    (void)next_char(text.view(), at);
    ++count;
  }
  return text.view().substr(from, at - from);
}

Native Methods::find(Kind kind) const noexcept {
  switch (kind) {
    case Kind::string: return string;
    case Kind::list: return list;
    case Kind::tuple: return tuple;
    case Kind::dict: return dict;
    case Kind::boolean:
    case Kind::integer:
    case Kind::big: return number;
    case Kind::real: return real;
    case Kind::range: return range;
    case Kind::cycler: return cycler;
    case Kind::loop: return loop;
    default: return nullptr;
  }
}

Value bind_method(Runtime& rt, const Value& object, Native native, std::string_view name) {
  Value value{Kind::function};
  value.function = rt.memory.make<Function>(Function{native, object, name});
  return value;
}

namespace {

[[nodiscard]] bool macro_attribute(Runtime& rt, const MacroNode& node, std::string_view name, Value& out) {
  if (name == "name") {
    out = node.name != nullptr ? Value(node.name) : Value::none();
  } else if (name == "arguments") {
    List* names = rt.make_list();
    for (const Param& param : node.params) {
      names->items.push(rt.memory, Value(param.name));
    }
    out = Value(names, Kind::tuple);
  } else if (name == "catch_kwargs") {
    out = Value::of(node.kwargs_slot >= 0);
  } else if (name == "catch_varargs") {
    out = Value::of(node.varargs_slot >= 0);
  } else if (name == "caller") {
    out = Value::of(node.uses_caller);
  } else {
    return false;
  }
  return true;
}

[[nodiscard]] bool number_attribute(const Value& number, std::string_view name, Value& out) {
  const bool real = number.is(Kind::real);
  if (name == "real" || (name == "numerator" && !real)) {
    out = number.is(Kind::boolean) ? Value::of(number.index()) : number;
  } else if (name == "imag") {
    out = real ? Value::of(0.0) : Value::of(std::int64_t{0});
  } else if (name == "denominator" && !real) {
    out = Value::of(std::int64_t{1});
  } else {
    return false;
  }
  return true;
}

[[nodiscard]] bool range_attribute(const Range& range, std::string_view name, Value& out) {
  if (name == "start") {
    out = Value::of(range.start);
  } else if (name == "stop") {
    out = Value::of(range.stop);
  } else if (name == "step") {
    out = Value::of(range.step);
  } else {
    return false;
  }
  return true;
}

/// Attributes that are no methods.
[[nodiscard]] bool own_attribute(Runtime& rt, const Value& object, const Str& name, Value& out) {
  switch (object.kind) {
    case Kind::boolean:
    case Kind::integer:
    case Kind::big:
    case Kind::real: return number_attribute(object, name.view(), out);
    case Kind::range: return range_attribute(*object.range, name.view(), out);
    case Kind::tuple:
      if (object.list->group && (name.view() == "grouper" || name.view() == "list")) {
        out = object.list->items[name.view() == "list" ? 1 : 0];
        return true;
      }
      return false;
    case Kind::nspace: return find_text(rt, *object.dict, name, out);
    case Kind::macro: return macro_attribute(rt, *object.macro->node, name.view(), out);
    case Kind::loop: return loop_attribute(rt, *object.loop, name.view(), out);
    case Kind::cycler:
      if (name.view() == "current") {
        out = object.cycler->items->items[object.cycler->position];
      } else if (name.view() == "items") {
        out = Value(object.cycler->items, Kind::tuple);
      } else if (name.view() == "pos") {
        out = Value::of(object.cycler->position);
      } else {
        return false;
      }
      return true;
    case Kind::joiner:
      if (name.view() == "sep") {
        out = object.joiner->separator;
      } else if (name.view() == "used") {
        out = Value::of(object.joiner->used);
      } else {
        return false;
      }
      return true;
    default: return false;
  }
}

/// obj[key] without the fallbacks; false where Python raises a LookupError or TypeError.
[[nodiscard]] bool plain_item(Runtime& rt, const Value& object, const Value& key, Value& out) {
  switch (object.kind) {
    case Kind::dict: {
      if (!is_hashable(rt, key)) {
        return false;
      }
      if (key.is_string()) {
        return find_text(rt, *object.dict, *key.string, out);
      }
      const Value* found = find(rt, *object.dict, key);
      if (found != nullptr) {
        out = *found;
      }
      return found != nullptr;
    }
    case Kind::string:
    case Kind::list:
    case Kind::tuple:
    case Kind::range: {
      if (!key.is_index()) {
        return false;
      }
      const std::int64_t size = *length(rt, object);
      const std::int64_t at = key.index() < 0 ? key.index() + size : key.index();
      if (at < 0 || at >= size) {
        return false;
      }
      if (object.is_string()) {
        if (length_of_text(*object.string) != ssize(object.string->size)) {
          rt.charge_bytes(object.string->size);
        }
        out = rt.keep(cut(*object.string, at, at + 1), object.string->flags & Str::markup);
      } else if (object.is(Kind::range)) {
        out = Value::of(object.range->start + at * object.range->step);
      } else {
        out = items_of(rt, *object.list)[usize(at)];
      }
      return true;
    }
    default: return false;
  }
}

[[nodiscard]] bool method_of(Runtime& rt, const Value& object, const Str& name, const Methods* methods, Value& out) {
  const Native native = methods != nullptr ? methods->find(object.kind) : nullptr;
  if (native == nullptr) {
    return false;
  }
  out = bind_method(rt, object, native, name.view());
  return true;
}

[[nodiscard]] Value of_undefined(Runtime& rt, const Value& object) {
  if (object.undefined->plain) {
    fail("the inline if-expression evaluated to false and no else section was defined.");
  }
  return rt.keep("undefined");
}

}  // namespace

Value get_attribute(Runtime& rt, const Value& object, const Str& name, const Methods* methods) {
  if (object.is_undefined()) {
    return of_undefined(rt, object);
  }
  Value out;
  if (method_of(rt, object, name, methods, out) || own_attribute(rt, object, name, out)) {
    return out;
  }
  if (object.is(Kind::dict) && find_text(rt, *object.dict, name, out)) {
    return out;
  }
  return rt.undefined(name.view());
}

Value get_attribute(Runtime& rt, const Value& object, const Str& name) {
  return get_attribute(rt, object, name, find_methods(name.view()));
}

Value get_item(Runtime& rt, const Value& object, const Value& key) {
  if (object.is_undefined()) {
    return of_undefined(rt, object);
  }
  Value out;
  if (plain_item(rt, object, key, out)) {
    return out;
  }
  if (!key.is_string()) {
    return rt.undefined("item");
  }
  if (method_of(rt, object, *key.string, find_methods(key.text()), out) || own_attribute(rt, object, *key.string, out)) {
    return out;
  }
  return rt.undefined(key.text());
}

namespace {

struct Bounds {
  std::int64_t start;
  std::int64_t stop;
  std::int64_t step;
  std::int64_t count;
};

[[nodiscard]] std::optional<std::int64_t> slice_part(const Value& value) {
  if (value.is(Kind::none) || value.is(Kind::missing)) {
    return std::nullopt;
  }
  if (value.is(Kind::big)) {
    return big_sign(value) < 0 ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max();
  }
  if (!value.is_index()) {
    fail("slice indices must be integers or None or have an __index__ method");
  }
  return value.index();
}

/// As Python's slice.indices().
[[nodiscard]] Bounds resolve(std::int64_t size, const Value& start, const Value& stop, const Value& step) {
  const std::int64_t by = std::max(slice_part(step).value_or(1), -std::numeric_limits<std::int64_t>::max());
  if (by == 0) {
    fail("slice step cannot be zero");
  }
  const std::int64_t lowest = by > 0 ? 0 : -1;
  const std::int64_t highest = by > 0 ? size : size - 1;
  const auto clamp = [&](std::optional<std::int64_t> part, std::int64_t fallback) {
    if (!part) {
      return fallback;
    }
    const std::int64_t at = *part < 0 ? (*part < -size ? lowest : *part + size) : *part;
    return std::clamp(at, lowest, highest);
  };
  const std::int64_t from = clamp(slice_part(start), by > 0 ? lowest : highest);
  const std::int64_t to = clamp(slice_part(stop), by > 0 ? highest : lowest);
  const std::int64_t span = by > 0 ? to - from : from - to;
  return {from, to, by, span <= 0 ? 0 : (span - 1) / (by > 0 ? by : -by) + 1};
}

[[nodiscard]] Value slice_text(Runtime& rt, const Str& text, const Bounds& bounds) {
  rt.charge_bytes(text.size);
  if (bounds.step == 1) {
    return rt.keep(cut(text, bounds.start, bounds.start + bounds.count), text.flags & Str::markup);
  }
  const std::u32string chars = to_chars32(text.view());
  std::string out;
  for (std::int64_t i = 0; i < bounds.count; ++i) {
    append_char(out, chars[usize(bounds.start + i * bounds.step)]);
  }
  return rt.str(out, text.flags & Str::markup);
}

}  // namespace

Value get_slice(Runtime& rt, const Value& object, const Value& start, const Value& stop, const Value& step) {
  if (object.is_undefined()) {
    return of_undefined(rt, object);
  }
  if (!object.is_string() && !object.is_sequence() && !object.is(Kind::range)) {
    fail("'" + std::string(type_name(object)) + "' object is not subscriptable with a slice");
  }
  const Bounds bounds = resolve(*length(rt, object), start, stop, step);
  if (object.is_string()) {
    return slice_text(rt, *object.string, bounds);
  }
  if (object.is(Kind::range)) {
    const Range& range = *object.range;
    const std::int64_t first = range.start + bounds.start * range.step;
    const std::int64_t by = range.step * bounds.step;
    return rt.make_range(first, range.start + bounds.stop * range.step, by);
  }
  List* out = rt.make_list();
  const Vec<Value>& items = items_of(rt, *object.list);
  rt.charge(usize(bounds.count));
  out->items.reserve(rt.memory, usize(bounds.count));
  for (std::int64_t i = 0; i < bounds.count; ++i) {
    out->items.push(rt.memory, items[usize(bounds.start + i * bounds.step)]);
  }
  return Value(out, object.kind);
}

}  // namespace loquat::tmpl
