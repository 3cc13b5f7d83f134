#include "bus/storage.h"

#include <algorithm>
#include <atomic>

#include "core/log.h"
#include "core/metrics.h"
#include "state/sql_rows.h"

namespace loquat::bus {
namespace {

/// A commit costs the same for one row as for ten.
constexpr std::chrono::microseconds commit_spacing(500);

struct Done {
  std::int64_t seq = 0;
  bool parked = false;
};
using Turn = std::shared_ptr<const state::State>;
using Step = std::variant<Turn, Done, Progress, Parking>;
/// A step, and the epoch in which it was decided.
struct Operation {
  Step step;
  std::uint64_t epoch = 0;
};
using Call = std::shared_ptr<std::vector<Event>>;

/// The row of this process, locked against being declared dead until the transaction ends.
bool holds_lease(db::Connection& connection, const std::string& process_id) {
  if (connection.dialect() == db::Dialect::sqlite) return true;
  const auto rows = connection("SELECT 1 FROM process WHERE id = $1 AND state = 'alive' AND alive_until > now() FOR SHARE", process_id);
  return !rows->empty();
}

/// Runs the operations of this epoch; the others have lost their lease.
void run_operations(db::Connection& connection, const std::vector<Operation>& operations, std::uint64_t epoch) {
  std::vector<const state::State*> turns;
  std::vector<std::int64_t> inbox;
  std::vector<std::int64_t> parked;
  std::vector<Progress> progress;
  std::vector<Parking> parkings;
  for (const auto& [step, decided_in] : operations) {
    if (decided_in != epoch) continue;
    if (const auto* turn = std::get_if<Turn>(&step)) {
      turns.push_back(turn->get());
    } else if (const auto* done = std::get_if<Done>(&step)) {
      (done->parked ? parked : inbox).push_back(done->seq);
    } else if (const auto* p = std::get_if<Progress>(&step)) {
      progress.push_back(*p);
    } else {
      parkings.push_back(std::get<Parking>(step));
    }
  }
  settle(connection, parkings);
  if (!turns.empty()) state::append_rows(connection, turns);
  if (!progress.empty()) update_progress(connection, std::move(progress));
  if (!parkings.empty()) park(connection, std::move(parkings));
  delete_inbox(connection, std::move(inbox));
  delete_parked(connection, std::move(parked));
}

bool is_data_error(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const Error& e) {
    return e.code() == Code::conflict || e.code() == Code::invalid;
  } catch (...) {
    return false;
  }
}

template <class T>
std::vector<async::Outcome<T>> all_failed(std::size_t count, const std::exception_ptr& error) {
  return std::vector<async::Outcome<T>>(count, async::Outcome<T>(std::in_place_index<1>, error));
}

Arrival to_arrival(const Event& event) {
  return {event.conversation.to_key(), event.message_id, to_stored(event), partition_of(event.conversation), now_ms()};
}

std::exception_ptr busy() { return std::make_exception_ptr(Error(Code::unavailable, "too many messages are waiting, try again later")); }

using Seqs = std::vector<std::int64_t>;

}  // namespace

struct Storage::Impl : std::enable_shared_from_this<Impl> {
  Impl(Settings s, db::Database& db, Lease given)
      : settings(s),
        database(db),
        lease(std::move(given)),
        admissions({.most = settings.batch, .concurrent = 1, .spacing = commit_spacing},
                   [this](auto calls, auto done) { run_admissions(std::move(calls), std::move(done)); }),
        commits({.most = settings.batch, .concurrent = 1, .spacing = commit_spacing},
                [this](auto calls, auto done) { run_commits(std::move(calls), std::move(done)); }),
        latest({.most = settings.batch, .concurrent = 2}, [this](auto calls, auto done) { run_latest(std::move(calls), std::move(done)); }),
        by_id({.most = settings.batch, .concurrent = 2}, [this](auto calls, auto done) { run_by_id(std::move(calls), std::move(done)); }) {}

  // --- admission ------------------------------------------------------------------------------------------------

  std::int64_t next_seq() {  // SQLite only: time-based, so that it never goes back over restarts and command-line tools
    const auto clock = to_microseconds(now());
    auto last = last_seq.load(std::memory_order_relaxed);
    for (;;) {
      const auto next = std::max(last + 1, clock);
      if (last_seq.compare_exchange_weak(last, next)) return next;
    }
  }

  using AdmissionsDone = async::Batcher<Call, Seqs>::Done;

