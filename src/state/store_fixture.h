#pragma once

#include <gtest/gtest.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <string_view>
#include <thread>

#include "db/migrate.h"
#include "http/client.h"
#include "http/server.h"
#include "state/api.h"
#include "state/http_store.h"
#include "state/memory_store.h"
#include "state/mongo_store.h"
#include "state/schema.h"
#include "state/sql_store.h"
#include "testing/await.h"
#include "testing/mongo.h"
#include "testing/postgres.h"
#include "testing/temporary.h"

namespace loquat::state {

enum class StoreKind : std::uint8_t { memory, sqlite, postgres, http, mongo };
inline constexpr std::array store_kinds = {StoreKind::memory, StoreKind::sqlite, StoreKind::postgres, StoreKind::http, StoreKind::mongo};

inline std::string_view to_string(StoreKind kind) {
  switch (kind) {
    case StoreKind::memory: return "Memory";
    case StoreKind::sqlite: return "Sqlite";
    case StoreKind::postgres: return "Postgres";
    case StoreKind::http: return "Http";
    case StoreKind::mongo: return "Mongo";
  }
  return "?";
}

/// An empty store and what it stands on.
class StoreFixture {
 public:
  virtual ~StoreFixture() = default;
  virtual Store& store() = 0;
};

class MemoryFixture final : public StoreFixture {
 public:
  Store& store() override { return *store_; }

 private:
  std::unique_ptr<Store> store_ = make_memory_store();
};

class SqlFixture final : public StoreFixture {
 public:
  explicit SqlFixture(const std::string& url) {
    db::DatabaseSettings settings;
    settings.url = url.empty() ? directory_.sqlite_url() : url;
    database_ = db::Database::open(settings);
    db::migrate(*database_, migrations());
    store_ = make_sql_store(*database_);
  }
  ~SqlFixture() override { database_->close(); }
  Store& store() override { return *store_; }
  db::Database& database() { return *database_; }

 private:
  testing::TemporaryDirectory directory_;
  std::unique_ptr<db::Database> database_;
  std::unique_ptr<Store> store_;
};

class MongoFixture final : public StoreFixture {
 public:
  explicit MongoFixture(const std::string& uri) : pool_({.uri = uri}) {}
  Store& store() override { return store_; }
  db::MongoPool& pool() { return pool_; }

 private:
  db::MongoPool pool_;
  MongoStore store_{pool_};
};

/// A loop with a thread of its own.
class LoopThread {
 public:
  ~LoopThread() { stop(); }
  boost::asio::io_context& loop() { return loop_; }
  void stop() {
    loop_.stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  boost::asio::io_context loop_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{loop_.get_executor()};
  std::thread thread_{[this] { loop_.run(); }};
};

/// Runs each call on a given loop, as the port's contract over HTTP asks.
class LoopStore final : public Store {
 public:
  LoopStore(Store& inner, boost::asio::io_context& loop) : inner_(inner), loop_(loop) {}
  asio::awaitable<Appended> append(State state, std::optional<std::int64_t> expected) override {
    return there(inner_.append(std::move(state), expected));
  }
  asio::awaitable<std::optional<State>> find_latest(const chat::ConversationId& id) override { return there(copy_latest(&inner_, id)); }
  asio::awaitable<std::optional<State>> find_latest(const ThreadQuery& query) override { return there(copy_thread(&inner_, query)); }
  asio::awaitable<std::optional<State>> find_by_message_id(const MessageId& id) override { return there(inner_.find_by_message_id(id)); }
  asio::awaitable<HistoryPage> history(const ThreadQuery& query, std::size_t limit, std::optional<std::string> before) override {
    return there(inner_.history(query, limit, std::move(before)));
  }
  asio::awaitable<ThreadsPage> threads(std::size_t page, std::size_t limit, std::optional<Time> start, std::optional<Time> end) override {
    return there(inner_.threads(page, limit, start, end));
  }
  asio::awaitable<HistoryPage> search(const SearchQuery& query) override { return there(inner_.search(query)); }
  asio::awaitable<void> redact(const chat::ConversationId& id, const MessageId& message) override {
    return there(inner_.redact(id, message));
  }
  asio::awaitable<bool> erase(const ThreadQuery& query) override { return there(inner_.erase(query)); }
  asio::awaitable<std::size_t> delete_older(std::chrono::hours age, std::chrono::hours dedup, std::size_t limit) override {
    return there(inner_.delete_older(age, dedup, limit));
  }
  asio::awaitable<void> ping() override { return there(inner_.ping()); }

 private:
  template <class T>
  asio::awaitable<T> there(asio::awaitable<T> task) {
    return boost::asio::co_spawn(loop_, std::move(task), boost::asio::use_awaitable);
  }
  static asio::awaitable<std::optional<State>> copy_latest(Store* store, chat::ConversationId id) {
    co_return co_await store->find_latest(id);
  }
  static asio::awaitable<std::optional<State>> copy_thread(Store* store, ThreadQuery query) {
    co_return co_await store->find_latest(query);
  }

  Store& inner_;
  boost::asio::io_context& loop_;
};

/// The port over a real server's routes, which stand on a store in SQLite.
class HttpFixture final : public StoreFixture {
 public:
  HttpFixture() {
    add_routes(router_, behind_.store(), {});
    router_.add(http::Method::get, "/health", {.access = http::Access::open}, healthy);
    http::ServerSettings settings;
    settings.port = 0;
    settings.auth.admin_tokens = {{"admin", "admin-token"}};
    settings.auth.service_token = "service-token";
    server_ = std::make_unique<http::Server>(settings, router_, std::vector{&server_loop_.loop()});
    server_->start();
    client_ = std::make_unique<http::Client>(http::Client::Settings{}, std::vector{&client_loop_.loop()});
    inner_ = std::make_unique<HttpStore>(*client_, base(), "service-token");
    store_ = std::make_unique<LoopStore>(*inner_, client_loop_.loop());
  }
  ~HttpFixture() override {
    client_->close();
    server_->drain();
    server_->close();
    client_loop_.stop();
    server_loop_.stop();
  }
  Store& store() override { return *store_; }
  [[nodiscard]] std::string base() const { return "http://127.0.0.1:" + std::to_string(server_->port()); }

 private:
  static asio::awaitable<http::Response> healthy(http::Request& /*request*/) { co_return http::Response{}; }

  SqlFixture behind_{""};
  http::Router router_;
  LoopThread server_loop_;
  LoopThread client_loop_;
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<http::Client> client_;
  std::unique_ptr<Store> inner_;
  std::unique_ptr<Store> store_;
};

/// Null when this machine lacks what it needs.
inline std::unique_ptr<StoreFixture> make_store_fixture(StoreKind kind) {
  if (kind == StoreKind::memory) return std::make_unique<MemoryFixture>();
  if (kind == StoreKind::sqlite) return std::make_unique<SqlFixture>("");
  if (kind == StoreKind::http) return std::make_unique<HttpFixture>();
  if (kind == StoreKind::mongo) {
    const auto uri = testing::make_mongo_uri();
    return uri ? std::make_unique<MongoFixture>(*uri) : nullptr;
  }
  const auto url = testing::make_postgres_url();
  return url ? std::make_unique<SqlFixture>(*url) : nullptr;
}

}  // namespace loquat::state
