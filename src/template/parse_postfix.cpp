#include "template/library.h"
#include "template/numbers.h"
#include "template/parser.h"

/// What follows a value: attributes, items, calls, filters, tests.
namespace loquat::tmpl {

namespace {

using Type = Token::Type;
using Op = Expr::Kind;

}  // namespace

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
    const auto bound = [&]() -> Expr* { return is(Type::colon) || is(Type::rbracket) || is(Type::comma) ? nullptr : parse_expression(); };
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
  const bool operand = is(Type::name) || is(Type::string) || is(Type::integer) || is(Type::real) || is(Type::lbracket) || is(Type::lbrace);
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
  return negated ? make_unary(Op::logical_not, line, test) : test;
}

}  // namespace loquat::tmpl
