#pragma once

#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "async/task_group.h"
#include "bus/handler.h"
#include "bus/ownership.h"
#include "bus/running_marks.h"
#include "bus/storage.h"

namespace loquat::bus {

/// Runs the pending events: strictly in order within a conversation, conversations in parallel. A conversation's lane lives
/// on one loop (hash modulo loops) and is touched only there.
class Lanes {
 public:
  struct Settings {
    std::size_t lane_limit = 100;                           ///< events waiting in one lane; more are parked
    std::size_t cached_states = 1'000;                      ///< latest states kept in memory, a loop
    std::size_t in_memory = 20'000;                         ///< events in all lanes; beyond they stay on disk until there is room
    std::chrono::milliseconds longest_wait_in_lane{3'000};  ///< a longer retry is parked
  };

  Lanes(Settings settings, Storage& storage, Ownership& ownership, RunningMarks& marks, async::TaskGroup& tasks,
        std::vector<asio::io_context*> loops);
  ~Lanes();
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;

  /// Before start. `channel` as in ConversationId.
  void add_handler(std::string channel, Handler& handler);

  /// Hands events over, in order. Those that are known already or not ours are dropped from the list: their rows stay. Thread-safe.
  void arrive(std::vector<Item> items);
  /// Whether the row is in a lane now.
  [[nodiscard]] bool knows(std::int64_t seq) const;
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] bool has_room() const { return size() < settings_.in_memory; }

  /// These conversations have parked events: what arrives for them is parked behind. Thread-safe.
  void block(const std::vector<std::string>& conversations);
  /// The parked events of these conversations are due. Thread-safe.
  void resume(const std::vector<std::string>& conversations);
  /// Everything owned was lost or given up: forget what is blocked in these partitions.
  void forget_blocked(std::uint64_t parts);
  /// Events of these partitions that are in lanes (for draining).
  [[nodiscard]] std::size_t running_in(std::uint64_t parts) const;

  /// A reply was reported as delivered by the channel. Thread-safe.
  void note_delivered(const std::string& metadata);
  [[nodiscard]] bool was_reported(std::string_view metadata) const;

 private:
  struct Lane {
    chat::ConversationId conversation;
    std::string key;
    unsigned part = 0;
    std::uint64_t epoch = 0;
    std::deque<Item> waiting;
    std::deque<Item> first;                ///< what takes others back: it waits for none of them
    std::shared_ptr<state::State> latest;  ///< null when there is none (or not known)
    bool latest_known = false;
    bool due = false;
    std::int64_t last_timestamp = 0;
  };
  struct Shard;

  Shard& shard_of(const chat::ConversationId& conversation);
  void arrive_here(Shard& shard, std::vector<Item> items);
  Lane& lane_for(Shard& shard, const chat::ConversationId& conversation, const std::string& key);
  void enqueue(Lane& lane, Item item);
  void forget(std::int64_t seq, unsigned part, bool gone);

  [[nodiscard]] bool may_run(const Lane& lane) const noexcept;
  asio::awaitable<void> run(Shard& shard, Lane& lane);
  asio::awaitable<void> run_first(Lane& lane, std::deque<Item>& queue);
  asio::awaitable<void> run_parked(Lane& lane);
  asio::awaitable<void> park_waiting(Lane& lane);
  enum class Ended : std::uint8_t { gone, parked, abandoned };
  asio::awaitable<Ended> process(Lane& lane, Item& item);
  asio::awaitable<std::shared_ptr<state::State>> decide(Lane& lane, Item& item, Handler& handler, Ended& ended);
  asio::awaitable<bool> commit(Lane& lane, Item& item, const std::shared_ptr<state::State>& turn, Ended& ended);
  asio::awaitable<void> load_latest(Lane& lane);
  asio::awaitable<Ended> deliver(Lane& lane, Item& item, Handler& handler, const state::State& turn);
  asio::awaitable<Ended> finish(Lane& lane, Item& item);
  asio::awaitable<Ended> finish_taken_back(Lane& lane, Item& item);
  asio::awaitable<std::optional<Committed::Kind>> commit_empty_turn(Lane& lane, const Item& item);
  asio::awaitable<Ended> park(Lane& lane, Item& item, std::string page, std::optional<std::chrono::milliseconds> delay, std::string reason,
                              bool page_stopped = false);
  asio::awaitable<Ended> bury(Lane& lane, Item& item, std::string reason);
  asio::awaitable<void> wait(const Lane& lane, std::chrono::milliseconds time);
  /// Why a conversation's events have to wait among the parked.
  struct Blocked {
    std::int64_t not_before = 0;    ///< milliseconds; its first event has been parked until then (0: the table decides)
    std::int64_t behind_until = 0;  ///< next_at of what is parked behind it
    bool while_stopped = false;     ///< it waits for its page, and so does what is parked behind it
  };
  [[nodiscard]] std::optional<Blocked> find_blocked_state(const std::string& key) const;
  [[nodiscard]] bool is_blocked(const std::string& key) const { return find_blocked_state(key).has_value(); }
  void set_blocked(const std::string& key, Blocked blocked);
  void unblock(const std::string& key);
  void remember(Shard& shard, Lane& lane);
  void note_taken_back(const Event& event);
  /// Whether the item's sender took it back; then its words are gone.
  bool was_taken_back(Item& item) const;

  const Settings settings_;
  const std::int64_t started_ms_ = to_milliseconds(now());
  Storage& storage_;
  Ownership& ownership_;
  RunningMarks& marks_;
  async::TaskGroup& tasks_;
  std::map<std::string, Handler*, std::less<>> handlers_;
  std::vector<std::unique_ptr<Shard>> shards_;

  mutable std::mutex mutex_;  // guards the members below; never held over a wait
  std::unordered_set<std::int64_t> known_;
  std::array<std::size_t, partition_count> in_partition_{};
  std::unordered_map<std::string, Blocked> blocked_;  // by conversation key
  std::unordered_set<std::int64_t> finished_;         // the last ones: a scan that began before must not bring them back
  std::deque<std::int64_t> finished_order_;
  std::unordered_set<std::string> reported_;
  std::deque<std::string> reported_order_;
  std::unordered_set<std::string> taken_back_;  // conversation key and id
  std::deque<std::string> taken_back_order_;
};

}  // namespace loquat::bus
