#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
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

  bool operator==(const Integration&) const = default;
};

/// What a fresh installation has: `facebook` and `chat_widget`.
[[nodiscard]] const std::vector<Integration>& defaults();

/// No integration may have this id: it is a path of the API.
inline constexpr std::string_view reserved_id = "ensure-defaults";
/// Levels of nesting in `settings`, which is itself the first. MongoDB stores documents of at most 100.
inline constexpr std::size_t max_settings_depth = 90;
inline constexpr std::size_t max_id_characters = 255;

/// The client-facing words of Error(not_found), Error(conflict) and Error(precondition_failed), the same in all adapters.
inline constexpr const char* not_found_message = "Integration not found";
inline constexpr const char* taken_message = "Integration already exists";
inline constexpr const char* changed_message = "Integration was changed in the meantime";

/// Throws Error(precondition_failed) when a version is asked for and is not the current one.
void require_version(std::int64_t current, std::optional<std::int64_t> wanted);

/// RFC 7396: null removes, objects merge, everything else replaces. Members keep their order.
[[nodiscard]] json::value merge_patch(json::value target, const json::value& patch);

/// Levels of nesting: 0 for text, numbers and so on, 1 for an object or array without others in it.
[[nodiscard]] std::size_t depth_of(const json::value& value);

}  // namespace loquat::integrations
