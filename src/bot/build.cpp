#include "bot/build.h"

#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <exception>
#include <utility>

#include "async/task_group.h"
#include "core/error.h"
#include "core/log.h"

namespace loquat::bot {
namespace {

/// How long the outcome of a build is offered to a database that is away: five minutes.
constexpr int most_attempts = 150;
constexpr std::chrono::seconds pause_before_retry{2};

}  // namespace

Builder::Builder(Store& store, AdminStore& admin, async::TaskGroup& tasks, std::function<void(const Definition&)> check, OnActive on_active)
    : store_(store), admin_(admin), tasks_(tasks), check_(std::move(check)), on_active_(std::move(on_active)) {}

asio::awaitable<void> Builder::wait_until_served(std::int64_t version) const {
  if (on_active_) co_await on_active_(version);
}

asio::awaitable<void> Builder::start(Asker asker) {
  {
    const std::lock_guard lock(mutex_);
    if (running_) {
      again_ = true;
      next_ = std::move(asker);
      co_return;
    }
    running_ = true;
  }
  std::exception_ptr failure;
  try {
    co_await admin_.set_build_status({BuildStatus::State::training, {}, std::nullopt});
  } catch (...) {
    failure = std::current_exception();
  }
  // One that came meanwhile has been told that it will be built.
  if (!failure || take_next(asker)) tasks_.spawn(co_await asio::this_coro::executor, "bot build", run(std::move(asker)));
  if (failure) std::rethrow_exception(failure);
}

bool Builder::is_building() const {
  const std::lock_guard lock(mutex_);
  return running_;
}

asio::awaitable<void> Builder::run(Asker asker) {
  for (;;) {
    const auto failure = co_await try_publish(asker);
    if (take_again(asker)) continue;
    co_await store_status({failure.empty() ? BuildStatus::State::ready : BuildStatus::State::failed, failure, std::nullopt});
    if (!take_next(asker)) co_return;
    co_await store_status({BuildStatus::State::training, {}, std::nullopt});
  }
}

bool Builder::take_again(Asker& asker) {
  const std::lock_guard lock(mutex_);
  if (!again_ || tasks_.stopping()) return false;
  again_ = false;
  asker = next_;
  return true;
}

bool Builder::take_next(Asker& asker) {
  const std::lock_guard lock(mutex_);
  running_ = std::exchange(again_, false) && !tasks_.stopping();
  if (running_) asker = next_;
  return running_;
}

asio::awaitable<std::string> Builder::try_publish(const Asker& asker) {
  std::string failure;
  try {
    const auto version = co_await store_.publish(asker.name, check_);
    log::info("bot", "version published", {{"version", version}, {"built_by", asker.name}, {"request_id", asker.request_id}});
    co_await wait_until_served(version);
  } catch (const Error& error) {
    failure = error.what();
    log::error("bot", "the bot cannot be built, the version before it goes on",
               {{"reason", failure}, {"detail", error.log_detail()}, {"request_id", asker.request_id}});
  } catch (const std::exception& error) {
    failure = "an unexpected error, see the log";
    log::error("bot", "the bot cannot be built, the version before it goes on",
               {{"reason", error.what()}, {"request_id", asker.request_id}});
  }
  co_return failure;
}

asio::awaitable<void> Builder::store_status(BuildStatus status) {
  for (int attempt = 0; attempt < most_attempts; ++attempt) {
    try {
      co_return co_await admin_.set_build_status(status);
    } catch (const std::exception& error) {
      log::warning("bot", "the build status cannot be stored", {{"reason", error.what()}});
    }
    if (tasks_.stopping()) co_return;
    co_await async::sleep_for(pause_before_retry);
  }
}

}  // namespace loquat::bot
