#include "bus/membership.h"

#include <algorithm>

#include "bus/inbox_rows.h"
#include "core/id.h"
#include "core/log.h"
#include "core/metrics.h"

namespace loquat::bus {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds lease{10'000};
constexpr milliseconds renewal{3'000};
constexpr milliseconds balance_interval{2'000};
constexpr milliseconds drain_limit{10'000};

std::vector<std::int64_t> parts_of(std::uint64_t mask) {
  std::vector<std::int64_t> parts;
  for (unsigned part = 0; part < partition_count; ++part)
    if ((mask >> part & 1U) != 0) parts.push_back(part);
  return parts;
}

std::uint64_t mask_of(const std::vector<std::int64_t>& parts) {
  std::uint64_t mask = 0;
  for (const auto part : parts) mask |= std::uint64_t{1} << static_cast<unsigned>(part);
  return mask;
}

std::vector<std::int64_t> numbers(const db::Rows& rows) {
  std::vector<std::int64_t> result;
  result.reserve(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) result.push_back(rows.integer(i, 0));
  return result;
}

struct Balance {
  std::size_t alive = 1;
  std::vector<std::int64_t> mine;
};

/// Declares the dead, frees their partitions and takes a fair share of the free ones.
Balance take_share(db::Connection& connection, const std::string& id) {
  connection("UPDATE process SET state = 'dead' WHERE state = 'alive' AND alive_until < now()");
  connection("DELETE FROM process WHERE state <> 'alive' AND alive_until < now() - interval '1 day'");
  // In key order, so that two processes that balance at once do not deadlock.
  connection(
      "UPDATE partition SET owner = NULL WHERE part IN (SELECT part FROM partition WHERE owner IS NOT NULL AND owner NOT IN "
      "(SELECT id FROM process WHERE state = 'alive') ORDER BY part FOR UPDATE)");
  Balance result;
  result.alive =
      static_cast<std::size_t>(std::max<std::int64_t>(1, connection("SELECT count(*) FROM process WHERE state = 'alive'")->integer(0, 0)));
  result.mine = numbers(*connection("SELECT part FROM partition WHERE owner = $1 ORDER BY part", id));
  const std::size_t fair = (partition_count + result.alive - 1) / result.alive;
  if (result.mine.size() < fair) {
    const auto taken =
        numbers(*connection("UPDATE partition SET owner = $1 WHERE part IN (SELECT part FROM partition WHERE owner IS NULL ORDER BY part "
                            "LIMIT $2 FOR UPDATE SKIP LOCKED) "
                            "AND EXISTS (SELECT 1 FROM process WHERE id = $1 AND state = 'alive' AND alive_until > now()) RETURNING part",
                            id, static_cast<std::int64_t>(fair - result.mine.size())));
    result.mine.insert(result.mine.end(), taken.begin(), taken.end());
  }
  return result;
}

}  // namespace

Membership::Membership(db::Database& database, Ownership& ownership, async::TaskGroup& tasks, Callbacks callbacks)
    : database_(database), ownership_(ownership), tasks_(tasks), callbacks_(std::move(callbacks)), process_id_(random_hex(8)) {}

std::string Membership::process_id() const {
  const std::lock_guard lock(mutex_);
  return process_id_;
}

void Membership::start(asio::io_context& loop) {
  if (database_.dialect() == db::Dialect::sqlite) {
    tasks_.spawn(loop.get_executor(), "membership", run_sqlite());
    return;
  }
  tasks_.spawn(loop.get_executor(), "lease", renew_loop());
  tasks_.spawn(loop.get_executor(), "balance", balance_loop());
}

asio::awaitable<void> Membership::pause(milliseconds time) {
  while (time.count() > 0 && !tasks_.stopping()) {
    const auto slice = std::min(time, milliseconds(100));
    co_await async::sleep_for(slice);
    time -= slice;
  }
}

asio::awaitable<void> Membership::run_sqlite() {
  const auto all = parts_of(~std::uint64_t{0});
  while (!tasks_.stopping()) {
    bool ready = true;
    try {
      co_await callbacks_.before_owning(all);
    } catch (const Error&) {
      ready = false;
    }
    if (ready) break;
    co_await pause(milliseconds(500));
  }
  ownership_.set_lease_forever();
  ownership_.set_mask(~std::uint64_t{0});
  joined_.store(true, std::memory_order_release);
  callbacks_.owning();
}

asio::awaitable<void> Membership::join() {
  {
    const std::lock_guard lock(mutex_);
    process_id_ = random_hex(8);
  }
  const auto before = Ownership::boot_time();
  co_await database_.write([id = process_id()](db::Connection& c) {
    c("INSERT INTO process(id, alive_until, state) VALUES($1, now() + interval '10 seconds', 'alive')", id);
  });
  ownership_.set_lease(before + lease);
  joined_.store(true, std::memory_order_release);
}

/// False when somebody has declared this process dead.
asio::awaitable<bool> Membership::renew() {
  const auto before = Ownership::boot_time();
  const bool alive = co_await database_.write([id = process_id()](db::Connection& c) {
    return c("UPDATE process SET alive_until = now() + interval '10 seconds' WHERE id = $1 AND state = 'alive'", id)->affected() == 1;
  });
  if (alive) ownership_.set_lease(before + lease);
  co_return alive;
}

void Membership::lose_everything() {
  const auto mask = ownership_.mask();
  ownership_.lose_all();
  callbacks_.leaving(mask);
  joined_.store(false, std::memory_order_release);
  log::warning("bus", "this process was declared dead by another; it comes back under a new id");
}

asio::awaitable<void> Membership::renew_loop() {
  while (!tasks_.stopping()) {
    bool failed = false;
    try {
      if (!joined_) {
        co_await join();
      } else if (!co_await renew()) {
        lose_everything();
        continue;
      }
    } catch (const Error& error) {
      failed = true;
      log::debug("bus", "the lease could not be renewed", {{"error", error.what()}});
    }
    co_await pause(failed ? milliseconds(300) : renewal);
  }
}

asio::awaitable<void> Membership::balance_loop() {
  while (!tasks_.stopping()) {
    bool failed = !joined_;
    if (joined_) {
      try {
        co_await balance();
      } catch (const Error& error) {
        failed = true;
        log::debug("bus", "partitions could not be balanced", {{"error", error.what()}});
      }
    }
    co_await pause(failed ? milliseconds(20) : balance_interval);
  }
}

asio::awaitable<void> Membership::balance() {
  const auto epoch = ownership_.epoch();
  const auto id = process_id();
  auto share = co_await database_.write([id](db::Connection& c) { return take_share(c, id); });
  if (epoch != ownership_.epoch()) co_return;
  alive_.store(share.alive, std::memory_order_relaxed);
  metrics::gauge("bus_processes", "Living processes that share the partitions").set(static_cast<double>(share.alive));
  const auto before = ownership_.mask();
  const auto now_mine = mask_of(share.mine);
  const auto gained = now_mine & ~before;
  if (gained != 0) {
    co_await callbacks_.before_owning(parts_of(gained));
    if (epoch != ownership_.epoch()) co_return;
    ownership_.set_mask(ownership_.mask() | gained);
    log::info("bus", "took partitions", {{"taken", parts_of(gained).size()}, {"owned", share.mine.size()}, {"processes", share.alive}});
    callbacks_.owning();
  }
  if (const auto lost = before & ~now_mine; lost != 0) {  // taken from us while we looked dead
    ownership_.set_mask(ownership_.mask() & ~lost);
    callbacks_.leaving(lost);
  }
  const std::size_t fair = (partition_count + share.alive - 1) / share.alive;
  if (share.mine.size() > fair) {
    std::ranges::sort(share.mine);
    const std::vector<std::int64_t> surplus(share.mine.begin() + static_cast<std::ptrdiff_t>(fair), share.mine.end());
    co_await give_up(mask_of(surplus));
  }
}

asio::awaitable<void> Membership::give_up(std::uint64_t parts) {
  const auto epoch = ownership_.epoch();
  ownership_.set_mask(ownership_.mask() & ~parts);
  callbacks_.leaving(parts);
  for (auto left = drain_limit; callbacks_.running_in(parts) != 0 && left.count() > 0; left -= milliseconds(20))
    co_await async::sleep_for(milliseconds(20));
  if (epoch != ownership_.epoch()) co_return;
  if (callbacks_.running_in(parts) != 0) {  // a slow send: keep them and try again later
    ownership_.set_mask(ownership_.mask() | parts);
    callbacks_.owning();
    co_return;
  }
  co_await database_.write([id = process_id(), list = parts_of(parts)](db::Connection& c) {
    c("UPDATE partition SET owner = NULL WHERE part IN (SELECT part FROM partition WHERE owner = $1 AND part = ANY($2::bigint[]) ORDER BY "
      "part FOR UPDATE)",
      id, list);
  });
  log::info("bus", "gave partitions up", {{"given", parts_of(parts).size()}});
}

asio::awaitable<void> Membership::leave() {
  const auto mask = ownership_.mask();
  ownership_.set_mask(0);
  callbacks_.leaving(mask);
  if (database_.dialect() == db::Dialect::sqlite || !joined_) co_return;
  try {
    co_await database_.write([id = process_id()](db::Connection& c) {
      c("UPDATE partition SET owner = NULL WHERE part IN (SELECT part FROM partition WHERE owner = $1 ORDER BY part FOR UPDATE)", id);
      c("UPDATE process SET state = 'stopped' WHERE id = $1", id);
    });
  } catch (const Error& error) {
    log::warning("bus", "partitions could not be released; others take them over when the lease ends", {{"error", error.what()}});
  }
}

}  // namespace loquat::bus
