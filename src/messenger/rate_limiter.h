#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"

namespace loquat::messenger {

/// What Meta's usage headers say, as shares of the limits.
struct Usage {
  int app_percent = 0;             ///< X-App-Usage: the highest of its counters; 100: throttled
  int page_percent = 0;            ///< X-Business-Use-Case-Usage, the page's entries
  std::chrono::minutes regain{0};  ///< the longest estimated time until access comes back
  bool operator==(const Usage&) const = default;
};

/// Entries of other pages are left out when the page's own are there. A header that cannot be read counts as absent.
[[nodiscard]] Usage parse_usage(const http::Headers& headers, std::string_view page);

/// Keeps each page within Meta's limits: so many messages a second, fewer when the usage nears its limit, none while it is
/// throttled. Knows no clock and never waits: the caller does. Thread-safe.
///
/// Beside these limits Meta freezes a page's inbox when more than 40 messages a second *arrive* there; that is nothing the sender
/// could prevent.
class RateLimiter {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::milliseconds;

  struct Settings {
    double text_per_second = 300;  ///< of a page; 0: no limit
    double media_per_second = 10;
    Duration longest_wait{2'000};  ///< longer ones are refused instead of reserved
  };

  RateLimiter() : RateLimiter(Settings()) {}
  explicit RateLimiter(Settings settings) : settings_(settings) {}

  /// The limits hold for all processes together: each takes its share by the number alive (at least 1).
  void set_processes(unsigned alive);

  struct Grant {
    bool granted = false;  ///< false: not now; ask again after `wait`
    Duration wait{0};      ///< granted: send after this time
  };
  /// Takes a place for one message; places are given in the order asked for.
  [[nodiscard]] Grant acquire(std::string_view page, bool is_media, Time now);

  /// Slows the page (or, by the app's usage, all pages) down from 80 % on, stops at 100 % until Meta gives access back. True when
  /// this stopped something: the other processes should know (hold).
  bool heed(std::string_view page, const Usage& usage, Time now);

  /// An answer said that a limit is passed: nothing is sent for `asked`, or, when that is zero, for one second, then two, four...
  /// up to a minute, until a message gets through again. Gives the wait.
  Duration throttle(std::string_view page, bool whole_app, Duration asked, Time now);
  void succeeded(std::string_view page);

  /// Nothing of this page before `until`, as another process found out. Never shortens.
  void hold(std::string_view page, Time until);
  /// The same for all pages.
  void hold_app(Time until);
  /// When the page itself may send again, and when the whole app may; in the past when nothing holds them.
  struct Holds {
    Time page{};
    Time app{};
  };
  [[nodiscard]] Holds holds(std::string_view page) const;
  /// When the page, or the app, may send again, if that is later than `now`.
  [[nodiscard]] std::optional<Time> held_until(std::string_view page, Time now) const;

 private:
  struct Lane {
    Time next{};  ///< when the next message of an evenly paced stream would be due
  };
  struct Page {
    Lane text;
    Lane media;
    Time held{};
    unsigned throttles = 0;  ///< in a row
    int percent = 0;
    Time percent_at{};
  };

  Page& page_of(std::string_view page, Time now);
  [[nodiscard]] Time held(const Page& page) const;
  [[nodiscard]] double slowdown(const Page& page, Time now) const;

  const Settings settings_;
  mutable std::mutex mutex_;
  unsigned processes_ = 1;
  std::map<std::string, Page, std::less<>> pages_;
  Page app_;
};

}  // namespace loquat::messenger
