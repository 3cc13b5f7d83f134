#pragma once

#include <cstdint>
#include <string_view>

#include "http/message.h"
#include "state/store.h"

namespace loquat::state {

/// What a request searches for: intent, channel, min_confidence, max_confidence, start_date, end_date, before, limit, and the text under
/// `text_parameter`. Throws schema::ValidationError for values that are none.
[[nodiscard]] SearchQuery read_search(const http::Request& request, std::string_view text_parameter, std::int64_t default_limit,
                                      std::int64_t highest_limit);

}  // namespace loquat::state
