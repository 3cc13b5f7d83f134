#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "bot/store.h"
#include "dialogue/manager.h"

namespace loquat::async {
class TaskGroup;
}

namespace loquat::dialogue {

namespace asio = boost::asio;

/// Keeps a manager on the bot's active version: makes the default bot at a first start, then looks every `interval`. A database that
/// is away or a version that cannot be compiled leaves the bot that is there; the log says so once, not every second.
class BotFollower {
 public:
  struct Settings {
    std::chrono::milliseconds interval{1'000};
  };
  /// Both must outlive the follower. Compiling runs on a thread of the follower's own.
  BotFollower(bot::Store& store, Manager& manager, Settings settings);
  BotFollower(bot::Store& store, Manager& manager) : BotFollower(store, manager, Settings()) {}
  ~BotFollower();
  BotFollower(const BotFollower&) = delete;
  BotFollower& operator=(const BotFollower&) = delete;

  /// Runs until `tasks` is stopped.
  [[nodiscard]] asio::awaitable<void> run(const async::TaskGroup& tasks);
  /// Looks now. Throws Error(unavailable) when the database is away, Error(invalid) when the version cannot be served.
  [[nodiscard]] asio::awaitable<void> follow_once();
  /// The same for whom a failure is no news: it becomes the status's fault and a warning in the log.
  [[nodiscard]] asio::awaitable<void> try_once();
  /// Looks soon and returns once this version (or a newer one) is served; also when another one became the active one, the version
  /// cannot be served, nobody runs this follower, or after ten seconds. As after a build in this process. Thread-safe.
  [[nodiscard]] asio::awaitable<void> wait_for(std::int64_t version);

  struct Status {
    std::int64_t version = 0;  ///< that is served; 0: none yet
    std::uint64_t looks = 0;   ///< how often the active version was looked up to the end
    std::string fault;         ///< why there is no newer one; empty: all is well
  };
  /// Thread-safe.
  [[nodiscard]] Status status() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace loquat::dialogue
