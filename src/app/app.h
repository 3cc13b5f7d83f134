#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "app/config.h"
#include "async/task_group.h"
#include "core/crypto.h"
#include "core/error.h"
#include "db/migrate.h"
#include "db/mongo.h"
#include "db/sql.h"
#include "http/client.h"
#include "http/router.h"
#include "http/server.h"
#include "http/standard_routes.h"

namespace loquat::bot {
class SqlStore;
}
namespace loquat::bus {
class SqlBus;
}
namespace loquat::dialogue {
class Manager;
class BotFollower;
}  // namespace loquat::dialogue
namespace loquat::integrations {
class Store;
}
namespace loquat::state {
class Store;
}

namespace loquat::app {

namespace asio = boost::asio;

/// Logs why the process ends, and waits until the line is written.
void log_reason(const Error& error);

/// The process: owns loops, pools, client, server, router; builds the ports on first use, so that a target brings up only
/// what it needs.
class App {
 public:
  App(Config config, std::vector<std::string> targets);
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  /// Serves until SIGTERM or SIGINT; the exit status.
  int run();

  // What the parts of targets.cpp are made of.
  [[nodiscard]] const Config& config() const noexcept { return config_; }
  [[nodiscard]] http::Router& router() noexcept { return router_; }
  [[nodiscard]] async::TaskGroup& tasks() noexcept { return tasks_; }
  [[nodiscard]] const std::vector<boost::asio::io_context*>& loops() const noexcept { return loop_pointers_; }
  [[nodiscard]] std::shared_ptr<const crypto::Keyring> keyring() const noexcept { return keyring_; }

  http::Client& client();
  /// Which addresses bots' API calls may reach.
  const http::AddressPolicy& bot_addresses();
  /// One a URL; migrated with these tables before anything else uses it.
  db::Database& database(const std::string& url, std::span<const db::Migration> migrations);
  db::MongoPool& mongo(const std::string& url);
  state::Store& states();
  integrations::Store& integrations();
  bot::SqlStore& bots();
  dialogue::Manager& manager();
  dialogue::BotFollower& follower();
  bus::SqlBus& bus();
  [[nodiscard]] bool has_bus() const noexcept { return bus_ != nullptr; }

  /// Runs a coroutine in the background until the process stops.
  void spawn(std::string_view name, asio::awaitable<void> task);
  /// Runs once when all databases are migrated: defaults, taking partitions.
  void when_prepared(std::function<asio::awaitable<void>()> step) { prepared_steps_.push_back(std::move(step)); }
  /// Runs once the server listens: port() is known.
  void when_listening(std::function<void()> step) { listening_steps_.push_back(std::move(step)); }
  /// The same, but waited for before the process listens (a second at most for all of them): what clients count on from the first request.
  void before_listening(std::function<asio::awaitable<void>()> step) { first_steps_.push_back(std::move(step)); }
  /// Runs when the process ends, before the loops stop; the last registered first.
  void when_stopping(std::function<void(std::chrono::milliseconds left)> step) { stop_steps_.push_back(std::move(step)); }
  void add_check(std::string name, std::function<asio::awaitable<void>()> ping);
  void add_details(std::function<void(json::object&)> details) { details_.push_back(std::move(details)); }
  /// Keeps something alive until the end of the process.
  template <class T>
  T& keep(std::shared_ptr<T> object) {
    auto& reference = *object;
    kept_.push_back(std::move(object));
    return reference;
  }
  /// The port the server listens on; known in steps of when_listening.
  [[nodiscard]] std::uint16_t port() const noexcept;

 private:
  struct Opened {
    std::unique_ptr<db::Database> database;
    std::vector<db::Migration> migrations;
  };

  void build_parts();
  void start_serving(std::chrono::steady_clock::time_point begin);
  void add_standard_routes();
  void start_loops();
  bool prepare();
  void log_unprepared(const std::string& url, const Error& error);
  void prepare_until_done(const std::stop_token& stop);
  int wait_for_signal();
  void shut_down();
  void lock_data_dir();

  const Config config_;
  const std::vector<std::string> targets_;
  std::shared_ptr<const crypto::Keyring> keyring_;
  std::vector<std::unique_ptr<boost::asio::io_context>> loops_;
  std::vector<boost::asio::io_context*> loop_pointers_;
  std::vector<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> work_;
  std::vector<std::thread> threads_;
  http::Router router_;
  async::TaskGroup tasks_;
  std::vector<std::function<asio::awaitable<void>()>> first_steps_;
  std::vector<std::function<asio::awaitable<void>()>> prepared_steps_;
  std::vector<std::function<void()>> listening_steps_;
  std::vector<std::function<void(std::chrono::milliseconds)>> stop_steps_;
  std::vector<http::Check> checks_;
  std::vector<std::function<void(json::object&)>> details_;
  std::shared_ptr<http::Readiness> readiness_;
  std::map<std::string, Opened> databases_;
  std::map<std::string, std::unique_ptr<db::MongoPool>> mongo_pools_;
  std::unique_ptr<http::Client> client_;
  std::unique_ptr<http::AddressPolicy> bot_addresses_;
  std::unique_ptr<state::Store> states_;
  std::unique_ptr<integrations::Store> integrations_;
  std::unique_ptr<bot::SqlStore> bots_;
  std::unique_ptr<dialogue::Manager> manager_;
  std::unique_ptr<dialogue::BotFollower> follower_;
  std::unique_ptr<bus::SqlBus> bus_;
  std::vector<std::shared_ptr<void>> kept_;
  std::unique_ptr<http::Server> server_;
  std::jthread preparer_;  // databases that were away at the start
  std::atomic<bool> prepared_ = false;
  bool refused_ = false;    ///< not ready although it answers
  std::string unprepared_;  ///< why a database is not ready, as last logged; of the thread that prepares
  int lock_file_ = -1;
};

}  // namespace loquat::app
