#pragma once

#include <memory>

#include "state/store.h"

namespace loquat::state {

/// States in memory (STATE_URL=memory://), gone with the process; also the double for tests.
[[nodiscard]] std::unique_ptr<Store> make_memory_store();

}  // namespace loquat::state
