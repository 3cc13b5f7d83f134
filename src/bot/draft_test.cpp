#include "bot/draft.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bot/chatlog.h"
#include "bot/secrets.h"
#include "core/error.h"

namespace loquat::bot {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Draft import(Draft draft, std::string_view text) { return merge(draft, apply_export(draft, parse_export_file(text, {}), {})); }

constexpr std::string_view with_headers =
    R"({"intents":[{"name":"s","intentId":"s","speechResponse":"\u00e9","parameters":[{"name":"p","id":null}],
  "apiDetails":{"url":"u","requestType":"GET","headers":[{"headerKey":"Authorization","headerValue":"one"},
  {"headerKey":"X-Plain","headerValue":"plain"},{"headerKey":"authorization","headerValue":"two"},{"headerKey":"X-Api-Key","headerValue":""},
  {"other":"x"}]}}]})";

TEST(MakeExport, IsWhatTheOldBackendWrote) {
  const auto draft = import({}, with_headers);
  EXPECT_EQ(
      to_json(json::value(make_export(draft, true)), {.ascii = true, .spaced = true}),
      R"({"intents": [{"name": "s", "userDefined": true, "intentId": "s", "apiTrigger": false, "apiDetails": {"url": "u", "requestType": "GET", )"
      R"("headers": [{"headerKey": "Authorization", "headerValue": "one"}, {"headerKey": "X-Plain", "headerValue": "plain"}, )"
      R"({"headerKey": "authorization", "headerValue": "two"}, {"headerKey": "X-Api-Key", "headerValue": ""}, {"other": "x"}], )"
      R"("isJson": false, "jsonData": "{}"}, "speechResponse": "\u00e9", )"
      R"("parameters": [{"name": "p", "required": false, "type": null, "prompt": null}], "labeledSentences": [], "trainingData": []}], "entities": []})");
}

TEST(MakeExport, MasksSecrets) {
  const auto text = to_json(json::value(make_export(import({}, with_headers), false)));
  EXPECT_THAT(text, Not(HasSubstr("\"one\"")));
  EXPECT_THAT(text, Not(HasSubstr("\"two\"")));
  EXPECT_THAT(text, HasSubstr("plain"));
  EXPECT_THAT(text, HasSubstr(R"({"headerKey":"X-Api-Key","headerValue":""})"));
}

TEST(Import, OfAMaskedExportKeepsTheSecretsThatAreHere) {
  const auto draft = import({}, with_headers);
  const auto masked = to_json(json::value(make_export(draft, false)));
  const auto again = import(draft, masked);
  EXPECT_EQ(again.intents[0].body, draft.intents[0].body);
  const auto elsewhere = import({}, masked);
  EXPECT_EQ(elsewhere.intents[0].body.at("apiDetails").at("headers").at(0).at("headerValue"), "");
  EXPECT_EQ(elsewhere.intents[0].body.at("apiDetails").at("headers").at(1).at("headerValue"), "plain");
}

std::vector<schema::Issue> restore(json::object& body, const json::object* previous) {
  schema::Issues issues;
  restore_secrets(body, previous, LostSecret::refuse, {"body"}, issues);
  return issues.all();
}

json::object with_header(std::string_view name, std::string_view value) {
  return parse_json(R"({"apiDetails":{"headers":[{"headerKey":")" + std::string(name) + R"(","headerValue":")" + std::string(value) +
                    R"("}]}})")
      .as_object();
}
std::string header_of(const json::object& body) { return body.at("apiDetails").at("headers").at(0).at("headerValue").as_string().c_str(); }

TEST(RestoreSecrets, PutsTheStoredValueWhereTheMaskCameBack) {
  const std::string mask = "\u2022\u2022\u2022\u2022\u2022\u2022\u2022\u2022";
  const auto stored = with_header("Authorization", "old");
  auto body = with_header("AUTHORIZATION", mask);
  EXPECT_TRUE(restore(body, &stored).empty());
  EXPECT_EQ(header_of(body), "old");

  body = with_header("Authorization", "new");
  EXPECT_TRUE(restore(body, &stored).empty());
  EXPECT_EQ(header_of(body), "new");
  body = with_header("Authorization", "");
  EXPECT_TRUE(restore(body, &stored).empty());
  EXPECT_EQ(header_of(body), "");

  for (const auto& value : {mask + "x", std::string("\u2022"), mask.substr(3), std::string("enc:v1:00000000:aaaa")}) {
    body = with_header("Authorization", value);
    const auto issues = restore(body, &stored);
    ASSERT_EQ(issues.size(), 1U) << value;
    EXPECT_EQ(to_json(json::value(issues[0].loc)), R"(["body","apiDetails","headers",0,"headerValue"])");
  }
  body = with_header("X-Token", mask);
  EXPECT_EQ(restore(body, &stored).size(), 1U) << "nothing is stored under that name";
  EXPECT_EQ(restore(body, nullptr).size(), 1U);
  body = with_header("X-Plain", "a \u2022 b");
  EXPECT_TRUE(restore(body, &stored).empty()) << "no secret";
}

