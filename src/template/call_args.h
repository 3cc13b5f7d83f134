#pragma once

#include <array>

#include "template/objects.h"

namespace loquat::tmpl {

/// The evaluated arguments of one call; a few of them need no memory of the rendering.
class CallArguments {
 public:
  CallArguments(Runtime& rt, const CallArgs& args, const Value* caller);
  CallArguments(const CallArguments&) = delete;
  CallArguments& operator=(const CallArguments&) = delete;
  [[nodiscard]] const Args& get() const noexcept { return args_; }

 private:
  void add_positional(Runtime& rt, const Value& more);
  void add_keywords(Runtime& rt, const Value& more);

  static constexpr std::size_t few = 4;

  std::array<Value, few> few_positional_;
  std::array<Keyword, few> few_keywords_{};
  Vec<Value> many_positional_;
  Vec<Keyword> many_keywords_;
  Args args_;
};

/// `loop(...)`: fails unless the loop is recursive.
[[nodiscard]] Value call_loop(Runtime& rt, const Loop& loop, const Args& args);

}  // namespace loquat::tmpl
