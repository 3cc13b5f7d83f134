#include <algorithm>
#include <array>

#include "template/objects.h"
#include "template/parser.h"
#include "template/unicode.h"

namespace loquat::tmpl {

namespace {

using Type = Token::Type;

constexpr int max_depth = 200;
constexpr int max_tree = 250;

}  // namespace

Parser::Deeper::Deeper(Parser& parser) : parser_(parser) {
  if (++parser_.depth_ > max_depth) {
    --parser_.depth_;
    parser_.reject("the template is nested too deeply", parser_.current().line);
  }
}

void Parser::reject(const std::string& message, int line) {
  line_ = line;
  fail(message);
}

const Token& Parser::take() noexcept {
  const Token& token = tokens_[at_];
  if (at_ + 1 < tokens_.size()) {
    ++at_;
  }
  return token;
}

bool Parser::skip_name(std::string_view name) noexcept {
  if (!is_name(name)) {
    return false;
  }
  take();
  return true;
}

const Token& Parser::expect(Type type, std::string_view what) {
  if (!is(type)) {
    if (is(Type::end)) {
      reject("unexpected end of template, expected '" + std::string(what) + "'.", current().line);
    }
    reject("expected token '" + std::string(what) + "', got '" + describe(current()) + "'", current().line);
  }
  return take();
}

void Parser::expect_name(std::string_view name) {
  if (!skip_name(name)) {
    reject("expected token '" + std::string(name) + "', got '" + describe(current()) + "'", current().line);
  }
}

void Parser::raise_depth(Expr& parent, const Expr* child) {
  if (child != nullptr && child->depth >= parent.depth) {
    parent.depth = static_cast<std::uint16_t>(child->depth + 1);
    if (parent.depth > max_tree) {
      reject("the expression is too long or nested too deeply", parent.line);
    }
  }
}

Expr* Parser::make(Expr::Kind kind, int line) {
  Expr* node = ast_.memory.make<Expr>();
  node->kind = kind;
  node->line = line;
  return node;
}

Expr* Parser::make_unary(Expr::Kind kind, int line, Expr* a) {
  Expr* node = make(kind, line);
  node->a = a;
  raise_depth(*node, a);
  return node;
}

Expr* Parser::make_binary(Expr::Kind kind, int line, Expr* a, Expr* b) {
  Expr* node = make_unary(kind, line, a);
  node->b = b;
  raise_depth(*node, b);
  return node;
}

Expr* Parser::make_constant(const Value& value, int line) {
  Expr* node = make(Expr::Kind::constant, line);
  node->constant = value;
  return node;
}

Stmt* Parser::make_stmt(Stmt::Kind kind, int line) {
  Stmt* stmt = ast_.memory.make<Stmt>();
  stmt->kind = kind;
  stmt->line = line;
  return stmt;
}

const Str* Parser::make_str(std::string_view text) {
  const std::string_view kept = ast_.memory.copy(text);
  Str* str = ast_.memory.make<Str>();
  str->data = kept.empty() ? "" : kept.data();
  str->size = kept.size();
  str->chars = count_chars(kept);
  str->hash = hash_text(kept);
  str->flags = Str::author;
  return str;
}

Body Parser::parse() {
  Body body = parse_body(nullptr);
  return body;
}

/// Statements up to one of the end tags, which stays the current token; without end tags to the end.
Body Parser::parse_body(const EndNames* ends) {
  const Deeper guard(*this);
  std::vector<Stmt*> body;
  while (!is(Type::end)) {
    const int line = current().line;
    if (is(Type::data)) {
      Stmt* text = make_stmt(Stmt::Kind::text, line);
      text->text = make_str(take().text);
      ast_.text_size += text->text->size;
      body.push_back(text);
    } else if (is(Type::variable_begin)) {
      take();
      Stmt* print = make_stmt(Stmt::Kind::print, line);
      print->value = parse_tuple({});
      expect(Type::variable_end, "end of print statement");
      body.push_back(print);
    } else {
      take();
      if (ends != nullptr && is(Type::name) && std::ranges::find(*ends, current().text) != ends->end()) {
        return keep(body);
      }
      parse_statement(body);
      expect(Type::block_end, "end of statement block");
    }
  }
  if (ends != nullptr) {
    reject_end(*ends);
  }
  return keep(body);
}

Body Parser::parse_statements(const EndNames& ends) {
  if (is(Type::colon)) {
    take();
  }
  expect(Type::block_end, "end of statement block");
  return parse_body(&ends);
}

Body Parser::parse_to(std::string_view end) {
  const EndNames ends{end};
  Body body = parse_statements(ends);
  take();
  return body;
}

void Parser::reject_end(const EndNames& ends) {
  std::string names;
  for (const std::string_view name : ends) {
    names += (names.empty() ? "'" : " or '") + std::string(name) + "'";
  }
  reject("Unexpected end of template. Jinja was looking for the following tags: " + names + ".", current().line);
}

void Parser::reject_tag(const Token& token) {
  constexpr std::array<std::string_view, 4> files{"include", "import", "extends", "from"};
  if (std::ranges::find(files, token.text) != files.end()) {
    reject("'" + token.text + "' is not supported: a template cannot use other templates.", token.line);
  }
  reject("Encountered unknown tag '" + token.text + "'.", token.line);
}

void Parser::parse_statement(std::vector<Stmt*>& out) {
  const Token& token = current();
  if (token.type != Type::name) {
    reject("tag name expected", token.line);
  }
  const std::string& tag = token.text;
  if (tag == "if") {
    out.push_back(parse_if());
  } else if (tag == "for") {
    out.push_back(parse_for());
  } else if (tag == "set") {
    out.push_back(parse_set());
  } else if (tag == "with") {
    out.push_back(parse_with());
  } else if (tag == "macro") {
    out.push_back(parse_macro());
  } else if (tag == "call") {
    out.push_back(parse_call_block());
  } else if (tag == "filter") {
    out.push_back(parse_filter_block());
  } else if (tag == "autoescape") {
    out.push_back(parse_autoescape());
  } else if (tag == "block") {
    out.push_back(parse_block());
  } else if (tag == "print") {
    parse_print(out);
  } else {
    reject_tag(token);
  }
}

Stmt* Parser::parse_if() {
  static const EndNames ends{"elif", "else", "endif"};
  Stmt* stmt = make_stmt(Stmt::Kind::branch, take().line);
  std::vector<Branch> branches;
  while (true) {
    Expr* condition = parse_tuple({.with_condition = false});
    branches.push_back({condition, parse_statements(ends)});
    const Token& end = take();
    if (end.text == "elif") {
      continue;
    }
    if (end.text == "else") {
      branches.push_back({nullptr, parse_to("endif")});
    }
    break;
  }
  stmt->branches = keep(branches);
  return stmt;
}

Stmt* Parser::parse_for() {
  static const EndNames ends{"endfor", "else"};
  Stmt* stmt = make_stmt(Stmt::Kind::loop, take().line);
  ForNode* loop = ast_.memory.make<ForNode>();
  const std::size_t start = at_;
  loop->target = parse_target("in", false);
  const std::size_t after = at_;
  at_ = start;
  loop->test_target = parse_target("in", false);
  at_ = after;
  expect_name("in");
  loop->iterable = parse_tuple({.with_condition = false, .end_name = "recursive"});
  if (skip_name("if")) {
    loop->test = parse_expression();
  }
  loop->recursive = skip_name("recursive");
  loop->body = parse_statements(ends);
  if (take().text == "else") {
    loop->has_else = true;
    loop->otherwise = parse_to("endfor");
  }
  stmt->loop = loop;
  return stmt;
}

Stmt* Parser::parse_set() {
  const int line = take().line;
  Expr* target = parse_target({}, true);
  if (is(Type::assign)) {
    take();
    Stmt* stmt = make_stmt(Stmt::Kind::assign, line);
    stmt->target = target;
    stmt->value = parse_tuple({});
    return stmt;
  }
  Stmt* stmt = make_stmt(Stmt::Kind::assign_block, line);
  stmt->target = target;
  stmt->value = parse_filter(nullptr);
  stmt->body = parse_to("endset");
  return stmt;
}

Stmt* Parser::parse_with() {
  Stmt* stmt = make_stmt(Stmt::Kind::with, take().line);
  std::vector<Expr*> targets;
  std::vector<Expr*> values;
  while (!is(Type::block_end)) {
    if (!targets.empty()) {
      expect(Type::comma, ",");
    }
    targets.push_back(parse_target({}, false));
    expect(Type::assign, "=");
    values.push_back(parse_expression());
  }
  stmt->targets = keep(targets);
  stmt->values = keep(values);
  stmt->body = parse_to("endwith");
  return stmt;
}

void Parser::parse_signature(MacroNode& macro) {
  expect(Type::lparen, "(");
  std::vector<Param> params;
  bool defaults = false;
  while (!is(Type::rparen)) {
    if (!params.empty()) {
      expect(Type::comma, ",");
    }
    Param param{parse_name_target()->name, 0, nullptr};
    for (const Param& other : params) {
      if (other.name->view() == param.name->view()) {
        reject("duplicate argument '" + std::string(param.name->view()) + "'", current().line);
      }
    }
    if (is(Type::assign)) {
      take();
      param.fallback = parse_expression();
      defaults = true;
    } else if (defaults) {
      reject("non-default argument follows default argument", current().line);
    }
    params.push_back(param);
  }
  expect(Type::rparen, ")");
  macro.params = keep(params);
}

Stmt* Parser::parse_macro() {
  Stmt* stmt = make_stmt(Stmt::Kind::macro, take().line);
  MacroNode* macro = ast_.memory.make<MacroNode>();
  macro->line = stmt->line;
  stmt->target = parse_name_target();
  macro->name = stmt->target->name;
  parse_signature(*macro);
  macro->body = parse_to("endmacro");
  stmt->macro = macro;
  return stmt;
}

Stmt* Parser::parse_call_block() {
  Stmt* stmt = make_stmt(Stmt::Kind::call_block, take().line);
  MacroNode* macro = ast_.memory.make<MacroNode>();
  macro->line = stmt->line;
  if (is(Type::lparen)) {
    parse_signature(*macro);
  }
  stmt->value = parse_expression();
  if (stmt->value->kind != Expr::Kind::call) {
    reject("expected call", stmt->line);
  }
  macro->body = parse_to("endcall");
  stmt->macro = macro;
  return stmt;
}

Stmt* Parser::parse_filter_block() {
  Stmt* stmt = make_stmt(Stmt::Kind::filter_block, take().line);
  stmt->value = parse_filter(nullptr, true);
  stmt->body = parse_to("endfilter");
  return stmt;
}

Stmt* Parser::parse_autoescape() {
  Stmt* stmt = make_stmt(Stmt::Kind::autoescape, take().line);
  stmt->value = parse_expression();
  stmt->body = parse_to("endautoescape");
  return stmt;
}

Stmt* Parser::parse_block() {
  Stmt* stmt = make_stmt(Stmt::Kind::block, take().line);
  const Token& name = expect(Type::name, "name");
  if (std::ranges::find(block_names_, name.text) != block_names_.end()) {
    reject("block '" + name.text + "' defined twice", stmt->line);
  }
  block_names_.emplace_back(name.text);
  if (skip_name("scoped")) {
    stmt->kind = Stmt::Kind::with;  // it sees what is around it
  }
  if (is_name("required")) {
    reject("'required' blocks are not supported: a template cannot use other templates.", stmt->line);
  }
  if (is(Type::sub)) {
    reject("Block names in Jinja have to be valid Python identifiers and may not contain hyphens, use an underscore instead.", stmt->line);
  }
  stmt->body = parse_to("endblock");
  (void)skip_name(name.text);
  ast_.has_blocks = true;
  return stmt;
}

void Parser::parse_print(std::vector<Stmt*>& out) {
  const int line = take().line;
  bool first = true;
  while (!is(Type::block_end)) {
    if (!first) {
      expect(Type::comma, ",");
    }
    first = false;
    Stmt* stmt = make_stmt(Stmt::Kind::print, line);
    stmt->value = parse_expression();
    out.push_back(stmt);
  }
}

}  // namespace loquat::tmpl
