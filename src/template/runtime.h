#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "template/ast.h"
#include "template/escape.h"
#include "template/memory.h"
#include "template/template.h"
#include "template/value.h"

namespace loquat::tmpl {

/// The variables of one call of a macro, of a recursive loop, of a block, or of the template itself.
struct Activation {
  Activation* outer;
  Value* slots;
};

/// One rendering: evaluates the tree, and makes values for the built-ins. Used by one thread.
class Runtime {
 public:
  Runtime(const Ast& ast, const json::object& variables, const Limits& limits, Escape escape);
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  [[nodiscard]] std::string run();
  [[nodiscard]] int line() const noexcept { return line_; }
  [[nodiscard]] bool autoescape() const noexcept { return autoescape_; }

  Memory memory;

  // --- limits
  void charge(std::size_t steps) {
    if (steps > budget_) {
      fail_steps();
    }
    budget_ -= steps;
  }
  /// For work that is linear in some text.
  void charge_bytes(std::size_t bytes) { charge(bytes / 64 + 1); }
  /// Every function that calls itself with the depth of a value or template asks this first.
  void check_stack() const {
    const char* here = static_cast<const char*>(__builtin_frame_address(0));
    if (here < stack_end_) {
      fail_stack();
    }
  }

  // --- making values
  [[nodiscard]] Value str(std::string_view text, std::uint8_t flags = 0) { return keep(memory.copy(text), flags); }
  /// As str(), for text that outlives the rendering: no copy.
  [[nodiscard]] Value keep(std::string_view text, std::uint8_t flags = 0) {
    Str* made = memory.make<Str>();
    made->data = text.empty() ? "" : text.data();
    made->size = text.size();
    made->flags = flags;
    return Value(made);
  }
  [[nodiscard]] Value undefined(std::string_view name, bool plain = false) {
    Value value{Kind::undefined};
    value.undefined = memory.make<Undefined>(Undefined{name, plain});
    return value;
  }
  [[nodiscard]] List* make_list() { return memory.make<List>(); }
  [[nodiscard]] Dict* make_dict() { return memory.make<Dict>(); }
  [[nodiscard]] Value make_range(std::int64_t start, std::int64_t stop, std::int64_t step);
  [[nodiscard]] Value make_iterator(Iterator* iterator) {
    Value value{Kind::iterator};
    value.iterator = iterator;
    return value;
  }
  [[nodiscard]] Value pair(const Value& first, const Value& second);
  [[nodiscard]] Value from_json(const json::value& value);

  // --- evaluation
  [[nodiscard]] Value eval(const Expr& expr);
  [[nodiscard]] Value call(const Value& callee, const Args& args);
  [[nodiscard]] Value call_macro(const Macro& macro, const Args& args);
  /// What `loop(...)` does in a recursive loop.
  [[nodiscard]] Value recurse(const ForNode& node, const Value& iterable, std::int64_t depth0, Activation* outer);
  /// Evaluates the `if` of a loop for `item`, which then is what its targets hold: a tuple of its parts where it was unpacked.
  [[nodiscard]] bool passes(const ForNode& node, Value& item, Activation* scope);
  void enter(const Frame& frame, Activation* scope);

 private:
  friend class ScopedOutput;
  friend class ScopedActivation;

  [[noreturn]] void fail_steps() const;
  [[noreturn]] static void fail_stack();

  // names
  [[nodiscard]] Value load(const Binding& binding);
  [[nodiscard]] Value load_global(std::uint32_t slot);
  [[nodiscard]] Value& local(const Binding& binding);
  [[nodiscard]] Activation* make_activation(Activation* outer, std::uint32_t slots);

  // expressions
  [[nodiscard]] Value eval_name(const Expr& expr);
  [[nodiscard]] Value eval_attribute(const Expr& expr);
  [[nodiscard]] Value eval_items(const Expr& expr);
  [[nodiscard]] Value eval_dict(const Expr& expr);
  [[nodiscard]] Value eval_binary(const Expr& expr);
  [[nodiscard]] Value eval_logic(const Expr& expr);
  [[nodiscard]] Value eval_concat(const Expr& expr);
  [[nodiscard]] Value eval_compare(const Expr& expr);
  [[nodiscard]] Value eval_slice(const Expr& expr);
  [[nodiscard]] Value eval_call(const Expr& expr, const Value* caller = nullptr);
  [[nodiscard]] Value eval_filter(const Expr& expr, const Value* input = nullptr);
  [[nodiscard]] Value eval_test(const Expr& expr);
  [[nodiscard]] Value apply(const Expr& expr, const Value& value);

  // statements
  void exec(Body body);
  void exec(const Stmt& stmt);
  void exec_branch(const Stmt& stmt);
  void exec_loop(const ForNode& node, const Value& iterable, std::int64_t depth0);
  void exec_assign_block(const Stmt& stmt);
  void exec_macro(const Stmt& stmt);
  void exec_call_block(const Stmt& stmt);
  void exec_filter_block(const Stmt& stmt);
  void exec_with(const Stmt& stmt);
  void exec_autoescape(const Stmt& stmt);
  void exec_block(const Stmt& stmt);
  [[nodiscard]] Value capture(Body body);
  void assign(const Expr& target, const Value& value);
  [[nodiscard]] Value collect(const Expr& target);
  void assign_tuple(const Expr& target, const Value& value);
  void publish(const Expr& target);
  void bind_macro_args(const MacroNode& node, const Args& args, Activation& scope);

  // output
  void emit_text(const Str& text);
  void emit(const Value& value);
  void emit_block(const Value& value);
  void check_output() const;

  const Ast& ast_;
  const json::object& variables_;
  const Limits& limits_;
  std::size_t budget_;
  const char* stack_end_;
  int line_ = 1;
  std::size_t depth_ = 0;
  bool autoescape_ = false;
  Value* globals_ = nullptr;
  Activation* scope_ = nullptr;
  Dict* exported_ = nullptr;
  Builder root_;
  Builder* out_ = &root_;
  Escaper escaper_;
};

}  // namespace loquat::tmpl
