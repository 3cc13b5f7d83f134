#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace loquat {

/// What CPython's json module (3.11) says about a text, and at which character (code point) of it: the words FastAPI's
/// clients know. An empty message: Python's grammar accepts the text. NaN and Infinity count as errors here.
struct JsonDiagnosis {
  std::string message;
  std::size_t character = 0;
};
/// `text` must be valid UTF-8. Nesting beyond 1000 levels is not looked into.
[[nodiscard]] JsonDiagnosis diagnose_json(std::string_view text);

}  // namespace loquat
