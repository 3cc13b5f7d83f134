#include "messenger/rate_limiter.h"

#include <gtest/gtest.h>

#include <deque>
#include <thread>

namespace loquat::messenger {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

const RateLimiter::Time start{std::chrono::hours(1)};

TEST(ParseUsage, ReadsBothHeaders) {
  http::Headers headers;
  EXPECT_EQ(parse_usage(headers, "1"), Usage());
  headers.add("X-App-Usage", R"({"call_count":28,"total_time":95,"total_cputime":25.9})");
  headers.add("x-business-use-case-usage",
              R"({"1":[{"type":"messenger","call_count":80,"total_time":1,"total_cputime":1,"estimated_time_to_regain_access":0},)"
              R"({"type":"pages","call_count":85,"estimated_time_to_regain_access":19}],"2":[{"call_count":100}]})");
  EXPECT_EQ(parse_usage(headers, "1"), (Usage{95, 85, minutes(19)}));
  EXPECT_EQ(parse_usage(headers, "2"), (Usage{95, 100, minutes(0)}));
  EXPECT_EQ(parse_usage(headers, "3"), (Usage{95, 100, minutes(19)}));
}

TEST(ParseUsage, SurvivesNonsense) {
  for (const auto* text :
       {"", "no", "[]", "1", R"({"call_count":"x"})", R"({"1":{}})", R"({"1":[1,null,{"estimated_time_to_regain_access":-5}]})"}) {
    http::Headers headers;
    headers.add("X-App-Usage", text);
    headers.add("X-Business-Use-Case-Usage", text);
    EXPECT_EQ(parse_usage(headers, "1"), Usage()) << text;
  }
}

/// Asks for places as fast as they come and counts the messages in the busiest second.
int busiest_second(RateLimiter& limiter, bool is_media, milliseconds time) {
  std::deque<RateLimiter::Time> sent;
  std::size_t most = 0;
  for (auto now = start; now < start + time;) {
    const auto grant = limiter.acquire("1", is_media, now);
    if (!grant.granted) {
      now += grant.wait;
      continue;
    }
    sent.push_back(now + grant.wait);
    while (sent.front() <= sent.back() - seconds(1)) sent.pop_front();
    most = std::max(most, sent.size());
    now += grant.wait;
  }
  return static_cast<int>(most);
}

TEST(RateLimiter, HoldsTheLimitsInEverySecond) {
  RateLimiter limiter;
  const int text = busiest_second(limiter, false, seconds(5));
  EXPECT_LE(text, 300);
  EXPECT_GE(text, 270);
  const int media = busiest_second(limiter, true, seconds(20));
  EXPECT_LE(media, 10);
  EXPECT_GE(media, 9);
}

TEST(RateLimiter, SharesTheLimitsAmongProcesses) {
  RateLimiter limiter;
  limiter.set_processes(3);
  EXPECT_LE(busiest_second(limiter, false, seconds(5)), 100);
  RateLimiter alone;
  alone.set_processes(0);
  EXPECT_GE(busiest_second(alone, false, seconds(5)), 200);
}

TEST(RateLimiter, GrantsAtOnceWhenThereIsRoom) {
  RateLimiter limiter;
  for (int i = 0; i < 30; ++i) EXPECT_EQ(limiter.acquire("1", false, start).wait, milliseconds(0)) << i;
  EXPECT_GT(limiter.acquire("1", false, start).wait, milliseconds(0));
  EXPECT_EQ(limiter.acquire("2", false, start).wait, milliseconds(0));
  EXPECT_EQ(limiter.acquire("1", true, start).wait, milliseconds(0));
}

TEST(RateLimiter, KnowsNoLimitWhenThereIsNone) {
  RateLimiter limiter({.text_per_second = 0, .media_per_second = 0, .longest_wait = milliseconds(0)});
  for (int i = 0; i < 10'000; ++i) EXPECT_EQ(limiter.acquire("1", i % 2 == 0, start).wait, milliseconds(0));
  limiter.throttle("1", false, milliseconds(0), start);
  EXPECT_FALSE(limiter.acquire("1", false, start).granted);
}

TEST(RateLimiter, RefusesLongWaitsInsteadOfReservingThem) {
  RateLimiter limiter({.text_per_second = 300, .media_per_second = 10, .longest_wait = milliseconds(500)});
  RateLimiter::Grant grant;
  int granted = 0;
  while ((grant = limiter.acquire("1", true, start)).granted) ++granted;
  EXPECT_EQ(granted, 5);
  EXPECT_GT(grant.wait, milliseconds(500));
  EXPECT_TRUE(limiter.acquire("1", true, start + seconds(1)).granted);
}

TEST(RateLimiter, SlowsDownNearTheLimitAndStopsAtIt) {
  RateLimiter limiter;
  EXPECT_FALSE(limiter.heed("1", {.app_percent = 0, .page_percent = 90, .regain = minutes(0)}, start));
  EXPECT_LE(busiest_second(limiter, false, seconds(5)), 165);
  EXPECT_FALSE(limiter.heed("1", {.app_percent = 10, .page_percent = 10, .regain = minutes(0)}, start + seconds(5)));
  EXPECT_TRUE(limiter.heed("1", {.app_percent = 10, .page_percent = 100, .regain = minutes(3)}, start + seconds(6)));
  const auto grant = limiter.acquire("1", false, start + seconds(6));
  EXPECT_FALSE(grant.granted);
  EXPECT_EQ(grant.wait, minutes(3));
  EXPECT_TRUE(limiter.acquire("2", false, start + seconds(6)).granted);
  EXPECT_TRUE(limiter.acquire("1", false, start + seconds(6) + minutes(3)).granted);
}

TEST(RateLimiter, StopsAllPagesByTheAppsUsage) {
  RateLimiter limiter;
  EXPECT_TRUE(limiter.heed("1", {.app_percent = 100, .page_percent = 0, .regain = minutes(0)}, start));
  EXPECT_FALSE(limiter.acquire("2", false, start).granted);
  EXPECT_EQ(limiter.held_until("2", start), start + minutes(1));
  EXPECT_FALSE(limiter.held_until("2", start + minutes(1)));
}

TEST(RateLimiter, WaitsLongerWithEachThrottling) {
  RateLimiter limiter;
  auto now = start;
  for (const auto wait : {1, 2, 4, 8, 16, 32, 60, 60}) {
    EXPECT_EQ(limiter.throttle("1", false, milliseconds(0), now), seconds(wait));
    EXPECT_EQ(limiter.throttle("1", false, milliseconds(0), now), seconds(wait));  // another answer of the same time
    EXPECT_FALSE(limiter.acquire("1", false, now).granted);
    now += seconds(wait);
    EXPECT_TRUE(limiter.acquire("1", false, now).granted);
  }
  limiter.succeeded("1");
  EXPECT_EQ(limiter.throttle("1", false, milliseconds(0), now), seconds(1));
  EXPECT_EQ(limiter.throttle("2", true, milliseconds(7'000), now), seconds(7));
  EXPECT_FALSE(limiter.acquire("3", false, now).granted);
}

TEST(RateLimiter, HoldsWhatOthersFoundOut) {
  RateLimiter limiter;
  limiter.hold("1", start + seconds(9));
  limiter.hold("1", start + seconds(3));
  EXPECT_EQ(limiter.acquire("1", false, start).wait, seconds(9));
}

TEST(RateLimiter, IsThreadSafe) {
  RateLimiter limiter;
  constexpr int count = 4;
  std::vector<std::thread> threads;
  threads.reserve(count);
  for (int t = 0; t < count; ++t) {
    threads.emplace_back([&limiter, t] {
      for (int i = 0; i < 2'000; ++i) {
        const auto page = std::to_string((i + t) % 7);
        (void)limiter.acquire(page, i % 2 == 0, start + milliseconds(i));
        limiter.heed(page, {.app_percent = 1, .page_percent = i % 90, .regain = minutes(0)}, start);
        limiter.succeeded(page);
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace loquat::messenger
