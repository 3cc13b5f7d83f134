#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace loquat::messenger {

/// A page's Messenger profile as a file has it.
struct Profile {
  json::object set;                 ///< the properties as the Messenger Profile API takes them
  std::vector<std::string> remove;  ///< those that are null in the file
};

/// Reads and checks the file of `loquat page profile`, a JSON object with some of
///  - `get_started`: {"payload": ...}, or the payload alone
///  - `greeting`: [{"locale": "default", "text": ...}], or the text alone; at most 160 characters
///  - `persistent_menu`: [{"locale": "default", "call_to_actions": [...]}], at most 20 entries a locale, titles of at most 30
///  characters
///  - `ice_breakers`: [{"question": ..., "payload": ...}], at most 4, 80 characters each; or by locale like the menu
/// null removes a property. Payloads have at most 1000 characters.
/// Throws Error(invalid) whose message has one line for each mistake, with the place in the file.
[[nodiscard]] Profile parse_profile(std::string_view text);

}  // namespace loquat::messenger
