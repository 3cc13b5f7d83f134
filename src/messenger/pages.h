#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "async/task_group.h"
#include "core/json.h"
#include "db/sql.h"
#include "messenger/rate_limiter.h"
#include "messenger/settings.h"

namespace loquat::messenger {

/// Which pages cannot send now, shared by all processes through the table `page`. A page stops for a dead token, a missing permission,
/// a restriction; it goes on when its token changes, or, to find out whether somebody has mended it, after a while. While the integration
/// is disabled the pages that have something to send are stopped too. Thread-safe.
class Pages {
 public:
  /// Ends a page's stop in the table and lets its waiting replies go on, in one transaction. False when another process has done so.
  using Release = std::function<asio::awaitable<bool>(std::string page)>;

  Pages(db::Database& database, RateLimiter& limiter, Release release);

  [[nodiscard]] bool is_stopped(std::string_view page) const;
  /// When a stopped page will be tried again; milliseconds since 1970.
  [[nodiscard]] std::int64_t stopped_until(std::string_view page) const;
  /// `token`: the one that was refused; a change of it releases the page. For the reason `disabled` the integration's status does.
  asio::awaitable<void> stop(std::string page, std::string reason, std::string token);
  /// Meta's answers ask for a pause: the other processes hold the page too. `whole_app`: all pages. Never shortens.
  asio::awaitable<void> hold(std::string page, std::chrono::milliseconds time);

  /// Follows the table and the settings twice a second until `tasks` stops.
  asio::awaitable<void> run(const async::TaskGroup& tasks, const SettingsSource& settings);
  /// One round of run().
  asio::awaitable<void> follow(const SettingsSource& settings);

  /// {"pages_stopped": n} when there are some. No page's id: readiness is public.
  void add_details(json::object& details) const;

 private:
  struct Stopped {
    std::string reason;
    std::int64_t until_ms = 0;
    std::string token_hash;
  };
  struct Changes {
    std::map<std::string, Stopped, std::less<>> stopped;
    std::map<std::string, std::int64_t> held;
  };
  [[nodiscard]] static Changes read(db::Connection& connection);
  [[nodiscard]] static bool is_mended(const std::string& page, const Stopped& stopped, const PageSettings* settings);
  void show(const std::string& page, bool stopped);

  db::Database& database_;
  RateLimiter& limiter_;
  const Release release_;
  mutable std::mutex mutex_;
  std::map<std::string, Stopped, std::less<>> stopped_;  // under mutex_
};

/// Stands in `page` for all pages of the app.
inline constexpr std::string_view whole_app = "*";

/// Identifies a token in the database without giving it away.
[[nodiscard]] std::string hash_token(std::string_view token);

}  // namespace loquat::messenger
