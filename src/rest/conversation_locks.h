#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <string>

namespace loquat::rest {

namespace asio = boost::asio;

/// One turn of a conversation at a time within this process, in the order in which they came. Thread-safe.
class ConversationLocks {
 public:
  struct Settings {
    std::size_t most_waiting_each = 100;  ///< of one conversation
    std::size_t most_waiting = 10'000;    ///< of all
    std::chrono::milliseconds wait_limit{40'000};
  };

  class State;
  /// Holds a conversation; lets the next one in when it goes.
  class [[nodiscard]] Guard {
   public:
    Guard(std::shared_ptr<State> state, std::string key) noexcept : state_(std::move(state)), key_(std::move(key)) {}
    ~Guard();
    Guard(Guard&&) noexcept = default;
    Guard(const Guard&) = delete;
    Guard& operator=(Guard&&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    std::shared_ptr<State> state_;
    std::string key_;
  };

  explicit ConversationLocks(Settings settings);
  ConversationLocks() : ConversationLocks(Settings()) {}

  /// Throws Error(too_many) when too many wait for this conversation already, Error(unavailable) when too many wait at all or the wait
  /// takes too long.
  [[nodiscard]] asio::awaitable<Guard> acquire(std::string key);

 private:
  std::shared_ptr<State> state_;
};

}  // namespace loquat::rest
