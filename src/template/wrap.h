#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace loquat::tmpl {

struct WrapStyle {
  std::int64_t width = 79;
  bool break_long_words = true;
  bool break_on_hyphens = true;
};

/// Fills lines as Python's textwrap.wrap does with expand_tabs and replace_whitespace off. Throws Failure unless width > 0.
[[nodiscard]] std::vector<std::string> wrap_line(std::string_view text, const WrapStyle& style);

}  // namespace loquat::tmpl
