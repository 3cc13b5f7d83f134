#include "template/call_args.h"
#include "template/library.h"
#include "template/objects.h"
#include "template/runtime.h"

namespace loquat::tmpl {

using Op = Expr::Kind;

Value Runtime::eval(const Expr& expr) {
  charge(1);
  check_stack();
  switch (expr.kind) {
    case Op::constant: return expr.constant;
    case Op::name: return eval_name(expr);
    case Op::attribute: return eval_attribute(expr);
    case Op::item: {
      const Value object = eval(*expr.a);
      return get_item(*this, object, eval(*expr.b));
    }
    case Op::filter: return eval_filter(expr);
    case Op::test: return eval_test(expr);
    case Op::call: return eval_call(expr);
    case Op::list:
    case Op::tuple: return eval_items(expr);
    case Op::dict: return eval_dict(expr);
    case Op::logical_not: return Value::of(!truthy(*this, eval(*expr.a)));
    case Op::negate: return negate(*this, eval(*expr.a));
    case Op::plus: return affirm(*this, eval(*expr.a));
    case Op::logical_and:
    case Op::logical_or:
    case Op::conditional: return eval_logic(expr);
    case Op::concat: return eval_concat(expr);
    case Op::compare: return eval_compare(expr);
    case Op::slice: return eval_slice(expr);
    case Op::member: return {};
    default: return eval_binary(expr);
  }
}

Value Runtime::eval_attribute(const Expr& expr) { return get_attribute(*this, eval(*expr.a), *expr.name, expr.methods); }

Value Runtime::eval_items(const Expr& expr) {
  List* list = make_list();
  list->items.reserve(memory, expr.items.size());
  for (const Expr* item : expr.items) {
    list->items.push(memory, eval(*item));
  }
  return Value(list, expr.kind == Op::list ? Kind::list : Kind::tuple);
}

Value Runtime::eval_dict(const Expr& expr) {
  Dict* dict = make_dict();
  for (std::size_t i = 0; i + 1 < expr.items.size(); i += 2) {
    const Value key = eval(*expr.items[i]);
    set(*this, *dict, key, eval(*expr.items[i + 1]));
  }
  return Value(dict);
}

Value Runtime::eval_binary(const Expr& expr) {
  const Value a = eval(*expr.a);
  return binary(*this, expr.kind, a, eval(*expr.b));
}

Value Runtime::eval_logic(const Expr& expr) {
  if (expr.kind == Op::conditional) {
    if (truthy(*this, eval(*expr.a))) {
      return eval(*expr.b);
    }
    return expr.c != nullptr ? eval(*expr.c) : undefined("inline if", true);
  }
  const Value left = eval(*expr.a);
  return truthy(*this, left) == (expr.kind == Op::logical_or) ? left : eval(*expr.b);
}

Value Runtime::eval_concat(const Expr& expr) {
  Vec<Value> parts;
  parts.reserve(memory, expr.items.size());
  for (const Expr* item : expr.items) {
    parts.push(memory, eval(*item));
  }
  Builder out(memory);
  bool markup = false;
  for (const Value& part : parts) {
    markup = markup || (part.is_string() && (part.string->flags & Str::markup) != 0);
    print(*this, part, out);
  }
  return finish(*this, out, autoescape_ && markup ? Str::markup : std::uint8_t{0});
}

Value Runtime::eval_compare(const Expr& expr) {
  Value left = eval(*expr.a);
  Value result;
  for (const Comparison& comparison : expr.comparisons) {
    const Value right = eval(*comparison.operand);
    result = compare(*this, comparison.op, left, right);
    if (&comparison != &expr.comparisons.back() && !truthy(*this, result)) {
      return result;
    }
    left = right;
  }
  return result;
}

Value Runtime::eval_slice(const Expr& expr) {
  const Value object = eval(*expr.a);
  const Value start = expr.b != nullptr ? eval(*expr.b) : Value();
  const Value stop = expr.c != nullptr ? eval(*expr.c) : Value();
  const Value step = expr.d != nullptr ? eval(*expr.d) : Value();
  return get_slice(*this, object, start, stop, step);
}

// --- calls

CallArguments::CallArguments(Runtime& rt, const CallArgs& args, const Value* caller) {
  const std::size_t keywords = args.keywords.size() + static_cast<std::size_t>(caller != nullptr);
  if (args.more_positional == nullptr && args.positional.size() <= few) {
    for (std::size_t i = 0; i < args.positional.size(); ++i) {
      few_positional_[i] = rt.eval(*args.positional[i]);
    }
    args_.positional = {few_positional_.data(), args.positional.size()};
  } else {
    for (const Expr* expr : args.positional) {
      many_positional_.push(rt.memory, rt.eval(*expr));
    }
  }
  Keyword* next = few_keywords_.data();
  const bool many = keywords > few || args.more_keywords != nullptr;
  const auto add = [&](const Keyword& keyword) {
    if (many) {
      many_keywords_.push(rt.memory, keyword);
    } else {
      *next++ = keyword;
    }
  };
  for (const KeywordExpr& keyword : args.keywords) {
    add({keyword.name, rt.eval(*keyword.value)});
  }
  static const Str caller_name{.data = "caller", .size = 6, .chars = 6, .hash = hash_text("caller")};
  if (caller != nullptr) {
    add({&caller_name, *caller});
  }
  if (args.more_positional != nullptr) {
    add_positional(rt, rt.eval(*args.more_positional));
  }
  if (args.more_keywords != nullptr) {
    add_keywords(rt, rt.eval(*args.more_keywords));
  }
  if (!many_positional_.empty()) {
    args_.positional = {many_positional_.begin(), many_positional_.size()};
  }
  args_.keywords = many ? std::span<const Keyword>{many_keywords_.begin(), many_keywords_.size()}
                        : std::span<const Keyword>{few_keywords_.data(), static_cast<std::size_t>(next - few_keywords_.data())};
}

void CallArguments::add_positional(Runtime& rt, const Value& more) {
  Cursor cursor(rt, more);
  for (Value item; cursor.next(rt, item);) {
    many_positional_.push(rt.memory, item);
  }
}

void CallArguments::add_keywords(Runtime& rt, const Value& more) {
  if (!more.is(Kind::dict)) {
    fail("argument after ** must be a mapping, not " + std::string(type_name(more)));
  }
  for (const Entry& entry : entries_of(rt, *more.dict)) {
    if (!entry.key.is_string()) {
      fail("keywords must be strings");
    }
    for (const Keyword& keyword : many_keywords_) {
      if (keyword.name->view() == entry.key.text()) {
        fail("got multiple values for keyword argument '" + std::string(entry.key.text()) + "'");
      }
    }
    many_keywords_.push(rt.memory, {entry.key.string, entry.value});
  }
}

Value Runtime::eval_call(const Expr& expr, const Value* caller) {
  const Expr& callee = *expr.a;
  if (callee.kind == Op::attribute) {
    charge(1);
    const Value object = eval(*callee.a);
    const Native native = callee.methods != nullptr ? callee.methods->find(object.kind) : nullptr;
    if (native != nullptr && caller == nullptr && expr.args->is_empty()) {
      return native(*this, object, Args{});
    }
    if (native != nullptr) {
      const CallArguments args(*this, *expr.args, caller);
      return native(*this, object, args.get());
    }
    const Value function = get_attribute(*this, object, *callee.name, nullptr);
    const CallArguments args(*this, *expr.args, caller);
    return call(function, args.get());
  }
  const Value function = eval(callee);
  const CallArguments args(*this, *expr.args, caller);
  return call(function, args.get());
}

Value Runtime::call(const Value& callee, const Args& args) {
  switch (callee.kind) {
    case Kind::function: return callee.function->call(*this, callee.function->self, args);
    case Kind::macro: return call_macro(*callee.macro, args);
    case Kind::joiner: {
      expect_none("Joiner", args);
      if (callee.joiner->used) {
        return callee.joiner->separator;
      }
      callee.joiner->used = true;
      return keep("", Str::author);
    }
    case Kind::loop: return call_loop(*this, *callee.loop, args);
    case Kind::undefined:
      if (callee.undefined->plain) {
        fail("the inline if-expression evaluated to false and no else section was defined.");
      }
      return keep("undefined");
    default: fail("'" + std::string(type_name(callee)) + "' object is not callable");
  }
}

Value Runtime::eval_filter(const Expr& expr, const Value* input) {
  Value value;
  if (expr.a == nullptr) {
    value = *input;
  } else if (input != nullptr && expr.a->kind == Op::filter) {
    value = eval_filter(*expr.a, input);
  } else {
    value = eval(*expr.a);
  }
  return apply(expr, value);
}

/// Calls the filter or test of a node.
Value Runtime::apply(const Expr& expr, const Value& value) {
  if (expr.native != nullptr && expr.args->is_empty()) {
    return expr.native(*this, value, Args{});
  }
  const CallArguments args(*this, *expr.args, nullptr);
  if (expr.native == nullptr) {
    fail("No " + std::string(expr.kind == Op::filter ? "filter" : "test") + " named '" + std::string(expr.name->view()) + "' found.");
  }
  return expr.native(*this, value, args.get());
}

Value Runtime::eval_test(const Expr& expr) { return apply(expr, eval(*expr.a)); }

}  // namespace loquat::tmpl
