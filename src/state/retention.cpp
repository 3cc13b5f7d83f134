#include "state/retention.h"

#include "core/error.h"
#include "core/log.h"

namespace loquat::state {
namespace {

constexpr std::size_t rows_a_batch = 500;
constexpr std::chrono::milliseconds pause_between_batches(50);
constexpr std::chrono::minutes first_pass_after(1);
constexpr std::chrono::minutes pass_every(60);

asio::awaitable<void> sleep_while_running(const async::TaskGroup& tasks, std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (!tasks.stopping() && std::chrono::steady_clock::now() < end) co_await async::sleep_for(std::chrono::milliseconds(500));
}

}  // namespace

asio::awaitable<std::size_t> delete_expired(Store& store, async::TaskGroup& tasks, std::chrono::hours age, std::chrono::hours dedup_age) {
  std::size_t total = 0;
  for (std::size_t count = rows_a_batch; count >= rows_a_batch && !tasks.stopping();) {
    count = co_await store.delete_older(age, dedup_age, rows_a_batch);
    total += count;
    // Turns come first.
    if (count > 0) co_await async::sleep_for(pause_between_batches);
  }
  co_return total;
}

asio::awaitable<void> run_retention(Store& store, async::TaskGroup& tasks, std::chrono::hours age, std::chrono::hours dedup_age) {
  co_await sleep_while_running(tasks, first_pass_after);
  while (!tasks.stopping()) {
    try {
      const auto count = co_await delete_expired(store, tasks, age, dedup_age);
      if (count > 0) log::info("state", "states older than the retention were deleted", {{"rows", count}});
    } catch (const Error& error) {
      log::warning("state", "old states could not be deleted; tried again later",
                   {{"error", error.what()}, {"detail", error.log_detail()}});
    }
    co_await sleep_while_running(tasks, pass_every);
  }
}

}  // namespace loquat::state
