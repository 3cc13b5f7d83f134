#include "template/lexer.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "template/memory.h"
#include "template/unescape.h"
#include "template/unicode.h"

namespace loquat::tmpl {

namespace {

using Type = Token::Type;

constexpr std::array<std::pair<std::string_view, Type>, 26> operators{{
    {"//", Type::floordiv}, {"**", Type::pow},      {"==", Type::eq},    {"!=", Type::ne},    {">=", Type::ge},    {"<=", Type::le},
    {"+", Type::add},       {"-", Type::sub},       {"/", Type::div},    {"*", Type::mul},    {"%", Type::mod},    {"~", Type::tilde},
    {"[", Type::lbracket},  {"]", Type::rbracket},  {"(", Type::lparen}, {")", Type::rparen}, {"{", Type::lbrace}, {"}", Type::rbrace},
    {">", Type::gt},        {"<", Type::lt},        {"=", Type::assign}, {".", Type::dot},    {":", Type::colon},  {"|", Type::pipe},
    {",", Type::comma},     {";", Type::semicolon},
}};

[[nodiscard]] bool digit(char c) noexcept { return c >= '0' && c <= '9'; }

[[nodiscard]] std::string normalize(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      i += static_cast<std::size_t>(i + 1 < source.size() && source[i + 1] == '\n');
    } else {
      out += source[i];
    }
  }
  if (!out.empty() && out.back() == '\n') {
    out.pop_back();
  }
  return out;
}

class Lexer {
 public:
  Lexer(std::string source, int& line) : source_(std::move(source)), line_(line) {}

  [[nodiscard]] std::vector<Token> run() {
    line_ = 1;
    while (at_ < source_.size()) {
      read_data();
    }
    push(Type::end, {});
    return std::move(tokens_);
  }

 private:
  void push(Type type, std::string text) { tokens_.push_back({type, line_, std::move(text)}); }
  [[nodiscard]] std::string_view rest() const noexcept { return std::string_view(source_).substr(at_); }
  [[nodiscard]] bool ahead(std::string_view text) const noexcept { return rest().starts_with(text); }
  void advance(std::size_t bytes) {
    line_ += static_cast<int>(std::ranges::count(rest().substr(0, bytes), '\n'));
    at_ += bytes;
  }
  void skip_space() { advance(leading_space(rest())); }

  /// Takes an end tag (with its "-" or "+"); false when there is none here.
  [[nodiscard]] bool take_end(std::string_view end, bool plus) {
    if (ahead(end)) {
      advance(end.size());
      return true;
    }
    if (rest().size() > end.size() && rest().substr(1).starts_with(end) && (rest()[0] == '-' || (plus && rest()[0] == '+'))) {
      const bool trim = rest()[0] == '-';
      advance(end.size() + 1);
      if (trim) {
        skip_space();
      }
      return true;
    }
    return false;
  }

  void emit_data(std::size_t end, bool trim) {
    std::string_view text = std::string_view(source_).substr(at_, end - at_);
    if (trim) {
      text.remove_suffix(trailing_space(text));
    }
    if (!text.empty()) {
      push(Type::data, std::string(text));
    }
    advance(end - at_);
  }

  void read_data() {
    std::size_t open = at_;
    while (true) {
      open = source_.find('{', open);
      if (open == std::string::npos || open + 1 >= source_.size()) {
        emit_data(source_.size(), false);
        return;
      }
      const char kind = source_[open + 1];
      if (kind == '{' || kind == '%' || kind == '#') {
        break;
      }
      ++open;
    }
    const char kind = source_[open + 1];
    const char sign = open + 2 < source_.size() ? source_[open + 2] : '\0';
    emit_data(open, sign == '-');
    const std::size_t opened = 2 + static_cast<std::size_t>(sign == '-' || sign == '+');
    if (kind == '#') {
      advance(opened);
      read_comment();
    } else if (kind == '{') {
      push(Type::variable_begin, "{{");
      advance(opened);
      read_tag(Type::variable_end, "}}", false);
    } else if (!read_raw(opened)) {
      push(Type::block_begin, "{%");
      advance(opened);
      read_tag(Type::block_end, "%}", true);
    }
  }

