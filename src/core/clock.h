#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace loquat {

/// Wall-clock time with microseconds, UTC: what is stored and shown.
using Time = std::chrono::sys_time<std::chrono::microseconds>;

[[nodiscard]] inline Time now() noexcept {
  return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

/// Python's datetime.isoformat() in UTC: 2026-01-02T03:04:05.678901+00:00; without the fraction when it is zero.
[[nodiscard]] std::string to_iso8601(Time time);
/// RFC 3339 with milliseconds and Z, for logs.
[[nodiscard]] std::string to_rfc3339(Time time);
/// Reads ISO 8601: a date, or date and time with 'T' or a blank, fraction up to 9 digits, Z or offset; without an
/// offset it is taken as UTC. Empty when it is none of these.
[[nodiscard]] std::optional<Time> parse_iso8601(std::string_view text);

[[nodiscard]] inline std::int64_t to_milliseconds(Time time) noexcept {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}
[[nodiscard]] inline std::int64_t to_microseconds(Time time) noexcept { return time.time_since_epoch().count(); }
[[nodiscard]] inline Time from_microseconds(std::int64_t value) noexcept { return Time(std::chrono::microseconds(value)); }

}  // namespace loquat
