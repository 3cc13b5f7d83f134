#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace loquat::bus {

/// Remembers, in a memory-mapped file, which events are being decided right now. The file outlives a process that is
/// killed or aborts (the kernel keeps the pages), so the next start knows which events may have killed it. Costs two stores an event
/// and no system call.
class RunningMarks {
 public:
  /// Creates DATA_DIR/running.<random> and locks it. When that cannot be done (read-only file system) marks go to memory only and a
  /// warning is logged.
  explicit RunningMarks(const std::string& directory);
  ~RunningMarks();
  RunningMarks(const RunningMarks&) = delete;
  RunningMarks& operator=(const RunningMarks&) = delete;

  /// The marks of processes that died in this directory; their files are removed. Call before serving.
  [[nodiscard]] std::vector<std::int64_t> take_suspects();

  /// Marks an event while this object lives. Thread-safe.
  class [[nodiscard]] Mark {
   public:
    Mark(RunningMarks& marks, std::int64_t seq) noexcept;
    ~Mark();
    Mark(const Mark&) = delete;
    Mark& operator=(const Mark&) = delete;

   private:
    std::atomic<std::int64_t>* slot_ = nullptr;
  };

 private:
  static constexpr std::size_t slot_count = 4096;
  std::string directory_;
  std::string path_;
  int file_ = -1;
  std::atomic<std::int64_t>* slots_ = nullptr;
  std::vector<std::atomic<std::int64_t>> memory_;
  std::atomic<std::size_t> next_{0};
};

}  // namespace loquat::bus
