#pragma once

#include "http/router.h"
#include "state/store.h"

namespace loquat::state {

/// The routes under /states. `store` must outlive the router; `also_erase` may be empty.
///
/// Beside what the contract says of them, other Loquat processes (state/http_store.h) use: `full=true` (members channel, account,
/// origin, erased), `exact=true` (this very conversation, its tombstone too), `view=search` and `view=message` on GET /states.
void add_routes(http::Router& router, Store& store, AlsoErase also_erase);

/// What a request searches for: intent, channel, min_confidence, max_confidence, start_date, end_date, before, limit, and the text under
/// `text_parameter`. Throws schema::ValidationError for values that are none.
[[nodiscard]] SearchQuery read_search(const http::Request& request, std::string_view text_parameter, std::int64_t default_limit,
                                      std::int64_t highest_limit);

}  // namespace loquat::state
