#include <algorithm>
#include <vector>

#include "template/attribute_path.h"
#include "template/numbers.h"

namespace loquat::tmpl {

namespace {

[[nodiscard]] Value cased(Runtime& rt, const Value& value, bool case_sensitive) { return case_sensitive ? value : ignore_case(rt, value); }

/// "a,b" sorts by two attributes.
[[nodiscard]] std::vector<AttributePath> paths_of(Runtime& rt, const Value* attribute) {
  std::vector<AttributePath> paths;
  if (attribute == nullptr || !attribute->is_string()) {
    paths.emplace_back(rt, attribute);
    return paths;
  }
  std::string_view rest = attribute->text();
  while (true) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    const Value part = rt.str(rest.substr(0, end));
    paths.emplace_back(rt, &part);
    if (end == rest.size()) {
      return paths;
    }
    rest.remove_prefix(end + 1);
  }
}

Value sort_filter(Runtime& rt, const Value& value, const Args& args) {
  const auto [reverse, case_sensitive, attribute] = bind<3>("sort", args, {"reverse", "case_sensitive", "attribute"});
  const std::vector<AttributePath> paths = paths_of(rt, attribute);
  const bool sensitive = flag_or(rt, case_sensitive, false);
  List* items = to_list(rt, value);
  List* keys = rt.make_list();
  for (const Value& item : items->items) {
    List* key = rt.make_list();
    for (const AttributePath& path : paths) {
      key->items.push(rt.memory, cased(rt, path.get(rt, item), sensitive));
    }
    keys->items.push(rt.memory, Value(key, Kind::list));
  }
  sort(rt, keys->items, items->items, flag_or(rt, reverse, false));
  return Value(items, Kind::list);
}

Value dictsort(Runtime& rt, const Value& value, const Args& args) {
  const auto [case_sensitive, by, reverse] = bind<3>("dictsort", args, {"case_sensitive", "by", "reverse"});
  const std::string_view what = by == nullptr ? "key" : by->is_string() ? by->text() : "";
  if (what != "key" && what != "value") {
    fail("You can only sort by either \"key\" or \"value\"");
  }
  if (!value.is(Kind::dict)) {
    fail("'" + std::string(type_name(value)) + "' object has no attribute 'items'");
  }
  List* items = rt.make_list();
  List* keys = rt.make_list();
  for (const Entry& entry : entries_of(rt, *value.dict)) {
    items->items.push(rt.memory, rt.pair(entry.key, entry.value));
    keys->items.push(rt.memory, cased(rt, what == "key" ? entry.key : entry.value, flag_or(rt, case_sensitive, false)));
  }
  sort(rt, keys->items, items->items, flag_or(rt, reverse, false));
  return Value(items, Kind::list);
}

Value unique(Runtime& rt, const Value& value, const Args& args) {
  const auto [case_sensitive, attribute] = bind<2>("unique", args, {"case_sensitive", "attribute"});
  const AttributePath path(rt, attribute);
  const bool sensitive = flag_or(rt, case_sensitive, false);
  Dict* seen = rt.make_dict();
  List* out = rt.make_list();
  Cursor cursor(rt, value);
  for (Value item; cursor.next(rt, item);) {
    const Value key = cased(rt, path.get(rt, item), sensitive);
    if (find(rt, *seen, key) == nullptr) {
      set(rt, *seen, key, Value::none());
      out->items.push(rt.memory, item);
    }
  }
  return iterate_list(rt, out);
}

template <Compare better>
Value extreme(Runtime& rt, const Value& value, const Args& args) {
  const auto [case_sensitive, attribute] = bind<2>("min", args, {"case_sensitive", "attribute"});
  const AttributePath path(rt, attribute);
  const bool sensitive = flag_or(rt, case_sensitive, false);
  Cursor cursor(rt, value);
  Value best;
  if (!cursor.next(rt, best)) {
    return rt.undefined("No aggregated item, sequence was empty.");
  }
  Value best_key = cased(rt, path.get(rt, best), sensitive);
  for (Value item; cursor.next(rt, item);) {
    const Value key = cased(rt, path.get(rt, item), sensitive);
    if (truthy(rt, compare(rt, better, key, best_key))) {
      best = item;
      best_key = key;
    }
  }
  return best;
}

Value sum(Runtime& rt, const Value& value, const Args& args) {
  const auto [attribute, start] = bind<2>("sum", args, {"attribute", "start"});
  const AttributePath path(rt, attribute);
  Value total = start != nullptr ? *start : Value::of(std::int64_t{0});
  if (total.is_string()) {
    fail("sum() can't sum strings [use ''.join(seq) instead]");
  }
  Cursor cursor(rt, value);
  for (Value item; cursor.next(rt, item);) {
    total = binary(rt, Expr::Kind::add, total, path.get(rt, item));
  }
  return total;
}

Value groupby(Runtime& rt, const Value& value, const Args& args) {
  const auto [attribute, fallback, case_sensitive] = bind<3>("groupby", args, {"attribute", "default", "case_sensitive"}, 1);
  const AttributePath path(rt, attribute, fallback);
  const bool sensitive = flag_or(rt, case_sensitive, false);
  List* items = to_list(rt, value);
  List* keys = rt.make_list();
  for (const Value& item : items->items) {
    keys->items.push(rt.memory, cased(rt, path.get(rt, item), sensitive));
  }
  sort(rt, keys->items, items->items, false);
  List* out = rt.make_list();
  List* group = nullptr;
  for (std::size_t i = 0; i < items->items.size(); ++i) {
    rt.charge(1);
    if (group == nullptr || !equal(rt, keys->items[i], keys->items[i - 1])) {
      group = rt.make_list();
      const Value shown = sensitive ? keys->items[i] : path.get(rt, items->items[i]);
      const Value pair = rt.pair(shown, Value(group, Kind::list));
      pair.list->group = true;
      out->items.push(rt.memory, pair);
    }
    group->items.push(rt.memory, items->items[i]);
  }
  return Value(out, Kind::list);
}

constexpr std::array<NamedNative, 7> table{{{"sort", sort_filter},
                                            {"dictsort", dictsort},
                                            {"unique", unique},
                                            {"min", extreme<Compare::lt>},
                                            {"max", extreme<Compare::gt>},
                                            {"sum", sum},
                                            {"groupby", groupby}}};

}  // namespace

NativeTable order_filters() noexcept { return table; }

}  // namespace loquat::tmpl
