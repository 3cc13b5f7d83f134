#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "template/ast.h"
#include "template/lexer.h"

namespace loquat::tmpl {

/// Reads tokens into statements. Grammar and precedence are Jinja2's (its Parser class); names are bound afterwards, by bind_names().
/// Throws Failure; line() then tells where.
class Parser {
 public:
  Parser(Ast& ast, std::vector<Token> tokens) : ast_(ast), tokens_(std::move(tokens)) {}

  [[nodiscard]] Body parse();
  [[nodiscard]] int line() const noexcept { return line_; }

 private:
  using Type = Token::Type;

  class Deeper;

  // stream
  [[nodiscard]] const Token& current() const noexcept { return tokens_[at_]; }
  [[nodiscard]] const Token& look() const noexcept { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  const Token& take() noexcept;
  [[nodiscard]] bool is(Type type) const noexcept { return current().type == type; }
  [[nodiscard]] bool is_name(std::string_view name) const noexcept { return is(Type::name) && current().text == name; }
  [[nodiscard]] bool skip_name(std::string_view name) noexcept;
  const Token& expect(Type type, std::string_view what);
  void expect_name(std::string_view name);
  [[noreturn]] void reject(const std::string& message, int line);

  // nodes
  [[nodiscard]] Expr* make(Expr::Kind kind, int line);
  [[nodiscard]] Expr* make_unary(Expr::Kind kind, int line, Expr* a);
  [[nodiscard]] Expr* make_binary(Expr::Kind kind, int line, Expr* a, Expr* b);
  [[nodiscard]] Expr* make_power(int line, Expr* base, Expr* exponent);
  [[nodiscard]] Expr* make_constant(const Value& value, int line);
  [[nodiscard]] Stmt* make_stmt(Stmt::Kind kind, int line);
  [[nodiscard]] const Str* make_str(std::string_view text);
  void raise_depth(Expr& parent, const Expr* child);
  template <class T>
  [[nodiscard]] std::span<T> keep(const std::vector<T>& items);

  // expressions
  [[nodiscard]] Expr* parse_expression(bool with_condition = true);
  [[nodiscard]] Expr* parse_conditional();
  [[nodiscard]] Expr* parse_or();
  [[nodiscard]] Expr* parse_and();
  [[nodiscard]] Expr* parse_not();
  [[nodiscard]] Expr* parse_compare();
  [[nodiscard]] Expr* parse_sum();
  [[nodiscard]] Expr* parse_concat();
  [[nodiscard]] Expr* parse_product();
  [[nodiscard]] Expr* parse_power();
  [[nodiscard]] Expr* parse_unary(bool with_filter = true);
  [[nodiscard]] Expr* parse_primary(bool with_namespace = false);
  [[nodiscard]] Expr* parse_name(bool with_namespace);
  [[nodiscard]] Expr* parse_strings();
  [[nodiscard]] Expr* parse_list();
  [[nodiscard]] Expr* parse_dict();
  [[nodiscard]] Expr* parse_postfix(Expr* node);
  [[nodiscard]] Expr* parse_filters(Expr* node);
  [[nodiscard]] Expr* parse_subscript(Expr* node);
  [[nodiscard]] Expr* parse_index(Expr* object);
  [[nodiscard]] Expr* parse_call(Expr* node);
  [[nodiscard]] const CallArgs* parse_call_args(Expr& owner);
  [[nodiscard]] Expr* parse_filter(Expr* node, bool start_inline = false);
  [[nodiscard]] Expr* parse_test(Expr* node);
  [[nodiscard]] std::string parse_dotted_name();

  struct TupleRules {
    bool simplified = false;
    bool with_condition = true;
    std::string_view end_name{};
    bool parenthesized = false;
    bool with_namespace = false;
  };
  [[nodiscard]] Expr* parse_tuple(const TupleRules& rules);
  [[nodiscard]] Expr* parse_target(std::string_view end_name, bool with_namespace);
  [[nodiscard]] Expr* parse_name_target();
  void check_target(const Expr& target);

  // statements
  using EndNames = std::vector<std::string_view>;
  [[nodiscard]] Body parse_body(const EndNames* ends);
  [[nodiscard]] Body parse_statements(const EndNames& ends);
  [[nodiscard]] Body parse_to(std::string_view end);
  void parse_statement(std::vector<Stmt*>& out);
  [[nodiscard]] Stmt* parse_if();
  [[nodiscard]] Stmt* parse_for();
  [[nodiscard]] Stmt* parse_set();
  [[nodiscard]] Stmt* parse_with();
  [[nodiscard]] Stmt* parse_macro();
  [[nodiscard]] Stmt* parse_call_block();
  [[nodiscard]] Stmt* parse_filter_block();
  [[nodiscard]] Stmt* parse_autoescape();
  [[nodiscard]] Stmt* parse_block();
  void parse_print(std::vector<Stmt*>& out);
  void parse_signature(MacroNode& macro);
  [[noreturn]] void reject_tag(const Token& token);
  [[noreturn]] void reject_end(const EndNames& ends);

  Ast& ast_;
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
  int line_ = 1;
  std::vector<std::string_view> block_names_;
};

template <class T>
std::span<T> Parser::keep(const std::vector<T>& items) {
  T* kept = ast_.memory.make_array<T>(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    kept[i] = items[i];
  }
  return {kept, items.size()};
}

/// Guards the parser's own stack: Python gives up at about the same depth.
class Parser::Deeper {
 public:
  explicit Deeper(Parser& parser);
  ~Deeper() { --parser_.depth_; }
  Deeper(const Deeper&) = delete;
  Deeper& operator=(const Deeper&) = delete;

 private:
  Parser& parser_;
};

}  // namespace loquat::tmpl
