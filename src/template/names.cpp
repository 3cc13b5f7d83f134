#include "template/names.h"

#include <deque>
#include <map>
#include <set>
#include <vector>

#include "template/objects.h"
#include "template/unicode.h"
#include "template/walk.h"

namespace loquat::tmpl {

namespace {

/// A function of the generated code in Jinja2: the template, a macro, a recursive loop, a block. At run time one Activation a call.
struct FunctionScope {
  std::uint16_t level = 0;
  std::uint32_t slots = 0;
};

struct Ref {
  std::string_view name;
  FunctionScope* scope;
  std::uint32_t slot;
  bool stored = false;  ///< otherwise the name is only read here and comes from outside the template
};

struct Rule {
  enum class From { param, outside, outer, nothing };
  From from;
  const Ref* outer = nullptr;
};

/// The variables of one frame. The branches of an `if` have a layer each over those of their frame.
struct Symbols {
  const Symbols* parent = nullptr;  ///< the frame around
  const Symbols* base = nullptr;    ///< the same frame before the branch
  FunctionScope* scope = nullptr;
  std::map<std::string_view, Ref*>* known = nullptr;  ///< all refs of the frame, shared by its layers
  bool exports = false;                               ///< names from outside may be what the top level has set
  std::map<std::string_view, Ref*> refs;
  std::map<const Ref*, Rule> loads;
  std::set<std::string_view> stores;

  [[nodiscard]] Ref* find(std::string_view name) const {
    for (const Symbols* frame = this; frame != nullptr; frame = frame->parent) {
      for (const Symbols* layer = frame; layer != nullptr; layer = layer->base) {
        if (const auto found = layer->refs.find(name); found != layer->refs.end()) {
          return found->second;
        }
      }
    }
    return nullptr;
  }
  [[nodiscard]] bool has_own(std::string_view name) const {
    for (const Symbols* layer = this; layer != nullptr; layer = layer->base) {
      if (layer->refs.contains(name)) {
        return true;
      }
    }
    return false;
  }
  [[nodiscard]] bool has_stored(std::string_view name) const {
    for (const Symbols* layer = this; layer != nullptr; layer = layer->base) {
      if (layer->stores.contains(name)) {
        return true;
      }
    }
    return false;
  }
};

class Binder {
 public:
  Binder(Ast& ast, int& line) : ast_(ast), line_(line) {}

