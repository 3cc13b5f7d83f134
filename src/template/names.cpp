#include "template/names.h"

#include <map>
#include <vector>

#include "template/objects.h"
#include "template/symbols.h"
#include "template/unicode.h"

namespace loquat::tmpl {

namespace {

class Binder {
 public:
  Binder(Ast& ast, int& line) : ast_(ast), line_(line) {}

  void run() {
    FunctionScope root;
    Symbols symbols = analysis_.make_frame(nullptr, root);
    analysis_.analyze(ast_.body, symbols);
    ast_.frame = make_entry(symbols);
    bind(ast_.body, symbols, true);
    ast_.slots = root.slots;
    const Str** globals = ast_.memory.make_array<const Str*>(global_names_.size());
    for (const auto& [name, slot] : global_slots_) {
      globals[slot] = global_names_[slot];
    }
    ast_.globals = {globals, global_names_.size()};
  }

 private:
  // --- binding: where each name is found

  [[nodiscard]] Binding bind_outside(std::string_view name, bool exports) {
    auto [found, is_new] = global_slots_.try_emplace(name, static_cast<std::uint32_t>(global_names_.size()));
    if (is_new) {
      Str* str = ast_.memory.make<Str>();
      str->data = name.data();
      str->size = name.size();
      str->chars = count_chars(name);
      str->hash = hash_text(name);
      global_names_.push_back(str);
    }
    return {exports ? Binding::Where::exported : Binding::Where::global, 0, found->second};
  }

  [[nodiscard]] Binding bind_ref(const Ref* ref, std::string_view name, const Symbols& frame) {
    if (ref == nullptr || !ref->stored) {
      return bind_outside(name, frame.exports);
    }
    return {Binding::Where::local, static_cast<std::uint16_t>(frame.scope->level - ref->scope->level), ref->slot};
  }

  [[nodiscard]] Frame make_entry(const Symbols& frame) {
    std::vector<Load> loads;
    for (const auto& [ref, rule] : frame.loads) {
      if (!ref->stored || rule.from == Rule::From::param) {
        continue;
      }
      Load load{ref->slot, rule.from != Rule::From::nothing, {}};
      if (rule.from == Rule::From::outside) {
        load.source = bind_outside(ref->name, frame.exports);
      } else if (rule.from == Rule::From::outer) {
        load.source = bind_ref(rule.outer, ref->name, frame);
      }
      loads.push_back(load);
    }
    Load* kept = ast_.memory.make_array<Load>(loads.size());
    std::copy(loads.begin(), loads.end(), kept);
    return {{kept, loads.size()}};
  }

  void bind(Expr* expr, const Symbols& frame) {
    if (expr == nullptr) {
      return;
    }
    const bool soft_before = soft_;
    soft_ = soft_ || expr->kind == Expr::Kind::conditional;
    bind_inner(expr, frame);
    soft_ = soft_before;
  }

  void check_known(const Expr& expr) {
    const bool filter = expr.kind == Expr::Kind::filter;
    if ((filter || expr.kind == Expr::Kind::test) && expr.native == nullptr && !soft_) {
      line_ = expr.line;
      fail("No " + std::string(filter ? "filter" : "test") + " named '" + std::string(expr.name->view()) + "'.");
    }
  }

  void bind_inner(Expr* expr, const Symbols& frame) {
    check_known(*expr);
    if (expr->kind == Expr::Kind::name || expr->kind == Expr::Kind::member) {
      expr->binding = bind_ref(frame.find(expr->name->view()), expr->name->view(), frame);
      return;
    }
    for (Expr* child : {expr->a, expr->b, expr->c, expr->d}) {
      bind(child, frame);
    }
    for (Expr* item : expr->items) {
      bind(item, frame);
    }
    for (const Comparison& comparison : expr->comparisons) {
      bind(comparison.operand, frame);
    }
    if (expr->args != nullptr) {
      for (Expr* arg : expr->args->positional) {
        bind(arg, frame);
      }
      for (const KeywordExpr& keyword : expr->args->keywords) {
        bind(keyword.value, frame);
      }
      bind(expr->args->more_positional, frame);
      bind(expr->args->more_keywords, frame);
    }
  }

  void bind(Body body, const Symbols& frame, bool top_level) {
    for (Stmt* stmt : body) {
      line_ = stmt->line;
      bind(*stmt, frame, top_level);
    }
  }

  void bind(Stmt& stmt, const Symbols& frame, bool top_level) {
    switch (stmt.kind) {
      case Stmt::Kind::text: return;
      case Stmt::Kind::print: bind(stmt.value, frame); return;
      case Stmt::Kind::branch: {
        const bool soft_before = soft_;
        soft_ = true;
        for (const Branch& branch : stmt.branches) {
          bind(branch.condition, frame);
          bind(branch.body, frame, top_level);
        }
        soft_ = soft_before;
        return;
      }
      case Stmt::Kind::loop: bind_loop(*stmt.loop, frame); return;
      case Stmt::Kind::assign:
        stmt.exported = top_level;
        bind(stmt.target, frame);
        bind(stmt.value, frame);
        return;
      case Stmt::Kind::macro:
        stmt.exported = top_level;
        bind(stmt.target, frame);
        bind_macro(*stmt.macro, frame);
        return;
      case Stmt::Kind::call_block:
        bind(stmt.value, frame);
        bind_macro(*stmt.macro, frame);
        return;
      default: bind_scope(stmt, frame, top_level);
    }
  }

