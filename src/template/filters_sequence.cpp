#include <algorithm>
#include <random>

#include "template/attribute_path.h"
#include "template/numbers.h"
#include "template/unicode.h"

namespace loquat::tmpl {

namespace {

class ListIterator final : public Iterator {
 public:
  ListIterator(List* list, std::string_view name) : list_(list), name_(name) {}
  [[nodiscard]] bool next(Runtime&, Value& out) override {
    if (at_ >= list_->items.size()) {
      return false;
    }
    out = list_->items[at_++];
    return true;
  }
  [[nodiscard]] std::string_view type_name() const noexcept override { return name_; }

 private:
  List* list_;
  std::string_view name_;
  std::size_t at_ = 0;
};

Value batch(Runtime& rt, const Value& value, const Args& args) {
  const auto [size, fill] = bind<2>("batch", args, {"linecount", "fill_with"}, 1);
  List* out = rt.make_list();
  List* row = rt.make_list();
  Cursor cursor(rt, value);
  for (Value item; cursor.next(rt, item);) {
    if (equal(rt, Value::of(row->items.size()), *size)) {
      out->items.push(rt.memory, Value(row, Kind::list));
      row = rt.make_list();
    }
    row->items.push(rt.memory, item);
  }
  if (!row->items.empty()) {
    const bool fills = fill != nullptr && !fill->is(Kind::none);
    if (fills && truthy(rt, compare(rt, Compare::lt, Value::of(row->items.size()), *size))) {
      const std::int64_t missing = index_of(*size) - ssize(row->items.size());
      for (std::int64_t i = 0; i < missing; ++i) {
        rt.charge(1);
        row->items.push(rt.memory, *fill);
      }
    }
    out->items.push(rt.memory, Value(row, Kind::list));
  }
  return iterate_list(rt, out);
}

Value slice(Runtime& rt, const Value& value, const Args& args) {
  const auto [slices, fill] = bind<2>("slice", args, {"slices", "fill_with"}, 1);
  const Vec<Value>& items = to_list(rt, value)->items;
  const std::int64_t count = index_of(*slices);
  if (count == 0) {
    fail("integer division or modulo by zero");
  }
  List* out = rt.make_list();
  const std::int64_t size = ssize(items.size());
  const std::int64_t each = count > 0 ? size / count : 0;
  const std::int64_t extra = count > 0 ? size % count : 0;
  std::int64_t start = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    rt.charge(1);
    List* part = rt.make_list();
    const std::int64_t end = start + each + static_cast<std::int64_t>(i < extra);
    for (; start < end; ++start) {
      part->items.push(rt.memory, items[usize(start)]);
    }
    if (fill != nullptr && !fill->is(Kind::none) && i >= extra) {
      part->items.push(rt.memory, *fill);
    }
    out->items.push(rt.memory, Value(part, Kind::list));
  }
  return iterate_list(rt, out);
}

Value list_filter(Runtime& rt, const Value& value, const Args& args) {
  expect_none("list", args);
  return Value(to_list(rt, value), Kind::list);
}

Value first(Runtime& rt, const Value& value, const Args& args) {
  expect_none("first", args);
  Cursor cursor(rt, value);
  Value item;
  return cursor.next(rt, item) ? item : rt.undefined("No first item, sequence was empty.");
}

[[nodiscard]] bool is_reversible(const Value& value) noexcept {
  return is_iterable(value) && !value.is(Kind::iterator) && !value.is(Kind::loop);
}

Value last(Runtime& rt, const Value& value, const Args& args) {
  expect_none("last", args);
  if (!is_reversible(value)) {
    fail("'" + std::string(type_name(value)) + "' object is not reversible");
  }
  const std::int64_t size = *length(rt, value);
  if (size == 0) {
    return rt.undefined("No last item, sequence was empty.");
  }
  if (value.is_string() || value.is_sequence() || value.is(Kind::range)) {
    return get_item(rt, value, Value::of(size - 1));
  }
  return to_list(rt, value)->items.back();
}

Value reverse(Runtime& rt, const Value& value, const Args& args) {
  expect_none("reverse", args);
  if (value.is_string()) {
    return get_slice(rt, value, Value(), Value(), Value::of(std::int64_t{-1}));
  }
  if (!is_iterable(value)) {
    fail("argument must be iterable");
  }
  List* list = to_list(rt, value);
  std::reverse(list->items.begin(), list->items.end());
  if (!is_reversible(value)) {
    return Value(list, Kind::list);
  }
  return iterate_list(rt, list, value.is(Kind::list) ? "list_reverseiterator" : "reversed");
}

Value random_item(Runtime& rt, const Value& value, const Args& args) {
  expect_none("random", args);
  static thread_local std::mt19937_64 generator{std::random_device{}()};
  const auto size = length(rt, value);
  if (!size) {
    fail("object of type '" + std::string(type_name(value)) + "' has no len()");
  }
  if (*size == 0) {
    return rt.undefined("No random item, sequence was empty.");
  }
  const Value at = Value::of(std::uniform_int_distribution<std::int64_t>(0, *size - 1)(generator));
  if (value.is(Kind::dict)) {
    const Value* found = find(rt, *value.dict, at);
    if (found == nullptr) {
      fail("KeyError: random needs a sequence");
    }
    return *found;
  }
  if (!value.is_string() && !value.is_sequence() && !value.is(Kind::range)) {
    fail("'" + std::string(type_name(value)) + "' object is not subscriptable");
  }
  return get_item(rt, value, at);
}

Value length_filter(Runtime& rt, const Value& value, const Args& args) {
  expect_none("length", args);
  const auto size = length(rt, value);
  if (!size) {
    fail("object of type '" + std::string(type_name(value)) + "' has no len()");
  }
  return Value::of(*size);
}

Value items(Runtime& rt, const Value& value, const Args& args) {
  expect_none("items", args);
  if (value.is_undefined()) {
    return iterate_list(rt, rt.make_list());
  }
  if (!value.is(Kind::dict)) {
    fail("Can only get item pairs from a mapping.");
  }
  Value view{Kind::view};
  view.view = rt.memory.make<View>(View{value.dict, View::What::items});
  return iterate_list(rt, to_list(rt, view));
}

Value join(Runtime& rt, const Value& value, const Args& args) {
  const auto [separator, attribute] = bind<2>("join", args, {"d", "attribute"});
  const std::string_view between = separator == nullptr ? "" : text_of(rt, *separator);
  const bool has_path = attribute != nullptr && !attribute->is(Kind::none);
  const AttributePath path(rt, has_path ? attribute : nullptr);
  Builder out(rt.memory);
  Cursor cursor(rt, value);
  bool is_first = true;
  for (Value item; cursor.next(rt, item); is_first = false) {
    out.append(is_first ? std::string_view() : between);
    print(rt, has_path ? path.get(rt, item) : item, out);
  }
  return finish(rt, out);
}

Value default_filter(Runtime& rt, const Value& value, const Args& args) {
  const auto [fallback, boolean] = bind<2>("default", args, {"default_value", "boolean"});
  if (value.is_undefined() || (flag_or(rt, boolean, false) && !truthy(rt, value))) {
    return fallback != nullptr ? *fallback : rt.keep("");
  }
  return value;
}

Value attr(Runtime& rt, const Value& value, const Args& args) {
  const auto [name] = bind<1>("attr", args, {"name"}, 1);
  if (!name->is_string()) {
    fail("attribute name must be string, not '" + std::string(type_name(*name)) + "'");
  }
  if (value.is(Kind::dict)) {
    const Methods* methods = find_methods(name->text());
    return methods != nullptr && methods->dict != nullptr ? bind_method(rt, value, methods->dict, name->text())
                                                          : rt.undefined(name->text());
  }
  return get_attribute(rt, value, *name->string);
}

constexpr std::array<NamedNative, 14> table{{{"batch", batch},
                                             {"slice", slice},
                                             {"list", list_filter},
                                             {"first", first},
                                             {"last", last},
                                             {"reverse", reverse},
                                             {"random", random_item},
                                             {"length", length_filter},
                                             {"count", length_filter},
                                             {"items", items},
                                             {"join", join},
                                             {"default", default_filter},
                                             {"d", default_filter},
                                             {"attr", attr}}};

}  // namespace

