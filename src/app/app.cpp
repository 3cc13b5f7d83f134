#include "app/app.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/signal_set.hpp>
#include <cstdlib>
#include <filesystem>
#include <future>

#include "app/targets.h"
#include "bot/sql_store.h"
#include "bus/sql_bus.h"
#include "core/error.h"
#include "core/log.h"
#include "core/metrics.h"
#include "dialogue/bot_follower.h"
#include "dialogue/manager.h"
#include "integrations/store.h"
#include "state/store.h"

namespace loquat::app {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

http::ServerSettings server_settings(const Config& config) {
  http::ServerSettings settings;
  settings.host = config.host;
  settings.port = config.port;
  settings.admin_port = config.admin_port;
  settings.root_path = config.root_path;
  settings.trusted_proxies = config.trusted_proxies;
  settings.cors_origins = config.cors_origins;
  settings.auth.admin_tokens = config.admin_tokens;
  settings.auth.service_token = config.service_token;
  settings.auth.open = config.admin_tokens.empty();
  settings.max_connections = config.max_connections;
  return settings;
}

/// A database that answers is of no use before its tables are there.
asio::awaitable<void> ping_prepared(db::Database& database, const std::atomic<bool>& prepared) {
  if (!prepared) throw Error(Code::unavailable, "the database is not prepared yet");
  co_await database.ping();
}

asio::awaitable<void> run_and_tell(asio::awaitable<void> task, std::shared_ptr<std::promise<void>> done) {
  std::exception_ptr failure;
  try {
    co_await std::move(task);
  } catch (...) {
    failure = std::current_exception();
  }
  done->set_value();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

void log_reason(const Error& error) {
  if (error.log_detail().empty()) {
    log::critical("app", error.what());
  } else {
    log::critical("app", error.what(), {{"detail", error.log_detail()}});
  }
  log::flush();
}

App::App(Config config, std::vector<std::string> targets)
    : config_(std::move(config)), targets_(std::move(targets)), keyring_(std::make_shared<crypto::Keyring>(config_.secrets_key)) {
  for (std::size_t i = 0; i < config_.io_threads; ++i) {
    loops_.push_back(std::make_unique<boost::asio::io_context>(1));
    loop_pointers_.push_back(loops_.back().get());
    work_.push_back(boost::asio::make_work_guard(*loops_.back()));
  }
}

App::~App() {
  preparer_ = {};
  for (auto& loop : loops_) loop->stop();
  for (auto& thread : threads_)
    if (thread.joinable()) thread.join();
  if (lock_file_ >= 0) close(lock_file_);
}

int App::run() {
  const auto begin = Clock::now();
  metrics::gauge("build_info", "Version of this binary", {{"version", LOQUAT_VERSION}}).set(1);
  log::info("app", "start", {{"version", LOQUAT_VERSION}, {"targets", [&] {
                                                             std::string names;
                                                             for (const auto& target : targets_)
                                                               names += (names.empty() ? "" : ",") + target;
                                                             return names;
                                                           }()}});
  std::error_code failure;
  std::filesystem::create_directories(config_.data_dir, failure);
  build_parts();
  add_standard_routes();
  server_ = std::make_unique<http::Server>(server_settings(config_), router_, loop_pointers_);
  start_loops();
  try {
    start_serving(begin);
  } catch (const Error& error) {
    // Coroutines run already: there is no way back through destructors.
    log_reason(error);
    std::_Exit(1);
  }
  const int status = wait_for_signal();
  shut_down();
  return status;
}

void App::start_serving(Clock::time_point begin) {
  // With its databases at hand a process is ready when it first answers; otherwise it answers and keeps trying.
  const bool at_once = prepare();
  server_->start();
  for (const auto& step : listening_steps_) step();
  if (at_once) {
    log::info("app", "ready",
              {{"host", config_.host},
               {"port", server_->port()},
               {"milliseconds", std::chrono::duration_cast<milliseconds>(Clock::now() - begin).count()}});
  } else {
    log::warning("app", "not ready yet; this process answers /health and keeps trying",
                 {{"host", config_.host}, {"port", server_->port()}});
    preparer_ = std::jthread([this](const std::stop_token& stop) { prepare_until_done(stop); });
  }
}

void App::build_parts() {
  std::vector<void (*)(App&)> done;
  for (const auto& name : targets_) {
    for (const auto part : find_target(name)->parts) {
      if (std::ranges::find(done, part) != done.end()) continue;
      done.push_back(part);
      part(*this);
    }
  }
  if (!databases_.empty()) {
    auto& first = databases_.count(config_.database_url) != 0 ? databases_.at(config_.database_url) : databases_.begin()->second;
    add_check("database", [this, &database = *first.database] { return ping_prepared(database, prepared_); });
  }
}

void App::add_standard_routes() {
  readiness_ = std::make_shared<http::Readiness>(
      http::Readiness::Settings{.checks = std::move(checks_), .timeout = config_.readiness_timeout, .details = [this] {
                                  json::object all;
                                  for (const auto& details : details_) details(all);
                                  return all;
                                }});
  http::StandardRoutes routes;
  routes.readiness = readiness_;
  routes.has_metrics = config_.metrics_enabled;
  routes.title = "Loquat";
  routes.version = LOQUAT_VERSION;
  routes.root_path = config_.root_path;
  http::add_standard_routes(router_, std::move(routes));
  http::add_login_routes(router_, server_settings(config_));
}

void App::start_loops() {
  for (auto& loop : loops_)
    threads_.emplace_back([&io = *loop] {
      for (;;) {
        try {
          io.run();
          return;
        } catch (const std::exception& error) {  // a handler outside of any coroutine
          log::error("app", "an event loop caught an exception and goes on", {{"error", error.what()}});
        }
      }
    });
}

/// Says why a database is not ready, once until the reason changes.
void App::log_unprepared(const std::string& url, const Error& error) {
  const bool refused = dynamic_cast<const db::CannotPrepare*>(&error) != nullptr;
  const std::string reason = refused ? error.what() : "there is no connection to a database";
  log::debug("app", "not prepared yet", {{"error", error.what()}, {"detail", error.log_detail()}});
  refused_ = refused;
  if (unprepared_ == url + reason) return;
  unprepared_ = url + reason;
  const auto level = refused ? log::Level::error : log::Level::warning;
  log::write(level, "app", reason + "; it is tried again", {{"database", db::without_password(url)}, {"detail", error.log_detail()}});
}

/// Migrates all databases, then runs the steps that need them. False when one is not ready, which may change.
bool App::prepare() {
  for (auto& [url, opened] : databases_) {
    try {
      db::migrate(*opened.database, opened.migrations);
    } catch (const Error& error) {
      if (error.code() != Code::unavailable) throw;
      log_unprepared(url, error);
      return false;
    }
  }
  const auto patience = Clock::now() + std::chrono::seconds(1);
  for (auto& step : first_steps_) {
    const auto done = std::make_shared<std::promise<void>>();
    spawn("first step", run_and_tell(step(), done));
    done->get_future().wait_until(patience);
  }
  prepared_ = true;
  for (auto& step : prepared_steps_) spawn("prepared step", step());
  return true;
}

void App::prepare_until_done(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    try {
      if (prepare()) {
        log::info("app", "ready", {{"host", config_.host}, {"port", server_->port()}});
        return;
      }
    } catch (const Error& error) {
      log_reason(error);
      std::_Exit(1);
    }
    // What a database refuses it has worked on, and tables may be large.
    const auto pause = refused_ ? milliseconds(5'000) : milliseconds(500);
    for (auto waited = milliseconds(0); waited < pause && !stop.stop_requested(); waited += milliseconds(50))
      std::this_thread::sleep_for(milliseconds(50));
  }
}

int App::wait_for_signal() {
  boost::asio::io_context signals(1);
  boost::asio::signal_set set(signals, SIGINT, SIGTERM);
  set.async_wait([](const boost::system::error_code&, int) {});
  signals.run();
  // From here on a second signal ends the process at once.
  set.clear();
  for (const int number : {SIGINT, SIGTERM}) {
    struct sigaction action{};
    action.sa_handler = [](int received) { _exit(128 + received); };
    sigaction(number, &action, nullptr);
  }
  return 0;
}

void App::shut_down() {
  const auto deadline = Clock::now() + config_.shutdown_delay + config_.shutdown_grace;
  const auto left = [&] { return std::max(milliseconds(0), std::chrono::duration_cast<milliseconds>(deadline - Clock::now())); };
  log::info("app", "draining");
  readiness_->start_draining();
  preparer_ = {};
  std::this_thread::sleep_for(config_.shutdown_delay);
  server_->drain();
  tasks_.stop();
  for (auto step = stop_steps_.rbegin(); step != stop_steps_.rend(); ++step) (*step)(left());
  while (server_->in_flight() != 0 && left().count() > 0) std::this_thread::sleep_for(milliseconds(5));
  if (!tasks_.join(left())) log::warning("app", "tasks were still running at the end of the grace period", {{"tasks", tasks_.running()}});
  if (client_) client_->close();
  server_->close();
  for (auto& [url, opened] : databases_) opened.database->close();
  for (auto& [url, pool] : mongo_pools_) pool->close();
  for (auto& loop : loops_) loop->stop();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
  log::info("app", "stopped");
  log::flush();
}

void App::spawn(std::string_view name, asio::awaitable<void> task) {
  tasks_.spawn(loop_pointers_.front()->get_executor(), name, std::move(task));
}

void App::add_check(std::string name, std::function<asio::awaitable<void>()> ping) {
  checks_.push_back({.name = std::move(name), .ping = std::move(ping)});
}

std::uint16_t App::port() const noexcept { return server_ ? server_->port() : config_.port; }

/// One serving process a SQLite database: two would each believe to own every conversation.
void App::lock_data_dir() {
  const auto path = config_.data_dir + "/loquat.lock";
  lock_file_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_file_ < 0) throw Error(Code::unavailable, "DATA_DIR " + config_.data_dir + " cannot be written");
  if (flock(lock_file_, LOCK_EX | LOCK_NB) != 0)
    throw Error(Code::conflict, "another loquat serves from DATA_DIR " + config_.data_dir +
                                    ". With SQLite one process does; stop it, choose another DATA_DIR, or use PostgreSQL (DATABASE_URL)");
}

}  // namespace loquat::app
