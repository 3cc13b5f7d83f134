#pragma once

#include <string>

#include "core/json.h"

namespace loquat::messenger {

/// A call to the Graph API's messages as lines for people, each ending in a newline; empty for typing and seen marks. Control
/// characters are left out, so that a bot's text cannot drive the terminal.
[[nodiscard]] std::string format_reply(const json::value& request);

}  // namespace loquat::messenger
