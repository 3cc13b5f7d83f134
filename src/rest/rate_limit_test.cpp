#include "rest/rate_limit.h"

#include <gtest/gtest.h>

#include <string>

namespace loquat::rest {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(RateLimit, a_full_bucket_then_one_at_a_time) {
  RateLimit limit(60);
  const auto start = RateLimit::Clock::now();
  for (int i = 0; i < 60; ++i) EXPECT_EQ(limit.take("a", start).count(), 0) << i;
  EXPECT_EQ(limit.take("a", start), milliseconds(1000));
  EXPECT_EQ(limit.take("b", start).count(), 0);
  EXPECT_EQ(limit.take("a", start + milliseconds(600)).count(), 400);
  EXPECT_EQ(limit.take("a", start + milliseconds(1001)).count(), 0);
  EXPECT_GT(limit.take("a", start + milliseconds(1001)).count(), 900);
  int taken = 0;
  while (limit.take("a", start + seconds(3600)).count() == 0) ++taken;
  EXPECT_EQ(taken, 60);
}

TEST(RateLimit, none) {
  RateLimit limit(0);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(limit.take("a").count(), 0);
}

TEST(RateLimit, forgets_the_longest_unseen) {
  RateLimit limit(1, 10);
  const auto start = RateLimit::Clock::now();
  EXPECT_EQ(limit.take("mine", start).count(), 0);
  for (int i = 0; i < 9; ++i) (void)limit.take(std::to_string(i), start);
  EXPECT_GT(limit.take("mine", start).count(), 0);
  for (int i = 0; i < 15; ++i) {
    (void)limit.take(std::to_string(i), start);
    EXPECT_GT(limit.take("mine", start).count(), 0) << i;  // seen lately, so kept
  }
  for (int i = 0; i < 50; ++i) (void)limit.take(std::to_string(i), start);
  EXPECT_EQ(limit.take("mine", start).count(), 0);
}

TEST(RateLimit, time_going_back_is_no_gift) {
  RateLimit limit(1);
  const auto start = RateLimit::Clock::now();
  EXPECT_EQ(limit.take("a", start).count(), 0);
  EXPECT_GT(limit.take("a", start - seconds(100)).count(), 0);
}

}  // namespace
}  // namespace loquat::rest
