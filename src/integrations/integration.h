#pragma once

#include <boost/describe.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"

namespace loquat::integrations {

/// A channel's settings.
struct Integration {
  std::string id;
  std::string name;
  std::string description;
  bool status = false;
  json::object settings;
  std::int64_t version = 1;  ///< counts changes; the ETag
};

/// What a fresh installation has: `facebook` and `chat_widget`.
[[nodiscard]] const std::vector<Integration>& defaults();

}  // namespace loquat::integrations
