#include "integrations/integration.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "integrations/body.h"

namespace loquat::integrations {
namespace {

/// The example table of RFC 7396, appendix A.
TEST(MergePatch, DoesWhatTheRfcSays) {
  constexpr std::array<std::array<const char*, 3>, 15> cases = {{
      {R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
      {R"({"a":"b"})", R"({"a":null})", R"({})"},
      {R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
      {R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"c"})", R"({"a":["b"]})", R"({"a":["b"]})"},
      {R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
      {R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
      {R"(["a","b"])", R"(["c","d"])", R"(["c","d"])"},
      {R"({"a":"b"})", R"(["c"])", R"(["c"])"},
      {R"({"a":"foo"})", R"(null)", R"(null)"},
      {R"({"a":"foo"})", R"("bar")", R"("bar")"},
      {R"({"e":null})", R"({"a":1})", R"({"e":null,"a":1})"},
      {R"([1,2])", R"({"a":"b","c":null})", R"({"a":"b"})"},
      {R"({})", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"},
  }};
  for (const auto& [target, patch, expected] : cases) {
    EXPECT_EQ(to_json(merge_patch(parse_json(target), parse_json(patch))), expected) << target << " + " << patch;
  }
}

TEST(MergePatch, KeepsTheOrderOfMembers) {
  EXPECT_EQ(to_json(merge_patch(parse_json(R"({"a":1,"b":2,"c":3,"d":4})"), parse_json(R"({"b":null,"c":9})"))), R"({"a":1,"c":9,"d":4})");
}

TEST(Depth, CountsLevels) {
  EXPECT_EQ(depth_of(parse_json("1")), 0U);
  EXPECT_EQ(depth_of(parse_json("{}")), 1U);
  EXPECT_EQ(depth_of(parse_json(R"({"a":[{"b":1}],"c":2})")), 3U);
}

constexpr std::string_view json_type = "application/json";
constexpr std::string_view merge_type = "application/merge-patch+json; charset=utf-8";

json::value issues_of(std::string_view text, Integration (*read)(std::string_view, std::string_view) = read_new) {
  try {
    std::ignore = read(text, json_type);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::invalid);
    return parse_json(error.issues());
  }
  ADD_FAILURE() << text << " was taken";
  return nullptr;
}

TEST(Body, NewOnesHaveDefaultsAndDropWhatTheyDoNotKnow) {
  const auto made = read_new(R"({"id":"a","name":"n","description":"","extra":1,"version":7})", json_type);
  EXPECT_EQ(made.id, "a");
  EXPECT_FALSE(made.status);
  EXPECT_TRUE(made.settings.empty());
  EXPECT_EQ(made.version, 1);
  EXPECT_TRUE(read_new(R"({"id":"a","name":"n","description":"","settings":null,"status":"yes"})", "").status);
}

TEST(Body, IssuesAreThoseOfPydantic) {
  const auto missing = issues_of("{}").get_array();
  ASSERT_EQ(missing.size(), 3U);
  EXPECT_EQ(to_json(missing[0]), R"({"type":"missing","loc":["body","id"],"msg":"Field required","input":{}})");
  EXPECT_EQ(to_json(issues_of(R"({"id":"a","name":null,"description":"","status":null,"settings":[]})")),
            R"([{"type":"string_type","loc":["body","name"],"msg":"Input should be a valid string","input":null},)"
            R"({"type":"bool_type","loc":["body","status"],"msg":"Input should be a valid boolean","input":null},)"
            R"({"type":"dict_type","loc":["body","settings"],"msg":"Input should be a valid dictionary","input":[]}])");
  EXPECT_EQ(string_member(issues_of(R"({"id":"ensure-defaults","name":"","description":""})").get_array()[0], "type"), "value_error");
  EXPECT_EQ(string_member(issues_of(R"({"id":"","name":"","description":""})").get_array()[0], "type"), "string_too_short");
  EXPECT_EQ(string_member(issues_of(R"({"id":")" + std::string(256, 'x') + R"(","name":"","description":""})").get_array()[0], "type"),
            "string_too_long");
  EXPECT_EQ(string_member(issues_of(R"({"id":"a","name":"\u0000","description":""})").get_array()[0], "type"), "value_error");
  EXPECT_EQ(string_member(issues_of(R"({"id":"a","name":"","description":"","settings":{"secret":"••••••••"}})").get_array()[0], "type"),
            "value_error");
}

TEST(Body, SettingsMayBeNestedUpToALimit) {
  const auto nested = [](std::size_t levels) {
    std::string text = R"({"id":"a","name":"","description":"","settings":)";
    for (std::size_t i = 0; i + 1 < levels; ++i) text += R"({"a":)";
    text += "{}";
    for (std::size_t i = 0; i + 1 < levels; ++i) text += '}';
    return text + '}';
  };
  EXPECT_EQ(depth_of(json::value(read_new(nested(max_settings_depth), json_type).settings)), max_settings_depth);
  for (const std::size_t levels : {max_settings_depth + 1, std::size_t{127}, std::size_t{5'000}}) {
    EXPECT_EQ(issues_of(nested(levels)).get_array().size(), 1U) << levels;
  }
}

Integration stored() {
  return {"facebook", "F", "D", true, parse_json(R"({"verify":"v","secret":"s","nested":{"a":1,"b":2}})").get_object(), 3};
}

TEST(Body, AnUpdateSetsOnlyWhatWasSent) {
  auto integration = stored();
  read_patch(R"({"name":"G"})", json_type).apply(integration);
  EXPECT_EQ(integration.name, "G");
  EXPECT_EQ(integration.settings, stored().settings);
  read_patch("{}", json_type).apply(integration);
  EXPECT_EQ(integration.name, "G");
  read_patch(R"({"settings":null})", json_type).apply(integration);
  EXPECT_TRUE(integration.settings.empty());
  integration = stored();
  read_put(R"({"id":"new","name":"N","description":"E"})", json_type).apply(integration);
  EXPECT_EQ(integration.id, "new");
  EXPECT_TRUE(integration.status);
  EXPECT_EQ(integration.settings, stored().settings);
  EXPECT_THROW(std::ignore = read_put(R"({"id":"new","name":"N"})", json_type), Error);
  EXPECT_THROW(std::ignore = read_patch(R"({"name":null})", json_type), Error);
  EXPECT_THROW(std::ignore = read_patch("[]", json_type), Error);
}

TEST(Body, AMergePatchMergesSettings) {
  auto integration = stored();
  read_patch(R"({"settings":{"secret":"••••••••","nested":{"a":null,"c":[1]},"verify":"w"}})", merge_type).apply(integration);
  EXPECT_EQ(to_json(json::value(integration.settings)), R"({"verify":"w","secret":"s","nested":{"b":2,"c":[1]}})");
  read_patch(R"({"settings":{"x":1}})", json_type).apply(integration);
  EXPECT_EQ(to_json(json::value(integration.settings)), R"({"x":1})");
  EXPECT_THROW(std::ignore = read_patch(R"({"name":null})", merge_type), Error);
}

TEST(Defaults, AreThoseOfTheOldService) {
  ASSERT_EQ(defaults().size(), 2U);
  EXPECT_EQ(defaults()[0].id, "facebook");
  EXPECT_EQ(to_json(json::value(defaults()[0].settings)), R"({"verify":"ai-chatbot-framework","secret":"","page_access_token":""})");
  EXPECT_TRUE(defaults()[1].status);
}

}  // namespace
}  // namespace loquat::integrations
