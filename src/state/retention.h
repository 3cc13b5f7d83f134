#pragma once

#include <chrono>

#include "async/task_group.h"
#include "state/store.h"

namespace loquat::state {

/// Deletes what is older than `age` (STATE_RETENTION_DAYS) in small batches, every hour until `tasks` stops. Each
/// conversation's newest row stays, and whatever is younger than `dedup_age`. An error is logged and the rest left for later.
[[nodiscard]] asio::awaitable<void> run_retention(Store& store, async::TaskGroup& tasks, std::chrono::hours age,
                                                  std::chrono::hours dedup_age);

/// One pass; how many rows went.
[[nodiscard]] asio::awaitable<std::size_t> delete_expired(Store& store, async::TaskGroup& tasks, std::chrono::hours age,
                                                          std::chrono::hours dedup_age);

}  // namespace loquat::state
