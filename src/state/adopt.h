#pragma once

#include "db/sql.h"

namespace loquat::state {

/// Completes the table `states`, whoever made it, and its indexes; fills `threads` from it. Idempotent; inside a transaction.
void adopt_states(db::Connection& connection);

}  // namespace loquat::state
