#include "template/loop.h"

#include "template/library.h"

namespace loquat::tmpl {

namespace {

/// The next item that passes the loop's `if`.
[[nodiscard]] bool pull(Runtime& rt, Loop& loop, Value& out) {
  while (loop.items.next(rt, out)) {
    if (loop.node->test == nullptr || !loop.filtered || rt.passes(*loop.node, out, loop.scope)) {
      return true;
    }
  }
  return false;
}

[[nodiscard]] bool peek(Runtime& rt, Loop& loop) {
  if (loop.after.is(Kind::missing)) {
    Value item;
    if (!pull(rt, loop, item)) {
      return false;
    }
    loop.after = item;
  }
  return true;
}

Value cycle(Runtime&, const Value& self, const Args& args) {
  if (!args.keywords.empty() || args.positional.empty()) {
    fail("no items for cycling given");
  }
  return args.positional[usize(self.loop->index0) % args.positional.size()];
}

Value changed(Runtime& rt, const Value& self, const Args& args) {
  if (!args.keywords.empty()) {
    fail("changed() takes no keyword arguments");
  }
  Loop& loop = *self.loop;
  List* now = rt.make_list();
  for (const Value& value : args.positional) {
    now->items.push(rt.memory, value);
  }
  const bool same = loop.changed != nullptr && equal(rt, Value(loop.changed, Kind::tuple), Value(now, Kind::tuple));
  loop.changed = now;
  return Value::of(!same);
}

constexpr std::array<NamedNative, 2> methods{{{"cycle", cycle}, {"changed", changed}}};

}  // namespace

NativeTable loop_methods() noexcept { return methods; }

bool advance(Runtime& rt, Loop& loop) {
  Value item = loop.after;
  loop.after = Value();
  if (item.is(Kind::missing) && !pull(rt, loop, item)) {
    return false;
  }
  ++loop.index0;
  loop.before = loop.current;
  loop.current = item;
  return true;
}

bool next_of_loop(Runtime& rt, Loop& loop, Value& out) {
  if (!advance(rt, loop)) {
    return false;
  }
  Value self{Kind::loop};
  self.loop = &loop;
  out = rt.pair(loop.current, self);
  return true;
}

std::int64_t length_of_loop(Runtime& rt, Loop& loop) {
  if (loop.length < 0 && loop.node->test == nullptr && !loop.iterable.is(Kind::iterator)) {
    loop.length = length(rt, loop.iterable).value_or(-1);
  }
  if (loop.length < 0) {
    List* rest = rt.make_list();
    for (Value item; pull(rt, loop, item);) {
      rest->items.push(rt.memory, item);
    }
    loop.length = ssize(rest->items.size()) + loop.index0 + 1 + static_cast<std::int64_t>(!loop.after.is(Kind::missing));
    loop.filtered = false;
    loop.items = Cursor(rt, Value(rest, Kind::list));
  }
  return loop.length;
}

bool loop_attribute(Runtime& rt, Loop& loop, std::string_view name, Value& out) {
  if (name == "index") {
    out = Value::of(loop.index0 + 1);
  } else if (name == "index0") {
    out = Value::of(loop.index0);
  } else if (name == "first") {
    out = Value::of(loop.index0 == 0);
  } else if (name == "last") {
    out = Value::of(!peek(rt, loop));
  } else if (name == "length") {
    out = Value::of(length_of_loop(rt, loop));
  } else if (name == "revindex") {
    out = Value::of(length_of_loop(rt, loop) - loop.index0);
  } else if (name == "revindex0") {
    out = Value::of(length_of_loop(rt, loop) - loop.index0 - 1);
  } else if (name == "depth") {
    out = Value::of(loop.depth0 + 1);
  } else if (name == "depth0") {
    out = Value::of(loop.depth0);
  } else if (name == "previtem") {
    out = loop.index0 == 0 ? rt.undefined("previtem") : loop.before;
  } else if (name == "nextitem") {
    out = peek(rt, loop) ? loop.after : rt.undefined("nextitem");
  } else {
    return false;
  }
  return true;
}

}  // namespace loquat::tmpl
