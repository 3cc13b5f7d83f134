// The rules are those of pydantic-core 2.27 with speedate 0.15, found by asking it; see lax_values.h.
#include <charconv>
#include <cmath>
#include <limits>

#include "core/lax_values.h"

namespace loquat::schema {
namespace {

using std::chrono::microseconds;

constexpr std::int64_t milliseconds_from = 20'000'000'000;  // greater numbers are milliseconds
constexpr std::int64_t last_second = 253'402'300'799;       // 9999-12-31T23:59:59
constexpr std::int64_t first_second = -62'167'219'200;      // 0000-01-01T00:00:00
constexpr Time year_one = std::chrono::sys_days(std::chrono::year(1) / 1 / 1);
constexpr Time year_10000 = std::chrono::sys_days(std::chrono::year(10'000) / 1 / 1);

constexpr std::string_view from_date = "datetime_from_date_parsing";

TimeFault fault(std::string_view reason) { return {std::string(from_date), std::string(reason)}; }

/// Python's datetime has the years 1 to 9999. Its years are those written; ours are those in UTC too, which is what is stored and shown.
TimeFault year_zero() { return {"datetime_parsing", "year 0 is out of range"}; }
TimeFault too_late() { return {"datetime_parsing", "year 10000 is out of range"}; }

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// The two digits at `at`, or -1.
int two_digits(std::string_view text, std::size_t at) noexcept {
  if (at + 2 > text.size() || !is_digit(text[at]) || !is_digit(text[at + 1])) return -1;
  return (text[at] - '0') * 10 + (text[at + 1] - '0');
}

std::variant<std::chrono::sys_days, TimeFault> parse_date(std::string_view text) {
  if (text.size() < 10) return fault("input is too short");
  for (std::size_t i = 0; i < 4; ++i) {
    if (!is_digit(text[i])) return fault("invalid character in year");
  }
  if (text[4] != '-') return fault("invalid date separator, expected `-`");
  const int month = two_digits(text, 5);
  if (month < 0) return fault("invalid character in month");
  if (text[7] != '-') return fault("invalid date separator, expected `-`");
  const int day = two_digits(text, 8);
  if (day < 0) return fault("invalid character in day");
  if (month < 1 || month > 12) return fault("month value is outside expected range of 1-12");
  const int year = two_digits(text, 0) * 100 + two_digits(text, 2);
  const std::chrono::year_month_day date(std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day)));
  if (!date.ok()) return fault("day value is outside expected range");
  return std::chrono::sys_days(date);
}

/// The minus sign U+2212 that ISO 8601 prefers counts as one, too.
bool take_sign(std::string_view& text, int& sign) noexcept {
  constexpr std::string_view minus = "\u2212";
  sign = text.starts_with('+') ? 1 : -1;
  if (text.starts_with(minus)) {
    text.remove_prefix(minus.size());
  } else if (text.starts_with('+') || text.starts_with('-')) {
    text.remove_prefix(1);
  } else {
    return false;
  }
  return true;
}

/// Nothing, Z, +hh:mm or +hhmm: the whole rest.
std::optional<microseconds> parse_offset(std::string_view text) {
  if (text.empty() || text == "Z" || text == "z") return microseconds(0);
  int sign = 0;
  if (!take_sign(text, sign)) return std::nullopt;
  const int hours = two_digits(text, 0);
  if (hours < 0) return std::nullopt;
  text.remove_prefix(2);
  if (text.starts_with(':')) text.remove_prefix(1);
  const int minutes = two_digits(text, 0);
  if (minutes < 0 || minutes > 59 || text.size() != 2 || hours > 23) return std::nullopt;
  return sign * (std::chrono::hours(hours) + std::chrono::minutes(minutes));
}

/// hh:mm[:ss[.fraction]][offset]; fractions are cut to microseconds.
std::optional<microseconds> parse_clock(std::string_view text) {
  const int hour = two_digits(text, 0);
  if (hour < 0 || hour > 23 || text.size() < 3 || text[2] != ':') return std::nullopt;
  const int minute = two_digits(text, 3);
  if (minute < 0 || minute > 59) return std::nullopt;
  microseconds time = std::chrono::hours(hour) + std::chrono::minutes(minute);
  text.remove_prefix(5);
  if (text.starts_with(':')) {
    const int second = two_digits(text, 1);
    if (second < 0 || second > 59) return std::nullopt;
    time += std::chrono::seconds(second);
    text.remove_prefix(3);
    if (text.starts_with('.') || text.starts_with(',')) {
      std::size_t digits = 0;
      int scale = 100'000;
      for (; digits + 1 < text.size() && is_digit(text[digits + 1]); ++digits, scale /= 10)
        time += microseconds((text[digits + 1] - '0') * scale);
      if (digits == 0) return std::nullopt;
      text.remove_prefix(digits + 1);
    }
  }
  const auto offset = parse_offset(text);
  if (!offset) return std::nullopt;
  return time - *offset;
}

std::variant<Time, TimeFault> from_unix(std::int64_t number, double fraction) {
  const bool milliseconds = number > milliseconds_from || number < -milliseconds_from;
  const std::int64_t per_unit = milliseconds ? 1'000 : 1'000'000;
  const std::int64_t per_second = milliseconds ? 1'000 : 1;
  const std::int64_t second = number / per_second - (number % per_second < 0 ? 1 : 0);
  if (second > last_second) return fault("dates after 9999 are not supported as unix timestamps");
  if (second < first_second) return fault("dates before 0000 are not supported as unix timestamps");
  // pydantic takes the fraction for one of a second even when the number is in milliseconds; the sane reading differs
  // by less than a millisecond.
  const Time time(microseconds(number * per_unit + std::llround(fraction * static_cast<double>(per_unit))));
  if (time < year_one) return year_zero();
  if (time >= year_10000) return too_late();  // the fraction was rounded up
  return time;
}

/// [+-]digits[.digits]; empty when it is none or does not fit.
std::optional<std::pair<std::int64_t, double>> parse_unix(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty() || !is_digit(text.front())) return std::nullopt;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  double fraction = 0;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    double scale = 0.1;
    for (; !text.empty() && is_digit(text.front()); text.remove_prefix(1), scale /= 10) fraction += (text.front() - '0') * scale;
  }
  if (!text.empty()) return std::nullopt;
  return std::pair(negative ? -number : number, negative ? -fraction : fraction);
}

}  // namespace

std::variant<Time, TimeFault> parse_time(std::string_view text) {
  if (const auto number = parse_unix(text)) return from_unix(number->first, number->second);
  const auto date = parse_date(text);
  if (const auto* wrong = std::get_if<TimeFault>(&date)) return *wrong;
  const Time day = std::get<std::chrono::sys_days>(date);
  std::optional<microseconds> clock = microseconds(0);
  if (text.size() > 10) {
    constexpr std::string_view separators = "Tt _";
    clock = separators.contains(text[10]) ? parse_clock(text.substr(11)) : std::nullopt;
  }
  if (!clock) return fault("unexpected extra characters at the end of the input");
  if (day < year_one || day + *clock < year_one) return year_zero();
  if (day + *clock >= year_10000) return too_late();
  return day + *clock;
}

}  // namespace loquat::schema
