#include "state/sql_append.h"

#include <atomic>
#include <map>

#include "state/rules.h"
#include "state/sql_rows.h"

namespace loquat::state {
namespace {

/// Of two batches that append to one conversation at once one wins, so each attempt is about a coin's throw.
constexpr int most_attempts = 30;

struct Newest {
  std::int64_t version = 0;
  bool erased = false;
};
using NewestByConversation = std::map<chat::ConversationId, Newest>;

/// What becomes of one call: appended as `call.state.version`, or `stored`, or `error`.
struct Decision {
  std::optional<State> stored;
  std::exception_ptr error;
};

void read_newest_sqlite(db::Connection& connection, NewestByConversation& newest) {
  for (auto& [id, one] : newest) {
    const auto rows = connection(
        "SELECT version, erased FROM states WHERE channel = $1 AND account = $2 AND thread_id = $3 ORDER BY version DESC LIMIT 1",
        id.channel, id.account, id.thread_id);
    one = rows->empty() ? Newest() : Newest{rows->integer(0, 0), rows->boolean(0, 1)};
  }
}

void read_newest_postgres(db::Connection& connection, NewestByConversation& newest) {
  std::vector<std::string> channels;
  std::vector<std::string> accounts;
  std::vector<std::string> threads;
  std::vector<Newest*> places;
  for (auto& [id, one] : newest) {
    channels.push_back(id.channel);
    accounts.push_back(id.account);
    threads.push_back(id.thread_id);
    places.push_back(&one);
    one = {};
  }
  const auto rows = connection(
      "SELECT k.i, s.version, s.erased FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS k(channel, account, thread_id, i)"
      " CROSS JOIN LATERAL (SELECT x.version, x.erased FROM states AS x WHERE x.channel = k.channel AND x.account = k.account"
      " AND x.thread_id = k.thread_id ORDER BY x.version DESC LIMIT 1) AS s",
      std::move(channels), std::move(accounts), std::move(threads));
  for (std::size_t row = 0; row < rows->size(); ++row) {
    *places.at(static_cast<std::size_t>(rows->integer(row, 0)) - 1) = {rows->integer(row, 1), rows->boolean(row, 2)};
  }
}

class Batch : public std::enable_shared_from_this<Batch> {
 public:
  Batch(db::Database& database, std::vector<AppendCall> calls, AppendDone done)
      : database_(database), calls_(std::move(calls)), decisions_(calls_.size()), done_(std::move(done)) {}

  struct Range {
    std::size_t first = 0;
    std::size_t last = 0;  ///< one behind
    [[nodiscard]] std::size_t size() const noexcept { return last - first; }
  };

  void start(Range range, int attempt) {
    // On PostgreSQL the one insert is its own transaction: a round trip less.
    const auto mode = database_.dialect() == db::Dialect::sqlite ? db::Database::Mode::write : db::Database::Mode::run;
    try {
      database_.submit(
          mode, [self = shared_from_this(), range, attempt](db::Connection& connection) { self->decide(connection, range, attempt > 1); },
          [self = shared_from_this(), range, attempt](std::exception_ptr error) { self->finish(range, attempt, std::move(error)); });
    } catch (...) {
      fail(range, std::current_exception());
    }
  }

  void start_all() { start({0, calls_.size()}, 1); }

 private:
  /// May run again. Message ids are looked up first only when something speaks for a known one: the unique index
  /// finds it too.
  void decide(db::Connection& connection, Range range, bool look_up) {
    NewestByConversation newest;
    for (std::size_t i = range.first; i < range.last; ++i) newest.try_emplace(calls_[i].state.conversation);
    connection.dialect() == db::Dialect::sqlite ? read_newest_sqlite(connection, newest) : read_newest_postgres(connection, newest);
    for (std::size_t i = range.first; i < range.last && !look_up; ++i) {
      const auto& current = newest.at(calls_[i].state.conversation);
      look_up = calls_[i].state.message_id && !may_append(calls_[i].expected, current.version, current.erased);
    }
    auto known = look_up ? find_known(connection, range) : std::map<MessageId, State>();
    std::map<MessageId, std::size_t> seen;
    std::vector<const State*> rows;
    for (std::size_t i = range.first; i < range.last; ++i) {
      auto& call = calls_[i];
      decisions_[i] = {};
      if (call.state.message_id && answer_known(i, known, seen)) continue;
      auto& current = newest.at(call.state.conversation);
      if (!may_append(call.expected, current.version, current.erased)) {
        decisions_[i].error = std::make_exception_ptr(moved_on(current.version));
        continue;
      }
      call.state.version = ++current.version;
      current.erased = false;
      rows.push_back(&call.state);
      if (call.state.message_id) seen.emplace(*call.state.message_id, i);
    }
    append_rows(connection, rows);
  }

