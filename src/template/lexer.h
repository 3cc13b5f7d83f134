#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace loquat::tmpl {

struct Token {
  enum class Type : std::uint8_t {
    end,
    data,
    variable_begin,
    variable_end,
    block_begin,
    block_end,
    name,
    string,
    integer,
    real,
    add,
    sub,
    mul,
    div,
    floordiv,
    mod,
    pow,
    tilde,
    lbracket,
    rbracket,
    lparen,
    rparen,
    lbrace,
    rbrace,
    eq,
    ne,
    gt,
    ge,
    lt,
    le,
    assign,
    dot,
    colon,
    pipe,
    comma,
    semicolon,
  };

  Type type = Type::end;
  int line = 1;
  /// The name, the operator, the number without underscores, the text with its escapes resolved.
  std::string text;
};

/// The tokens of a template, the last one being `end`. Newlines are \n in all of them, one at the end is dropped, white space is
/// trimmed as the tags say. `line` is where the reading stands, for the caller's message. Throws Failure.
[[nodiscard]] std::vector<Token> tokenize(std::string_view source, int& line);

/// How messages name a token.
[[nodiscard]] std::string describe(const Token& token);

}  // namespace loquat::tmpl
