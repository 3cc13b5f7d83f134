#include "bus/lanes.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "core/log.h"
#include "core/metrics.h"

namespace loquat::bus {

struct Lanes::Shard {
  explicit Shard(asio::io_context& io) : loop(io) {}

  asio::io_context& loop;
  std::unordered_map<std::string, std::unique_ptr<Lane>> lanes;  // by conversation key; each has its coroutine running
  // The latest states of conversations that just spoke, most recent first.
  std::list<std::pair<std::string, std::shared_ptr<state::State>>> recent;
  std::unordered_map<std::string, decltype(recent)::iterator> recent_by_key;
};

Lanes::Lanes(Settings settings, Storage& storage, Ownership& ownership, RunningMarks& marks, async::TaskGroup& tasks,
             std::vector<asio::io_context*> loops)
    : settings_(settings), storage_(storage), ownership_(ownership), marks_(marks), tasks_(tasks) {
  for (auto* loop : loops) shards_.push_back(std::make_unique<Shard>(*loop));
}

Lanes::~Lanes() = default;

void Lanes::add_handler(std::string channel, Handler& handler) { handlers_.emplace(std::move(channel), &handler); }

Lanes::Shard& Lanes::shard_of(const chat::ConversationId& conversation) {
  return *shards_[(conversation.hash() / partition_count) % shards_.size()];
}

void Lanes::arrive(std::vector<Item> items) {
  std::vector<std::vector<Item>> by_shard(shards_.size());
  {
    const std::lock_guard lock(mutex_);
    for (auto& item : items) {
      const auto part = partition_of(item.event.conversation);
      if (!ownership_.owns(part) || finished_.contains(item.seq) || !known_.insert(item.seq).second) continue;
      ++in_partition_[part];
      by_shard[(item.event.conversation.hash() / partition_count) % shards_.size()].push_back(std::move(item));
    }
  }
  for (std::size_t i = 0; i < by_shard.size(); ++i) {
    if (by_shard[i].empty()) continue;
    asio::post(shards_[i]->loop,
               [this, &shard = *shards_[i], mine = std::move(by_shard[i])]() mutable { arrive_here(shard, std::move(mine)); });
  }
}

void Lanes::arrive_here(Shard& shard, std::vector<Item> items) {
  for (auto& item : items) {
    const auto key = item.event.conversation.to_key();
    auto& lane = lane_for(shard, item.event.conversation, key);
    enqueue(lane, std::move(item));
  }
}

Lanes::Lane& Lanes::lane_for(Shard& shard, const chat::ConversationId& conversation, const std::string& key) {
  auto& lane = shard.lanes[key];
  if (lane) return *lane;
  lane = std::make_unique<Lane>();
  lane->conversation = conversation;
  lane->key = key;
  lane->part = partition_of(conversation);
  lane->epoch = ownership_.epoch();
  if (const auto recent = shard.recent_by_key.find(key); recent != shard.recent_by_key.end()) {
    lane->latest = std::move(recent->second->second);
    lane->latest_known = true;
    shard.recent.erase(recent->second);
    shard.recent_by_key.erase(recent);
  }
  tasks_.spawn(shard.loop.get_executor(), "lane", run(shard, *lane));
  return *lane;
}

void Lanes::enqueue(Lane& lane, Item item) {
  if (find_taken_back(item.event)) {
    note_taken_back(item.event);
    lane.first.push_back(std::move(item));
    return;
  }
  const auto said = item.event.timestamp_ms;
  if (said != 0 && said < lane.last_timestamp)
    metrics::counter("bus_late_events_total", "Events older than one of their conversation that was decided already").add();
  const auto place = find_place(lane.waiting, said, [](const Item& waiting) { return waiting.event.timestamp_ms; });
  lane.waiting.insert(place, std::move(item));
}

bool Lanes::knows(std::int64_t seq) const {
  const std::lock_guard lock(mutex_);
  return known_.contains(seq);
}

std::size_t Lanes::size() const {
  const std::lock_guard lock(mutex_);
  return known_.size();
}

void Lanes::forget(std::int64_t seq, unsigned part, bool gone) {
  const std::lock_guard lock(mutex_);
  if (known_.erase(seq) != 0) --in_partition_[part];
  if (!gone) return;
  constexpr std::size_t most = 20'000;
  finished_.insert(seq);
  finished_order_.push_back(seq);
  if (finished_order_.size() > most) {
    finished_.erase(finished_order_.front());
    finished_order_.pop_front();
  }
}

std::size_t Lanes::running_in(std::uint64_t parts) const {
  const std::lock_guard lock(mutex_);
  std::size_t count = 0;
  for (unsigned part = 0; part < partition_count; ++part)
    if ((parts >> part & 1U) != 0) count += in_partition_[part];
  return count;
}

void Lanes::block(const std::vector<std::string>& conversations) {
  const std::lock_guard lock(mutex_);
  for (const auto& key : conversations) blocked_.try_emplace(key);
}

void Lanes::resume(const std::vector<std::string>& conversations) {
  const auto now = now_ms();
  for (const auto& key : conversations) {
    const auto blocked = find_blocked_state(key);
    if (blocked && blocked->not_before > now) continue;  // its first event has been parked again since
    const auto conversation = chat::ConversationId::from_key(key);
    if (!ownership_.owns(partition_of(conversation))) continue;
    set_blocked(key, blocked.value_or(Blocked{}));
    auto& shard = shard_of(conversation);
    asio::post(shard.loop, [this, &shard, conversation, key] { lane_for(shard, conversation, key).due = true; });
  }
}

void Lanes::forget_blocked(std::uint64_t parts) {
  const std::lock_guard lock(mutex_);
  std::erase_if(blocked_,
                [parts](const auto& entry) { return (parts >> partition_of(chat::ConversationId::from_key(entry.first)) & 1U) != 0; });
}

std::optional<Lanes::Blocked> Lanes::find_blocked_state(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  if (blocked_.empty()) return std::nullopt;
  const auto found = blocked_.find(key);
  return found == blocked_.end() ? std::nullopt : std::optional(found->second);
}

void Lanes::set_blocked(const std::string& key, Blocked blocked) {
  const std::lock_guard lock(mutex_);
  blocked_[key] = blocked;
}

void Lanes::unblock(const std::string& key) {
  const std::lock_guard lock(mutex_);
  blocked_.erase(key);
}

void Lanes::note_delivered(const std::string& metadata) {
  constexpr std::size_t most = 20'000;
  const std::lock_guard lock(mutex_);
  if (!reported_.insert(metadata).second) return;
  reported_order_.push_back(metadata);
  if (reported_order_.size() > most) {
    reported_.erase(reported_order_.front());
    reported_order_.pop_front();
  }
}

bool Lanes::was_reported(std::string_view metadata) const {
  const std::lock_guard lock(mutex_);
  return !reported_.empty() && reported_.contains(std::string(metadata));
}

namespace {

std::string key_of(const chat::ConversationId& conversation, const MessageId& id) {
  return conversation.to_key() + std::string(id.bytes.begin(), id.bytes.end());
}

}  // namespace

void Lanes::note_taken_back(const Event& event) {
  constexpr std::size_t most = 20'000;
  const auto id = find_taken_back(event);
  if (!id) return;
  auto key = key_of(event.conversation, *id);
  const std::lock_guard lock(mutex_);
  if (!taken_back_.insert(key).second) return;
  taken_back_order_.push_back(std::move(key));
  if (taken_back_order_.size() > most) {
    taken_back_.erase(taken_back_order_.front());
    taken_back_order_.pop_front();
  }
}

bool Lanes::was_taken_back(Item& item) const {
  if (item.event.kind == taken_back) return true;
  {
    const std::lock_guard lock(mutex_);
    if (taken_back_.empty() || !taken_back_.contains(key_of(item.event.conversation, item.event.message_id))) return false;
  }
  take_back(item.event);
  return true;
}

bool Lanes::may_run(const Lane& lane) const noexcept {
  return !tasks_.stopping() && lane.epoch == ownership_.epoch() && ownership_.owns(lane.part);
}

asio::awaitable<void> Lanes::run(Shard& shard, Lane& lane) {
  // Whoever made the lane fills it first.
  co_await asio::post(shard.loop.get_executor(), asio::use_awaitable);
  for (;;) {
    if (!may_run(lane)) {
      for (auto* queue : {&lane.first, &lane.waiting}) {
        for (const auto& item : *queue) forget(item.seq, lane.part, false);
        queue->clear();
      }
      break;
    }
    if (!lane.first.empty()) {
      co_await run_first(lane, lane.first);
      continue;
    }
    if (is_blocked(lane.key)) {
      if (!lane.waiting.empty()) {
        co_await park_waiting(lane);
      } else if (lane.due) {
        lane.due = false;
        co_await run_parked(lane);
      } else {
        break;
      }
      continue;
    }
    if (lane.waiting.empty()) break;
    if (lane.waiting.size() > settings_.lane_limit) {
      set_blocked(lane.key, {now_ms() + 1000, now_ms() + 1000});
      continue;
    }
    co_await run_first(lane, lane.waiting);
  }
  remember(shard, lane);
  shard.lanes.erase(std::string(lane.key));
}

/// Runs the first event of the queue.
asio::awaitable<void> Lanes::run_first(Lane& lane, std::deque<Item>& queue) {
  Item item = std::move(queue.front());
  queue.pop_front();
  const auto ended = co_await process(lane, item);
  if (ended == Ended::abandoned && may_run(lane)) {
    // The lease was too short for this step, and may be renewed: what waits behind must not overtake.
    item.fresh = false;
    queue.push_front(std::move(item));
    co_await wait(lane, std::chrono::milliseconds(50));
    co_return;
  }
  forget(item.seq, lane.part, ended != Ended::abandoned);
}

void Lanes::remember(Shard& shard, Lane& lane) {
  if (!lane.latest_known || !lane.latest || settings_.cached_states == 0 || !may_run(lane)) return;
  shard.recent.emplace_front(lane.key, std::move(lane.latest));
  shard.recent_by_key[lane.key] = shard.recent.begin();
  if (shard.recent.size() > settings_.cached_states) {
    shard.recent_by_key.erase(shard.recent.back().first);
    shard.recent.pop_back();
  }
}

asio::awaitable<void> Lanes::wait(const Lane& lane, std::chrono::milliseconds time) {
  // In slices, so that a stop or a lost lease ends it.
  while (time.count() > 0 && may_run(lane)) {
    const auto slice = std::min(time, std::chrono::milliseconds(100));
    co_await async::sleep_for(slice);
    time -= slice;
  }
}

}  // namespace loquat::bus