  std::map<MessageId, State> find_known(db::Connection& connection, Range range) {
    std::vector<MessageId> ids;
    for (std::size_t i = range.first; i < range.last; ++i) {
      if (calls_[i].state.message_id) ids.push_back(*calls_[i].state.message_id);
    }
    std::map<MessageId, State> known;
    for (auto& state : find_rows_by_message_id(connection, ids)) {
      if (state) known.emplace(*state->message_id, std::move(*state));
    }
    return known;
  }

  bool answer_known(std::size_t i, const std::map<MessageId, State>& known, const std::map<MessageId, std::size_t>& seen) {
    const auto& state = calls_[i].state;
    const State* stored = nullptr;
    if (const auto found = known.find(*state.message_id); found != known.end()) {
      stored = &found->second;
    } else if (const auto other = seen.find(*state.message_id); other != seen.end()) {
      stored = &calls_[other->second].state;
    }
    if (stored == nullptr) return false;
    if (stored->conversation == state.conversation)
      decisions_[i].stored = *stored;
    else
      decisions_[i].error = std::make_exception_ptr(foreign_message_id());
    return true;
  }

  enum class Next : std::uint8_t { done, again, halve, fail };

  Next after(const std::exception_ptr& error, Range range, int attempt) const {
    if (!error) return Next::done;
    try {
      std::rethrow_exception(error);
    } catch (const db::OutcomeUnknown&) {
      // With its key a state can be looked up: so it is safe to try again.
      bool keyed = true;
      for (std::size_t i = range.first; i < range.last; ++i) keyed = keyed && calls_[i].state.message_id.has_value();
      return keyed && attempt < 3 ? Next::again : Next::fail;
    } catch (const Error& e) {
      if (e.code() == Code::conflict && attempt < most_attempts) return Next::again;
      if ((e.code() == Code::conflict || e.code() == Code::invalid) && range.size() > 1) return Next::halve;
      return Next::fail;
    } catch (...) {
      return Next::fail;
    }
  }

  void finish(Range range, int attempt, std::exception_ptr error) {
    switch (after(error, range, attempt)) {
      case Next::done: return complete();
      case Next::again: return start(range, attempt + 1);
      case Next::fail: return fail(range, std::move(error));
      case Next::halve: break;
    }
    const auto middle = range.first + range.size() / 2;
    ++pending_;
    start({range.first, middle}, 1);
    start({middle, range.last}, 1);
  }

  void fail(Range range, const std::exception_ptr& error) {
    for (std::size_t i = range.first; i < range.last; ++i) decisions_[i].error = error;
    complete();
  }

  void complete() {
    if (--pending_ > 0) return;
    AppendOutcomes outcomes;
    outcomes.reserve(calls_.size());
    for (std::size_t i = 0; i < calls_.size(); ++i) {
      auto& decision = decisions_[i];
      if (decision.error) {
        outcomes.emplace_back(std::in_place_index<1>, std::move(decision.error));
      } else if (decision.stored) {
        outcomes.emplace_back(std::in_place_index<0>, Store::Appended{std::move(*decision.stored), true});
      } else {
        outcomes.emplace_back(std::in_place_index<0>, Store::Appended{std::move(calls_[i].state), false});
      }
    }
    done_(std::move(outcomes));
  }

  db::Database& database_;
  std::vector<AppendCall> calls_;
  std::vector<Decision> decisions_;
  std::atomic<std::size_t> pending_ = 1;
  AppendDone done_;
};

}  // namespace

void append_batch(db::Database& database, std::vector<AppendCall> calls, AppendDone done) {
  std::make_shared<Batch>(database, std::move(calls), std::move(done))->start_all();
}

}  // namespace loquat::state
