#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "bot/multipart.h"
#include "core/error.h"

// The first line is the content type, the rest the body.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t line = input.find('\n');
  if (line == std::string_view::npos) return 0;
  const auto body = input.substr(line + 1);
  try {
    for (const auto& part : loquat::bot::parse_multipart(input.substr(0, line), body)) {
      if (part.content.size() > body.size()) std::abort();
      if (!part.content.empty() &&
          (part.content.data() < body.data() || part.content.data() + part.content.size() > body.data() + body.size())) {
        std::abort();
      }
    }
  } catch (const loquat::Error& error) {
    if (error.code() != loquat::Code::malformed) std::abort();
  }
  return 0;
}
