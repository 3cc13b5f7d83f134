#include "rest/conversation_locks.h"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "async/completion.h"
#include "core/error.h"

namespace loquat::rest {

class ConversationLocks::State {
 public:
  struct Waiter {
    std::optional<async::Completion<bool>> completion;  ///< gone once it is answered
  };
  using WaiterPtr = std::shared_ptr<Waiter>;

  explicit State(Settings given) : settings(given) {}

  /// True: held now. Otherwise there is a queue to stand in.
  bool try_acquire(const std::string& key) {
    const std::lock_guard lock(mutex_);
    const auto [queue, fresh] = held_.try_emplace(key);
    if (fresh) return true;
    if (queue->second.size() >= settings.most_waiting_each) {
      throw Error(Code::too_many, "Too many messages wait in this conversation");
    }
    if (waiting_ >= settings.most_waiting) throw Error(Code::unavailable, "Too many messages wait");
    return false;
  }

  void wait(const std::string& key, const WaiterPtr& waiter, async::Completion<bool> completion) {
    {
      const std::lock_guard lock(mutex_);
      const auto [queue, fresh] = held_.try_emplace(key);
      if (!fresh) {
        waiter->completion = std::move(completion);
        queue->second.push_back(waiter);
        ++waiting_;
        return;
      }
    }
    completion.resolve(true);  // it became free in between
  }

  /// The wait took too long.
  void give_up(const std::string& key, const WaiterPtr& waiter) {
    std::optional<async::Completion<bool>> completion;
    {
      const std::lock_guard lock(mutex_);
      if (!waiter->completion) return;
      completion.swap(waiter->completion);
      auto& queue = held_[key];
      queue.erase(std::ranges::find(queue, waiter));
      --waiting_;
    }
    completion->resolve(false);
  }

  void release(const std::string& key) {
    std::optional<async::Completion<bool>> next;
    {
      const std::lock_guard lock(mutex_);
      const auto found = held_.find(key);
      if (found->second.empty()) {
        held_.erase(found);
        return;
      }
      next.swap(found->second.front()->completion);
      found->second.pop_front();
      --waiting_;
    }
    next->resolve(true);
  }

  const Settings settings;

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::deque<WaiterPtr>> held_;  ///< who waits for what is held
  std::size_t waiting_ = 0;
};

ConversationLocks::ConversationLocks(Settings settings) : state_(std::make_shared<State>(settings)) {}

ConversationLocks::Guard::~Guard() {
  if (state_) state_->release(key_);
}

asio::awaitable<ConversationLocks::Guard> ConversationLocks::acquire(std::string key) {
  const auto state = state_;
  if (state->try_acquire(key)) co_return Guard(state, std::move(key));
  const auto waiter = std::make_shared<State::Waiter>();
  asio::steady_timer timer(co_await asio::this_coro::executor, state->settings.wait_limit);
  timer.async_wait([state, waiter, key](const boost::system::error_code& error) {
    if (!error) state->give_up(key, waiter);
  });
  const bool held =
      co_await async::await_completion<bool>([&](async::Completion<bool> completion) { state->wait(key, waiter, std::move(completion)); });
  if (!held) throw Error(Code::unavailable, "The conversation is busy");
  co_return Guard(state, std::move(key));
}

}  // namespace loquat::rest
