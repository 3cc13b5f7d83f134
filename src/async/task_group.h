#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <string_view>

namespace loquat::async {

namespace asio = boost::asio;

/// Starts coroutines that nobody waits for, and lets the owner wait for all of them at the end. An exception that
/// escapes a task is logged with the task's name and ends that task only. Thread-safe. Must outlive its tasks, or be
/// joined first.
class TaskGroup {
 public:
  TaskGroup();
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  /// `name` must be a literal.
  void spawn(const asio::any_io_executor& executor, std::string_view name, asio::awaitable<void> task);

  [[nodiscard]] std::size_t running() const noexcept;
  /// Waits until no task runs, at most `limit`; true when none does. Not on a loop's thread.
  [[nodiscard]] bool join(std::chrono::milliseconds limit);

  /// Asked by long-running tasks: they end soon after stop().
  void stop() noexcept;
  [[nodiscard]] bool stopping() const noexcept;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Sleeps on the coroutine's own loop.
[[nodiscard]] asio::awaitable<void> sleep_for(std::chrono::milliseconds time);

}  // namespace loquat::async
