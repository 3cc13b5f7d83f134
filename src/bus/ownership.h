#pragma once

#include <time.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include "bus/item.h"

namespace loquat::bus {

/// Which partitions this process may act on, and until when. Written by Membership, read everywhere.
class Ownership {
 public:
  using Milliseconds = std::chrono::milliseconds;

  /// A clock that goes on while the machine sleeps or the process is stopped.
  [[nodiscard]] static Milliseconds boot_time() noexcept {
    timespec time{};
    clock_gettime(CLOCK_BOOTTIME, &time);
    return Milliseconds(static_cast<std::int64_t>(time.tv_sec) * 1000 + time.tv_nsec / 1'000'000);
  }

  [[nodiscard]] bool owns(unsigned part) const noexcept { return (mask_.load(std::memory_order_acquire) >> part & 1U) != 0; }
  [[nodiscard]] std::uint64_t mask() const noexcept { return mask_.load(std::memory_order_acquire); }
  void set_mask(std::uint64_t mask) noexcept { mask_.store(mask, std::memory_order_release); }
  /// True when the lease lasts for `needed` more.
  [[nodiscard]] bool lease_lasts(Milliseconds needed) const noexcept {
    const auto until = lease_until_.load(std::memory_order_acquire);
    return until == forever || boot_time().count() + needed.count() < until;
  }
  void set_lease(Milliseconds until) noexcept { lease_until_.store(until.count(), std::memory_order_release); }
  void set_lease_forever() noexcept { lease_until_.store(forever, std::memory_order_release); }
  /// Grows by one whenever everything owned was lost: what began in an older epoch must not go on.
  [[nodiscard]] std::uint64_t epoch() const noexcept { return epoch_.load(std::memory_order_acquire); }
  void lose_all() noexcept {
    set_mask(0);
    lease_until_.store(0, std::memory_order_release);
    epoch_.fetch_add(1, std::memory_order_acq_rel);
  }

 private:
  static constexpr std::int64_t forever = INT64_MAX;
  std::atomic<std::uint64_t> mask_{0};
  std::atomic<std::int64_t> lease_until_{0};
  std::atomic<std::uint64_t> epoch_{0};
};

}  // namespace loquat::bus