  /// The statements with a frame of their own in the same function; and blocks, which see nothing around them.
  void bind_scope(Stmt& stmt, const Symbols& frame, bool top_level) {
    FunctionScope own;
    const bool is_block = stmt.kind == Stmt::Kind::block;
    Symbols inner = analysis_.make_frame(is_block ? nullptr : &frame, is_block ? own : *frame.scope);
    inner.exports = frame.exports || is_block;
    if (stmt.kind == Stmt::Kind::autoescape) {
      analysis_.analyze(stmt.value, Use::load, inner);
    }
    for (const Expr* target : stmt.targets) {
      analysis_.analyze(target, Use::param, inner);
    }
    analysis_.analyze(stmt.body, inner);
    if (stmt.kind == Stmt::Kind::filter_block) {
      analysis_.analyze(stmt.value, Use::load, inner);
    }
    stmt.frame = make_entry(inner);
    if (stmt.kind == Stmt::Kind::assign_block) {
      stmt.exported = top_level;
      bind(stmt.target, frame);
    }
    for (Expr* value : stmt.values) {
      bind(value, frame);
    }
    const bool soft_before = soft_;
    soft_ = false;
    for (Expr* target : stmt.targets) {
      bind(target, inner);
    }
    bind(stmt.value, inner);
    bind(stmt.body, inner, false);
    soft_ = soft_before;
    stmt.slots = own.slots;
  }

  void check_loop_name(const ForNode& loop) {
    const auto seen = [](const Expr& name, Use use) {
      if (use == Use::store && name.name->view() == "loop") {
        fail("Can't assign to special loop variable in for-loop target");
      }
    };
    walk_loop(loop, seen);
  }

  [[nodiscard]] static bool uses(Body body, std::string_view wanted) {
    bool hidden = false;
    bool used = false;
    const auto seen = [&](const Expr& name, Use use) {
      if (name.name->view() == wanted) {
        used = used || (use == Use::load && !hidden);
        hidden = hidden || use != Use::load;
      }
    };
    walk(body, seen);
    return used;
  }

  void bind_loop(ForNode& loop, const Symbols& frame) {
    check_loop_name(loop);
    FunctionScope own{static_cast<std::uint16_t>(frame.scope->level + 1)};
    FunctionScope& scope = loop.recursive ? own : *frame.scope;
    bind(loop.iterable, frame);
    const bool soft_before = soft_;
    soft_ = false;

    Symbols body = analysis_.make_frame(&frame, scope);
    if (loop.recursive || uses(loop.body, "loop")) {
      loop.loop_slot = analysis_.declare(body, "loop")->slot;
    }
    analysis_.analyze(loop.target, Use::param, body);
    analysis_.analyze(loop.body, body);
    loop.frame = make_entry(body);
    bind(loop.target, body);

    if (loop.test != nullptr) {
      Symbols test = analysis_.make_frame(&frame, scope);
      analysis_.analyze(loop.test_target, Use::param, test);
      analysis_.analyze(loop.test, Use::load, test);
      loop.test_frame = make_entry(test);
      bind(loop.test_target, test);
      bind(loop.test, test);
    }
    bind(loop.body, body, false);
    if (loop.has_else) {
      Symbols otherwise = analysis_.make_frame(&frame, scope);
      analysis_.analyze(loop.otherwise, otherwise);
      loop.else_frame = make_entry(otherwise);
      bind(loop.otherwise, otherwise, false);
    }
    soft_ = soft_before;
    loop.slots = own.slots;
  }

  void bind_macro(MacroNode& macro, const Symbols& frame) {
    FunctionScope own{static_cast<std::uint16_t>(frame.scope->level + 1)};
    Symbols inner = analysis_.make_frame(&frame, own);
    bool caller_fallback = false;
    bool own_varargs = false;
    bool own_kwargs = false;
    for (Param& param : macro.params) {
      const std::string_view name = param.name->view();
      param.slot = analysis_.declare(inner, name)->slot;
      if (name == "caller") {
        macro.explicit_caller = true;
        caller_fallback = param.fallback != nullptr;
      }
      own_varargs = own_varargs || name == "varargs";
      own_kwargs = own_kwargs || name == "kwargs";
    }
    if (uses(macro.body, "caller")) {
      macro.uses_caller = true;
      if (!macro.explicit_caller) {
        macro.caller_slot = analysis_.declare(inner, "caller")->slot;
      } else if (!caller_fallback) {
        line_ = macro.line;
        fail("When defining macros or call blocks the special \"caller\" argument must be omitted or be given a default.");
      }
    }
    if (!own_kwargs && uses(macro.body, "kwargs")) {
      macro.kwargs_slot = analysis_.declare(inner, "kwargs")->slot;
    }
    if (!own_varargs && uses(macro.body, "varargs")) {
      macro.varargs_slot = analysis_.declare(inner, "varargs")->slot;
    }
    for (const Param& param : macro.params) {
      analysis_.analyze(param.fallback, Use::load, inner);
    }
    analysis_.analyze(macro.body, inner);
    macro.frame = make_entry(inner);
    const bool soft_before = soft_;
    soft_ = false;
    for (const Param& param : macro.params) {
      bind(param.fallback, inner);
    }
    bind(macro.body, inner, false);
    soft_ = soft_before;
    macro.slots = own.slots;
  }

  Ast& ast_;
  int& line_;
  Analysis analysis_;
  bool soft_ = false;  ///< inside an `if`: an unknown filter or test fails only when it is reached
  std::map<std::string_view, std::uint32_t> global_slots_;
  std::vector<const Str*> global_names_;
};

}  // namespace

void bind_names(Ast& ast, int& line) { Binder(ast, line).run(); }

}  // namespace loquat::tmpl
