#include "messenger/pages.h"

#include "core/clock.h"
#include "core/crypto.h"
#include "core/log.h"
#include "core/metrics.h"

namespace loquat::messenger {
namespace {

using std::chrono::milliseconds;

/// After this time one reply tries whether the page works again.
constexpr milliseconds probe_after{std::chrono::minutes(15)};
constexpr milliseconds interval{500};
/// The reason of a stop that the operator wanted.
constexpr std::string_view disabled = "disabled";

}  // namespace

std::string hash_token(std::string_view token) {
  const auto digest = crypto::sha256(token);
  return crypto::to_hex(std::string_view(reinterpret_cast<const char*>(digest.data()), 8));
}

Pages::Pages(db::Database& database, RateLimiter& limiter, Release release)
    : database_(database), limiter_(limiter), release_(std::move(release)) {}

bool Pages::is_stopped(std::string_view page) const {
  const std::lock_guard lock(mutex_);
  return stopped_.contains(page);
}

std::int64_t Pages::stopped_until(std::string_view page) const {
  const std::lock_guard lock(mutex_);
  const auto found = stopped_.find(page);
  return found == stopped_.end() ? 0 : found->second.until_ms;
}

void Pages::show(const std::string& page, bool stopped) {
  metrics::gauge("messenger_page_stopped", "1 while a page cannot send", {{"page", metrics::bounded_label("page", page)}})
      .set(stopped ? 1 : 0);
}

asio::awaitable<void> Pages::stop(std::string page, std::string reason, std::string token) {
  const Stopped stopped{reason, to_milliseconds(now()) + probe_after.count(), hash_token(token)};
  {
    const std::lock_guard lock(mutex_);
    if (!stopped_.try_emplace(page, stopped).second) co_return;
  }
  show(page, true);
  if (reason == disabled) {
    log::info("messenger", "the integration is disabled; a page's replies are kept until it is enabled", {{"page", page}});
  } else {
    log::error("messenger", "a page can no longer send; its replies are kept until that is mended", {{"page", page}, {"reason", reason}});
  }
  co_await database_.write([page, stopped](db::Connection& c) {
    c("INSERT INTO page(id, state, until, reason, token_hash) VALUES($1, 'stopped', $2, $3, $4) ON CONFLICT(id) DO UPDATE SET state = "
      "excluded.state, "
      "until = excluded.until, reason = excluded.reason, token_hash = excluded.token_hash",
      page, stopped.until_ms, stopped.reason, stopped.token_hash);
  });
}

asio::awaitable<void> Pages::hold(std::string page, milliseconds time) {
  const auto until = to_milliseconds(now()) + time.count();
  co_await database_.write([page, until](db::Connection& c) {
    c("INSERT INTO page(id, usage) VALUES($1, $2) ON CONFLICT(id) DO UPDATE SET usage = excluded.usage WHERE page.usage < excluded.usage",
      page, until);
  });
}

Pages::Changes Pages::read(db::Connection& connection) {
  Changes changes;
  const auto rows = connection("SELECT id, state, until, reason, usage, token_hash FROM page");
  for (std::size_t i = 0; i < rows->size(); ++i) {
    if (rows->text(i, 1) == "stopped") changes.stopped[rows->text(i, 0)] = {rows->text(i, 3), rows->integer(i, 2), rows->text(i, 5)};
    if (rows->integer(i, 4) != 0) changes.held[rows->text(i, 0)] = rows->integer(i, 4);
  }
  return changes;
}

bool Pages::is_mended(const std::string& page, const Stopped& stopped, const PageSettings* settings) {
  if (settings != nullptr && !settings->enabled) return false;
  if (settings != nullptr && stopped.reason == disabled) return true;
  const auto* token = settings == nullptr ? nullptr : settings->find_token(page);
  const bool changed = token != nullptr && hash_token(*token) != stopped.token_hash;
  return changed || stopped.until_ms <= to_milliseconds(now());
}

asio::awaitable<void> Pages::follow(const SettingsSource& settings) {
  const auto known = [this] {
    const std::lock_guard lock(mutex_);
    return stopped_;
  }();
  auto changes = co_await database_.read(read);
  const auto time = to_milliseconds(now());
  for (const auto& [page, until] : changes.held) {
    if (until <= time) continue;
    const auto end = std::chrono::steady_clock::now() + milliseconds(until - time);
    page == whole_app ? limiter_.hold_app(end) : limiter_.hold(page, end);
  }
  const auto current = settings.current();
  std::vector<std::string> mended;
  for (const auto& [page, stopped] : changes.stopped)
    if (is_mended(page, stopped, current.get())) mended.push_back(page);
  for (const auto& page : mended) {
    changes.stopped.erase(page);
    {
      const std::lock_guard lock(mutex_);
      stopped_.erase(page);
    }
    if (co_await release_(page)) log::info("messenger", "a stopped page is tried again", {{"page", page}});
    show(page, false);
  }
  const std::lock_guard lock(mutex_);
  for (const auto& [page, stopped] : stopped_) {
    // One that was stopped here meanwhile is not in what was read.
    if (!known.contains(page)) changes.stopped.try_emplace(page, stopped);
    if (!changes.stopped.contains(page)) show(page, false);
  }
  stopped_ = std::move(changes.stopped);
  for (const auto& [page, stopped] : stopped_) show(page, true);
}

asio::awaitable<void> Pages::run(const async::TaskGroup& tasks, const SettingsSource& settings) {
  while (!tasks.stopping()) {
    try {
      co_await follow(settings);
    } catch (const Error& error) {
      log::debug("messenger", "the pages' state could not be read", {{"error", error.what()}});
    }
    for (auto left = interval; left.count() > 0 && !tasks.stopping(); left -= milliseconds(100))
      co_await async::sleep_for(milliseconds(100));
  }
}

void Pages::add_details(json::object& details) const {
  const std::lock_guard lock(mutex_);
  if (!stopped_.empty()) details["pages_stopped"] = stopped_.size();
}

}  // namespace loquat::messenger