  void read_comment() {
    const std::size_t end = source_.find("#}", at_);
    if (end == std::string::npos && at_ == source_.size()) {
      return;  // Jinja2 does not notice either when nothing follows
    }
    if (end == std::string::npos) {
      fail("Missing end of comment tag");
    }
    const bool trim = end > at_ && source_[end - 1] == '-';
    advance(end + 2 - at_);
    if (trim) {
      skip_space();
    }
  }

  /// `{% raw %}...{% endraw %}`; false when the tag at hand is another one.
  [[nodiscard]] bool read_raw(std::size_t opened) {
    const std::size_t at = at_;
    const int line = line_;
    advance(opened);
    skip_space();
    if (ahead("raw")) {
      advance(3);
      skip_space();
      if (take_end("%}", false)) {
        read_raw_text();
        return true;
      }
    }
    at_ = at;
    line_ = line;
    return false;
  }

  void read_raw_text() {
    const std::size_t start = at_;
    const int start_line = line_;
    for (std::size_t open = source_.find("{%", at_); open != std::string::npos; open = source_.find("{%", open + 1)) {
      at_ = open + 2;
      const bool trim = ahead("-");
      if (trim || ahead("+")) {
        ++at_;
      }
      skip_space();
      if (!ahead("endraw")) {
        continue;
      }
      at_ += 6;
      skip_space();
      if (!take_end("%}", true)) {
        continue;
      }
      const std::size_t after = at_;
      at_ = start;
      line_ = start_line;
      emit_data(open, trim);
      advance(after - open);
      return;
    }
    line_ = start_line;
    at_ = start;
    if (at_ < source_.size()) {
      fail("Missing end of raw directive");
    }
  }

  void read_tag(Type end_type, std::string_view end, bool plus) {
    std::vector<char> open;
    while (at_ < source_.size()) {
      if (open.empty()) {
        const int line = line_;
        if (take_end(end, plus)) {
          tokens_.push_back({end_type, line, std::string(end)});
          return;
        }
      }
      const std::size_t space = leading_space(rest());
      if (space != 0) {
        advance(space);
      } else if (!read_number() && !read_name() && !read_string()) {
        read_operator(open);
      }
    }
  }

  /// digits, each group after a single underscore; 0 when there are none at `from`.
  [[nodiscard]] std::size_t digits(std::size_t from) const noexcept {
    std::size_t at = from;
    while (at < source_.size() && (digit(source_[at]) || (source_[at] == '_' && at > from && at + 1 < source_.size() &&
                                                          digit(source_[at + 1]) && source_[at - 1] != '_'))) {
      ++at;
    }
    return at - from;
  }

  void push_number(Type type, std::size_t size) {
    std::string text(rest().substr(0, size));
    std::erase(text, '_');
    push(type, std::move(text));
    advance(size);
  }

  [[nodiscard]] bool read_number() {
    if (!digit(source_[at_])) {
      return false;
    }
    const bool after_dot = at_ > 0 && source_[at_ - 1] == '.';
    const std::size_t whole = digits(at_);
    if (!after_dot && read_real(whole)) {
      return true;
    }
    if (const std::size_t size = prefixed_size(); size != 0) {
      push_number(Type::integer, size);
      return true;
    }
    std::size_t size = whole;
    if (source_[at_] == '0') {  // zeros only: 012 is two numbers
      size = 1;
      while (size < whole && (source_[at_ + size] == '0' || (source_[at_ + size] == '_' && source_[at_ + size + 1] == '0'))) {
        ++size;
      }
    }
    push_number(Type::integer, size);
    return true;
  }

