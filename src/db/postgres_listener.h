#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "db/sql.h"

namespace loquat::db {

/// Listens to PostgreSQL notifications on a thread and connection of its own; reconnects by itself. Notifications sent while it
/// was not connected are lost: `on_connect` runs after each connect, so that the owner can look at what it may have missed.
/// The functions run on the listener's thread and must be quick; what they throw is logged.
class PostgresListener {
 public:
  struct Settings {
    std::string url;  ///< as DatabaseSettings::url
    std::vector<std::string> channels;
    std::chrono::milliseconds connect_timeout{3'000};
    std::chrono::milliseconds retry_after{1'000};
  };
  using OnNotification = std::function<void(const std::string& channel, const std::string& payload)>;
  using OnConnect = std::function<void()>;

  /// Throws Error(invalid) for a URL that is not PostgreSQL's. Does not wait for the connection.
  PostgresListener(Settings settings, OnNotification on_notification, OnConnect on_connect = {});
  /// Ends within a moment.
  ~PostgresListener();
  PostgresListener(const PostgresListener&) = delete;
  PostgresListener& operator=(const PostgresListener&) = delete;

 private:
  void work();
  void listen();

  Settings settings_;
  std::string uri_;
  OnNotification on_notification_;
  OnConnect on_connect_;
  std::atomic<bool> stopping_ = false;
  int wake_ = -1;  ///< eventfd: ends the waiting
  std::thread thread_;
};

}  // namespace loquat::db
