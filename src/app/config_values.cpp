#include "app/config_values.h"

#include <array>
#include <charconv>
#include <cmath>

#include "core/text.h"

namespace loquat::app {
namespace {

std::optional<double> parse_number(std::string_view text) {
  double value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size() || !std::isfinite(value) || value < 0) return std::nullopt;
  return value;
}

/// Splits "15m" into 15 and "m".
std::pair<std::string_view, std::string> split_unit(std::string_view text) {
  const auto unit = text.find_first_not_of("0123456789.");
  if (unit == std::string_view::npos) return {text, ""};
  return {text.substr(0, unit), text::to_lower_ascii(text::trim_ascii(text.substr(unit)))};
}

}  // namespace

std::optional<bool> parse_bool(std::string_view text) {
  const auto word = text::to_lower_ascii(text);
  if (word == "true" || word == "1" || word == "yes" || word == "on") return true;
  if (word == "false" || word == "0" || word == "no" || word == "off") return false;
  return std::nullopt;
}

std::optional<std::int64_t> parse_integer(std::string_view text, std::int64_t least, std::int64_t most) {
  std::int64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size() || value < least || value > most) return std::nullopt;
  return value;
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const auto [digits, unit] = split_unit(text);
  const auto number = parse_number(digits);
  if (!number) return std::nullopt;
  double factor = 0;
  if (unit.empty() || unit == "s")
    factor = 1'000;
  else if (unit == "ms")
    factor = 1;
  else if (unit == "m" || unit == "min")
    factor = 60'000;
  else if (unit == "h")
    factor = 3'600'000;
  else if (unit == "d")
    factor = 86'400'000;
  else
    return std::nullopt;
  const double milliseconds = *number * factor;
  if (milliseconds > 1e12) return std::nullopt;
  return std::chrono::milliseconds(static_cast<std::int64_t>(milliseconds));
}

std::optional<std::size_t> parse_bytes(std::string_view text) {
  const auto [digits, unit] = split_unit(text);
  const auto number = parse_number(digits);
  if (!number) return std::nullopt;
  double factor = 0;
  if (unit.empty() || unit == "b")
    factor = 1;
  else if (unit == "k" || unit == "kib")
    factor = 1024;
  else if (unit == "m" || unit == "mib")
    factor = 1024.0 * 1024;
  else if (unit == "g" || unit == "gib")
    factor = 1024.0 * 1024 * 1024;
  else
    return std::nullopt;
  const double bytes = *number * factor;
  if (bytes > 1e13) return std::nullopt;
  return static_cast<std::size_t>(bytes);
}

std::optional<log::Level> parse_level(std::string_view text) {
  const auto word = text::to_lower_ascii(text);
  static constexpr std::array<std::pair<std::string_view, log::Level>, 9> words{{{"trace", log::Level::trace},
                                                                                 {"debug", log::Level::debug},
                                                                                 {"info", log::Level::info},
                                                                                 {"warning", log::Level::warning},
                                                                                 {"warn", log::Level::warning},
                                                                                 {"error", log::Level::error},
                                                                                 {"critical", log::Level::critical},
                                                                                 {"fatal", log::Level::critical},
                                                                                 {"notset", log::Level::debug}}};
  for (const auto& [name, level] : words)
    if (word == name) return level;
  return std::nullopt;
}

std::vector<std::string> parse_list(std::string_view text) {
  std::vector<std::string> parts;
  for (const auto part : text::split(text, ',')) {
    const auto trimmed = text::trim_ascii(part);
    if (!trimmed.empty()) parts.emplace_back(trimmed);
  }
  return parts;
}

}  // namespace loquat::app
