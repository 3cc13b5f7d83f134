// The steps of one event in its lane: look up, decide, commit, deliver, finish.
#include <algorithm>

#include "bus/lanes.h"
#include "core/log.h"
#include "core/metrics.h"

namespace loquat::bus {
namespace {

using std::chrono::milliseconds;

constexpr int most_crashes = 3;
constexpr milliseconds longest_backoff{5 * 60 * 1000};

metrics::Counter& turns(const char* outcome) {
  return metrics::counter("dialogue_turns_total", "Turns of conversations by outcome", {{"outcome", outcome}});
}

milliseconds backoff(int attempts) { return std::min(milliseconds(500) * (1 << std::min(attempts, 12)), longest_backoff); }

/// True when the event may be a redelivery of one that was decided before this process (started then) could remember: an admission
/// follows a person's action within a second or two. It is looked up first: a dead letter's redelivery must not kill again, nor
/// API calls be repeated.
bool may_be_known(const Item& item, std::int64_t started_ms) {
  constexpr std::int64_t usual_ms = 2'000;
  constexpr std::int64_t clocks_differ_by_ms = 1'000;
  const auto said = item.event.timestamp_ms;
  return said < item.admitted_ms - usual_ms || said < started_ms + clocks_differ_by_ms;
}

/// The conversation's latest state, for the decision to build on: moved out when nobody else reads it. Until the turn is durable
/// the lane knows none.
std::optional<state::State> take_state(std::shared_ptr<state::State> latest) {
  if (!latest) return std::nullopt;
  if (latest.use_count() == 1) return std::move(*latest);
  return *latest;
}

/// What a failed step calls for; told apart outside of the catch block, where coroutines may not wait.
struct Fault {
  bool again = false;  ///< the outside world is away: wait and repeat
  std::string reason;
};

Fault read_fault(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const Error& e) {
    return {e.code() == Code::unavailable || e.code() == Code::too_many, e.what() + (e.log_detail().empty() ? "" : ": " + e.log_detail())};
  } catch (const std::exception& e) {
    return {false, e.what()};
  }
}

}  // namespace

asio::awaitable<Lanes::Ended> Lanes::process(Lane& lane, Item& item) {
  const auto handler = handlers_.find(item.event.conversation.channel);
  if (handler == handlers_.end()) co_return co_await bury(lane, item, "no channel");
  if (was_taken_back(item)) co_return co_await finish_taken_back(lane, item);
  if (item.crashes >= most_crashes) co_return co_await bury(lane, item, "crashed the process");
  Ended ended = Ended::gone;
  auto turn = co_await decide(lane, item, *handler->second, ended);
  if (!turn) co_return ended;
  co_return co_await deliver(lane, item, *handler->second, *turn);
}