  void run_admissions(std::vector<Call> calls, AdmissionsDone done) {
    auto events = std::make_shared<std::vector<Call>>(std::move(calls));
    auto result = std::make_shared<std::vector<Seqs>>();
    const bool has_dead = std::ranges::any_of(
        *events, [](const auto& call) { return std::ranges::any_of(*call, [](const Event& e) { return !e.dead_reason.empty(); }); });
    // One statement needs no transaction of its own on PostgreSQL: that saves two round trips.
    const auto mode = has_dead ? db::Database::Mode::write : db::Database::Mode::run;
    database.submit(
        mode, [this, events, result](db::Connection& connection) { *result = store_arrivals(connection, *events); },
        [self = shared_from_this(), events, result, done = std::move(done)](std::exception_ptr error) mutable {
          if (!error) {
            std::vector<async::Outcome<Seqs>> outcomes;
            for (auto& seqs : *result) outcomes.emplace_back(std::in_place_index<0>, std::move(seqs));
            return done(std::move(outcomes));
          }
          if (!is_data_error(error)) return done(all_failed<Seqs>(events->size(), error));
          self->bisect_admissions(std::move(*events), error, std::move(done));
        });
  }

  std::vector<Seqs> store_arrivals(db::Connection& connection, const std::vector<Call>& calls) {
    std::vector<Arrival> arrivals;
    std::vector<Seqs> result;
    std::vector<std::pair<std::size_t, std::size_t>> places;
    for (std::size_t c = 0; c < calls.size(); ++c) {
      result.emplace_back(calls[c]->size(), 0);
      for (std::size_t e = 0; e < calls[c]->size(); ++e) {
        const auto& event = (*calls[c])[e];
        if (event.dead_reason.empty()) {
          arrivals.push_back(to_arrival(event));
          places.emplace_back(c, e);
        } else {
          insert_dead(connection, to_arrival(event), dead_seq(connection), event.conversation.account, event.dead_reason);
        }
      }
    }
    if (arrivals.empty()) return result;
    Seqs own;
    if (connection.dialect() == db::Dialect::sqlite)
      for (std::size_t i = 0; i < arrivals.size(); ++i) own.push_back(next_seq());
    const auto seqs = insert_arrivals(connection, arrivals, own);
    for (std::size_t i = 0; i < seqs.size(); ++i) result[places[i].first][places[i].second] = seqs[i];
    return result;
  }

  std::int64_t dead_seq(db::Connection& connection) {
    if (connection.dialect() == db::Dialect::sqlite) return next_seq();
    return connection("SELECT nextval('inbox_seq')")->integer(0, 0);
  }

  /// The database refuses something in the batch for its data: halves are tried until only the culprit is left, and that
  /// becomes a dead letter. The others go in.
  void bisect_admissions(std::vector<Call> calls, const std::exception_ptr& error, AdmissionsDone done) {
    if (calls.size() == 1 && calls[0]->size() <= 1) {
      if (calls[0]->empty()) return done({async::Outcome<Seqs>(std::in_place_index<0>)});
      auto& event = calls[0]->front();
      if (!event.dead_reason.empty()) {  // refused even as a dead letter: keep what identifies it
        if (event.body.contains("refused")) return done(all_failed<Seqs>(1, error));
        event.body = {{"refused", true}};
      }
      event.dead_reason = "refused by the database";
      return run_admissions(std::move(calls), std::move(done));
    }
    const bool split_call = calls.size() == 1;
    std::vector<Call> first;
    std::vector<Call> second;
    if (split_call) {
      const auto& events = *calls[0];
      const auto middle = events.begin() + static_cast<std::ptrdiff_t>(events.size() / 2);
      first.push_back(std::make_shared<std::vector<Event>>(events.begin(), middle));
      second.push_back(std::make_shared<std::vector<Event>>(middle, events.end()));
    } else {
      const auto middle = calls.begin() + static_cast<std::ptrdiff_t>(calls.size() / 2);
      first.assign(calls.begin(), middle);
      second.assign(middle, calls.end());
    }
    run_admissions(
        std::move(first), [self = shared_from_this(), split_call, second = std::move(second), done = std::move(done)](auto left) mutable {
          self->run_admissions(std::move(second), [split_call, left = std::move(left), done = std::move(done)](auto right) mutable {
            if (!split_call) {
              for (auto& outcome : right) left.push_back(std::move(outcome));
              return done(std::move(left));
            }
            if (left[0].index() == 1 || right[0].index() == 1)
              return done({left[0].index() == 1 ? std::move(left[0]) : std::move(right[0])});
            auto joined = std::get<0>(std::move(left[0]));
            for (const auto seq : std::get<0>(right[0])) joined.push_back(seq);
            done({async::Outcome<Seqs>(std::in_place_index<0>, std::move(joined))});
          });
        });
  }

