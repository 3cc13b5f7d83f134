#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/log.h"

/// How the texts of settings are read. Pure; empty where the text is none of what is allowed.
namespace loquat::app {

/// true/false/1/0/yes/no/on/off, any case.
[[nodiscard]] std::optional<bool> parse_bool(std::string_view text);
[[nodiscard]] std::optional<std::int64_t> parse_integer(std::string_view text, std::int64_t least, std::int64_t most);
/// Seconds ("2", "0.5"), or with a unit: ms, s, m, h, d.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
/// Bytes, or with a unit: KiB, MiB, GiB (K, M, G mean the same).
[[nodiscard]] std::optional<std::size_t> parse_bytes(std::string_view text);
/// Python's and uvicorn's names too: WARN, FATAL, CRITICAL, TRACE.
[[nodiscard]] std::optional<log::Level> parse_level(std::string_view text);
/// Parts between commas, trimmed, empty ones left out.
[[nodiscard]] std::vector<std::string> parse_list(std::string_view text);

}  // namespace loquat::app