TEST(RestoreConfigSecrets, FollowsTheSameRules) {
  const std::string mask = "\u2022\u2022\u2022\u2022\u2022\u2022\u2022\u2022";
  const auto run = [](json::object stored, std::string_view key) -> std::string {
    json::object next{{"llm_settings", json::object{{"api_key", json::string(key)}}}};
    schema::Issues issues;
    restore_config_secrets(next, stored, {"body"}, issues);
    if (!issues.empty()) return to_json(json::value(issues.all()[0].loc));
    return next.at("llm_settings").at("api_key").as_string().c_str();
  };
  const json::object stored{{"llm_settings", json::object{{"api_key", "sk-1"}}}};
  EXPECT_EQ(run(stored, mask), "sk-1");
  EXPECT_EQ(run({}, mask), "ollama") << "GET shows the default masked";
  EXPECT_EQ(run(stored, "sk-2"), "sk-2");
  EXPECT_EQ(run(stored, ""), "");
  EXPECT_EQ(run(stored, mask + "2"), R"(["body","llm_settings","api_key"])");
  EXPECT_EQ(run(stored, "enc:v1:00000000:a"), R"(["body","llm_settings","api_key"])");
}

state::State make_turn(std::string_view text) {
  state::State state;
  state.conversation = {"rest", "", "t"};
  state.version = 3;
  state.user_message =
      json::object{{"thread_id", "t"}, {"text", json::string(text)}, {"channel", "rest"}, {"context", json::object{{"a", 1}}}};
  state.bot_message = parse_json(R"([{"text":"x","quick_replies":[]},{"attachment":{}}])");
  state.nlu = parse_json(R"({"entities":{"city":"Köln","size":["big","missing"]},"intent":{"intent":"order","confidence":0.5}})");
  state.context = json::object{{"b", 2}};
  state.date = Time(std::chrono::microseconds(1'700'000'000'123'000));
  return state;
}

TEST(ChatLog, ShowsATurnAsTheOldOneDid) {
  EXPECT_EQ(to_json(json::value(make_chatlog_turn(make_turn("hi")))),
            R"({"user_message":{"text":"hi","context":{"a":1}},"bot_message":[{"text":"x"},{"text":""}],)"
            R"("date":"2023-11-14T22:13:20.123000+00:00","context":{"b":2}})");
  state::State empty;
  empty.date = Time();
  EXPECT_EQ(to_json(json::value(make_chatlog_turn(empty))),
            R"({"user_message":{"text":"","context":{}},"bot_message":[],"date":"1970-01-01T00:00:00+00:00","context":{}})");
}

TEST(ChatLog, MakesAnExampleWithTheEntitiesThatStandInTheText) {
  const auto example = make_training_example(make_turn("ein Big in Cologne"), {{"", "city", {{"Köln", {"Colonia", "cologne"}}}}});
  ASSERT_TRUE(example.has_value());
  EXPECT_EQ(
      to_json(json::value(*example)),
      R"({"text":"ein Big in Cologne","entities":[{"value":"Cologne","begin":11,"end":18,"name":"city"},{"value":"Big","begin":4,"end":7,"name":"size"}]})");
  EXPECT_FALSE(make_training_example(make_turn("  "), {}).has_value());
  json::object intent{{"trainingData", json::array()}};
  add_example(intent, *example);
  add_example(intent, *example);
  EXPECT_EQ(intent.at("trainingData").as_array().size(), 1U);
}

TEST(ChatLog, SearchItemsHaveTheInterpretersIntent) {
  EXPECT_EQ(
      to_json(json::value(make_search_item(make_turn("hi")))),
      R"({"thread_id":"t","version":3,"date":"2023-11-14T22:13:20.123000+00:00","text":"hi","intent":"order","confidence":0.5,"channel":"rest"})");
}

}  // namespace
}  // namespace loquat::bot
