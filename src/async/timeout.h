#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <optional>

namespace loquat::async {

/// Runs `task` for at most `limit`: its value, or empty when the time is over. The task is then cancelled (Asio
/// cancellation); work it handed to another thread goes on there and its result is dropped.
template <class T>
[[nodiscard]] boost::asio::awaitable<std::optional<T>> with_timeout(boost::asio::awaitable<T> task, std::chrono::milliseconds limit) {
  using boost::asio::experimental::awaitable_operators::operator||;
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, limit);
  auto result = co_await (std::move(task) || timer.async_wait(boost::asio::use_awaitable));
  if (result.index() == 0) co_return std::optional<T>(std::get<0>(std::move(result)));
  co_return std::nullopt;
}

}  // namespace loquat::async