/// Gives the decided and durable turn of this event whose replies are still owed; or empty, and how it ended instead.
asio::awaitable<std::shared_ptr<state::State>> Lanes::decide(Lane& lane, Item& item, Handler& handler, Ended& ended) {
  bool look_up = !item.fresh || may_be_known(item, started_ms_);
  bool again = false;
  for (int failures = 0;;) {
    if (!may_run(lane)) {
      ended = Ended::abandoned;
      co_return nullptr;
    }
    std::exception_ptr failure;
    std::optional<state::State> found;
    bool decided_before = false;
    std::int64_t version = 0;
    try {
      if (look_up) found = co_await storage_.find_by_message_id(item.event.message_id);
      decided_before = found.has_value();
      if (!decided_before) {
        if (!lane.latest_known) co_await load_latest(lane);
        version = lane.latest ? lane.latest->version : 0;
        lane.latest_known = false;
        if (const auto id = find_taken_back(item.event)) co_await storage_.take_back(lane.conversation, *id);
        const RunningMarks::Mark mark(marks_, item.seq);
        found = co_await handler.decide(item, take_state(std::exchange(lane.latest, nullptr)), again);
      }
    } catch (...) {
      failure = std::current_exception();
    }
    if (failure) {
      const auto fault = read_fault(failure);
      if (!fault.again) {
        log::error("bus", "an event could not be decided and becomes a dead letter", {{"seq", item.seq}, {"error", fault.reason}});
        ended = co_await bury(lane, item, "failed");
        co_return nullptr;
      }
      co_await wait(lane, std::min(backoff(failures++), milliseconds(5'000)));
      continue;
    }
    if (decided_before && found->origin != item.seq) {
      // Another row decided it: a redelivery, whose original answers. With its own row the replies are still owed.
      turns("redelivered").add();
      ended = co_await finish(lane, item);
      co_return nullptr;
    }
    if (!found) {
      ended = co_await finish(lane, item);
      co_return nullptr;
    }
    auto turn = std::make_shared<state::State>(std::move(*found));
    if (decided_before) co_return turn;
    turn->origin = item.seq;
    turn->message_id = item.event.message_id;
    turn->conversation = lane.conversation;
    turn->version = version + 1;
    if (co_await commit(lane, item, turn, ended)) {
      lane.last_timestamp = std::max(lane.last_timestamp, item.event.timestamp_ms);
      co_return turn;
    }
    if (ended != Ended::gone) co_return nullptr;
    // Conflict, or the outcome is unknown: look the id up before anything else.
    look_up = true;
    again = true;
    lane.latest_known = false;
    lane.latest.reset();
  }
}

asio::awaitable<void> Lanes::load_latest(Lane& lane) {
  auto found = co_await storage_.find_latest(lane.conversation);
  lane.latest = found ? std::make_shared<state::State>(std::move(*found)) : nullptr;
  lane.latest_known = true;
}

/// True when the turn is durable. False with `ended` untouched (gone): look again; else it ended.
asio::awaitable<bool> Lanes::commit(Lane& lane, Item& item, const std::shared_ptr<state::State>& turn, Ended& ended) {
  std::exception_ptr failure;
  Committed result;
  try {
    result = co_await storage_.commit(turn, lane.epoch);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    const auto fault = read_fault(failure);
    if (!fault.again) {
      log::error("bus", "the database refuses a turn; its event becomes a dead letter", {{"seq", item.seq}, {"error", fault.reason}});
      ended = co_await bury(lane, item, "refused by the database");
      if (ended == Ended::gone) ended = Ended::parked;
      co_return false;
    }
    log::warning("bus", "a turn could not be stored yet", {{"seq", item.seq}, {"error", fault.reason}});
    co_await wait(lane, milliseconds(500));
    co_return false;
  }
  if (result.kind == Committed::Kind::lease_lost) {
    ended = Ended::abandoned;
    co_return false;
  }
  if (result.kind != Committed::Kind::ok) co_return false;
  lane.latest = turn;
  lane.latest_known = true;
  co_return true;
}

asio::awaitable<Lanes::Ended> Lanes::deliver(Lane& lane, Item& item, Handler& handler, const state::State& turn) {
  const DeliveryContext context{
      .may_act = [this, &lane](milliseconds needed) { return may_run(lane) && ownership_.lease_lasts(needed); },
      .save_progress = [this, &item, &lane]() -> asio::awaitable<void> {
        return [](Storage& storage, Item& it, std::uint64_t epoch) -> asio::awaitable<void> {
          try {
            (void)co_await storage.save_progress(it, epoch);
          } catch (const Error&) {  // it only saves a second sending after a crash
          }
        }(storage_, item, lane.epoch);
      },
      .was_reported = [this](std::string_view metadata) { return was_reported(metadata); },
  };
  for (int attempt = 0;; ++attempt) {
    if (!may_run(lane)) co_return Ended::abandoned;
    if (was_taken_back(item)) co_return co_await finish(lane, item);
    std::exception_ptr failure;
    Delivery delivery;
    try {
      delivery = co_await handler.deliver(item, turn, context);
    } catch (...) {
      failure = std::current_exception();
    }
    if (failure) {
      const auto fault = read_fault(failure);
      log::error("bus", "a delivery failed", {{"seq", item.seq}, {"error", fault.reason}});
      delivery = {Delivery::Kind::later, backoff(attempt), "", "failed"};
    }
    switch (delivery.kind) {
      case Delivery::Kind::done: co_return co_await finish(lane, item);
      case Delivery::Kind::abandoned: co_return Ended::abandoned;
      case Delivery::Kind::page_stopped: co_return co_await park(lane, item, delivery.page, delivery.delay, delivery.reason, true);
      case Delivery::Kind::later: break;
    }
    const auto delay = std::max(delivery.delay, backoff(item.attempts + attempt));
    if (delay > settings_.longest_wait_in_lane || attempt >= 5) {
      item.attempts += attempt + 1;
      co_return co_await park(lane, item, delivery.page, std::max(delay, backoff(item.attempts)), delivery.reason);
    }
    co_await wait(lane, delay);
  }
}

/// Removes the event's row; repeated until it is known to be gone or this process has lost everything.
asio::awaitable<Lanes::Ended> Lanes::finish(Lane& lane, Item& item) {
  for (int failures = 0; lane.epoch == ownership_.epoch(); ++failures) {
    std::exception_ptr failure;
    bool ours = false;
    try {
      ours = co_await storage_.done(item, lane.epoch);
    } catch (...) {
      failure = std::current_exception();
    }
    if (!failure && ours) co_return Ended::gone;
    // Not ours: the lease has run out. It is renewed, or the epoch ends.
    if (tasks_.stopping() && failures > 3) break;
    co_await async::sleep_for(std::min(backoff(failures), milliseconds(2'000)));
  }
  co_return Ended::abandoned;
}

asio::awaitable<Lanes::Ended> Lanes::park(Lane& lane, Item& item, std::string page, std::optional<milliseconds> delay, std::string reason,
                                          bool page_stopped) {
  // A stopped page is released in the table, by whichever process learns of it; a failed delivery waits its time here.
  const auto until = now_ms() + delay.value_or(milliseconds(0)).count();
  if (delay) set_blocked(lane.key, {page_stopped ? 0 : until, until, page_stopped});
  for (int failures = 0; lane.epoch == ownership_.epoch(); ++failures) {
    std::exception_ptr failure;
    bool ours = false;
    try {
      std::optional<std::int64_t> next;
      if (delay) next = until;
      ours = co_await storage_.park({item, page, next, reason, page_stopped}, lane.epoch);
    } catch (...) {
      failure = std::current_exception();
    }
    if (!failure && ours) {
      metrics::counter("bus_parkings_total", "Times an event was set aside, by reason", {{"reason", reason}}).add();
      co_return Ended::parked;
    }
    if (tasks_.stopping() && failures > 3) break;
    co_await async::sleep_for(std::min(backoff(failures), milliseconds(2'000)));
  }
  co_return Ended::abandoned;
}

/// A state row for an event without effect (state unchanged, no replies), so that a redelivery cannot revive it. Empty: not yet, the
/// outside world is away or somebody else writes the conversation.
asio::awaitable<std::optional<Committed::Kind>> Lanes::commit_empty_turn(Lane& lane, const Item& item) {
  for (int tries = 0; tries < 5 && may_run(lane); ++tries) {
    std::exception_ptr failure;
    Committed result;
    try {
      if (!lane.latest_known) co_await load_latest(lane);
      auto row = std::make_shared<state::State>();
      if (lane.latest && !lane.latest->erased) *row = *lane.latest;
      row->conversation = lane.conversation;
      row->version = (lane.latest ? lane.latest->version : 0) + 1;
      row->message_id = item.event.message_id;
      row->origin = item.seq;
      row->user_message = nullptr;
      row->bot_message = json::array();
      row->nlu = json::object();
      row->date = now();
      result = co_await storage_.commit(row, lane.epoch);
      if (result.kind == Committed::Kind::ok) lane.latest = std::move(row);
    } catch (...) {
      failure = std::current_exception();
    }
    if (!failure && result.kind != Committed::Kind::version_conflict) co_return result.kind;
    if (failure && !read_fault(failure).again) co_return Committed::Kind::known;  // refused for good
    lane.latest_known = false;
    lane.latest.reset();
    if (failure) co_await wait(lane, milliseconds(500));
  }
  co_return std::nullopt;
}

/// Its sender took it back: nothing is said to it. What it may have changed already stays.
asio::awaitable<Lanes::Ended> Lanes::finish_taken_back(Lane& lane, Item& item) {
  turns("taken_back").add();
  std::optional<Committed::Kind> committed;
  while (!committed) {
    if (!may_run(lane)) co_return Ended::abandoned;
    committed = co_await commit_empty_turn(lane, item);
  }
  if (*committed == Committed::Kind::lease_lost) co_return Ended::abandoned;
  co_return co_await finish(lane, item);
}

/// A dead letter.
asio::awaitable<Lanes::Ended> Lanes::bury(Lane& lane, Item& item, std::string reason) {
  turns("dead_letter").add();
  if (co_await commit_empty_turn(lane, item) == Committed::Kind::lease_lost) co_return Ended::abandoned;
  log::error("bus", "a message became a dead letter; see loquat dead-letters", {{"seq", item.seq}, {"reason", reason}});
  co_return co_await park(lane, item, item.event.conversation.account, std::nullopt, std::move(reason));
}

/// Moves what waits behind a parked event to the parked as well.
asio::awaitable<void> Lanes::park_waiting(Lane& lane) {
  std::vector<Item> items(std::make_move_iterator(lane.waiting.begin()), std::make_move_iterator(lane.waiting.end()));
  lane.waiting.clear();
  const auto blocked = find_blocked_state(lane.key).value_or(Blocked{});
  const auto until = std::max(blocked.behind_until, now_ms());
  for (auto& item : items) {
    std::exception_ptr failure;
    (void)was_taken_back(item);  // what is parked has no words then
    try {
      (void)co_await storage_.park({item, lane.conversation.account, until, "behind", blocked.while_stopped}, lane.epoch);
    } catch (...) {
      failure = std::current_exception();
    }
    // When that fails the row is still in the inbox: the sweep finds it again.
    if (failure) log::debug("bus", "an event could not be parked yet", {{"seq", item.seq}});
    forget(item.seq, lane.part, !failure);
  }
}

/// Runs a blocked conversation's parked events in order, until one has to wait again or none is left.
asio::awaitable<void> Lanes::run_parked(Lane& lane) {
  constexpr std::size_t most = 100;
  for (;;) {
    std::vector<Item> items;
    std::exception_ptr failure;
    try {
      items = co_await storage_.database().read([key = lane.key](db::Connection& c) { return load_parked(c, key, most); });
    } catch (...) {
      failure = std::current_exception();
    }
    if (failure) {
      set_blocked(lane.key, {now_ms() + 1000, now_ms() + 1000});
      co_return;
    }
    if (items.empty()) {
      unblock(lane.key);
      co_return;
    }
    for (auto& item : items) {
      if (!may_run(lane)) co_return;
      if (!lane.first.empty()) {  // it comes before, and then we go on
        lane.due = true;
        co_return;
      }
      const auto ended = co_await process(lane, item);
      if (ended == Ended::abandoned) co_return;
      if (ended == Ended::parked && find_blocked_state(lane.key).value_or(Blocked{}).behind_until > now_ms()) co_return;
    }
  }
}

}  // namespace loquat::bus
