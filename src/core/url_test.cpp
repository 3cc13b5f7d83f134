#include "core/url.h"

#include <gmock/gmock.h>

namespace {

namespace url = loquat::url;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(Url, PercentEncoding) {
  EXPECT_EQ(url::percent_encode("aZ09-._~"), "aZ09-._~");
  EXPECT_EQ(url::percent_encode("a b+c/d?e=f&g%h"), "a%20b%2Bc%2Fd%3Fe%3Df%26g%25h");
  EXPECT_EQ(url::percent_encode("é😀"), "%C3%A9%F0%9F%98%80");
  EXPECT_EQ(url::percent_encode(std::string_view("\0\xff", 2)), "%00%FF");
  EXPECT_EQ(url::percent_encode(""), "");
  EXPECT_EQ(url::encode_segment("."), "%2E");
  EXPECT_EQ(url::encode_segment(".."), "%2E%2E");
  EXPECT_EQ(url::encode_segment("../a"), "..%2Fa");
}

TEST(Url, PercentDecoding) {
  EXPECT_EQ(url::percent_decode("a%20b%2bc%2F"), "a b+c/");
  EXPECT_EQ(url::percent_decode("a+b"), "a+b");
  EXPECT_EQ(url::percent_decode("100%"), "100%");
  EXPECT_EQ(url::percent_decode("%4"), "%4");
  EXPECT_EQ(url::percent_decode("%zz%41"), "%zzA");
  EXPECT_EQ(url::percent_decode("%%41"), "%A");
  EXPECT_EQ(url::percent_decode("%00%ff"), std::string_view("\0\xff", 2));
}

TEST(Url, QueriesAreRead) {
  EXPECT_THAT(url::parse_query("a=1&b=x+y%20z&a=2"), ElementsAre(Pair("a", "1"), Pair("b", "x y z"), Pair("a", "2")));
  EXPECT_THAT(url::parse_query("a&b=&=c&d=e=f"), ElementsAre(Pair("a", ""), Pair("b", ""), Pair("", "c"), Pair("d", "e=f")));
  EXPECT_THAT(url::parse_query(""), IsEmpty());
  EXPECT_THAT(url::parse_query("&&"), IsEmpty());
  EXPECT_THAT(url::parse_query("a%26=%3D"), ElementsAre(Pair("a&", "=")));
  EXPECT_THAT(url::parse_query("a=%ff%C3%A9"), ElementsAre(Pair("a", "\uFFFDé")));
}

TEST(Url, QueriesAreBuilt) {
  EXPECT_EQ(url::build_query({{"a", "1"}, {"b c", "x&y"}, {"", "é"}}), "a=1&b%20c=x%26y&=%C3%A9");
  EXPECT_EQ(url::build_query({}), "");
  const url::Pairs pairs{{"hub.mode", "a+b %"}, {"x", ""}};
  EXPECT_EQ(url::parse_query(url::build_query(pairs)), pairs);
}

}  // namespace
