#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "core/clock.h"

/// What pydantic v2 in lax mode makes of texts; shared by JSON bodies and query parameters. Internal to core.
namespace loquat::schema {

enum class NumberFault : std::uint8_t { unreadable, too_large };

/// " +1_000.00 " is 1000: blanks around, single underscores between digits, a fraction of zeros only.
[[nodiscard]] std::variant<std::int64_t, NumberFault> parse_integer(std::string_view text);
/// As Rust reads a float (1., .5, 1e5, inf, nan), with blanks around or single underscores inside.
[[nodiscard]] std::optional<double> parse_float(std::string_view text);
/// true, t, yes, y, on, 1 and their opposites in any case.
[[nodiscard]] std::optional<bool> parse_boolean(std::string_view text);

struct TimeFault {
  std::string type;    ///< datetime_parsing or datetime_from_date_parsing
  std::string reason;  ///< "input is too short"
};
/// ISO 8601 date with time (separator T, t, _ or blank), bare date, or a Unix time: seconds up to 2e10 in either
/// direction, milliseconds beyond. Without an offset: UTC.
[[nodiscard]] std::variant<Time, TimeFault> parse_time(std::string_view text);

}  // namespace loquat::schema
