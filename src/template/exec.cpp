#include "template/call_args.h"
#include "template/library.h"
#include "template/loop.h"
#include "template/objects.h"
#include "template/runtime.h"

namespace loquat::tmpl {

void Runtime::exec(Body body) {
  check_stack();
  for (const Stmt* stmt : body) {
    exec(*stmt);
  }
}

void Runtime::exec(const Stmt& stmt) {
  charge(1);
  switch (stmt.kind) {
    case Stmt::Kind::text: emit_text(*stmt.text); return;
    case Stmt::Kind::print:
      line_ = stmt.line;
      emit(eval(*stmt.value));
      return;
    case Stmt::Kind::branch: exec_branch(stmt); return;
    case Stmt::Kind::loop: {
      line_ = stmt.line;
      const Value iterable = eval(*stmt.loop->iterable);
      Activation* const outer = scope_;
      if (stmt.loop->recursive) {
        scope_ = make_activation(outer, stmt.loop->slots);
      }
      exec_loop(*stmt.loop, iterable, 0);
      scope_ = outer;
      return;
    }
    case Stmt::Kind::assign:
      line_ = stmt.line;
      assign(*stmt.target, eval(*stmt.value));
      if (stmt.exported) {
        publish(*stmt.target);
      }
      return;
    case Stmt::Kind::assign_block: exec_assign_block(stmt); return;
    case Stmt::Kind::macro: exec_macro(stmt); return;
    case Stmt::Kind::call_block: exec_call_block(stmt); return;
    case Stmt::Kind::filter_block: exec_filter_block(stmt); return;
    case Stmt::Kind::with: exec_with(stmt); return;
    case Stmt::Kind::autoescape: exec_autoescape(stmt); return;
    case Stmt::Kind::block: exec_block(stmt); return;
  }
}

void Runtime::exec_branch(const Stmt& stmt) {
  line_ = stmt.line;
  for (const Branch& branch : stmt.branches) {
    if (branch.condition == nullptr || truthy(*this, eval(*branch.condition))) {
      exec(branch.body);
      return;
    }
  }
}

// --- loops

void Runtime::exec_loop(const ForNode& node, const Value& iterable, std::int64_t depth0) {
  Loop* loop = memory.make<Loop>();
  loop->node = &node;
  loop->scope = scope_;
  loop->outer = node.recursive ? scope_->outer : scope_;
  loop->items = Cursor(*this, iterable);
  loop->iterable = iterable;
  loop->depth0 = depth0;
  if (node.test != nullptr) {
    enter(node.test_frame, scope_);
  }
  while (advance(*this, *loop)) {
    assign(*node.target, loop->current);
    if (node.loop_slot >= 0) {
      Value self{Kind::loop};
      self.loop = loop;
      scope_->slots[node.loop_slot] = self;
    }
    if (!node.frame.loads.empty()) {
      enter(node.frame, scope_);
    }
    exec(node.body);
  }
  if (node.has_else && loop->index0 < 0) {
    enter(node.else_frame, scope_);
    exec(node.otherwise);
  }
}

Value Runtime::collect(const Expr& target) {
  if (target.kind != Expr::Kind::tuple) {
    return local(target.binding);
  }
  List* list = make_list();
  for (const Expr* item : target.items) {
    list->items.push(memory, collect(*item));
  }
  return Value(list, Kind::tuple);
}

bool Runtime::passes(const ForNode& node, Value& item, Activation* scope) {
  Activation* const before = scope_;
  scope_ = scope;
  assign(*node.test_target, item);
  const bool result = truthy(*this, eval(*node.test));
  item = collect(*node.test_target);
  scope_ = before;
  return result;
}

Value Runtime::recurse(const ForNode& node, const Value& iterable, std::int64_t depth0, Activation* outer) {
  if (++depth_ > limits_.depth) {
    fail("the template is nested too deeply");
  }
  Activation* const before = scope_;
  Builder* const out_before = out_;
  Builder out(memory);
  scope_ = make_activation(outer, node.slots);
  out_ = &out;
  exec_loop(node, iterable, depth0);
  out_ = out_before;
  scope_ = before;
  --depth_;
  return finish(*this, out, autoescape_ ? Str::markup : std::uint8_t{0});
}

Value call_loop(Runtime& rt, const Loop& loop, const Args& args) {
  if (!loop.node->recursive) {
    fail("The loop must have the 'recursive' marker to be called recursively.");
  }
  const auto [iterable] = bind<1>("loop", args, {"iterable"}, 1);
  return rt.recurse(*loop.node, *iterable, loop.depth0 + 1, loop.outer);
}

// --- assignment

void Runtime::assign(const Expr& target, const Value& value) {
  if (target.kind == Expr::Kind::tuple) {
    assign_tuple(target, value);
    return;
  }
  if (target.kind == Expr::Kind::name) {
    local(target.binding) = value;
    return;
  }
  const Value object = load(target.binding);
  if (!object.is(Kind::nspace)) {
    fail("cannot assign attribute on non-namespace object");
  }
  set(*this, *object.dict, target.constant, value);
}

void Runtime::assign_tuple(const Expr& target, const Value& value) {
  if (!is_iterable(value)) {
    fail("cannot unpack non-iterable " + std::string(type_name(value)) + " object");
  }
  Vec<Value> items;
  Cursor cursor(*this, value);
  for (Value item; cursor.next(*this, item);) {
    items.push(memory, item);
    if (items.size() > target.items.size()) {
      fail("too many values to unpack (expected " + std::to_string(target.items.size()) + ")");
    }
  }
  if (items.size() < target.items.size()) {
    fail("not enough values to unpack (expected " + std::to_string(target.items.size()) + ", got " + std::to_string(items.size()) + ")");
  }
  for (std::size_t i = 0; i < items.size(); ++i) {
    assign(*target.items[i], items[i]);
  }
}

/// What the top level sets can be read in blocks.
void Runtime::publish(const Expr& target) {
  if (exported_ == nullptr) {
    return;
  }
  if (target.kind == Expr::Kind::tuple) {
    for (const Expr* item : target.items) {
      publish(*item);
    }
  } else if (target.kind == Expr::Kind::name) {
    set(*this, *exported_, Value(target.name), local(target.binding));
  }
}

// --- statements with a body

Value Runtime::capture(Body body) {
  Builder* const before = out_;
  Builder out(memory);
  out_ = &out;
  exec(body);
  out_ = before;
  return finish(*this, out, autoescape_ ? Str::markup : std::uint8_t{0});
}

void Runtime::exec_assign_block(const Stmt& stmt) {
  enter(stmt.frame, scope_);
  Value value = capture(stmt.body);
  if (stmt.value != nullptr) {
    line_ = stmt.line;
    value = eval_filter(*stmt.value, &value);
  }
  assign(*stmt.target, value);
  if (stmt.exported) {
    publish(*stmt.target);
  }
}

void Runtime::exec_filter_block(const Stmt& stmt) {
  enter(stmt.frame, scope_);
  const Value value = capture(stmt.body);
  line_ = stmt.line;
  const Value filtered = eval_filter(*stmt.value, &value);
  emit_block(filtered);
}

/// What a filter or call block gives must be text already, and is not escaped again by `autoescape`.
void Runtime::emit_block(const Value& value) {
  if (!value.is_string()) {
    fail("sequence item 0: expected str instance, " + std::string(type_name(value)) + " found");
  }
  if (out_ == &root_ && escaper_.active()) {
    emit(value);
  } else {
    print(*this, value, *out_);
  }
}

void Runtime::exec_with(const Stmt& stmt) {
  enter(stmt.frame, scope_);
  line_ = stmt.line;
  for (std::size_t i = 0; i < stmt.targets.size(); ++i) {
    assign(*stmt.targets[i], eval(*stmt.values[i]));
  }
  exec(stmt.body);
}

void Runtime::exec_autoescape(const Stmt& stmt) {
  enter(stmt.frame, scope_);
  line_ = stmt.line;
  const bool before = autoescape_;
  autoescape_ = truthy(*this, eval(*stmt.value));
  exec(stmt.body);
  autoescape_ = before;
}

void Runtime::exec_block(const Stmt& stmt) {
  Activation* const before = scope_;
  scope_ = make_activation(nullptr, stmt.slots);
  enter(stmt.frame, scope_);
  exec(stmt.body);
  scope_ = before;
}

// --- macros

void Runtime::exec_macro(const Stmt& stmt) {
  Value value{Kind::macro};
  value.macro = memory.make<Macro>(Macro{stmt.macro, scope_});
  assign(*stmt.target, value);
  if (stmt.exported) {
    publish(*stmt.target);
  }
}

void Runtime::exec_call_block(const Stmt& stmt) {
  line_ = stmt.line;
  Value caller{Kind::macro};
  caller.macro = memory.make<Macro>(Macro{stmt.macro, scope_});
  const Value value = eval_call(*stmt.value, &caller);
  emit_block(value);
}

void Runtime::bind_macro_args(const MacroNode& node, const Args& args, Activation& scope) {
  const std::size_t given = std::min(args.positional.size(), node.params.size());
  for (std::size_t i = 0; i < given; ++i) {
    scope.slots[node.params[i].slot] = args.positional[i];
  }
  Dict* rest = node.kwargs_slot >= 0 ? make_dict() : nullptr;
  bool caller_found = given == node.params.size() && node.explicit_caller;
  for (std::size_t i = given; i < node.params.size(); ++i) {
    caller_found = caller_found || node.params[i].name->view() == "caller";
  }
  if (node.caller_slot >= 0) {
    scope.slots[node.caller_slot] = undefined("caller");
  }
  for (const Keyword& keyword : args.keywords) {
    bool used = false;
    for (std::size_t i = given; i < node.params.size() && !used; ++i) {
      if (node.params[i].name->view() == keyword.name->view()) {
        scope.slots[node.params[i].slot] = keyword.value;
        used = true;
      }
    }
    if (!used && node.uses_caller && !caller_found && keyword.name->view() == "caller" && node.caller_slot >= 0) {
      scope.slots[node.caller_slot] = keyword.value;
      used = true;
    }
    if (!used && rest != nullptr) {
      set(*this, *rest, Value(keyword.name), keyword.value);
    } else if (!used) {
      fail("macro '" + std::string(node.name != nullptr ? node.name->view() : "None") + "' takes no keyword argument '" +
           std::string(keyword.name->view()) + "'");
    }
  }
  if (rest != nullptr) {
    scope.slots[node.kwargs_slot] = Value(rest);
  }
  if (node.varargs_slot >= 0) {
    List* more = make_list();
    for (const Value& value : args.positional.subspan(given)) {
      more->items.push(memory, value);
    }
    scope.slots[node.varargs_slot] = Value(more, Kind::tuple);
  } else if (args.positional.size() > node.params.size()) {
    fail("macro takes not more than " + std::to_string(node.params.size()) + " argument(s)");
  }
}

Value Runtime::call_macro(const Macro& macro, const Args& args) {
  if (++depth_ > limits_.depth) {
    fail("the template is nested too deeply");
  }
  const MacroNode& node = *macro.node;
  Activation* const scope = make_activation(macro.scope, node.slots);
  bind_macro_args(node, args, *scope);
  Activation* const before = scope_;
  scope_ = scope;
  enter(node.frame, scope);
  for (const Param& param : node.params) {
    if (scope->slots[param.slot].is(Kind::missing)) {
      scope->slots[param.slot] = param.fallback != nullptr ? eval(*param.fallback) : undefined(param.name->view());
    }
  }
  const Value result = capture(node.body);
  scope_ = before;
  --depth_;
  return result;
}

}  // namespace loquat::tmpl