  void run() {
    FunctionScope root;
    Symbols symbols = make_frame(nullptr, root);
    analyze(ast_.body, symbols);
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
  // --- frames

  [[nodiscard]] Symbols make_frame(const Symbols* parent, FunctionScope& scope) {
    Symbols frame;
    frame.parent = parent;
    frame.scope = &scope;
    frame.known = &known_.emplace_back();
    frame.exports = parent != nullptr && parent->exports;
    return frame;
  }

  [[nodiscard]] static Symbols make_layer(const Symbols& base) {
    Symbols layer;
    layer.parent = base.parent;
    layer.base = &base;
    layer.scope = base.scope;
    layer.known = base.known;
    layer.exports = base.exports;
    return layer;
  }

  Ref* define(Symbols& frame, std::string_view name, Rule rule) {
    Ref*& ref = (*frame.known)[name];
    if (ref == nullptr) {
      ref = &refs_.emplace_back(Ref{name, frame.scope, frame.scope->slots++});
    }
    frame.refs[name] = ref;
    frame.loads[ref] = rule;
    return ref;
  }

  void load(Symbols& frame, std::string_view name) {
    if (frame.find(name) == nullptr) {
      define(frame, name, {Rule::From::outside});
    }
  }

  void store(Symbols& frame, std::string_view name) {
    frame.stores.insert(name);
    if (!frame.has_own(name)) {
      const Ref* outer = frame.parent != nullptr ? frame.parent->find(name) : nullptr;
      define(frame, name, outer != nullptr ? Rule{Rule::From::outer, outer} : Rule{Rule::From::nothing});
    }
    frame.find(name)->stored = true;
  }

  Ref* declare(Symbols& frame, std::string_view name) {
    frame.stores.insert(name);
    Ref* ref = define(frame, name, {Rule::From::param});
    ref->stored = true;
    return ref;
  }

  /// After an `if`: what only some branches assign starts as the outer value.
  void join(Symbols& frame, const std::vector<Symbols>& branches) {
    std::set<std::string_view> stores;
    for (const Symbols& branch : branches) {
      for (const std::string_view name : branch.stores) {
        if (!frame.has_stored(name)) {
          stores.insert(name);
        }
      }
    }
    for (const Symbols& branch : branches) {
      frame.refs.insert(branch.refs.begin(), branch.refs.end());
      for (const auto& [ref, rule] : branch.loads) {
        frame.loads[ref] = rule;
      }
      frame.stores.insert(branch.stores.begin(), branch.stores.end());
    }
    for (const std::string_view name : stores) {
      const Ref* target = frame.find(name);
      const Ref* outer = frame.parent != nullptr ? frame.parent->find(name) : nullptr;
      frame.loads[target] = outer != nullptr ? Rule{Rule::From::outer, outer} : Rule{Rule::From::outside};
    }
  }

  // --- analysis: which names a frame has

  void analyze(const Expr* expr, Use use, Symbols& frame) {
    if (expr == nullptr) {
      return;
    }
    if (expr->kind == Expr::Kind::member) {
      load(frame, expr->name->view());
      return;
    }
    if (expr->kind == Expr::Kind::tuple && use != Use::load) {
      for (const Expr* item : expr->items) {
        analyze(item, use, frame);
      }
      return;
    }
    const auto seen = [&](const Expr& name, Use how) {
      const std::string_view text = name.name->view();
      if (how == Use::load) {
        load(frame, text);
      } else if (how == Use::store) {
        store(frame, text);
      } else {
        declare(frame, text);
      }
    };
    walk(expr, use, seen);
  }

  void analyze(Body body, Symbols& frame) {
    for (const Stmt* stmt : body) {
      analyze(*stmt, frame);
    }
  }

  void analyze(const Stmt& stmt, Symbols& frame) {
    switch (stmt.kind) {
      case Stmt::Kind::text:
      case Stmt::Kind::block:
      case Stmt::Kind::autoescape: return;
      case Stmt::Kind::print: analyze(stmt.value, Use::load, frame); return;
      case Stmt::Kind::branch: analyze_branches(stmt, frame); return;
      case Stmt::Kind::loop: analyze(stmt.loop->iterable, Use::load, frame); return;
      case Stmt::Kind::assign:
        analyze(stmt.value, Use::load, frame);
        analyze(stmt.target, Use::store, frame);
        return;
      case Stmt::Kind::assign_block: analyze(stmt.target, Use::store, frame); return;
      case Stmt::Kind::macro: store(frame, stmt.macro->name->view()); return;
      case Stmt::Kind::call_block:
      case Stmt::Kind::filter_block: analyze(stmt.value, Use::load, frame); return;
      case Stmt::Kind::with:
        for (const Expr* value : stmt.values) {
          analyze(value, Use::load, frame);
        }
        return;
    }
  }

  void analyze_branches(const Stmt& stmt, Symbols& frame) {
    analyze(stmt.branches[0].condition, Use::load, frame);
    std::vector<Symbols> layers;
    layers.push_back(make_layer(frame));
    analyze(stmt.branches[0].body, layers.back());
    Symbols elifs = make_layer(frame);
    Symbols otherwise = make_layer(frame);
    for (const Branch& branch : stmt.branches.subspan(1)) {
      if (branch.condition == nullptr) {
        analyze(branch.body, otherwise);
        continue;
      }
      analyze(branch.condition, Use::load, elifs);
      std::vector<Symbols> inner;
      inner.push_back(make_layer(elifs));
      analyze(branch.body, inner.back());
      join(elifs, inner);
    }
    layers.push_back(std::move(elifs));
    layers.push_back(std::move(otherwise));
    join(frame, layers);
  }

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
    Symbols inner = make_frame(is_block ? nullptr : &frame, is_block ? own : *frame.scope);
    inner.exports = frame.exports || is_block;
    if (stmt.kind == Stmt::Kind::autoescape) {
      analyze(stmt.value, Use::load, inner);
    }
    for (const Expr* target : stmt.targets) {
      analyze(target, Use::param, inner);
    }
    analyze(stmt.body, inner);
    if (stmt.kind == Stmt::Kind::filter_block) {
      analyze(stmt.value, Use::load, inner);
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

    Symbols body = make_frame(&frame, scope);
    if (loop.recursive || uses(loop.body, "loop")) {
      loop.loop_slot = declare(body, "loop")->slot;
    }
    analyze(loop.target, Use::param, body);
    analyze(loop.body, body);
    loop.frame = make_entry(body);
    bind(loop.target, body);

    if (loop.test != nullptr) {
      Symbols test = make_frame(&frame, scope);
      analyze(loop.test_target, Use::param, test);
      analyze(loop.test, Use::load, test);
      loop.test_frame = make_entry(test);
      bind(loop.test_target, test);
      bind(loop.test, test);
    }
    bind(loop.body, body, false);
    if (loop.has_else) {
      Symbols otherwise = make_frame(&frame, scope);
      analyze(loop.otherwise, otherwise);
      loop.else_frame = make_entry(otherwise);
      bind(loop.otherwise, otherwise, false);
    }
    soft_ = soft_before;
    loop.slots = own.slots;
  }

  void bind_macro(MacroNode& macro, const Symbols& frame) {
    FunctionScope own{static_cast<std::uint16_t>(frame.scope->level + 1)};
    Symbols inner = make_frame(&frame, own);
    bool caller_fallback = false;
    bool own_varargs = false;
    bool own_kwargs = false;
    for (Param& param : macro.params) {
      const std::string_view name = param.name->view();
      param.slot = declare(inner, name)->slot;
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
        macro.caller_slot = declare(inner, "caller")->slot;
      } else if (!caller_fallback) {
        line_ = macro.line;
        fail("When defining macros or call blocks the special \"caller\" argument must be omitted or be given a default.");
      }
    }
    if (!own_kwargs && uses(macro.body, "kwargs")) {
      macro.kwargs_slot = declare(inner, "kwargs")->slot;
    }
    if (!own_varargs && uses(macro.body, "varargs")) {
      macro.varargs_slot = declare(inner, "varargs")->slot;
    }
    for (const Param& param : macro.params) {
      analyze(param.fallback, Use::load, inner);
    }
    analyze(macro.body, inner);
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
  bool soft_ = false;  ///< inside an `if`: an unknown filter or test fails only when it is reached
  std::deque<Ref> refs_;
  std::deque<std::map<std::string_view, Ref*>> known_;
  std::map<std::string_view, std::uint32_t> global_slots_;
  std::vector<const Str*> global_names_;
};

}  // namespace

void bind_names(Ast& ast, int& line) { Binder(ast, line).run(); }

}  // namespace loquat::tmpl
