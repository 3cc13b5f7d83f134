#pragma once

#include <string>
#include <string_view>

namespace loquat::tmpl {

/// Resolves the escapes of a string literal, which are Python's; `raw` is what stands between the quotes. Throws Failure.
[[nodiscard]] std::string unescape_string(std::string_view raw);

}  // namespace loquat::tmpl
