#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "async/task_group.h"
#include "core/clock.h"
#include "core/metrics.h"
#include "messenger/settings.h"

namespace loquat::messenger {

/// Notices when Meta has stopped to send: an app whose webhook failed for an hour is unsubscribed from its page without a word.
/// One log line when a page falls silent for longer than the limit and one when it is heard again; the gauges
/// messenger_last_webhook_timestamp_seconds{page} and messenger_webhook_silent{page}. Thread-safe.
class Watchdog {
 public:
  using Clock = std::function<Time()>;

  /// `limit` 0: no alerts, only the time of the last webhook.
  explicit Watchdog(std::chrono::seconds limit, Clock clock = now);

  /// A webhook with a valid signature named this page.
  void seen(std::string_view page);
  /// Watches a page that was not heard yet, counted from now.
  void expect(std::string_view page);
  /// Looks for silences; returns the pages that are silent now.
  std::vector<std::string> check();

  /// Checks every few seconds the pages of the settings and those heard, until `tasks` stops. While the integration is disabled nothing
  /// is expected.
  asio::awaitable<void> run(const async::TaskGroup& tasks, const SettingsSource& settings);

 private:
  struct Page {
    std::atomic<std::int64_t> heard_us = 0;  ///< the last webhook, or when the watch began
    std::atomic<bool> ever_heard = false;
    bool silent = false;  ///< only changed by check()
    metrics::Gauge* last_webhook = nullptr;
    metrics::Gauge* silent_gauge = nullptr;
  };

  [[nodiscard]] Page* find(std::string_view page);
  Page& find_or_add(std::string_view page);
  void restart();

  const std::chrono::seconds limit_;
  const Clock clock_;
  std::shared_mutex mutex_;
  std::map<std::string, std::unique_ptr<Page>, std::less<>> pages_;
};

}  // namespace loquat::messenger
