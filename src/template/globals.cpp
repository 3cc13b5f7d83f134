#include "template/library.h"

namespace loquat::tmpl {

namespace {

Value make_range_object(Runtime& rt, const Value&, const Args& args) {
  const auto [first, second, third] = bind<3>("range", args, {"", "", ""}, 1);
  const std::int64_t start = second == nullptr ? 0 : index_of(*first);
  const std::int64_t stop = index_of(second == nullptr ? *first : *second);
  const std::int64_t step = index_or(third, 1);
  if (step == 0) {
    fail("range() arg 3 must not be zero");
  }
  return rt.make_range(start, stop, step);
}

Value make_dict_object(Runtime& rt, const Value&, const Args& args) {
  Dict* dict = rt.make_dict();
  update_dict(rt, *dict, args);
  return Value(dict);
}

Value make_namespace(Runtime& rt, const Value&, const Args& args) {
  Dict* dict = rt.make_dict();
  update_dict(rt, *dict, args);
  return Value(dict, Kind::nspace);
}

Value make_cycler(Runtime& rt, const Value&, const Args& args) {
  if (!args.keywords.empty() || args.positional.empty()) {
    fail("at least one item has to be provided");
  }
  List* items = rt.make_list();
  for (const Value& item : args.positional) {
    items->items.push(rt.memory, item);
  }
  Value value{Kind::cycler};
  value.cycler = rt.memory.make<Cycler>(Cycler{items});
  return value;
}

Value make_joiner(Runtime& rt, const Value&, const Args& args) {
  static const Str comma{.data = ", ", .size = 2, .chars = 2, .hash = hash_text(", "), .flags = Str::author};
  const auto [separator] = bind<1>("joiner", args, {"sep"});
  Value value{Kind::joiner};
  value.joiner = rt.memory.make<Joiner>(Joiner{separator != nullptr ? *separator : Value(&comma)});
  return value;
}

Value refuse_lipsum(Runtime&, const Value&, const Args&) { fail("lipsum is not supported"); }

Value cycler_next(Runtime&, const Value& self, const Args& args) {
  expect_none("next", args);
  Cycler& cycler = *self.cycler;
  const Value item = cycler.items->items[cycler.position];
  cycler.position = (cycler.position + 1) % cycler.items->items.size();
  return item;
}

Value cycler_reset(Runtime&, const Value& self, const Args& args) {
  expect_none("reset", args);
  self.cycler->position = 0;
  return Value::none();
}

Value range_count(Runtime& rt, const Value& self, const Args& args) {
  const auto [item] = bind<1>("count", args, {""}, 1);
  return Value::of(static_cast<std::int64_t>(contains(rt, self, *item)));
}

Value range_index(Runtime& rt, const Value& self, const Args& args) {
  const auto [item] = bind<1>("index", args, {""}, 1);
  if (!item->is_index() || !contains(rt, self, *item)) {
    fail("value is not in range");
  }
  return Value::of((item->index() - self.range->start) / self.range->step);
}

constexpr std::array<NamedNative, 2> cycler_table{{{"next", cycler_next}, {"reset", cycler_reset}}};
constexpr std::array<NamedNative, 2> range_table{{{"count", range_count}, {"index", range_index}}};

constexpr std::array<Function, 6> globals{{
    {make_range_object, Value(), "range", true},
    {make_dict_object, Value(), "dict", true},
    {make_namespace, Value(), "jinja2.utils.Namespace", true},
    {make_cycler, Value(), "jinja2.utils.Cycler", true},
    {make_joiner, Value(), "jinja2.utils.Joiner", true},
    {refuse_lipsum, Value(), "generate_lorem_ipsum", false},
}};

constexpr std::array<std::string_view, 6> global_names{"range", "dict", "namespace", "cycler", "joiner", "lipsum"};

}  // namespace

NativeTable cycler_methods() noexcept { return cycler_table; }
NativeTable range_methods() noexcept { return range_table; }

Value find_global(std::string_view name) noexcept {
  for (std::size_t i = 0; i < globals.size(); ++i) {
    if (global_names[i] == name) {
      Value value{Kind::function};
      value.function = &globals[i];
      return value;
    }
  }
  return {};
}

}  // namespace loquat::tmpl
