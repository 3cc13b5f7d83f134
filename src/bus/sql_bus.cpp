#include "bus/sql_bus.h"

#include <algorithm>

#include "core/log.h"
#include "core/metrics.h"

namespace loquat::bus {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t load_chunk = 500;
constexpr std::size_t scan_limit = 50'000;
constexpr std::size_t remembered_ids = 50'000;
/// No admission runs longer: the statement's and the session's own limits are shorter.
constexpr std::chrono::seconds longest_admission{30};

}  // namespace

SqlBus::SqlBus(Settings settings, db::Database& database, std::vector<asio::io_context*> loops)
    : settings_(std::move(settings)),
      database_(database),
      loops_(std::move(loops)),
      marks_(settings_.data_dir),
      membership_(database, ownership_, housekeeping_,
                  {.before_owning = [this](std::vector<std::int64_t> parts) { return before_owning(std::move(parts)); },
                   .owning =
                       [this] {
                         const std::lock_guard lock(mutex_);
                         behind_ = true;
                       },
                   .leaving = [this](std::uint64_t parts) { lanes_.forget_blocked(parts); },
                   .running_in = [this](std::uint64_t parts) { return lanes_.running_in(parts); }}),
      storage_(settings_.storage, database,
               {.process_id = [this] { return membership_.process_id(); }, .epoch = [this] { return ownership_.epoch(); }}),
      lanes_(settings_.lanes, storage_, ownership_, marks_, tasks_, loops_) {}

SqlBus::~SqlBus() = default;

void SqlBus::add_handler(std::string channel, Handler& handler) { lanes_.add_handler(std::move(channel), handler); }

void SqlBus::start() {
  auto& loop = *loops_.front();
  if (settings_.consume) {
    membership_.start(loop);
    housekeeping_.spawn(loop.get_executor(), "sweep", sweep_loop());
  }
  housekeeping_.spawn(loop.get_executor(), "bus statistics", statistics_loop());
}

void SqlBus::stop(milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  const auto left = [&] {
    return std::max(milliseconds(0), std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now()));
  };
  tasks_.stop();
  if (!tasks_.join(left())) log::warning("bus", "events were still running at the end of the grace period; they go on at the next start");
  housekeeping_.stop();
  (void)housekeeping_.join(std::max(left(), milliseconds(500)));
  async::TaskGroup leaving;
  leaving.spawn(loops_.front()->get_executor(), "leave", membership_.leave());
  (void)leaving.join(std::max(left(), milliseconds(500)));
}

asio::awaitable<void> SqlBus::admit(std::vector<Event> events) {
  events = without_doubles(std::move(events));
  if (events.empty()) co_return;
  if (pending_rows_.load(std::memory_order_relaxed) > settings_.backlog_limit)
    throw Error(Code::unavailable, "too many messages are waiting, try again later");
  auto shared = std::make_shared<std::vector<Event>>(std::move(events));
  const auto seqs = co_await storage_.admit(shared);
  pending_rows_.fetch_add(static_cast<std::int64_t>(seqs.size()), std::memory_order_relaxed);  // until they are counted again
  remember_ids(*shared);
  hand_over(std::move(*shared), seqs);
}

/// Most redeliveries come soon: those whose first delivery is on disk already need not be stored again.
std::vector<Event> SqlBus::without_doubles(std::vector<Event> events) {
  std::size_t doubles = 0;
  {
    const std::lock_guard lock(mutex_);
    doubles = std::erase_if(events, [this](const Event& event) { return recent_ids_.contains(event.message_id); });
  }
  // Twice in one request: the first counts.
  std::unordered_set<MessageId> seen;
  if (events.size() > 1) doubles += std::erase_if(events, [&seen](const Event& event) { return !seen.insert(event.message_id).second; });
  if (doubles != 0) {
    static auto& counter = metrics::counter("bus_doubles_total", "Redelivered events that were dropped at admission");
    counter.add(static_cast<double>(doubles));
  }
  return events;
}

void SqlBus::remember_ids(const std::vector<Event>& events) {
  const std::lock_guard lock(mutex_);
  for (const auto& event : events) {
    if (!recent_ids_.insert(event.message_id).second) continue;
    recent_order_.push_back(event.message_id);
    if (recent_order_.size() > remembered_ids) {
      recent_ids_.erase(recent_order_.front());
      recent_order_.pop_front();
    }
  }
}

void SqlBus::hand_over(std::vector<Event> events, const std::vector<std::int64_t>& seqs) {
  const bool direct = database_.dialect() == db::Dialect::sqlite;
  const auto at = now_ms();
  std::vector<Item> items;
  items.reserve(events.size());
  for (std::size_t i = 0; i < events.size(); ++i) {
    if (seqs[i] == 0) continue;
    Item item;
    item.seq = seqs[i];
    item.event = std::move(events[i]);
    item.admitted_ms = at;
    item.fresh = true;
    items.push_back(std::move(item));
  }
  {
    const std::lock_guard lock(mutex_);
    for (const auto& item : items) highest_seq_ = std::max(highest_seq_, item.seq);
    if (!settings_.consume) return;
    if (behind_ || !lanes_.has_room()) {
      behind_ = true;
      missed_ = true;
      return;  // the sweep brings them, in order
    }
    if (!direct) {
      for (auto& item : items)
        if (ownership_.owns(partition_of(item.event.conversation))) fresh_.emplace(item.seq, std::move(item));
    }
  }
  if (direct) {
    lanes_.arrive(std::move(items));
  } else {
    request_tail();
  }
}

