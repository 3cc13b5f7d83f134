#include <cstdint>
#include <string>
#include <string_view>

#include "app/config.h"
#include "core/text.h"

/// Lines NAME=value as an environment: whatever they say, reading them ends in settings or problems.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  loquat::app::Sources sources;
  for (const auto line : loquat::text::split({reinterpret_cast<const char*>(data), size}, '\n')) {
    const auto equals = line.find('=');
    // Files named by the input are not to be opened.
    if (equals == std::string_view::npos || line.substr(0, equals).ends_with("_FILE")) continue;
    sources.environment.emplace(line.substr(0, equals), line.substr(equals + 1));
  }
  const auto loaded = loquat::app::load_config(sources, {"all"});
  return loaded.origins.empty() ? 1 : 0;
}
