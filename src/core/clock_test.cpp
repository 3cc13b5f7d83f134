#include "core/clock.h"

#include <gtest/gtest.h>

namespace {

using loquat::from_microseconds;
using loquat::parse_iso8601;
using loquat::to_iso8601;

std::string again(std::string_view text) {
  const auto time = parse_iso8601(text);
  return time ? to_iso8601(*time) : "none";
}

TEST(Clock, PrintsLikePython) {
  EXPECT_EQ(to_iso8601(from_microseconds(0)), "1970-01-01T00:00:00+00:00");
  EXPECT_EQ(to_iso8601(from_microseconds(1)), "1970-01-01T00:00:00.000001+00:00");
  EXPECT_EQ(to_iso8601(from_microseconds(-1)), "1969-12-31T23:59:59.999999+00:00");
  EXPECT_EQ(to_iso8601(from_microseconds(1'767'323'045'678'901)), "2026-01-02T03:04:05.678901+00:00");
  EXPECT_EQ(to_iso8601(from_microseconds(1'709'164'800'000'000)), "2024-02-29T00:00:00+00:00");
  EXPECT_EQ(loquat::to_rfc3339(from_microseconds(1'767'323'045'678'901)), "2026-01-02T03:04:05.678Z");
  EXPECT_EQ(loquat::to_rfc3339(from_microseconds(0)), "1970-01-01T00:00:00.000Z");
}

TEST(Clock, ReadsIso8601) {
  EXPECT_EQ(again("2026-01-02"), "2026-01-02T00:00:00+00:00");
  EXPECT_EQ(again("2026-01-02T03:04"), "2026-01-02T03:04:00+00:00");
  EXPECT_EQ(again("2026-01-02 03:04:05"), "2026-01-02T03:04:05+00:00");
  EXPECT_EQ(again("2026-01-02t03:04:05.5z"), "2026-01-02T03:04:05.500000+00:00");
  EXPECT_EQ(again("2026-01-02T03:04:05.123456789Z"), "2026-01-02T03:04:05.123456+00:00");
  EXPECT_EQ(again("2026-01-02T03:04:05+02:00"), "2026-01-02T01:04:05+00:00");
  EXPECT_EQ(again("2026-01-02T03:04:05-0530"), "2026-01-02T08:34:05+00:00");
  EXPECT_EQ(again("2026-01-02T03:04:05+01"), "2026-01-02T02:04:05+00:00");
  EXPECT_EQ(again("2026-01-01T00:30:00+01:00"), "2025-12-31T23:30:00+00:00");
  EXPECT_EQ(again("0001-01-01T00:00:00Z"), "0001-01-01T00:00:00+00:00");
  EXPECT_EQ(again("9999-12-31T23:59:59.999999Z"), "9999-12-31T23:59:59.999999+00:00");
  EXPECT_EQ(again("2024-02-29"), "2024-02-29T00:00:00+00:00");
}

TEST(Clock, RefusesTheRest) {
  for (const auto* text : {"",
                           "9999-12-31T23:59:59-01:00",
                           "0001-01-01T00:00:00+14:00",
                           "2026",
                           "2026-1-2",
                           "2026-02-30",
                           "2023-02-29",
                           "2026-00-01",
                           "2026-13-01",
                           "2026-01-00",
                           "0000-01-01",
                           "2026-01-02T",
                           "2026-01-02T24:00",
                           "2026-01-02T03:60",
                           "2026-01-02T03:04:60",
                           "2026-01-02T03:04:05.",
                           "2026-01-02T03:04:05.1234567890",
                           "2026-01-02T03:04:05+",
                           "2026-01-02T03:04:05+24:00",
                           "2026-01-02T03:04:05+01:60",
                           "2026-01-02T03:04:05Zx",
                           "2026-01-02 ",
                           " 2026-01-02",
                           "2026-01-02X03:04",
                           "20260102",
                           "2026/01/02",
                           "now",
                           "1767323045",
                           "2026-01-02T03",
                           "-026-01-02",
                           "2026-01-02T03:04:05+01:0",
                           "2026-01-02T03:04:05 Z"})
    EXPECT_EQ(parse_iso8601(text), std::nullopt) << text;
  EXPECT_EQ(parse_iso8601(std::string_view("2026-01-02\0", 11)), std::nullopt);
}

TEST(Clock, Units) {
  EXPECT_EQ(loquat::to_milliseconds(from_microseconds(1'234'567)), 1'234);
  EXPECT_EQ(loquat::to_microseconds(from_microseconds(1'234'567)), 1'234'567);
  const auto time = loquat::now();
  EXPECT_EQ(parse_iso8601(to_iso8601(time)), time);
}

}  // namespace