void SqlBus::delivered(DeliveryReport report) { lanes_.note_delivered(report.metadata); }

asio::awaitable<bool> SqlBus::release_page(std::string page) {
  co_return co_await database_.write([page](db::Connection& c) { return bus::release_page(c, page, now_ms()); });
}

asio::awaitable<void> SqlBus::erase(const state::ThreadQuery& query) {
  co_await database_.write([query](db::Connection& c) { erase_conversation(c, query.thread_id, query.channel, query.account); });
}

asio::awaitable<void> SqlBus::ping() {
  if (settings_.consume && !membership_.joined()) throw Error(Code::unavailable, "the bus is starting");
  co_await database_.ping();
}

// --- housekeeping -----------------------------------------------------------------------------------------------

asio::awaitable<void> SqlBus::pause(milliseconds time) {
  while (time.count() > 0 && !housekeeping_.stopping()) {
    const auto slice = std::min(time, milliseconds(50));
    co_await async::sleep_for(slice);
    time -= slice;
  }
}

asio::awaitable<void> SqlBus::before_owning(std::vector<std::int64_t> parts) {
  co_await count_suspects();
  auto blocked = co_await database_.read([parts](db::Connection& c) { return find_blocked(c, parts); });
  lanes_.block(blocked);
}

/// What was being decided when an earlier process of this directory died may have killed it.
asio::awaitable<void> SqlBus::count_suspects() {
  if (suspects_counted_) co_return;
  auto suspects = marks_.take_suspects();
  if (!suspects.empty()) {
    log::warning("bus", "the last run died while deciding messages; they are tried one by one", {{"messages", suspects.size()}});
    co_await database_.write([suspects](db::Connection& c) { add_crash(c, suspects); });
  }
  suspects_counted_ = true;
}

asio::awaitable<void> SqlBus::sweep_loop() {
  bool suspects_done = false;
  while (!housekeeping_.stopping()) {
    bool failed = false;
    try {
      if (membership_.joined() && ownership_.mask() != 0) {
        if (!suspects_done) {
          co_await run_suspects_alone();
          suspects_done = true;
        }
        co_await sweep();
      }
    } catch (const Error& error) {
      failed = true;
      log::debug("bus", "a sweep failed", {{"error", error.what()}});
    }
    bool behind = false;
    {
      const std::lock_guard lock(mutex_);
      behind = behind_;
    }
    co_await pause(failed ? milliseconds(300) : behind ? milliseconds(10) : settings_.sweep_interval);
  }
}

/// Events that were being decided at a crash run first, one at a time: if one of them kills the process again, no other is
/// running that would be suspected with it.
asio::awaitable<void> SqlBus::run_suspects_alone() {
  auto seqs = co_await database_.read([](db::Connection& c) {
    const auto rows = c("SELECT seq FROM inbox WHERE crashes > 0 ORDER BY seq LIMIT 1000");
    std::vector<std::int64_t> found;
    found.reserve(rows->size());
    for (std::size_t i = 0; i < rows->size(); ++i) found.push_back(rows->integer(i, 0));
    return found;
  });
  for (const auto seq : seqs) {
    auto items = co_await database_.read([seq](db::Connection& c) { return load_inbox(c, {seq}); });
    lanes_.arrive(std::move(items));
    for (int i = 0; i < 500 && lanes_.knows(seq) && !housekeeping_.stopping(); ++i) co_await async::sleep_for(milliseconds(10));
  }
}

asio::awaitable<void> SqlBus::sweep() {
  {
    const std::lock_guard lock(mutex_);
    missed_ = false;
    const auto time = std::chrono::steady_clock::now();
    high_marks_.emplace_back(time, highest_seq_);
    while (high_marks_.size() > 1 && high_marks_[1].first < time - longest_admission) high_marks_.pop_front();
    if (high_marks_.front().first < time - longest_admission) safe_seq_ = std::max(safe_seq_, high_marks_.front().second);
  }
  const bool complete = co_await scan(0);
  {
    const std::lock_guard lock(mutex_);
    if (complete && !missed_) behind_ = false;
    if (!complete) behind_ = true;
  }
  co_await release_forgotten();
  const auto parts = [this] {
    std::vector<std::int64_t> list;
    for (unsigned part = 0; part < partition_count; ++part)
      if (ownership_.owns(part)) list.push_back(part);
    return list;
  }();
  auto due = co_await database_.read([parts](db::Connection& c) { return find_due(c, parts, now_ms(), 1000); });
  lanes_.resume(due);
}

