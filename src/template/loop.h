#pragma once

#include <cstdint>

#include "template/objects.h"

namespace loquat::tmpl {

/// The variable `loop` of a for loop: hands out the items, and can look one ahead.
struct Loop {
  const ForNode* node = nullptr;
  bool filtered = true;         ///< the loop's `if` is still to be asked
  Activation* scope = nullptr;  ///< where the loop's own variables are
  Activation* outer = nullptr;  ///< where the loop stands: what a recursive call starts from
  Cursor items;
  Value iterable;
  std::int64_t index0 = -1;
  std::int64_t depth0 = 0;
  std::int64_t length = -1;
  Value current;
  Value before;
  Value after;  ///< missing: not looked at
  List* changed = nullptr;
};

/// Moves on to the next item; false at the end.
[[nodiscard]] bool advance(Runtime& rt, Loop& loop);
/// The attributes of `loop`; false: it has none of that name.
[[nodiscard]] bool loop_attribute(Runtime& rt, Loop& loop, std::string_view name, Value& out);
/// Iterating over `loop` itself gives pairs of item and loop, as Jinja2's LoopContext does.
[[nodiscard]] bool next_of_loop(Runtime& rt, Loop& loop, Value& out);
[[nodiscard]] std::int64_t length_of_loop(Runtime& rt, Loop& loop);

}  // namespace loquat::tmpl
