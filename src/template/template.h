#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "core/json.h"

namespace loquat::tmpl {

struct Ast;

/// What one rendering may use; beyond any of them it ends with an Error. They are far above what answers need.
struct Limits {
  std::size_t output_bytes = 1024 * 1024;
  std::size_t memory_bytes = 16 * 1024 * 1024;  ///< all values made while rendering, texts and lists above all
  std::size_t steps = 500'000;                  ///< expressions and statements evaluated, items walked over, 64 bytes of text searched
  std::size_t depth = 100;                      ///< macros and recursive loops within one another
};

/// What becomes of an interpolated output, `{{ ... }}` or the result of a `call` or `filter` block. The literal text of the template
/// is never changed, nor is a string that stands literally in one of its expressions (`{{ "," if not loop.last }}`), nor the result
/// of the filter `safe` as the outermost one: the author takes responsibility for these.
enum class Escape {
  /// As it is. What chat answers use.
  none,
  /// For URLs: all bytes but the unreserved ones of RFC 3986 (A-Z a-z 0-9 - . _ ~) are percent-encoded, so a value stays inside its
  /// path segment or parameter. The result of the filter `urlencode` is not encoded twice; only a slash in it becomes %2F.
  url,
  /// For JSON texts. Between the quotes of a JSON string of the literal text: escaped as the inside of a string. Elsewhere: numbers,
  /// booleans, none, lists and dicts are written as JSON, and so is the result of `tojson`; undefined is `null`; a string is written
  /// as it is when it is a complete JSON number or true, false, null, otherwise as a quoted JSON string.
  json_string,
};

/// A compiled Jinja2 template. See docs/templates.md for the language and where it differs from Jinja2.
/// Copies are cheap and share the compiled form, which never changes: any number of threads may render at the same time.
class Template {
 public:
  /// Throws Error(invalid), with the line at the end, on a syntax error, an unknown filter or test, or a source of more than 256 KiB.
  [[nodiscard]] static Template compile(std::string_view source);

  /// `variables` are the names the template sees beside the built-in ones; they are read, never changed.
  /// Throws Error(invalid) when the template fails or a limit is exceeded.
  [[nodiscard]] std::string render(const json::object& variables, const Limits& limits = {}, Escape escape = Escape::none) const;

  /// Without any tag: render() gives the same text always.
  [[nodiscard]] bool is_plain() const noexcept;

 private:
  explicit Template(std::shared_ptr<const Ast> ast) noexcept;

  std::shared_ptr<const Ast> ast_;
};

}  // namespace loquat::tmpl
