#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string_view>

namespace loquat::rest {

/// Token buckets by key: `per_minute` at once, then as many a minute. Memory is bounded: of more than two times `most_keys` keys
/// those that were not seen lately are forgotten, and start anew with a full bucket. Thread-safe.
class RateLimit {
 public:
  using Clock = std::chrono::steady_clock;

  /// 0: no limit.
  explicit RateLimit(std::uint32_t per_minute, std::size_t most_keys = 50'000);
  /// Takes one token; zero when there was one, else how long until there is.
  [[nodiscard]] std::chrono::milliseconds take(std::string_view key, Clock::time_point now = Clock::now());

 private:
  struct Bucket {
    float tokens;
    Clock::time_point filled;
  };
  /// Hashes instead of keys: two that collide share a bucket, which harms nobody.
  using Buckets = boost::unordered_flat_map<std::uint64_t, Bucket>;
  Bucket& bucket(std::uint64_t key, Clock::time_point now);

  const std::uint32_t per_minute_;
  const std::size_t most_keys_;
  const std::uint64_t seed_;
  std::mutex mutex_;
  Buckets recent_;
  Buckets older_;
};

}  // namespace loquat::rest
