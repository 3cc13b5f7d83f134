#include "bot/build.h"

#include <utility>

#include "core/error.h"
#include "core/log.h"

namespace loquat::bot {

Builder::Builder(Store& store, AdminStore& admin, async::TaskGroup& tasks, std::function<void(const Definition&)> check, OnActive on_active)
    : store_(store), admin_(admin), tasks_(tasks), check_(std::move(check)), on_active_(std::move(on_active)) {}

asio::awaitable<void> Builder::wait_until_served(std::int64_t version) const {
  if (on_active_) co_await on_active_(version);
}

void Builder::start(const asio::any_io_executor& executor, Asker asker) {
  {
    const std::lock_guard lock(mutex_);
    if (running_) {
      again_ = true;
      next_ = std::move(asker);
      return;
    }
    running_ = true;
  }
  tasks_.spawn(executor, "bot build", run(std::move(asker)));
}

asio::awaitable<void> Builder::run(Asker asker) {
  do {
    co_await build(asker);
  } while (take_next(asker));
}

bool Builder::take_next(Asker& asker) {
  const std::lock_guard lock(mutex_);
  running_ = std::exchange(again_, false) && !tasks_.stopping();
  if (running_) asker = next_;
  return running_;
}

asio::awaitable<void> Builder::build(const Asker& asker) {
  co_await try_set_status({BuildStatus::State::training, {}, std::nullopt});
  const auto failure = co_await try_publish(asker);
  const auto state = failure.empty() ? BuildStatus::State::ready : BuildStatus::State::failed;
  co_await try_set_status({state, failure, std::nullopt});
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

asio::awaitable<void> Builder::try_set_status(BuildStatus status) {
  try {
    co_await admin_.set_build_status(std::move(status));
  } catch (const std::exception& error) {
    log::warning("bot", "the build status cannot be stored", {{"reason", error.what()}});
  }
}

}  // namespace loquat::bot
