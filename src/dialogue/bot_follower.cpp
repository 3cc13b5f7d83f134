#include "dialogue/bot_follower.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <utility>

#include "async/pool.h"
#include "async/task_group.h"
#include "core/error.h"
#include "core/log.h"

namespace loquat::dialogue {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// How often a waiting follower looks whether it was poked or is to stop.
constexpr milliseconds glance{50};
/// How often one who waits for a version looks whether it is there, and for how long.
constexpr milliseconds brief{5};
constexpr milliseconds longest_wait{10'000};
/// A bot with a thousand mistakes is one log line a mistake up to here.
constexpr std::size_t most_faults_logged = 20;

std::string describe(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const Error& known) {
    return known.log_detail().empty() ? known.what() : known.what() + (": " + known.log_detail());
  } catch (const std::exception& other) {
    return other.what();
  } catch (...) {
    return "unknown";
  }
}

}  // namespace

struct BotFollower::Impl {
  Impl(bot::Store& s, Manager& m, Settings given)
      : store(s), manager(m), settings(given), pool({.name = "bot_compile", .kept = 0, .most = 1, .wait_limit = milliseconds(60'000)}) {}

  bot::Store& store;
  Manager& manager;
  Settings settings;
  async::Pool pool;
  std::atomic<bool> poked = false;
  std::atomic<bool> running = false;
  bool has_default = false;
  std::int64_t refused = 0;  ///< a version that cannot be compiled is not tried again
  mutable std::mutex mutex;
  Status status;

  void set_fault(const std::string& fault);
  [[nodiscard]] asio::awaitable<void> load(std::int64_t version);
};

BotFollower::BotFollower(bot::Store& store, Manager& manager, Settings settings)
    : impl_(std::make_unique<Impl>(store, manager, settings)) {}
BotFollower::~BotFollower() { impl_->pool.close(); }

asio::awaitable<void> BotFollower::wait_for(std::int64_t version) {
  // Two looks that end after this: the first may have begun before the version was there. One that finds another version active is as
  // good as one that serves this one.
  const auto enough = status().looks + 2;
  const auto deadline = Clock::now() + longest_wait;
  for (;;) {
    const auto now = status();
    if (now.version == version || now.looks >= enough || !impl_->running || Clock::now() >= deadline) co_return;
    impl_->poked = true;
    co_await async::sleep_for(brief);
  }
}

BotFollower::Status BotFollower::status() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->status;
}

void BotFollower::Impl::set_fault(const std::string& fault) {
  {
    const std::lock_guard lock(mutex);
    if (status.fault == fault) return;
    status.fault = fault;
  }
  if (fault.empty()) {
    log::info("dialogue", "the bot is followed again");
  } else {
    log::warning("dialogue", "the bot's newest version is not served", {{"fault", fault}});
  }
}

asio::awaitable<void> BotFollower::Impl::load(std::int64_t version) {
  auto definition = co_await store.load_version(version);
  if (!definition) throw Error(Code::unavailable, "The bot's version is not there yet");
  const auto started = Clock::now();
  auto compiled = co_await pool.run([definition = std::move(*definition)](async::Pool::Worker*) { return compile(definition); });
  const auto took = std::chrono::duration_cast<milliseconds>(Clock::now() - started).count();
  const auto& faults = faults_of(*compiled);
  for (std::size_t i = 0; i < std::min(faults.size(), most_faults_logged); ++i) {
    log::warning("dialogue", "the bot has a fault", {{"version", version}, {"fault", faults[i]}});
  }
  manager.set_bot(std::move(compiled));
  {
    const std::lock_guard lock(mutex);
    status.version = version;
  }
  log::info("dialogue", "the bot is loaded", {{"version", version}, {"milliseconds", took}});
}

asio::awaitable<void> BotFollower::follow_once() {
  if (!impl_->has_default) {
    co_await impl_->store.ensure_default();
    impl_->has_default = true;
  }
  const auto active = co_await impl_->store.active_version();
  if (active == 0) {
    impl_->has_default = false;
    throw Error(Code::unavailable, "There is no bot yet");
  }
  if (active == status().version) co_return;
  if (active == impl_->refused) throw Error(Code::invalid, status().fault);
  std::exception_ptr refusal;
  try {
    co_await impl_->load(active);
  } catch (const Error& error) {
    if (error.code() != Code::invalid) throw;
    refusal = std::current_exception();
  }
  if (refusal) {
    impl_->refused = active;
    std::rethrow_exception(refusal);
  }
  impl_->refused = 0;
}

asio::awaitable<void> BotFollower::try_once() {
  std::string fault;
  try {
    co_await follow_once();
  } catch (...) {
    fault = describe(std::current_exception());
  }
  impl_->set_fault(fault);
  const std::lock_guard lock(impl_->mutex);
  ++impl_->status.looks;
}

asio::awaitable<void> BotFollower::run(const async::TaskGroup& tasks) {
  impl_->running = true;
  while (!tasks.stopping()) {
    impl_->poked = false;
    co_await try_once();
    const auto next = Clock::now() + impl_->settings.interval;
    while (!tasks.stopping() && !impl_->poked && Clock::now() < next) {
      co_await async::sleep_for(std::min(glance, std::max(milliseconds(1), impl_->settings.interval)));
    }
  }
  impl_->running = false;
}

}  // namespace loquat::dialogue
