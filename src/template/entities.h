#pragma once

#include <string>
#include <string_view>

namespace loquat::tmpl {

/// Resolves HTML character references (named and numeric) as Python's html.unescape.
[[nodiscard]] std::string unescape_html(std::string_view text);

}  // namespace loquat::tmpl
