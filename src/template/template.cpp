#include "template/template.h"

#include "core/error.h"
#include "template/ast.h"
#include "template/lexer.h"
#include "template/names.h"
#include "template/parser.h"
#include "template/runtime.h"

namespace loquat::tmpl {

namespace {

constexpr std::size_t max_source = 256 * 1024;
constexpr std::size_t max_tree_bytes = 128 * 1024 * 1024;

[[noreturn]] void raise(const std::string& message, int line) {
  throw Error(Code::invalid, "template: " + message + " (line " + std::to_string(line) + ")");
}

[[nodiscard]] std::shared_ptr<const Ast> make_ast(std::string_view source, int& line) {
  auto ast = std::make_shared<Ast>(max_tree_bytes);
  std::vector<Token> tokens = tokenize(source, line);
  if (tokens.size() == 1 || (tokens.size() == 2 && tokens.front().type == Token::Type::data)) {
    ast->plain = true;
    ast->plain_text = tokens.size() == 2 ? tokens.front().text : std::string();
    return ast;
  }
  Parser parser(*ast, std::move(tokens));
  try {
    ast->body = parser.parse();
  } catch (const Failure&) {
    line = parser.line();
    throw;
  }
  bind_names(*ast, line);
  return ast;
}

}  // namespace

Template::Template(std::shared_ptr<const Ast> ast) noexcept : ast_(std::move(ast)) {}

Template Template::compile(std::string_view source) {
  if (source.size() > max_source) {
    throw Error(Code::invalid, "template: the source is longer than 256 KiB (line 1)");
  }
  int line = 1;
  try {
    return Template(make_ast(source, line));
  } catch (const Failure& failure) {
    raise(failure.what(), line);
  }
}

bool Template::is_plain() const noexcept { return ast_->plain; }

std::string Template::render(const json::object& variables, const Limits& limits, Escape escape) const {
  if (ast_->plain) {
    if (ast_->plain_text.size() > limits.output_bytes) {
      throw Error(Code::invalid, "template: the output of the template is too long (line 1)");
    }
    return ast_->plain_text;
  }
  Runtime runtime(*ast_, variables, limits, escape);
  try {
    return runtime.run();
  } catch (const Failure& failure) {
    raise(failure.what(), runtime.line());
  }
}

}  // namespace loquat::tmpl
