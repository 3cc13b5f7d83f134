#include "messenger/json_scan.h"

#include <gtest/gtest.h>

#include <string>

#include "core/json.h"

namespace loquat::messenger::scan {
namespace {

TEST(JsonScan, takes_what_the_grammar_takes) {
  for (const char* text :
       {"{}", " { } ", R"({"a":1})", R"({"a":[],"b":{}})", R"({"a":[1,-0,0.5,1e9,1E+2,2e-3,true,false,null,"x\"\\\/\b\f\n\r\té"]})",
        "{\"a\" : [ 1 , { \"b\" : [ ] } ] }\r\n"}) {
    EXPECT_TRUE(is_object(text)) << text;
    json::value value;
    JsonError error;
    EXPECT_TRUE(try_parse_json(text, value, error)) << text;
  }
}

TEST(JsonScan, refuses_what_is_no_object) {
  for (const char* text : {"",
                           " ",
                           "[]",
                           "null",
                           "1",
                           "\"a\"",
                           "{",
                           "}",
                           "{]",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{\"a\":1,}",
                           "{\"a\":1 \"b\":2}",
                           "{a:1}",
                           "{\"a\":01}",
                           "{\"a\":1.}",
                           "{\"a\":.5}",
                           "{\"a\":+1}",
                           "{\"a\":1e}",
                           "{\"a\":--1}",
                           "{\"a\":tru}",
                           "{\"a\":[1,]}",
                           "{\"a\":[,1]}",
                           "{\"a\":[1 2]}",
                           "{\"a\":\"\\x\"}",
                           "{\"a\":\"\\u12g4\"}",
                           "{\"a\":\"\n\"}",
                           "{\"a\":\"b}",
                           "{} {}",
                           "{}x",
                           "{\"a\":[}]"}) {
    EXPECT_FALSE(is_object(text)) << text;
  }
}

TEST(JsonScan, depth_does_not_matter) {
  const std::size_t depth = 500'000;
  const std::string deep = "{\"a\":" + std::string(depth, '[') + std::string(depth, ']') + "}";
  EXPECT_TRUE(is_object(deep));
  EXPECT_FALSE(is_object(deep.substr(0, deep.size() - 2) + "}"));
}

TEST(JsonScan, gives_members_and_elements) {
  const auto found = members(R"( {"a" : 1 , "b":[ {"x":"]"}, 2 ],"c":"d"} )");
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].first, "a");
  EXPECT_EQ(found[0].second, "1");
  EXPECT_EQ(found[1].first, "b");
  EXPECT_EQ(found[2].second, "\"d\"");
  const auto items = elements(found[1].second);
  ASSERT_EQ(items.size(), 2U);
  EXPECT_EQ(items[0], R"({"x":"]"})");
  EXPECT_EQ(items[1], "2");
  EXPECT_TRUE(elements("{}").empty());
  EXPECT_TRUE(elements("[ ]").empty());
  EXPECT_TRUE(members("[]").empty());
  EXPECT_TRUE(members("{ }").empty());
}

}  // namespace
}  // namespace loquat::messenger::scan
