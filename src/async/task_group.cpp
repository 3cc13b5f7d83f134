#include "async/task_group.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <condition_variable>
#include <exception>
#include <mutex>

#include "core/log.h"

namespace loquat::async {

struct TaskGroup::State {
  std::mutex mutex;
  std::condition_variable idle;
  std::size_t running = 0;
  std::atomic<bool> stopping{false};
};

TaskGroup::TaskGroup() : state_(std::make_shared<State>()) {}
TaskGroup::~TaskGroup() { stop(); }

void TaskGroup::spawn(const asio::any_io_executor& executor, std::string_view name, asio::awaitable<void> task) {
  {
    const std::lock_guard lock(state_->mutex);
    ++state_->running;
  }
  asio::co_spawn(executor, std::move(task), [state = state_, name](const std::exception_ptr& error) {
    if (error) {
      try {
        std::rethrow_exception(error);
      } catch (const std::exception& e) {
        log::error("async", "a background task failed", {{"task", name}, {"error", e.what()}});
      }
    }
    const std::lock_guard lock(state->mutex);
    if (--state->running == 0) state->idle.notify_all();
  });
}

std::size_t TaskGroup::running() const noexcept {
  const std::lock_guard lock(state_->mutex);
  return state_->running;
}

bool TaskGroup::join(std::chrono::milliseconds limit) {
  std::unique_lock lock(state_->mutex);
  return state_->idle.wait_for(lock, limit, [this] { return state_->running == 0; });
}

void TaskGroup::stop() noexcept { state_->stopping.store(true, std::memory_order_release); }
bool TaskGroup::stopping() const noexcept { return state_->stopping.load(std::memory_order_acquire); }

asio::awaitable<void> sleep_for(std::chrono::milliseconds time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(asio::use_awaitable);
}

}  // namespace loquat::async
