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
  /// Looks soon, as after a build in this process. Thread-safe.
  void poke() noexcept;

  struct Status {
    std::int64_t version = 0;  ///< that is served; 0: none yet
    std::string fault;         ///< why there is no newer one; empty: all is well
  };
  /// Thread-safe.
  [[nodiscard]] Status status() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace loquat::dialogue
