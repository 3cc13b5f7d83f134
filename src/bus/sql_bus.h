#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "async/task_group.h"
#include "bus/bus.h"
#include "bus/lanes.h"
#include "bus/membership.h"
#include "bus/ownership.h"
#include "bus/running_marks.h"
#include "bus/storage.h"
#include "state/store.h"

namespace loquat::bus {

/// The durable path on SQLite or PostgreSQL: admission with group commit, partitions, lanes, sweeps. docs/bus.md is its design.
class SqlBus final : public Bus {
 public:
  struct Settings {
    std::string data_dir;  ///< for the running marks
    Storage::Settings storage;
    Lanes::Settings lanes;
    std::int64_t backlog_limit = 2'000'000;  ///< pending rows; beyond, admissions are refused (503)
    std::chrono::milliseconds sweep_interval{1'000};
    bool consume = true;  ///< false: events are stored, and wait for a process that answers
  };
  /// `database` is migrated by the time start() is called. All references must outlive the bus.
  SqlBus(Settings settings, db::Database& database, std::vector<asio::io_context*> loops);
  ~SqlBus() override;

  void add_handler(std::string channel, Handler& handler);
  /// Takes partitions and starts to work.
  void start();
  /// Ends: no new events start, running ones finish within `limit`, leases are released. On no loop's thread.
  void stop(std::chrono::milliseconds limit);

  asio::awaitable<void> admit(std::vector<Event> events) override;
  void delivered(DeliveryReport report) override;

  /// Ends a page's stop and lets its parked events go on. False when it is not stopped.
  [[nodiscard]] asio::awaitable<bool> release_page(std::string page);
  /// Erases what the bus keeps of these conversations.
  [[nodiscard]] asio::awaitable<void> erase(const state::ThreadQuery& query);
  /// Error(unavailable) when the bus has no partitions' data yet or its database is away.
  [[nodiscard]] asio::awaitable<void> ping();

  [[nodiscard]] std::size_t processes() const noexcept { return membership_.alive(); }
  [[nodiscard]] std::size_t in_memory() const { return lanes_.size(); }
  [[nodiscard]] Storage& storage() noexcept { return storage_; }

 private:
  [[nodiscard]] std::vector<Event> without_doubles(std::vector<Event> events);
  void remember_ids(const std::vector<Event>& events);
  void hand_over(std::vector<Event> events, const std::vector<std::int64_t>& seqs);
  asio::awaitable<void> before_owning(std::vector<std::int64_t> parts);
  asio::awaitable<void> count_suspects();
  asio::awaitable<void> sweep_loop();
  asio::awaitable<void> tail_loop();
  asio::awaitable<void> sweep();
  asio::awaitable<void> release_forgotten();
  asio::awaitable<bool> scan(std::int64_t after);
  asio::awaitable<void> load(std::vector<std::int64_t> seqs, std::unordered_map<std::int64_t, Item> fresh);
  asio::awaitable<void> run_suspects_alone();
  asio::awaitable<void> statistics_loop();
  asio::awaitable<void> pause(std::chrono::milliseconds time);
  void request_tail();

  const Settings settings_;
  db::Database& database_;
  std::vector<asio::io_context*> loops_;
  async::TaskGroup tasks_;         // lanes
  async::TaskGroup housekeeping_;  // sweeps, leases: these end after the lanes
  Ownership ownership_;
  RunningMarks marks_;
  Membership membership_;
  Storage storage_;
  Lanes lanes_;

  mutable std::mutex mutex_;                      // guards the members below
  std::unordered_map<std::int64_t, Item> fresh_;  // admitted here, waiting for the tail scan (PostgreSQL)
  std::unordered_set<MessageId> recent_ids_;
  std::deque<MessageId> recent_order_;
  std::deque<std::pair<std::chrono::steady_clock::time_point, std::int64_t>> high_marks_;
  std::int64_t highest_seq_ = 0;
  std::int64_t safe_seq_ = 0;
  bool behind_ = true;   // rows on disk are not in lanes yet: arrivals must not overtake them
  bool missed_ = false;  // an admission was not handed over since the running sweep began
  bool suspects_counted_ = false;
  std::chrono::steady_clock::time_point look_for_forgotten_{};  // only used by the sweep
  std::atomic<bool> tail_requested_{false};
  std::atomic<bool> tail_running_{false};
  std::atomic<std::int64_t> pending_rows_{0};
};

}  // namespace loquat::bus
