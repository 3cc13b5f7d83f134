#include "core/clock.h"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <cstdint>

namespace loquat {
namespace {

using std::chrono::days;
using std::chrono::floor;
using std::chrono::microseconds;
using std::chrono::year_month_day;

struct Civil {
  int year;
  unsigned month;
  unsigned day;
  std::int64_t hour;
  std::int64_t minute;
  std::int64_t second;
  std::int64_t microsecond;
};

Civil to_civil(Time time) {
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const std::chrono::hh_mm_ss<microseconds> clock(time - day);
  return {static_cast<int>(date.year()),     static_cast<unsigned>(date.month()),
          static_cast<unsigned>(date.day()), clock.hours().count(),
          clock.minutes().count(),           clock.seconds().count(),
          clock.subseconds().count()};
}

/// Reads fixed-width fields from the front of a text.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) {}

  [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }
  [[nodiscard]] char peek() const noexcept { return rest_.empty() ? '\0' : rest_.front(); }

  bool take(char expected) noexcept {
    if (peek() != expected || rest_.empty()) return false;
    rest_.remove_prefix(1);
    return true;
  }

  /// Exactly `width` digits.
  std::optional<int> number(std::size_t width) noexcept {
    if (rest_.size() < width) return std::nullopt;
    int value = 0;
    for (std::size_t i = 0; i < width; ++i) {
      if (rest_[i] < '0' || rest_[i] > '9') return std::nullopt;
      value = value * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(width);
    return value;
  }

  /// One to nine digits behind the point; what is finer than microseconds is cut off.
  std::optional<int> fraction() noexcept {
    int value = 0;
    std::size_t digits = 0;
    for (; digits < rest_.size() && rest_[digits] >= '0' && rest_[digits] <= '9'; ++digits) {
      if (digits < 6) value = value * 10 + (rest_[digits] - '0');
    }
    if (digits == 0 || digits > 9) return std::nullopt;
    rest_.remove_prefix(digits);
    for (; digits < 6; ++digits) value *= 10;
    return value;
  }

 private:
  std::string_view rest_;
};

std::optional<std::chrono::sys_days> read_date(Cursor& in) {
  const auto year = in.number(4);
  if (!year || !in.take('-')) return std::nullopt;
  const auto month = in.number(2);
  if (!month || !in.take('-')) return std::nullopt;
  const auto day = in.number(2);
  if (!day) return std::nullopt;
  const year_month_day date(std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                            std::chrono::day(static_cast<unsigned>(*day)));
  if (!date.ok() || *year == 0) return std::nullopt;
  return std::chrono::sys_days(date);
}

std::optional<microseconds> read_time_of_day(Cursor& in) {
  const auto hour = in.number(2);
  if (!hour || *hour > 23 || !in.take(':')) return std::nullopt;
  const auto minute = in.number(2);
  if (!minute || *minute > 59) return std::nullopt;
  microseconds time = std::chrono::hours(*hour) + std::chrono::minutes(*minute);
  if (!in.take(':')) return time;
  const auto second = in.number(2);
  if (!second || *second > 59) return std::nullopt;
  time += std::chrono::seconds(*second);
  if (!in.take('.') && !in.take(',')) return time;
  const auto fraction = in.fraction();
  if (!fraction) return std::nullopt;
  return time + microseconds(*fraction);
}

/// Nothing, Z, or +hh, +hhmm, +hh:mm; up to the end of the text.
std::optional<microseconds> read_offset(Cursor& in) {
  if (in.at_end()) return microseconds(0);
  if (in.take('Z') || in.take('z')) return in.at_end() ? std::optional(microseconds(0)) : std::nullopt;
  const bool negative = in.peek() == '-';
  if (!in.take('+') && !in.take('-')) return std::nullopt;
  const auto hours = in.number(2);
  if (!hours || *hours > 23) return std::nullopt;
  int minutes = 0;
  if (!in.at_end()) {
    in.take(':');
    const auto read = in.number(2);
    if (!read || *read > 59 || !in.at_end()) return std::nullopt;
    minutes = *read;
  }
  const microseconds offset = std::chrono::hours(*hours) + std::chrono::minutes(minutes);
  return negative ? -offset : offset;
}

}  // namespace

std::string to_iso8601(Time time) {
  const Civil at = to_civil(time);
  if (at.microsecond == 0) {
    return fmt::format(FMT_COMPILE("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}+00:00"), at.year, at.month, at.day, at.hour, at.minute, at.second);
  }
  return fmt::format(FMT_COMPILE("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}+00:00"), at.year, at.month, at.day, at.hour, at.minute,
                     at.second, at.microsecond);
}

std::string to_rfc3339(Time time) {
  const Civil at = to_civil(time);
  return fmt::format(FMT_COMPILE("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z"), at.year, at.month, at.day, at.hour, at.minute, at.second,
                     at.microsecond / 1000);
}

std::optional<Time> parse_iso8601(std::string_view text) {
  Cursor in(text);
  const auto date = read_date(in);
  if (!date) return std::nullopt;
  if (in.at_end()) return Time(*date);
  if (!in.take('T') && !in.take('t') && !in.take(' ')) return std::nullopt;
  const auto time = read_time_of_day(in);
  if (!time) return std::nullopt;
  const auto offset = read_offset(in);
  if (!offset) return std::nullopt;
  // What is outside the years 1 to 9999 in UTC could not be read again as it is written.
  const Time result = Time(*date) + *time - *offset;
  constexpr Time first = std::chrono::sys_days(std::chrono::year(1) / 1 / 1);
  constexpr Time end = std::chrono::sys_days(std::chrono::year(10'000) / 1 / 1);
  return result < first || result >= end ? std::nullopt : std::optional(result);
}

}  // namespace loquat
