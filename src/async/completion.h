#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <functional>
#include <utility>
#include <variant>
#include <vector>

namespace loquat::async {

namespace asio = boost::asio;

/// What a coroutine gets from another thread: a value or an exception.
template <class T>
using Outcome = std::variant<T, std::exception_ptr>;
struct Nothing {};

/// The other end of a waiting coroutine. Movable; completed at most once, from any thread; the coroutine goes on on its
/// own loop. The loop is kept running until then. A completion that is destroyed unused resumes nobody: its coroutine
/// frame is freed when the loop goes.
template <class T>
class Completion {
 public:
  using Function = std::move_only_function<void(Outcome<T>)>;

  Completion(asio::any_io_executor executor, Function function)
      : executor_(asio::prefer(std::move(executor), asio::execution::outstanding_work.tracked)), function_(std::move(function)) {}

  void resolve(T value) { complete(Outcome<T>(std::in_place_index<0>, std::move(value))); }
  void reject(std::exception_ptr error) { complete(Outcome<T>(std::in_place_index<1>, std::move(error))); }
  void complete(Outcome<T> outcome) {
    asio::post(executor_, [function = std::move(function_), outcome = std::move(outcome)]() mutable { function(std::move(outcome)); });
  }

  [[nodiscard]] const asio::any_io_executor& executor() const noexcept { return executor_; }
  /// Resumes the coroutine inside this call; only on its own loop's thread (see complete_all).
  void complete_here(Outcome<T> outcome) { function_(std::move(outcome)); }

 private:
  asio::any_io_executor executor_;
  Function function_;
};

template <class T>
[[nodiscard]] T take(Outcome<T> outcome) {
  if (outcome.index() == 1) std::rethrow_exception(std::get<1>(std::move(outcome)));
  return std::get<0>(std::move(outcome));
}

/// Suspends the coroutine, hands its Completion to `start`, and returns (or throws) what that is completed with.
template <class T, class Start>
[[nodiscard]] asio::awaitable<T> await_completion(Start start) {
  auto outcome = co_await asio::async_initiate<const asio::use_awaitable_t<>&, void(Outcome<T>)>(
      [](auto handler, Start begin) {
        auto executor = asio::get_associated_executor(handler);
        begin(Completion<T>(std::move(executor), [h = std::move(handler)](Outcome<T> result) mutable { std::move(h)(std::move(result)); }));
      },
      asio::use_awaitable, std::move(start));
  co_return take<T>(std::move(outcome));
}

/// Completes many coroutines with one post a loop instead of one each.
template <class T>
void complete_all(std::vector<std::pair<Completion<T>, Outcome<T>>> items) {
  while (!items.empty()) {
    const auto executor = items.front().first.executor();
    std::vector<std::pair<Completion<T>, Outcome<T>>> mine;
    std::vector<std::pair<Completion<T>, Outcome<T>>> others;
    for (auto& item : items) (item.first.executor() == executor ? mine : others).push_back(std::move(item));
    asio::post(executor, [mine = std::move(mine)]() mutable {
      for (auto& [completion, outcome] : mine) completion.complete_here(std::move(outcome));
    });
    items = std::move(others);
  }
}

}  // namespace loquat::async
