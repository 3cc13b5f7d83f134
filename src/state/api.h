#pragma once

#include "http/router.h"
#include "state/store.h"

namespace loquat::state {

/// The routes under /states. `store` must outlive the router; `also_erase` may be empty.
///
/// Beside what the contract says of them, other Loquat processes (state/http_store.h) use: `full=true` (members channel, account,
/// origin, erased), `exact=true` (this very conversation, its tombstone too), `view=search` and `view=message` on GET /states.
void add_routes(http::Router& router, Store& store, AlsoErase also_erase);

}  // namespace loquat::state
