#include <algorithm>

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

/// Whether it has the same value in every rendering.
[[nodiscard]] bool is_constant(const Expr& expr) {
  const auto constant = [](const Expr* part) { return part == nullptr || is_constant(*part); };
  const CallArgs nothing;
  const CallArgs& args = expr.args == nullptr ? nothing : *expr.args;
  return expr.kind != Op::name && expr.kind != Op::call && constant(expr.a) && constant(expr.b) && constant(expr.c) && constant(expr.d) &&
         std::ranges::all_of(expr.items, constant) && std::ranges::all_of(expr.comparisons, constant, &Comparison::operand) &&
         std::ranges::all_of(args.positional, constant) && std::ranges::all_of(args.keywords, constant, &KeywordExpr::value) &&
         constant(args.more_positional) && constant(args.more_keywords);
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
    left = make_binary(Op::logical_or, line, left, parse_and());
  }
  return left;
}

Expr* Parser::parse_and() {
  Expr* left = parse_not();
  while (is_name("and")) {
    const int line = take().line;
    left = make_binary(Op::logical_and, line, left, parse_not());
  }
  return left;
}

Expr* Parser::parse_not() {
  if (is_name("not")) {
    const Deeper guard(*this);
    const int line = take().line;
    return make_unary(Op::logical_not, line, parse_not());
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
    left = make_power(line, left, parse_unary());
  }
  return left;
}

/// Jinja2 writes a literal -2 as such into its Python code, where ** goes first; only what is constant as a whole is computed before.
Expr* Parser::make_power(int line, Expr* base, Expr* exponent) {
  const bool literal = base->kind == Op::negate && base->a->kind == Op::constant && is_number(base->a->constant);
  const bool shows_sign = literal && (base->a->constant.is(Kind::real) || !is_zero(base->a->constant));
  if (!shows_sign || is_constant(*exponent)) {
    return make_binary(Op::pow, line, base, exponent);
  }
  return make_unary(Op::negate, line, make_binary(Op::pow, line, base->a, exponent));
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
