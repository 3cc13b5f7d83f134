#include "http/entity_tag.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace loquat::http {
namespace {

IfMatch with(std::string value) {
  Headers headers;
  headers.add("If-Match", std::move(value));
  return IfMatch(headers);
}

TEST(EntityTag, WithoutTheHeaderEveryVersionFits) {
  const IfMatch none{Headers()};
  EXPECT_FALSE(none.is_given());
  EXPECT_TRUE(none.fits(7));
}

TEST(EntityTag, AnyAndLists) {
  EXPECT_TRUE(with(" * ").is_any());
  EXPECT_TRUE(with("*").fits(7));
  EXPECT_THAT(with(R"("3" , "foreign","12")").versions(), ::testing::ElementsAre(3, 12));
  EXPECT_TRUE(with(R"("3", "12")").fits(12));
  EXPECT_FALSE(with(R"("3", "12")").fits(1));
  EXPECT_TRUE(with(make_etag(7)).fits(7));
}

TEST(EntityTag, WhatIsNotOursFitsNothing) {
  for (const char* tag :
       {"", "7", "\"", "\"\"", "\"07\"", "\"+7\"", "\"7 \"", "W/\"7\"", "\"0\"", "\"-7\"", "\"7", "\"99999999999999999999\""}) {
    EXPECT_TRUE(with(tag).is_given()) << tag;
    EXPECT_FALSE(with(tag).fits(7)) << tag;
    EXPECT_TRUE(with(tag).versions().empty()) << tag;
  }
}

}  // namespace
}  // namespace loquat::http
