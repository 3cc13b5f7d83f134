#pragma once

#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "async/completion.h"

namespace loquat::async {

/// Threads for blocking library calls. Each thread may own something (a database connection), made when the thread
/// starts and handed to every job it runs. `kept` threads stay; more start under load, up to `most`, and end
/// after `idle_limit` without work.
class Pool {
 public:
  struct Settings {
    std::string name;  ///< label of the metrics
    std::size_t kept = 1;
    std::size_t most = 1;
    std::size_t queue_limit = 10'000;  ///< waiting jobs; beyond, run() throws Error(unavailable)
    /// A job that waits longer is not run: Error(unavailable). Empty: it waits.
    std::optional<std::chrono::milliseconds> wait_limit = std::chrono::milliseconds(5'000);
    std::chrono::milliseconds idle_limit{30'000};
  };
  /// What a thread owns; made on that thread. Jobs get it by reference.
  class Worker {
   public:
    virtual ~Worker() = default;
  };
  using MakeWorker = std::function<std::unique_ptr<Worker>()>;
  /// `expired` is true when the job waited longer than the limit and must only report that; `worker` may then be null, and it must not
  /// block: that happens when the limit is over, on whatever thread.
  using Job = std::move_only_function<void(Worker* worker, bool expired)>;

  explicit Pool(Settings settings, MakeWorker make_worker = {});
  /// Runs what is queued, then ends the threads.
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// Thread-safe. Throws Error(unavailable) when the queue is full or the pool is closed.
  void submit(Job job);

  /// Runs `function(Worker*)` on a thread of the pool and returns, or throws, what it does.
  template <class Function>
  [[nodiscard]] asio::awaitable<std::invoke_result_t<Function&, Worker*>> run(Function function);

  /// Refuses new jobs, runs the queued ones, joins. Not on a pool thread.
  void close();

  struct Usage {
    std::size_t threads = 0;
    std::size_t busy = 0;
    std::size_t waiting = 0;
  };
  [[nodiscard]] Usage usage() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// The error of a job that waited too long.
[[nodiscard]] std::exception_ptr make_pool_timeout();

template <class Function>
asio::awaitable<std::invoke_result_t<Function&, Pool::Worker*>> Pool::run(Function function) {
  using Result = std::invoke_result_t<Function&, Worker*>;
  using Carried = std::conditional_t<std::is_void_v<Result>, Nothing, Result>;
  auto start = [this, function = std::move(function)](Completion<Carried> completion) mutable {
    auto shared = std::make_shared<Completion<Carried>>(std::move(completion));
    try {
      submit([shared, function = std::move(function)](Worker* worker, bool expired) mutable {
        Outcome<Carried> outcome(std::in_place_index<1>, nullptr);
        if (expired) {
          outcome = Outcome<Carried>(std::in_place_index<1>, make_pool_timeout());
        } else {
          try {
            if constexpr (std::is_void_v<Result>) {
              function(worker);
              outcome = Outcome<Carried>(std::in_place_index<0>);
            } else {
              outcome = Outcome<Carried>(std::in_place_index<0>, function(worker));
            }
          } catch (...) {
            outcome = Outcome<Carried>(std::in_place_index<1>, std::current_exception());
          }
        }
        shared->complete(std::move(outcome));
      });
    } catch (...) {
      shared->reject(std::current_exception());
    }
  };
  if constexpr (std::is_void_v<Result>) {
    co_await await_completion<Nothing>(std::move(start));
  } else {
    co_return co_await await_completion<Result>(std::move(start));
  }
}

}  // namespace loquat::async
