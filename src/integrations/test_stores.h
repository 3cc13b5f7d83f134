#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/log.h"
#include "http/client.h"
#include "http/server.h"
#include "integrations/api.h"
#include "integrations/http_store.h"
#include "integrations/memory_store.h"
#include "integrations/mongo_store.h"
#include "integrations/schema.h"
#include "integrations/sql_store.h"
#include "testing/mongo.h"
#include "testing/postgres.h"
#include "testing/temporary.h"

namespace loquat::integrations {

/// A running loop.
class TestLoop {
 public:
  ~TestLoop() { stop(); }
  void stop() {
    loop.stop();
    if (thread_.joinable()) thread_.join();
  }
  boost::asio::io_context loop{1};

 private:
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_ = boost::asio::make_work_guard(loop);
  std::thread thread_{[this] { loop.run(); }};
};

/// One empty store of each adapter, for the tests.
class TestStores {
 public:
  [[nodiscard]] static std::vector<std::string> kinds() { return {"memory", "sqlite", "postgres", "http", "mongo"}; }

  ~TestStores() {
    if (client_) client_->close();
    if (server_) {
      server_->drain();
      server_->close();
    }
    loop_.stop();
    store_.reset();
    behind_.reset();
    if (database_) database_->close();
  }

  /// Empty, or why this adapter cannot be tested here.
  std::string open(const std::string& kind) {
    log::configure(log::Level::error, log::Format::text);  // the server's access log is long
    if (kind == "memory") {
      store_ = std::make_unique<MemoryStore>();
      return {};
    }
    if (kind == "mongo") {
      const auto uri = loquat::testing::make_mongo_uri();
      if (!uri) return "no Java and Maven on this machine: the MongoDB store is not tested";
      mongo_ = std::make_unique<db::MongoPool>(db::MongoSettings{.uri = *uri});
      store_ = std::make_unique<MongoStore>(*mongo_, make_keys());
      return {};
    }
    if (kind == "postgres") {
      const auto made = loquat::testing::make_postgres_url();
      if (!made) return "no PostgreSQL on this machine: the PostgreSQL store is not tested";
      store_ = open_sql(*made);
    } else {
      store_ = open_sql(directory_.sqlite_url());
    }
    if (kind == "http") serve();
    return {};
  }

  /// Runs a call on the loop; from any thread but the loop's.
  template <class Call>
  auto run(Call call) {
    return boost::asio::co_spawn(loop_.loop, call(*store_), boost::asio::use_future).get();
  }

 private:
  static std::shared_ptr<const crypto::Keyring> make_keys() {
    return std::make_shared<const crypto::Keyring>("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
  }

  std::unique_ptr<Store> open_sql(const std::string& url) {
    database_ = db::Database::open({.url = url});
    db::migrate(*database_, migrations());
    return std::make_unique<SqlStore>(*database_, make_keys());
  }

  /// Another process with the store, and a store that asks it.
  void serve() {
    behind_ = std::move(store_);
    add_routes(router_, *behind_);
    http::ServerSettings settings;
    settings.port = 0;
    settings.auth.admin_tokens = {{"admin", "admin-token"}};
    settings.auth.service_token = "service-token";
    router_.add(http::Method::get, "/health", {.access = http::Access::open}, [](http::Request&) -> boost::asio::awaitable<http::Response> {
      co_return http::Response::json_text(R"({"status":"ok"})");
    });
    server_ = std::make_unique<http::Server>(settings, router_, std::vector{&loop_.loop});
    server_->start();
    client_ = std::make_unique<http::Client>(http::Client::Settings(), std::vector{&loop_.loop});
    store_ =
        std::make_unique<HttpStore>(*client_, "http://127.0.0.1:" + std::to_string(server_->port()) + "/integrations/", "service-token");
  }

  loquat::testing::TemporaryDirectory directory_;
  TestLoop loop_;
  std::unique_ptr<db::Database> database_;
  std::unique_ptr<db::MongoPool> mongo_;
  std::unique_ptr<Store> behind_;
  std::unique_ptr<Store> store_;
  http::Router router_;
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<http::Client> client_;
};

}  // namespace loquat::integrations
