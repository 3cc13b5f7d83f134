#include "core/log.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "core/clock.h"
#include "core/json.h"
#include "core/log_writer.h"
#include "core/metrics.h"
#include "core/text.h"

namespace loquat::log {
namespace {

constexpr std::size_t queue_bytes = std::size_t{8} << 20U;
/// No single line may fill the queue: a text field or message is cut here.
constexpr std::size_t longest_text = 32 * 1024;

std::atomic<Level> lowest_level{Level::info};
std::atomic<Format> line_format{Format::text};

constexpr std::array<std::string_view, 6> level_names{"trace", "debug", "info", "warning", "error", "critical"};
constexpr std::array<std::string_view, 6> level_columns{"TRACE    ", "DEBUG    ", "INFO     ", "WARNING  ", "ERROR    ", "CRITICAL "};

void count_dropped(std::size_t lines) {
  static auto& counter = metrics::counter("log_lines_dropped_total", "Log lines lost because stdout was full or closed.");
  counter.add(static_cast<double>(lines));
}

/// Made by the first line and never destroyed: threads may log until the very end of the process.
LineWriter& writer() {
  static auto* const instance = [] {
    count_dropped(0);
    std::atexit([] { flush(); });
    return new LineWriter(STDOUT_FILENO, queue_bytes, count_dropped);
  }();
  return *instance;
}

std::string_view limited(std::string_view text) noexcept { return text.substr(0, longest_text); }

/// RFC 3339 with milliseconds; the part up to the second is kept from one line to the next.
void append_timestamp(std::string& out) {
  thread_local std::int64_t cached_second = -1;
  thread_local std::string cached;
  const std::int64_t milliseconds = to_milliseconds(now());
  const std::int64_t second = milliseconds / 1000;
  if (second != cached_second) {
    cached = to_rfc3339(from_microseconds(second * 1'000'000));
    cached_second = second;
  }
  const auto fraction = static_cast<unsigned>(milliseconds % 1000);
  const std::size_t start = out.size();
  out += cached;
  char* const digits = out.data() + start + cached.size() - 4;
  digits[0] = static_cast<char>('0' + fraction / 100);
  digits[1] = static_cast<char>('0' + fraction / 10 % 10);
  digits[2] = static_cast<char>('0' + fraction % 10);
}

void append_integer(std::string& out, std::int64_t value) {
  std::array<char, 24> buffer;
  out.append(buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr);
}

void append_double(std::string& out, double value) {
  if (std::isfinite(value)) {
    append_python_float(out, value);
  } else {
    out += "null";
  }
}

void append_json_text(std::string& out, std::string_view text) {
  text = limited(text);
  if (text::is_valid_utf8(text)) {
    append_json_string(out, text);
  } else {
    append_json_string(out, text::to_valid_utf8(text));
  }
}

struct JsonValue {
  std::string& out;
  void operator()(std::string_view text) const { append_json_text(out, text); }
  void operator()(std::int64_t value) const { append_integer(out, value); }
  void operator()(double value) const { append_double(out, value); }
  void operator()(bool value) const { out += value ? "true" : "false"; }
};

void append_json_line(std::string& out, Level level, std::string_view logger, std::string_view message, Fields fields) {
  out += R"({"timestamp":")";
  append_timestamp(out);
  out += R"(","level":")";
  out += level_names[static_cast<std::size_t>(level)];
  out += R"(","logger":)";
  append_json_text(out, logger);
  out += R"(,"message":)";
  append_json_text(out, message);
  for (const auto& field : fields) {
    out += ',';
    append_json_text(out, field.name);
    out += ':';
    std::visit(JsonValue{out}, field.value);
  }
  out += "}\n";
}

/// Control characters would let a client forge lines or drive the reader's terminal: U+0000..1F, DEL, U+0080..9F, and
/// the separators and directional overrides that some viewers obey.
bool is_unsafe(std::string_view text, std::size_t at, std::size_t& width) noexcept {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  width = 1;
  if (byte(at) < 0x20 || byte(at) == 0x7F) return true;
  if (byte(at) == 0xC2 && byte(at + 1) < 0xA0) return width = 2, true;
  if (byte(at) != 0xE2) return false;
  const unsigned code = (byte(at + 1) & 0x3FU) << 6U | (byte(at + 2) & 0x3FU);
  width = 3;
  return (code >= 0x28 && code <= 0x2E) || (code >= 0x66 && code <= 0x69);
}

void append_visible(std::string& out, std::string_view text) {
  std::string fixed;
  text = limited(text);
  if (!text::is_valid_utf8(text)) text = fixed = text::to_valid_utf8(text);
  for (std::size_t i = 0; i < text.size();) {
    std::size_t width = 1;
    if (!is_unsafe(text, i, width)) {
      out += text[i++];
      continue;
    }
    std::string escaped;
    append_json_string(escaped, text.substr(i, width), true);
    // json.dumps leaves DEL as it is.
    out += text[i] == '\x7F' ? std::string_view("\\u007f") : std::string_view(escaped).substr(1, escaped.size() - 2);
    i += width;
  }
}

bool needs_quotes(std::string_view text) noexcept { return text.empty() || text.find_first_of(" =\"") != std::string_view::npos; }

struct TextValue {
  std::string& out;
  void operator()(std::string_view text) const {
    if (!needs_quotes(text)) return append_visible(out, text);
    std::string quoted;
    quoted.reserve(text.size());
    for (const char c : limited(text)) {
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += c;
    }
    out += '"';
    append_visible(out, quoted);
    out += '"';
  }
  void operator()(std::int64_t value) const { append_integer(out, value); }
  void operator()(double value) const { append_double(out, value); }
  void operator()(bool value) const { out += value ? "true" : "false"; }
};

void append_text_line(std::string& out, Level level, std::string_view logger, std::string_view message, Fields fields) {
  append_timestamp(out);
  out += ' ';
  out += level_columns[static_cast<std::size_t>(level)];
  append_visible(out, logger);
  out += ": ";
  append_visible(out, message);
  for (const auto& field : fields) {
    out += ' ';
    append_visible(out, field.name);
    out += '=';
    std::visit(TextValue{out}, field.value);
  }
  out += '\n';
}

}  // namespace

void configure(Level level, Format format) {
  line_format.store(format, std::memory_order_relaxed);
  lowest_level.store(level, std::memory_order_relaxed);
  writer();
}

void flush() { writer().flush(std::chrono::seconds(1)); }

bool enabled(Level level) noexcept { return level >= lowest_level.load(std::memory_order_relaxed); }

void write(Level level, std::string_view logger, std::string_view message, Fields fields) {
  if (!enabled(level)) return;
  thread_local std::string line;
  line.clear();
  if (line_format.load(std::memory_order_relaxed) == Format::json) {
    append_json_line(line, level, logger, message, fields);
  } else {
    append_text_line(line, level, logger, message, fields);
  }
  writer().push(line, level >= Level::error);
}

}  // namespace loquat::log
