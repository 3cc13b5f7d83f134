#include "template/runtime.h"

#include "template/library.h"
#include "template/numbers.h"
#include "template/objects.h"

namespace loquat::tmpl {

namespace {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
constexpr std::ptrdiff_t stack_budget = 4 * 1024 * 1024;
#else
constexpr std::ptrdiff_t stack_budget = 1024 * 1024;
#endif
#else
constexpr std::ptrdiff_t stack_budget = 1024 * 1024;
#endif

}  // namespace

Runtime::Runtime(const Ast& ast, const json::object& variables, const Limits& limits, Escape escape)
    : memory(limits.memory_bytes),
      ast_(ast),
      variables_(variables),
      limits_(limits),
      budget_(limits.steps),
      stack_end_(static_cast<const char*>(__builtin_frame_address(0)) - stack_budget),
      root_(memory),
      escaper_(escape) {}

std::string Runtime::run() {
  globals_ = memory.make_array<Value>(ast_.globals.size());
  if (ast_.has_blocks) {
    exported_ = make_dict();
  }
  scope_ = make_activation(nullptr, ast_.slots);
  enter(ast_.frame, scope_);
  exec(ast_.body);
  check_output();
  return std::string(root_.view());
}

void Runtime::fail_steps() const { fail("the template takes too many steps"); }
void Runtime::fail_stack() { fail("the template is nested too deeply"); }

void Runtime::check_output() const {
  if (root_.size() > limits_.output_bytes) {
    fail("the output of the template is too long");
  }
}

// --- values

Value Runtime::make_range(std::int64_t start, std::int64_t stop, std::int64_t step) {
  Value value{Kind::range};
  value.range = memory.make<Range>(Range{start, stop, step});
  return value;
}

Value Runtime::pair(const Value& first, const Value& second) {
  List* list = make_list();
  list->items.reserve(memory, 2);
  list->items.push(memory, first);
  list->items.push(memory, second);
  return Value(list, Kind::tuple);
}

Value Runtime::from_json(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null: return Value::none();
    case json::kind::bool_: return Value::of(value.get_bool());
    case json::kind::int64: return Value::of(static_cast<std::int64_t>(value.get_int64()));
    case json::kind::uint64: return from_unsigned(memory, value.get_uint64());
    case json::kind::double_: return Value::of(value.get_double());
    case json::kind::string: return keep(as_view(value.get_string()));
    case json::kind::array: {
      List* list = make_list();
      list->source = &value.get_array();
      return Value(list, Kind::list);
    }
    case json::kind::object: {
      Dict* dict = make_dict();
      dict->source = &value.get_object();
      return Value(dict);
    }
  }
  return Value::none();
}

// --- names

Activation* Runtime::make_activation(Activation* outer, std::uint32_t slots) {
  return memory.make<Activation>(Activation{outer, memory.make_array<Value>(slots)});
}

Value& Runtime::local(const Binding& binding) {
  Activation* scope = scope_;
  for (std::uint16_t up = binding.up; up > 0; --up) {
    scope = scope->outer;
  }
  return scope->slots[binding.slot];
}

Value Runtime::load_global(std::uint32_t slot) {
  Value& cached = globals_[slot];
  if (cached.is(Kind::missing)) {
    const std::string_view name = ast_.globals[slot]->view();
    if (const auto found = variables_.find(json::string_view(name.data(), name.size())); found != variables_.end()) {
      cached = from_json(found->value());
    } else {
      cached = find_global(name);
      if (cached.is(Kind::missing)) {
        cached = undefined(name);
      }
    }
  }
  return cached;
}

Value Runtime::load(const Binding& binding) {
  switch (binding.where) {
    case Binding::Where::local: return local(binding);
    case Binding::Where::global: return load_global(binding.slot);
    case Binding::Where::exported: {
      const Value* found = find(*this, *exported_, Value(ast_.globals[binding.slot]));
      return found != nullptr ? *found : load_global(binding.slot);
    }
  }
  return {};
}

void Runtime::enter(const Frame& frame, Activation* scope) {
  Activation* const before = scope_;
  scope_ = scope;
  for (const Load& load_rule : frame.loads) {
    scope->slots[load_rule.slot] = load_rule.from_outside ? load(load_rule.source) : Value();
  }
  scope_ = before;
}

Value Runtime::eval_name(const Expr& expr) {
  const Value value = load(expr.binding);
  return value.is(Kind::missing) ? undefined(expr.name->view()) : value;
}

// --- output

void Runtime::emit_text(const Str& text) {
  if (out_ == &root_ && escaper_.active()) {
    escaper_.literal(text.view(), *out_);
  } else {
    out_->append(text.view());
  }
}

void Runtime::emit(const Value& value) {
  if (out_ == &root_) {
    if (escaper_.active()) {
      escaper_.value(*this, value, *out_);
      check_output();
      return;
    }
    check_output();
  }
  if (autoescape_ && !value.is_undefined()) {
    out_->append(escape_value(*this, value).text());
  } else {
    print(*this, value, *out_);
  }
}

}  // namespace loquat::tmpl
