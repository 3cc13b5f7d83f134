#include "rest/rate_limit.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/id.h"

namespace loquat::rest {
namespace {

constexpr float milliseconds_a_minute = 60'000;

/// Nobody may choose keys that share a bucket with somebody else's.
std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  fill_random(&seed, sizeof seed);
  return seed;
}

/// FNV-1a over a secret start, then mixed (the finalizer of MurmurHash3).
std::uint64_t hash(std::uint64_t seed, std::string_view key) noexcept {
  std::uint64_t value = seed;
  for (const char c : key) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  value = (value ^ value >> 33U) * 0xFF51AFD7ED558CCDULL;
  return value ^ value >> 33U;
}

}  // namespace

RateLimit::RateLimit(std::uint32_t per_minute, std::size_t most_keys)
    : per_minute_(per_minute), most_keys_(std::max<std::size_t>(most_keys, 1)), seed_(random_seed()) {}

RateLimit::Bucket& RateLimit::bucket(std::uint64_t key, Clock::time_point now) {
  const auto found = recent_.find(key);
  if (found != recent_.end()) return found->second;
  Bucket fresh{static_cast<float>(per_minute_), now};
  if (const auto old = older_.find(key); old != older_.end()) fresh = old->second;
  if (recent_.size() >= most_keys_) older_ = std::exchange(recent_, {});
  return recent_.emplace(key, fresh).first->second;
}

std::chrono::milliseconds RateLimit::take(std::string_view key, Clock::time_point now) {
  if (per_minute_ == 0) return std::chrono::milliseconds(0);
  const float rate = static_cast<float>(per_minute_) / milliseconds_a_minute;
  const std::lock_guard lock(mutex_);
  auto& found = bucket(hash(seed_, key), now);
  const auto passed = std::chrono::duration<float, std::milli>(std::max(now - found.filled, Clock::duration::zero())).count();
  found.tokens = std::min(static_cast<float>(per_minute_), found.tokens + passed * rate);
  found.filled = now;
  if (found.tokens >= 1) {
    found.tokens -= 1;
    return std::chrono::milliseconds(0);
  }
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil((1 - found.tokens) / rate)));
}

}  // namespace loquat::rest
