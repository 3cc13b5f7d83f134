#include "bus/running_marks.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "core/id.h"
#include "core/log.h"

namespace loquat::bus {
namespace {

constexpr std::string_view prefix = "running.";

}  // namespace

RunningMarks::RunningMarks(const std::string& directory) : directory_(directory) {
  static_assert(std::atomic<std::int64_t>::is_always_lock_free);
  constexpr std::size_t bytes = slot_count * sizeof(std::int64_t);
  path_ = directory + "/" + std::string(prefix) + random_hex(8);
  file_ = open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  void* map = MAP_FAILED;
  if (file_ >= 0 && flock(file_, LOCK_EX | LOCK_NB) == 0 && posix_fallocate(file_, 0, static_cast<off_t>(bytes)) == 0)
    map = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
  if (map == MAP_FAILED) {
    log::warning("bus", "DATA_DIR cannot hold the running marks; a message that crashes the process will not be recognized",
                 {{"error", std::strerror(errno)}});
    if (file_ >= 0) {
      unlink(path_.c_str());
      close(file_);
      file_ = -1;
    }
    memory_ = std::vector<std::atomic<std::int64_t>>(slot_count);
    slots_ = memory_.data();
    return;
  }
  slots_ = static_cast<std::atomic<std::int64_t>*>(map);
}

RunningMarks::~RunningMarks() {
  if (file_ < 0) return;
  unlink(path_.c_str());
  munmap(static_cast<void*>(slots_), slot_count * sizeof(std::int64_t));
  close(file_);
}

std::vector<std::int64_t> RunningMarks::take_suspects() {
  std::vector<std::int64_t> suspects;
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, failure)) {
    const auto path = entry.path().string();
    if (!entry.path().filename().string().starts_with(prefix) || path == path_) continue;
    const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (file < 0) continue;
    if (flock(file, LOCK_EX | LOCK_NB) == 0) {  // nobody holds it: its process is dead
      std::vector<std::int64_t> slots(slot_count);
      const auto count = read(file, slots.data(), slots.size() * sizeof(std::int64_t));
      slots.resize(count > 0 ? static_cast<std::size_t>(count) / sizeof(std::int64_t) : 0);
      for (const auto seq : slots)
        if (seq != 0) suspects.push_back(seq);
      unlink(path.c_str());
    }
    close(file);
  }
  return suspects;
}

RunningMarks::Mark::Mark(RunningMarks& marks, std::int64_t seq) noexcept {
  // Slots are tried in turn; with more than slot_count turns under way (long API calls) some go unmarked.
  const auto start = marks.next_.fetch_add(1, std::memory_order_relaxed);
  for (std::size_t i = 0; i < 64; ++i) {
    auto& slot = marks.slots_[(start + i) % slot_count];
    std::int64_t empty = 0;
    if (slot.compare_exchange_strong(empty, seq, std::memory_order_acq_rel)) {
      slot_ = &slot;
      return;
    }
  }
}

RunningMarks::Mark::~Mark() {
  if (slot_ != nullptr) slot_->store(0, std::memory_order_release);
}

}  // namespace loquat::bus