NativeTable sequence_filters() noexcept { return table; }

Value iterate_list(Runtime& rt, List* list, std::string_view type_name) {
  return rt.make_iterator(rt.memory.make<ListIterator>(list, type_name));
}

AttributePath::AttributePath(Runtime& rt, const Value* attribute, const Value* fallback) {
  if (fallback != nullptr && !fallback->is(Kind::none)) {
    fallback_ = *fallback;
  }
  if (attribute == nullptr || attribute->is(Kind::none)) {
    return;
  }
  if (!attribute->is_string()) {
    parts_.push(rt.memory, *attribute);
    return;
  }
  std::string_view rest = attribute->text();
  while (true) {
    const std::size_t end = std::min(rest.find('.'), rest.size());
    const std::string_view part = rest.substr(0, end);
    const bool digits = !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
    const auto number = digits ? parse_int(rt.memory, part, 10) : std::nullopt;
    parts_.push(rt.memory, number ? *number : rt.str(part));
    if (end == rest.size()) {
      return;
    }
    rest.remove_prefix(end + 1);
  }
}

Value AttributePath::get(Runtime& rt, Value item) const {
  for (const Value& part : parts_) {
    rt.charge(1);
    item = get_item(rt, item, part);
    if (item.is_undefined() && !fallback_.is(Kind::missing)) {
      item = fallback_;
    }
  }
  return item;
}

Value ignore_case(Runtime& rt, const Value& value) {
  if (!value.is_string()) {
    return value;
  }
  rt.charge_bytes(value.string->size);
  return rt.str(to_lower(value.text()), value.string->flags & Str::markup);
}

}  // namespace loquat::tmpl
