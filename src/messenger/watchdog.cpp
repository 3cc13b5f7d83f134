#include "messenger/watchdog.h"

#include <mutex>

#include "core/log.h"

namespace loquat::messenger {
namespace {

constexpr std::string_view logger = "messenger";
/// Beyond, pages share one entry: the ids come from outside.
constexpr std::size_t most_pages = 1000;
/// Stands for the page of a single token, until its id is heard.
constexpr std::string_view unnamed_page = "unknown";
constexpr std::string_view other_pages = "other";

double to_seconds(std::int64_t microseconds) { return static_cast<double>(microseconds) / 1e6; }

}  // namespace

Watchdog::Watchdog(std::chrono::seconds limit, Clock clock) : limit_(limit), clock_(std::move(clock)) {}

Watchdog::Page* Watchdog::find(std::string_view page) {
  const std::shared_lock lock(mutex_);
  const auto found = pages_.find(page);
  return found == pages_.end() ? nullptr : found->second.get();
}

Watchdog::Page& Watchdog::find_or_add(std::string_view page) {
  // Entries are never removed while the watchdog lives, so they may be used without the lock.
  if (auto* known = find(page)) return *known;
  const std::unique_lock lock(mutex_);
  if (pages_.size() >= most_pages && !pages_.contains(page)) page = other_pages;
  auto& entry = pages_[std::string(page)];
  if (entry) return *entry;
  entry = std::make_unique<Page>();
  const metrics::Labels labels{{"page", metrics::bounded_label("messenger_page", page)}};
  entry->last_webhook = &metrics::gauge("messenger_last_webhook_timestamp_seconds", "When the last webhook came for a page.", labels);
  entry->heard_us.store(to_microseconds(clock_()), std::memory_order_relaxed);
  if (limit_.count() > 0)
    entry->silent_gauge =
        &metrics::gauge("messenger_webhook_silent", "1 when no webhook came for a page for WEBHOOK_SILENCE_ALERT.", labels);
  return *entry;
}

void Watchdog::seen(std::string_view page) {
  auto& entry = find_or_add(page);
  const auto time = to_microseconds(clock_());
  entry.heard_us.store(time, std::memory_order_relaxed);
  entry.ever_heard.store(true, std::memory_order_relaxed);
  entry.last_webhook->set(to_seconds(time));
}

void Watchdog::expect(std::string_view page) { find_or_add(page); }

std::vector<std::string> Watchdog::check() {
  std::vector<std::string> silent_pages;
  if (limit_.count() == 0) return silent_pages;
  const auto time = to_microseconds(clock_());
  const std::shared_lock lock(mutex_);
  bool any_heard = false;
  for (const auto& [name, page] : pages_) any_heard = any_heard || page->ever_heard.load(std::memory_order_relaxed);
  for (const auto& [name, page] : pages_) {
    const auto seconds = (time - page->heard_us.load(std::memory_order_relaxed)) / 1'000'000;
    // Once a page has been heard, the unnamed one has got its name.
    const bool silent = seconds >= limit_.count() && !(any_heard && name == unnamed_page);
    if (silent) silent_pages.push_back(name);
    if (silent == page->silent) continue;
    page->silent = silent;
    page->silent_gauge->set(silent ? 1 : 0);
    if (silent) {
      log::warning(logger, "no webhook came for this page: see whether the app is still subscribed (loquat page status)",
                   {{"page", name}, {"silent_seconds", seconds}, {"ever_heard", page->ever_heard.load(std::memory_order_relaxed)}});
    } else {
      log::info(logger, "webhooks come for this page again", {{"page", name}});
    }
  }
  return silent_pages;
}

void Watchdog::restart() {
  const auto time = to_microseconds(clock_());
  const std::shared_lock lock(mutex_);
  for (const auto& [name, page] : pages_) page->heard_us.store(time, std::memory_order_relaxed);
}

asio::awaitable<void> Watchdog::run(const async::TaskGroup& tasks, const SettingsSource& settings) {
  if (limit_.count() == 0) co_return;
  constexpr std::chrono::milliseconds slice(250);
  while (!tasks.stopping()) {
    const auto current = settings.current();
    if (!current || !current->enabled) {
      restart();
    } else {
      for (const auto& [page, token] : current->page_tokens) expect(page);
      if (current->page_tokens.empty()) expect(unnamed_page);
    }
    check();
    for (int i = 0; i < 4 && !tasks.stopping(); ++i) co_await async::sleep_for(slice);
  }
}

}  // namespace loquat::messenger
