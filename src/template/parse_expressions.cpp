#include "template/library.h"
#include "template/numbers.h"
#include "template/parser.h"

namespace loquat::tmpl {

namespace {

using Type = Token::Type;
using Op = Expr::Kind;

[[nodiscard]] bool to_compare(Type type, Compare& op) noexcept {
  switch (type) {
    case Type::eq: op = Compare::eq; return true;
    case Type::ne: op = Compare::ne; return true;
    case Type::lt: op = Compare::lt; return true;
    case Type::le: op = Compare::le; return true;
    case Type::gt: op = Compare::gt; return true;
    case Type::ge: op = Compare::ge; return true;
    default: return false;
  }
}

[[nodiscard]] bool to_product(Type type, Expr::Kind& kind) noexcept {
  switch (type) {
    case Type::mul: kind = Expr::Kind::mul; return true;
    case Type::div: kind = Expr::Kind::div; return true;
    case Type::floordiv: kind = Expr::Kind::floordiv; return true;
    case Type::mod: kind = Expr::Kind::mod; return true;
    default: return false;
  }
}

}  // namespace

Expr* Parser::parse_expression(bool with_condition) {
  const Deeper guard(*this);
  return with_condition ? parse_conditional() : parse_or();
}

Expr* Parser::parse_conditional() {
  int line = current().line;
  Expr* value = parse_or();
  while (skip_name("if")) {
    Expr* condition = parse_or();
    Expr* otherwise = nullptr;
    if (skip_name("else")) {
      const Deeper guard(*this);
      otherwise = parse_conditional();
    }
    Expr* node = make_binary(Op::conditional, line, condition, value);
    node->c = otherwise;
    raise_depth(*node, otherwise);
    value = node;
    line = current().line;
  }
  return value;
}

Expr* Parser::parse_or() {
  Expr* left = parse_and();
  while (is_name("or")) {
    const int line = take().line;
    left = make_binary(Op::or_, line, left, parse_and());
  }
  return left;
}

Expr* Parser::parse_and() {
  Expr* left = parse_not();
  while (is_name("and")) {
    const int line = take().line;
    left = make_binary(Op::and_, line, left, parse_not());
  }
  return left;
}

Expr* Parser::parse_not() {
  if (is_name("not")) {
    const Deeper guard(*this);
    const int line = take().line;
    return make_unary(Op::not_, line, parse_not());
  }
  return parse_compare();
}

Expr* Parser::parse_compare() {
  const int line = current().line;
  Expr* first = parse_sum();
  std::vector<Comparison> comparisons;
  while (true) {
    Compare op = Compare::eq;
    if (to_compare(current().type, op)) {
      take();
    } else if (skip_name("in")) {
      op = Compare::in;
    } else if (is_name("not") && look().type == Type::name && look().text == "in") {
      take();
      take();
      op = Compare::not_in;
    } else {
      break;
    }
    comparisons.push_back({op, parse_sum()});
  }
  if (comparisons.empty()) {
    return first;
  }
  Expr* node = make_unary(Op::compare, line, first);
  for (const Comparison& comparison : comparisons) {
    raise_depth(*node, comparison.operand);
  }
  node->comparisons = keep(comparisons);
  return node;
}

Expr* Parser::parse_sum() {
  Expr* left = parse_concat();
  while (is(Type::add) || is(Type::sub)) {
    const Token& op = take();
    const Op kind = op.type == Type::add ? Op::add : Op::sub;
    const int line = op.line;
    left = make_binary(kind, line, left, parse_concat());
  }
  return left;
}

Expr* Parser::parse_concat() {
  const int line = current().line;
  std::vector<Expr*> items{parse_product()};
  while (is(Type::tilde)) {
    take();
    items.push_back(parse_product());
  }
  if (items.size() == 1) {
    return items.front();
  }
  Expr* node = make(Op::concat, line);
  for (const Expr* item : items) {
    raise_depth(*node, item);
  }
  node->items = keep(items);
  return node;
}

Expr* Parser::parse_product() {
  Expr* left = parse_power();
  Op kind = Op::mul;
  while (to_product(current().type, kind)) {
    const int line = take().line;
    left = make_binary(kind, line, left, parse_power());
  }
  return left;
}

Expr* Parser::parse_power() {
  Expr* left = parse_unary();
  while (is(Type::pow)) {
    const int line = take().line;
    left = make_binary(Op::pow, line, left, parse_unary());
  }
  return left;
}

Expr* Parser::parse_unary(bool with_filter) {
  const Deeper guard(*this);
  Expr* node = nullptr;
  if (is(Type::sub) || is(Type::add)) {
    const Token& op = take();
    const Op kind = op.type == Type::sub ? Op::negate : Op::plus;
    const int line = op.line;
    node = make_unary(kind, line, parse_unary(false));
  } else {
    node = parse_primary();
  }
  node = parse_postfix(node);
  return with_filter ? parse_filters(node) : node;
}

Expr* Parser::parse_primary(bool with_namespace) {
  const Token& token = current();
  const int line = token.line;
  switch (token.type) {
    case Type::name: return parse_name(with_namespace);
    case Type::string: return parse_strings();
    case Type::integer: return make_constant(parse_integer_literal(ast_.memory, take().text), line);
    case Type::real: return make_constant(Value::of(parse_float(take().text).value_or(0.0)), line);
    case Type::lparen: {
      take();
      Expr* node = parse_tuple({.parenthesized = true});
      expect(Type::rparen, ")");
      return node;
    }
    case Type::lbracket: return parse_list();
    case Type::lbrace: return parse_dict();
    default: reject("unexpected '" + describe(token) + "'", line);
  }
}

Expr* Parser::parse_name(bool with_namespace) {
  const Token& token = take();
  const int line = token.line;
  const std::string& name = token.text;
  if (name == "true" || name == "True" || name == "false" || name == "False") {
    return make_constant(Value::of(name == "true" || name == "True"), line);
  }
  if (name == "none" || name == "None") {
    return make_constant(Value::none(), line);
  }
  Expr* node = make(Op::name, line);
  node->name = make_str(name);
  if (with_namespace && is(Type::dot)) {
    take();
    node->kind = Op::member;
    node->constant = Value(make_str(expect(Type::name, "name").text));
  }
  return node;
}

Expr* Parser::parse_strings() {
  const int line = current().line;
  std::string text;
  while (is(Type::string)) {
    text += take().text;
  }
  return make_constant(Value(make_str(text)), line);
}

Expr* Parser::parse_list() {
  const int line = expect(Type::lbracket, "[").line;
  std::vector<Expr*> items;
  while (!is(Type::rbracket)) {
    if (!items.empty()) {
      expect(Type::comma, ",");
    }
    if (is(Type::rbracket)) {
      break;
    }
    items.push_back(parse_expression());
  }
  expect(Type::rbracket, "]");
  Expr* node = make(Op::list, line);
  for (const Expr* item : items) {
    raise_depth(*node, item);
  }
  node->items = keep(items);
  return node;
}

Expr* Parser::parse_dict() {
  const int line = expect(Type::lbrace, "{").line;
  std::vector<Expr*> items;
  while (!is(Type::rbrace)) {
    if (!items.empty()) {
      expect(Type::comma, ",");
    }
    if (is(Type::rbrace)) {
      break;
    }
    items.push_back(parse_expression());
    expect(Type::colon, ":");
    items.push_back(parse_expression());
  }
  expect(Type::rbrace, "}");
  Expr* node = make(Op::dict, line);
  for (const Expr* item : items) {
    raise_depth(*node, item);
  }
  node->items = keep(items);
  return node;
}

Expr* Parser::parse_tuple(const TupleRules& rules) {
  const int line = current().line;
  std::vector<Expr*> items;
  bool is_tuple = false;
  while (true) {
    if (!items.empty()) {
      expect(Type::comma, ",");
    }
    if (is(Type::variable_end) || is(Type::block_end) || is(Type::rparen) || (!rules.end_name.empty() && is_name(rules.end_name))) {
      break;
    }
    items.push_back(rules.simplified ? parse_primary(rules.with_namespace) : parse_expression(rules.with_condition));
    if (!is(Type::comma)) {
      break;
    }
    is_tuple = true;
  }
  if (!is_tuple) {
    if (!items.empty()) {
      return items.front();
    }
    if (!rules.parenthesized) {
      reject("Expected an expression, got '" + describe(current()) + "'", line);
    }
  }
  Expr* node = make(Op::tuple, line);
  for (const Expr* item : items) {
    raise_depth(*node, item);
  }
  node->items = keep(items);
  return node;
}

Expr* Parser::parse_postfix(Expr* node) {
  while (true) {
    if (is(Type::dot) || is(Type::lbracket)) {
      node = parse_subscript(node);
    } else if (is(Type::lparen)) {
      node = parse_call(node);
    } else {
      return node;
    }
  }
}

Expr* Parser::parse_filters(Expr* node) {
  while (true) {
    if (is(Type::pipe)) {
      node = parse_filter(node);
    } else if (is_name("is")) {
      node = parse_test(node);
    } else if (is(Type::lparen)) {
      node = parse_call(node);
    } else {
      return node;
    }
  }
}

Expr* Parser::parse_subscript(Expr* node) {
  const Token& open = take();
  const int line = open.line;
  if (open.type == Type::lbracket) {
    Expr* result = parse_index(node);
    expect(Type::rbracket, "]");
    result->line = line;
    return result;
  }
  const Token& token = take();
  if (token.type == Type::name) {
    Expr* attribute = make_unary(Op::attribute, line, node);
    attribute->name = make_str(token.text);
    attribute->constant = Value(attribute->name);
    attribute->methods = find_methods(token.text);
    return attribute;
  }
  if (token.type != Type::integer) {
    reject("expected name or number", token.line);
  }
  return make_binary(Op::item, line, node, make_constant(parse_integer_literal(ast_.memory, token.text), line));
}

/// What stands in [...]: a key, several keys (a tuple), or one slice.
Expr* Parser::parse_index(Expr* object) {
  std::vector<Expr*> keys;
  Expr* slice = nullptr;
  while (!is(Type::rbracket)) {
    if (!keys.empty() || slice != nullptr) {
      expect(Type::comma, ",");
    }
    Expr* start = is(Type::colon) ? nullptr : parse_expression();
    if (!is(Type::colon)) {
      keys.push_back(start);
      continue;
    }
    take();
    slice = make_unary(Op::slice, current().line, object);
    const auto bound = [&]() -> Expr* {
      return is(Type::colon) || is(Type::rbracket) || is(Type::comma) ? nullptr : parse_expression();
    };
    slice->b = start;
    slice->c = bound();
    if (is(Type::colon)) {
      take();
      slice->d = bound();
    }
    for (const Expr* part : {slice->b, slice->c, slice->d}) {
      raise_depth(*slice, part);
    }
  }
  if (slice != nullptr) {
    if (!keys.empty()) {
      reject("a slice cannot stand beside other keys", slice->line);
    }
    return slice;
  }
  if (keys.size() == 1) {
    return make_binary(Op::item, current().line, object, keys.front());
  }
  Expr* tuple = make(Op::tuple, current().line);
  for (const Expr* key : keys) {
    raise_depth(*tuple, key);
  }
  tuple->items = keep(keys);
  return make_binary(Op::item, current().line, object, tuple);
}

const CallArgs* Parser::parse_call_args(Expr& owner) {
  const int line = expect(Type::lparen, "(").line;
  std::vector<Expr*> positional;
  std::vector<KeywordExpr> keywords;
  CallArgs args;
  const auto ensure = [&](bool valid) {
    if (!valid) {
      reject("invalid syntax for function call expression", line);
    }
  };
  bool more = false;
  while (!is(Type::rparen)) {
    if (more) {
      expect(Type::comma, ",");
      if (is(Type::rparen)) {
        break;
      }
    }
    more = true;
    Expr* value = nullptr;
    if (is(Type::mul)) {
      ensure(args.more_positional == nullptr && args.more_keywords == nullptr);
      take();
      value = args.more_positional = parse_expression();
    } else if (is(Type::pow)) {
      ensure(args.more_keywords == nullptr);
      take();
      value = args.more_keywords = parse_expression();
    } else if (is(Type::name) && look().type == Type::assign) {
      ensure(args.more_keywords == nullptr);
      const Str* name = make_str(take().text);
      take();
      value = parse_expression();
      for (const KeywordExpr& keyword : keywords) {
        ensure(keyword.name->view() != name->view());
      }
      keywords.push_back({name, value});
    } else {
      ensure(args.more_positional == nullptr && args.more_keywords == nullptr && keywords.empty());
      value = parse_expression();
      positional.push_back(value);
    }
    raise_depth(owner, value);
  }
  expect(Type::rparen, ")");
  args.positional = keep(positional);
  args.keywords = keep(keywords);
  return ast_.memory.make<CallArgs>(args);
}

Expr* Parser::parse_call(Expr* node) {
  Expr* call = make_unary(Op::call, current().line, node);
  call->args = parse_call_args(*call);
  return call;
}

std::string Parser::parse_dotted_name() {
  std::string name = expect(Type::name, "name").text;
  while (is(Type::dot)) {
    take();
    name += "." + expect(Type::name, "name").text;
  }
  return name;
}

Expr* Parser::parse_filter(Expr* node, bool start_inline) {
  while (is(Type::pipe) || start_inline) {
    if (!start_inline) {
      take();
    }
    start_inline = false;
    const int line = current().line;
    const std::string name = parse_dotted_name();
    Expr* filter = make_unary(Op::filter, line, node);
    filter->name = make_str(name);
    filter->native = find_filter(name);
    static constexpr CallArgs nothing{};
    filter->args = is(Type::lparen) ? parse_call_args(*filter) : &nothing;
    node = filter;
  }
  return node;
}

Expr* Parser::parse_test(Expr* node) {
  const int line = take().line;
  const bool negated = skip_name("not");
  const std::string name = parse_dotted_name();
  Expr* test = make_unary(Op::test, line, node);
  test->name = make_str(name);
  static constexpr CallArgs nothing{};
  test->args = &nothing;
  const bool operand = is(Type::name) || is(Type::string) || is(Type::integer) || is(Type::real) || is(Type::lbracket) ||
                       is(Type::lbrace);
  if (is(Type::lparen)) {
    test->args = parse_call_args(*test);
  } else if (operand && !is_name("else") && !is_name("or") && !is_name("and")) {
    if (is_name("is")) {
      reject("You cannot chain multiple tests with is", current().line);
    }
    Expr* argument = parse_postfix(parse_primary());
    raise_depth(*test, argument);
    test->args = ast_.memory.make<CallArgs>(CallArgs{.positional = keep(std::vector<Expr*>{argument})});
  }
  test->native = find_test(name);
  return negated ? make_unary(Op::not_, line, test) : test;
}

Expr* Parser::parse_target(std::string_view end_name, bool with_namespace) {
  Expr* target = parse_tuple({.simplified = true, .end_name = end_name, .with_namespace = with_namespace});
  check_target(*target);
  return target;
}

Expr* Parser::parse_name_target() {
  Expr* target = make(Op::name, current().line);
  target->name = make_str(expect(Type::name, "name").text);
  const std::string_view name = target->name->view();
  for (const std::string_view literal : {"true", "false", "none", "True", "False", "None"}) {
    if (name == literal) {
      reject("can't assign to 'name'", target->line);
    }
  }
  return target;
}

void Parser::check_target(const Expr& target) {
  if (target.kind == Op::tuple) {
    for (const Expr* item : target.items) {
      check_target(*item);
    }
  } else if (target.kind != Op::name && target.kind != Op::member) {
    reject("can't assign to a literal or expression", target.line);
  }
}

}  // namespace loquat::tmpl
