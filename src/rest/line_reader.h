#pragma once

#include <iosfwd>
#include <memory>
#include <optional>
#include <string>

namespace loquat::rest {

/// Where a chat's lines come from.
class LineReader {
 public:
  virtual ~LineReader() = default;
  /// The next line without its end; empty when there is none.
  [[nodiscard]] virtual std::optional<std::string> read() = 0;
};

[[nodiscard]] std::unique_ptr<LineReader> make_stream_reader(std::istream& in);
/// The terminal, edited by libedit. The history file (none when empty) is readable by its owner only.
[[nodiscard]] std::unique_ptr<LineReader> make_terminal_reader(std::string prompt, std::string history_file);

}  // namespace loquat::rest
