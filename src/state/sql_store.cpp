#include "state/sql_store.h"

#include <algorithm>

#include "async/batcher.h"
#include "state/cursor.h"
#include "state/rules.h"
#include "state/sql_append.h"
#include "state/sql_rows.h"
#include "state/sql_search.h"

namespace loquat::state {
namespace {

using Found = std::optional<State>;
template <class Key>
using Reads = async::Batcher<Key, Found>;

std::exception_ptr busy() { return std::make_exception_ptr(Error(Code::unavailable, "too much work is waiting, try again later")); }

/// One query for the keys of many callers.
template <class Key, class Query>
typename Reads<Key>::Run make_reader(db::Database& database, Query query) {
  return [&database, query](std::vector<Key> keys, typename Reads<Key>::Done done) {
    auto wanted = std::make_shared<std::vector<Key>>(std::move(keys));
    auto found = std::make_shared<std::vector<Found>>();
    database.submit(
        db::Database::Mode::read, [wanted, found, query](db::Connection& c) { *found = query(c, std::span<const Key>(*wanted)); },
        [wanted, found, done = std::move(done)](const std::exception_ptr& error) mutable {
          std::vector<async::Outcome<Found>> outcomes;
          outcomes.reserve(wanted->size());
          for (std::size_t i = 0; i < wanted->size(); ++i) {
            if (error)
              outcomes.emplace_back(std::in_place_index<1>, error);
            else
              outcomes.emplace_back(std::in_place_index<0>, std::move((*found)[i]));
          }
          done(std::move(outcomes));
        });
  };
}

class SqlStore final : public Store {
 public:
  explicit SqlStore(db::Database& database)
      : database_(database),
        appends_({.concurrent = writers(database), .wait_limit = database.pool_timeout()},
                 [&database](std::vector<AppendCall> calls, async::Batcher<AppendCall, Appended>::Done done) {
                   append_batch(database, std::move(calls), std::move(done));
                 }),
        latest_({.concurrent = 2, .wait_limit = database.pool_timeout()},
                make_reader<chat::ConversationId>(
                    database, [](db::Connection& c, std::span<const chat::ConversationId> keys) { return find_latest_rows(c, keys); })),
        by_thread_({.concurrent = 2, .wait_limit = database.pool_timeout()},
                   make_reader<ThreadQuery>(
                       database, [](db::Connection& c, std::span<const ThreadQuery> keys) { return find_rows_by_thread(c, keys); })),
        by_id_({.concurrent = 2, .wait_limit = database.pool_timeout()},
               make_reader<MessageId>(
                   database, [](db::Connection& c, std::span<const MessageId> keys) { return find_rows_by_message_id(c, keys); })) {}

  asio::awaitable<Appended> append(State state, std::optional<std::int64_t> expected) override {
    co_return co_await appends_.call({std::move(state), expected}, busy());
  }
  asio::awaitable<Found> find_latest(const chat::ConversationId& conversation) override {
    co_return co_await latest_.call(conversation, busy());
  }
  asio::awaitable<Found> find_latest(const ThreadQuery& query) override { co_return co_await by_thread_.call(query, busy()); }
  asio::awaitable<Found> find_by_message_id(const MessageId& id) override { co_return co_await by_id_.call(id, busy()); }

  asio::awaitable<HistoryPage> history(const ThreadQuery& query, std::size_t limit, std::optional<std::string> before) override {
    std::optional<HistoryCursor> cursor;
    if (before) cursor = parse_history_cursor(*before, query.thread_id);
    co_return co_await database_.read([query, limit, cursor](db::Connection& c) { return read_history(c, query, limit, cursor); });
  }

  asio::awaitable<ThreadsPage> threads(std::size_t page, std::size_t limit, std::optional<Time> start, std::optional<Time> end) override {
    co_return co_await database_.read([=](db::Connection& c) { return read_threads(c, page, limit, start, end); });
  }

  asio::awaitable<HistoryPage> search(const SearchQuery& query) override {
    std::optional<SearchCursor> cursor;
    if (query.before) cursor = parse_search_cursor(*query.before);
    co_return co_await database_.read([query, cursor](db::Connection& c) { return search_rows(c, query, cursor); });
  }

  asio::awaitable<void> redact(const chat::ConversationId& conversation, const MessageId& id) override {
    co_await database_.write([conversation, id](db::Connection& c) { redact_row(c, conversation, id); });
  }

  asio::awaitable<bool> erase(const ThreadQuery& query) override {
    // A turn that commits at the same moment takes the tombstone's version: then once more.
    constexpr int most_attempts = 100;
    for (int attempt = 1;; ++attempt) {
      try {
        co_return co_await database_.write([query](db::Connection& c) { return erase_rows(c, query); });
      } catch (const Error& error) {
        if (error.code() != Code::conflict || attempt == most_attempts) throw;
      }
    }
  }

  asio::awaitable<std::size_t> delete_older(std::chrono::hours age, std::chrono::hours dedup_age, std::size_t limit) override {
    const auto before = now() - std::max(age, dedup_age);
    co_return co_await database_.write([before, limit](db::Connection& c) { return delete_rows(c, before, limit); });
  }

  asio::awaitable<void> ping() override { co_await database_.ping(); }

 private:
  // SQLite's writer gathers jobs itself; PostgreSQL gains from a second connection while the first waits for its disk.
  static std::size_t writers(const db::Database& database) { return database.dialect() == db::Dialect::sqlite ? 1 : 2; }

  db::Database& database_;
  async::Batcher<AppendCall, Appended> appends_;
  Reads<chat::ConversationId> latest_;
  Reads<ThreadQuery> by_thread_;
  Reads<MessageId> by_id_;
};

}  // namespace

std::unique_ptr<Store> make_sql_store(db::Database& database) { return std::make_unique<SqlStore>(database); }

}  // namespace loquat::state
