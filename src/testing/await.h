#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace loquat::testing {

template <class T>
boost::asio::awaitable<void> store_result(boost::asio::awaitable<T> task, std::optional<T>& value) {
  value.emplace(co_await std::move(task));
}

/// Runs a coroutine on a loop of its own until it ends; gives its value or throws what it threw.
template <class T>
T await(boost::asio::awaitable<T> task) {
  boost::asio::io_context loop;
  std::exception_ptr error;
  const auto finish = [&error](std::exception_ptr thrown) { error = std::move(thrown); };
  if constexpr (std::is_void_v<T>) {
    boost::asio::co_spawn(loop, std::move(task), finish);
    loop.run();
    if (error) std::rethrow_exception(error);
  } else {
    std::optional<T> value;
    boost::asio::co_spawn(loop, store_result(std::move(task), value), finish);
    loop.run();
    if (error) std::rethrow_exception(error);
    return std::move(*value);
  }
}

}  // namespace loquat::testing
