#include <cstdint>
#include <string_view>

#include "core/error.h"
#include "template/template.h"

/// Any bytes as a template: it compiles and renders, or fails with an Error, within the limits.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const std::string_view source(reinterpret_cast<const char*>(data), size);
    const auto compiled = loquat::tmpl::Template::compile(source);
    const loquat::json::object variables{{"a", 1}, {"b", "text"}, {"c", loquat::json::array{1, "x", nullptr}}};
    (void)compiled.render(variables, {.output_bytes = 65536, .memory_bytes = 1 << 20, .steps = 20'000, .depth = 20});
  } catch (const loquat::Error&) {
  }
  return 0;
}
