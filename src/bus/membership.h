#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "async/task_group.h"
#include "bus/ownership.h"
#include "db/sql.h"

namespace loquat::bus {

/// Shares the partitions among the living processes of one PostgreSQL: a row in `process`, renewed every 3 s for 10 s by the
/// database's clock; partitions of the dead are taken over (their rows are marked first, which waits for their running commits); surplus is
/// drained and given up until each holds at most ceil(64 / alive). On SQLite there is one process, which owns everything.
class Membership {
 public:
  struct Callbacks {
    /// Partitions are about to become ours: load what must be known before anything of them runs.
    std::function<asio::awaitable<void>(std::vector<std::int64_t> parts)> before_owning;
    /// They are ours now.
    std::function<void()> owning;
    /// They are no longer ours, or about to be given up: stop starting things. `parts` is a mask.
    std::function<void(std::uint64_t parts)> leaving;
    /// How much still runs in these partitions.
    std::function<std::size_t(std::uint64_t parts)> running_in;
  };

  Membership(db::Database& database, Ownership& ownership, async::TaskGroup& tasks, Callbacks callbacks);

  /// Joins and keeps the membership until the task group stops. On SQLite: takes everything at once. Runs on `loop`.
  void start(asio::io_context& loop);
  /// Gives everything up, so that others need not wait for the lease to end. After the lanes have drained.
  [[nodiscard]] asio::awaitable<void> leave();

  /// The id of this process in the table; changes after it was found dead.
  [[nodiscard]] std::string process_id() const;
  /// Living processes, as last seen; at least 1.
  [[nodiscard]] std::size_t alive() const noexcept { return alive_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool joined() const noexcept { return joined_.load(std::memory_order_acquire); }

 private:
  asio::awaitable<void> run_sqlite();
  asio::awaitable<void> renew_loop();
  asio::awaitable<void> balance_loop();
  asio::awaitable<void> join();
  asio::awaitable<bool> renew();
  asio::awaitable<void> balance();
  asio::awaitable<void> give_up(std::uint64_t parts);
  asio::awaitable<void> pause(std::chrono::milliseconds time);
  void lose_everything();

  db::Database& database_;
  Ownership& ownership_;
  async::TaskGroup& tasks_;
  const Callbacks callbacks_;
  mutable std::mutex mutex_;
  std::string process_id_;  // under mutex_
  std::atomic<std::size_t> alive_{1};
  std::atomic<bool> joined_{false};
};

}  // namespace loquat::bus