  // --- commit ---------------------------------------------------------------------------------------------------

  using CommitsDone = async::Batcher<Operation, Committed>::Done;

  void run_commits(std::vector<Operation> calls, CommitsDone done) {
    auto operations = std::make_shared<std::vector<Operation>>(std::move(calls));
    auto held = std::make_shared<std::optional<std::uint64_t>>();  // the epoch whose lease we hold
    database.submit(
        db::Database::Mode::write,
        [this, operations, held](db::Connection& connection) {
          // In this order: a new id comes after its epoch, so the epoch read last is never older than the id.
          const auto id = lease.process_id();
          const auto epoch = lease.epoch();
          held->reset();
          if (!holds_lease(connection, id)) return;
          run_operations(connection, *operations, epoch);
          *held = epoch;
        },
        [self = shared_from_this(), operations, held, done = std::move(done)](std::exception_ptr error) mutable {
          if (!error) {
            std::vector<async::Outcome<Committed>> outcomes;
            for (const auto& operation : *operations)
              outcomes.emplace_back(std::in_place_index<0>,
                                    Committed{*held == operation.epoch ? Committed::Kind::ok : Committed::Kind::lease_lost});
            return done(std::move(outcomes));
          }
          if (!is_data_error(error)) return done(all_failed<Committed>(operations->size(), error));
          self->bisect_commits(std::move(*operations), error, std::move(done));
        });
  }

  void bisect_commits(std::vector<Operation> operations, const std::exception_ptr& error, CommitsDone done) {
    if (operations.size() == 1) return explain_conflict(operations[0], error, std::move(done));
    const auto middle = operations.begin() + static_cast<std::ptrdiff_t>(operations.size() / 2);
    std::vector<Operation> first(std::make_move_iterator(operations.begin()), std::make_move_iterator(middle));
    std::vector<Operation> second(std::make_move_iterator(middle), std::make_move_iterator(operations.end()));
    run_commits(std::move(first), [self = shared_from_this(), second = std::move(second), done = std::move(done)](auto left) mutable {
      self->run_commits(std::move(second), [left = std::move(left), done = std::move(done)](auto right) mutable {
        for (auto& outcome : right) left.push_back(std::move(outcome));
        done(std::move(left));
      });
    });
  }

  /// One turn was refused: because its event was decided before, or because the conversation has moved on.
  void explain_conflict(const Operation& operation, const std::exception_ptr& error, CommitsDone done) {
    const auto* held = std::get_if<Turn>(&operation.step);
    const auto* turn = held == nullptr ? nullptr : held->get();
    if (turn == nullptr || !turn->message_id || !is_conflict(error)) return done(all_failed<Committed>(1, error));
    auto found = std::make_shared<std::optional<state::State>>();
    database.submit(
        db::Database::Mode::read,
        [id = *turn->message_id, found](db::Connection& connection) {
          *found = std::move(state::find_rows_by_message_id(connection, std::span(&id, 1)).at(0));
        },
        [found, done = std::move(done)](std::exception_ptr failure) mutable {
          if (failure) return done(all_failed<Committed>(1, failure));
          Committed result;
          result.kind = *found ? Committed::Kind::known : Committed::Kind::version_conflict;
          result.stored = std::move(*found);
          done({async::Outcome<Committed>(std::in_place_index<0>, std::move(result))});
        });
  }

  static bool is_conflict(const std::exception_ptr& error) {
    try {
      std::rethrow_exception(error);
    } catch (const Error& e) {
      return e.code() == Code::conflict;
    } catch (...) {
      return false;
    }
  }

  // --- reads ----------------------------------------------------------------------------------------------------

  using Found = std::optional<state::State>;

  template <class Key, class Query>
  void run_reads(std::vector<Key> calls, async::Batcher<Key, Found>::Done done, Query query) {
    auto keys = std::make_shared<std::vector<Key>>(std::move(calls));
    auto found = std::make_shared<std::vector<Found>>();
    database.submit(
        db::Database::Mode::read,
        [keys, found, query](db::Connection& connection) { *found = query(connection, std::span<const Key>(*keys)); },
        [keys, found, done = std::move(done)](std::exception_ptr error) mutable {
          if (error) return done(all_failed<Found>(keys->size(), error));
          std::vector<async::Outcome<Found>> outcomes;
          for (auto& state : *found) outcomes.emplace_back(std::in_place_index<0>, std::move(state));
          done(std::move(outcomes));
        });
  }