  [[nodiscard]] bool read_real(std::size_t whole) {
    std::size_t size = whole;
    bool real = false;
    const auto at = [this](std::size_t offset) { return at_ + offset < source_.size() ? source_[at_ + offset] : '\0'; };
    if (at(size) == '.' && digit(at(size + 1))) {
      size += 1 + digits(at_ + size + 1);
      real = true;
    }
    if (at(size) == 'e' || at(size) == 'E') {
      const std::size_t sign = at(size + 1) == '+' || at(size + 1) == '-' ? 1 : 0;
      if (digit(at(size + 1 + sign))) {
        size += 1 + sign + digits(at_ + size + 1 + sign);
        real = true;
      }
    }
    if (real) {
      push_number(Type::real, size);
    }
    return real;
  }

  /// 0x1F, 0b101, 0o17; 0 when it is none of them.
  [[nodiscard]] std::size_t prefixed_size() const noexcept {
    const std::string_view text = rest();
    if (text.size() < 3 || text[0] != '0') {
      return 0;
    }
    const char base = static_cast<char>(text[1] | 0x20);
    const auto fits = [base](char c) {
      switch (base) {
        case 'b': return c == '0' || c == '1';
        case 'o': return c >= '0' && c <= '7';
        case 'x': return digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
        default: return false;
      }
    };
    std::size_t size = 2;
    while (size < text.size() && (fits(text[size]) || (text[size] == '_' && size + 1 < text.size() && fits(text[size + 1])))) {
      ++size;
    }
    return size > 2 ? size : 0;
  }

  [[nodiscard]] bool read_name() {
    std::size_t at = at_;
    std::size_t end = at_;
    bool valid = true;
    while (at < source_.size()) {
      const char32_t c = next_char(source_, at);
      if (!is_word(c) && !(c >= 0x80 && is_id_part(c))) {
        break;
      }
      valid = valid && (end == at_ ? is_id_start(c) : is_id_part(c));
      end = at;
    }
    if (end == at_) {
      return false;
    }
    if (!valid) {
      fail("Invalid character in identifier");
    }
    const std::size_t size = end - at_;
    push(Type::name, std::string(rest().substr(0, size)));
    at_ = end;
    return true;
  }

  [[nodiscard]] bool read_string() {
    const char quote = source_[at_];
    if (quote != '"' && quote != '\'') {
      return false;
    }
    std::size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) {
      end += source_[end] == '\\' ? 2 : 1;
    }
    if (end >= source_.size()) {
      return false;
    }
    const std::string_view raw = std::string_view(source_).substr(at_ + 1, end - at_ - 1);
    push(Type::string, unescape_string(raw));
    advance(end + 1 - at_);
    return true;
  }

  void read_operator(std::vector<char>& open) {
    const auto found = std::ranges::find_if(operators, [this](const auto& entry) { return ahead(entry.first); });
    if (found == operators.end()) {
      std::size_t at = at_;
      std::string shown;
      append_char(shown, next_char(source_, at));
      fail("unexpected char '" + shown + "'");
    }
    const char c = found->first[0];
    if (c == '(' || c == '[' || c == '{') {
      open.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
    } else if (c == ')' || c == ']' || c == '}') {
      if (open.empty()) {
        fail(std::string("unexpected '") + c + "'");
      }
      if (open.back() != c) {
        fail(std::string("unexpected '") + c + "', expected '" + open.back() + "'");
      }
      open.pop_back();
    }
    push(found->second, std::string(found->first));
    at_ += found->first.size();
  }

  std::string source_;
  std::size_t at_ = 0;
  int& line_;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source, int& line) { return Lexer(normalize(source), line).run(); }

std::string describe(const Token& token) {
  switch (token.type) {
    case Type::end: return "end of template";
    case Type::data: return "template data / text";
    case Type::variable_begin: return "begin of print statement";
    case Type::variable_end: return "end of print statement";
    case Type::block_begin: return "begin of statement block";
    case Type::block_end: return "end of statement block";
    case Type::string: return "string";
    case Type::integer: return "integer";
    case Type::real: return "float";
    default: return token.text;
  }
}

}  // namespace loquat::tmpl
