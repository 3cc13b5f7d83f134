#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>

/// The thread behind core/log.h. Internal to core; a header of its own only so that tests can point it at a pipe.
namespace loquat::log {

/// Writes lines to a file descriptor from a thread of its own. The queue is one block of bytes, so that a line costs
/// a lock and a copy, no allocation. Never blocks a caller: what does not fit is dropped. Thread-safe.
class LineWriter {
 public:
  /// `dropped(n)` is called, from any thread, whenever n lines were lost.
  LineWriter(int descriptor, std::size_t capacity_bytes, std::function<void(std::size_t)> dropped);
  /// Gives what is queued a moment to go out; a writer that is stuck in write() is left behind.
  ~LineWriter();
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  /// `line` ends in a newline. `urgent`: do not wait for more lines to write together.
  void push(std::string_view line, bool urgent) noexcept;
  /// True when everything pushed before is written (or lost) in time.
  bool flush(std::chrono::milliseconds timeout);

 private:
  struct Shared;
  static void run(const std::shared_ptr<Shared>& shared);

  std::shared_ptr<Shared> shared_;
};

}  // namespace loquat::log