  void run_latest(std::vector<chat::ConversationId> calls, async::Batcher<chat::ConversationId, Found>::Done done) {
    run_reads<chat::ConversationId>(std::move(calls), std::move(done), [](db::Connection& c, std::span<const chat::ConversationId> keys) {
      return state::find_latest_rows(c, keys);
    });
  }
  void run_by_id(std::vector<MessageId> calls, async::Batcher<MessageId, Found>::Done done) {
    run_reads<MessageId>(std::move(calls), std::move(done),
                         [](db::Connection& c, std::span<const MessageId> keys) { return state::find_rows_by_message_id(c, keys); });
  }

  const Settings settings;
  db::Database& database;
  const Lease lease;
  std::atomic<std::int64_t> last_seq{0};
  async::Batcher<Call, Seqs> admissions;
  async::Batcher<Operation, Committed> commits;
  async::Batcher<chat::ConversationId, Found> latest;
  async::Batcher<MessageId, Found> by_id;
};

Storage::Storage(Settings settings, db::Database& database, Lease lease)
    : impl_(std::make_shared<Impl>(settings, database, std::move(lease))) {}
Storage::~Storage() = default;

db::Database& Storage::database() noexcept { return impl_->database; }

asio::awaitable<std::vector<std::int64_t>> Storage::admit(std::shared_ptr<std::vector<Event>> events) {
  co_return co_await impl_->admissions.call(std::move(events), busy());
}

namespace {

/// Appends through the port of the states: by key, so it can be repeated after an unknown outcome.
asio::awaitable<Committed> append_external(state::Store& store, Turn turn) {
  const auto expected = turn->version - 1;
  std::optional<state::Store::Appended> appended;
  try {
    appended = co_await store.append(*turn, expected);
  } catch (const Error& error) {
    if (error.code() != Code::conflict) throw;
  }
  if (!appended) co_return Committed{Committed::Kind::version_conflict};
  if (appended->existed) co_return Committed{Committed::Kind::known, std::move(appended->state)};
  co_return Committed{};
}

}  // namespace

asio::awaitable<Committed> Storage::commit(std::shared_ptr<const state::State> turn, std::uint64_t epoch) {
  if (impl_->settings.external != nullptr) co_return co_await append_external(*impl_->settings.external, std::move(turn));
  co_return co_await impl_->commits.call(Operation{std::move(turn), epoch}, busy());
}

asio::awaitable<bool> Storage::done(const Item& item, std::uint64_t epoch) {
  const auto result = co_await impl_->commits.call(Operation{Done{item.seq, item.parked}, epoch}, busy());
  co_return result.kind == Committed::Kind::ok;
}

asio::awaitable<bool> Storage::save_progress(const Item& item, std::uint64_t epoch) {
  const auto result = co_await impl_->commits.call(Operation{Progress{item.seq, item.parked, item.parts_sent}, epoch}, busy());
  co_return result.kind == Committed::Kind::ok;
}

asio::awaitable<bool> Storage::park(Parking parking, std::uint64_t epoch) {
  const auto result = co_await impl_->commits.call(Operation{std::move(parking), epoch}, busy());
  co_return result.kind == Committed::Kind::ok;
}

asio::awaitable<void> Storage::take_back(const chat::ConversationId& conversation, const MessageId& id) {
  auto kept = co_await impl_->database.read([conv = conversation.to_key(), id](db::Connection& c) { return find_kept(c, conv, id); });
  if (kept.empty()) co_return;
  co_await impl_->database.write([kept = std::move(kept)](db::Connection& c) { bus::take_back(c, kept); });
}

asio::awaitable<std::optional<state::State>> Storage::find_latest(const chat::ConversationId& conversation) {
  if (impl_->settings.external != nullptr) co_return co_await impl_->settings.external->find_latest(conversation);
  co_return co_await impl_->latest.call(conversation, busy());
}

asio::awaitable<std::optional<state::State>> Storage::find_by_message_id(const MessageId& id) {
  if (impl_->settings.external != nullptr) co_return co_await impl_->settings.external->find_by_message_id(id);
  co_return co_await impl_->by_id.call(id, busy());
}

}  // namespace loquat::bus
