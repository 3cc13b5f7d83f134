#include "messenger/watchdog.h"

#include <gtest/gtest.h>

#include "core/log.h"

namespace loquat::messenger {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using Pages = std::vector<std::string>;

struct Fixture {
  Time time = Time(std::chrono::hours(1'000'000));
  Watchdog watchdog;
  explicit Fixture(seconds limit) : watchdog(limit, [this] { return time; }) {}
};

double silent_gauge(const std::string& page) { return metrics::gauge("messenger_webhook_silent", "", {{"page", page}}).value(); }

TEST(Watchdog, a_page_falls_silent_and_is_heard_again) {
  Fixture f(minutes(10));
  f.watchdog.seen("w1");
  EXPECT_DOUBLE_EQ(metrics::gauge("messenger_last_webhook_timestamp_seconds", "", {{"page", "w1"}}).value(), 3.6e9);
  f.time += minutes(9);
  EXPECT_EQ(f.watchdog.check(), Pages{});
  f.time += minutes(1);
  EXPECT_EQ(f.watchdog.check(), Pages{"w1"});
  EXPECT_EQ(silent_gauge("w1"), 1);
  EXPECT_EQ(f.watchdog.check(), Pages{"w1"});
  f.watchdog.seen("w1");
  EXPECT_EQ(f.watchdog.check(), Pages{});
  EXPECT_EQ(silent_gauge("w1"), 0);
}

TEST(Watchdog, counts_from_the_start_too) {
  Fixture f(minutes(10));
  f.watchdog.expect("w2");
  f.time += minutes(10);
  EXPECT_EQ(f.watchdog.check(), Pages{"w2"});
  f.watchdog.expect("w2");
  EXPECT_EQ(f.watchdog.check(), Pages{"w2"});
}

TEST(Watchdog, the_unnamed_page_gets_its_name) {
  Fixture f(minutes(10));
  f.watchdog.expect("unknown");
  f.time += minutes(11);
  EXPECT_EQ(f.watchdog.check(), Pages{"unknown"});
  f.watchdog.seen("w3");
  EXPECT_EQ(f.watchdog.check(), Pages{});
}

TEST(Watchdog, pages_are_watched_one_by_one) {
  Fixture f(minutes(10));
  f.watchdog.seen("w4");
  f.watchdog.seen("w5");
  f.time += minutes(6);
  f.watchdog.seen("w5");
  f.time += minutes(6);
  EXPECT_EQ(f.watchdog.check(), Pages{"w4"});
}

TEST(Watchdog, off) {
  Fixture f(seconds(0));
  f.watchdog.seen("w6");
  f.time += minutes(100);
  EXPECT_EQ(f.watchdog.check(), Pages{});
}

TEST(Watchdog, a_flood_of_pages_is_bounded) {
  log::configure(log::Level::critical, log::Format::text);  // a thousand lines help nobody
  Fixture f(minutes(10));
  for (int i = 0; i < 3000; ++i) f.watchdog.seen("flood" + std::to_string(i));
  f.time += minutes(11);
  EXPECT_LE(f.watchdog.check().size(), 1001U);
  log::configure(log::Level::info, log::Format::text);
}

}  // namespace
}  // namespace loquat::messenger
