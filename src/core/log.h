#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

/// Structured logs: one JSON object a line on stdout, or text for people. Lines are written by a thread of their own
/// from a bounded queue: a full or closed stdout never blocks or kills the process, it costs lines (counted in
/// loquat_log_lines_dropped_total). Thread-safe. Tokens, secrets, signatures and message texts must not be passed at
/// info or above.
namespace loquat::log {

enum class Level : std::uint8_t { trace, debug, info, warning, error, critical };
enum class Format : std::uint8_t { json, text };

struct Field {
  std::string_view name;
  std::variant<std::string_view, std::int64_t, double, bool> value;

  Field(std::string_view n, std::string_view v) : name(n), value(v) {}
  Field(std::string_view n, const char* v) : name(n), value(std::string_view(v)) {}
  Field(std::string_view n, const std::string& v) : name(n), value(std::string_view(v)) {}
  Field(std::string_view n, bool v) : name(n), value(v) {}
  Field(std::string_view n, double v) : name(n), value(v) {}
  template <class Integer>
    requires std::is_integral_v<Integer> && (!std::is_same_v<Integer, bool>)
  Field(std::string_view n, Integer v) : name(n), value(static_cast<std::int64_t>(v)) {}
};
using Fields = std::initializer_list<Field>;

/// Before this is called lines go out as text at level info.
void configure(Level level, Format format);
/// Waits up to a second for the queue to be written.
void flush();
[[nodiscard]] bool enabled(Level level) noexcept;

/// `logger` is the folder's name: "messenger", "http"...
void write(Level level, std::string_view logger, std::string_view message, Fields fields = {});

inline void debug(std::string_view logger, std::string_view message, Fields fields = {}) { write(Level::debug, logger, message, fields); }
inline void info(std::string_view logger, std::string_view message, Fields fields = {}) { write(Level::info, logger, message, fields); }
inline void warning(std::string_view logger, std::string_view message, Fields fields = {}) {
  write(Level::warning, logger, message, fields);
}
inline void error(std::string_view logger, std::string_view message, Fields fields = {}) { write(Level::error, logger, message, fields); }
inline void critical(std::string_view logger, std::string_view message, Fields fields = {}) {
  write(Level::critical, logger, message, fields);
}

}  // namespace loquat::log
