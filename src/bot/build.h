#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <mutex>
#include <string>

#include "async/task_group.h"
#include "bot/admin_store.h"
#include "bot/store.h"

namespace loquat::bot {

/// Who asked for something, for the audit log.
struct Asker {
  std::string name;
  std::string request_id;
};

/// Builds the bot in the background: checks the draft, publishes it as a version and waits until it is served. A draft that cannot be built
/// leaves the active version alone; why is in the log and in the build status. One build at a time in a process: requests during one start
/// one more behind it. Thread-safe.
class Builder {
 public:
  /// Called with the version that is the active one now; returns when this process serves it, or could not for long. May not throw.
  using OnActive = std::function<asio::awaitable<void>(std::int64_t version)>;

  /// `check` throws Error(invalid) for a definition that cannot be served. `on_active` may be empty.
  /// All references must outlive the tasks.
  Builder(Store& store, AdminStore& admin, async::TaskGroup& tasks, std::function<void(const Definition&)> check, OnActive on_active = {});

  /// Returns when the build status says "training"; the work goes on in the background. Throws Error(unavailable) when the database is
  /// away: then nothing was started.
  [[nodiscard]] asio::awaitable<void> start(Asker asker);
  /// Something is being built in this process, or its outcome is not stored yet.
  [[nodiscard]] bool is_building() const;

  /// Waits until this process serves a version that became the active one.
  [[nodiscard]] asio::awaitable<void> wait_until_served(std::int64_t version) const;

 private:
  asio::awaitable<void> run(Asker asker);
  asio::awaitable<std::string> try_publish(const Asker& asker);
  asio::awaitable<void> store_status(BuildStatus status);
  bool take_again(Asker& asker);
  bool take_next(Asker& asker);

  Store& store_;
  AdminStore& admin_;
  async::TaskGroup& tasks_;
  std::function<void(const Definition&)> check_;
  OnActive on_active_;
  mutable std::mutex mutex_;
  bool running_ = false;
  bool again_ = false;
  Asker next_;
};

}  // namespace loquat::bot