/// What waits for a page that is not stopped, whoever left it so: looked for at the start and once a minute.
asio::awaitable<void> SqlBus::release_forgotten() {
  const auto time = std::chrono::steady_clock::now();
  if (time < look_for_forgotten_) co_return;
  const auto pages = co_await database_.read([](db::Connection& c) { return find_unreleased(c, now_ms()); });
  for (const auto& page : pages) {
    co_await database_.write([page](db::Connection& c) { make_due(c, page, now_ms()); });
    log::warning("bus", "events that waited for a page go on: it is not stopped", {{"page", page}});
  }
  look_for_forgotten_ = time + std::chrono::minutes(1);
}

void SqlBus::request_tail() {
  tail_requested_.store(true, std::memory_order_release);
  if (tail_running_.exchange(true)) return;
  housekeeping_.spawn(loops_.front()->get_executor(), "tail", tail_loop());
}

/// Reads the inbox behind the safe mark: what this process admitted and what others admitted for it, in one order. A
/// message that was acknowledged before another is visible to the scan that sees the other, so none overtakes it.
asio::awaitable<void> SqlBus::tail_loop() {
  for (;;) {
    while (tail_requested_.exchange(false)) {
      std::int64_t after = 0;
      {
        const std::lock_guard lock(mutex_);
        if (behind_) continue;
        after = safe_seq_;
      }
      bool complete = false;
      try {
        complete = co_await scan(after);
      } catch (const Error& error) {
        log::debug("bus", "a tail scan failed", {{"error", error.what()}});
      }
      if (!complete) {
        const std::lock_guard lock(mutex_);
        behind_ = true;
      }
    }
    tail_running_.store(false);
    if (!tail_requested_.load() || tail_running_.exchange(true)) co_return;
  }
}

/// Brings pending rows above `after` into the lanes, lowest first. False when some had to stay on disk.
asio::awaitable<bool> SqlBus::scan(std::int64_t after) {
  std::vector<std::int64_t> parts;
  for (unsigned part = 0; part < partition_count; ++part)
    if (ownership_.owns(part)) parts.push_back(part);
  if (parts.empty()) co_return true;
  auto seqs = co_await database_.read([parts, after](db::Connection& c) { return find_pending_seqs(c, parts, after, scan_limit); });
  const bool truncated = seqs.size() == scan_limit;
  std::erase_if(seqs, [this](std::int64_t seq) { return lanes_.knows(seq); });
  for (std::size_t begin = 0; begin < seqs.size(); begin += load_chunk) {
    if (!lanes_.has_room()) co_return false;
    const auto first = seqs.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto last = seqs.begin() + static_cast<std::ptrdiff_t>(std::min(begin + load_chunk, seqs.size()));
    std::vector<std::int64_t> missing;
    std::unordered_map<std::int64_t, Item> fresh;
    {
      const std::lock_guard lock(mutex_);
      for (auto seq = first; seq != last; ++seq) {
        if (auto found = fresh_.extract(*seq); found.empty()) {
          missing.push_back(*seq);
        } else {
          fresh.insert(std::move(found));
        }
      }
    }
    co_await load(std::move(missing), std::move(fresh));
  }
  co_return !truncated;
}

asio::awaitable<void> SqlBus::load(std::vector<std::int64_t> seqs, std::unordered_map<std::int64_t, Item> fresh) {
  std::vector<Item> items;
  if (!seqs.empty()) items = co_await database_.read([seqs](db::Connection& c) { return load_inbox(c, seqs); });
  for (auto& entry : fresh) items.push_back(std::move(entry.second));
  std::ranges::sort(items, {}, &Item::seq);
  {
    const std::lock_guard lock(mutex_);
    for (const auto& item : items) highest_seq_ = std::max(highest_seq_, item.seq);
  }
  lanes_.arrive(std::move(items));
}

asio::awaitable<void> SqlBus::statistics_loop() {
  auto& pending = metrics::gauge("bus_pending", "Accepted events that are not answered yet");
  auto& dead = metrics::gauge("bus_dead_letters", "Events that could not be processed");
  auto& oldest = metrics::gauge("bus_oldest_age_seconds", "Age of the oldest pending event");
  std::unordered_set<std::string> reasons;
  while (!housekeeping_.stopping()) {
    try {
      const auto counts = co_await database_.read([](db::Connection& c) { return count_rows(c); });
      pending_rows_.store(counts.pending, std::memory_order_relaxed);
      pending.set(static_cast<double>(counts.pending));
      dead.set(static_cast<double>(counts.dead));
      oldest.set(counts.oldest_ms ? static_cast<double>(now_ms() - *counts.oldest_ms) / 1000.0 : 0.0);
      for (const auto& reason : reasons) metrics::gauge("bus_parked", "Events set aside, by reason", {{"reason", reason}}).set(0);
      for (const auto& [reason, count] : counts.parked) {
        reasons.insert(reason);
        metrics::gauge("bus_parked", "Events set aside, by reason", {{"reason", reason}}).set(static_cast<double>(count));
      }
    } catch (const Error&) {  // the next round will tell
    }
    // A long backlog takes long to count, while others wait: then less often, so that it stays at a thousandth of the time.
    co_await pause(std::clamp(milliseconds(pending_rows_.load(std::memory_order_relaxed) / 5), milliseconds(2'000), milliseconds(30'000)));
  }
}

}  // namespace loquat::bus
