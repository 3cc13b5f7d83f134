#include "bot/api_fixture.h"

namespace loquat::bot {
namespace {

class BotRunningApi : public BotApi {};

TEST_P(BotRunningApi, KeepsTrainingData) {
  const auto id = create("x");
  const auto target = "/admin/train/" + id + "/data";
  EXPECT_EQ(call(Method::get, target).body, "[]");
  const std::string data = R"([{"text":"a b","entities":[{"value":"b","begin":2,"end":3,"name":"n"}]},{"whatever":1.5}])";
  EXPECT_EQ(call(Method::post, target, data).body, success);
  EXPECT_EQ(call(Method::get, target).body, data);
  EXPECT_EQ(call(Method::post, target, "{}").body,
            R"({"detail":[{"type":"list_type","loc":["body"],"msg":"Input should be a valid list","input":{}}]})");
  EXPECT_EQ(call(Method::post, target, "[5]").body,
            R"({"detail":[{"type":"dict_type","loc":["body",0],"msg":"Input should be a valid dictionary","input":5}]})");
  for (const auto& absent : {std::string(24, '0'), std::string("x")}) {
    EXPECT_EQ(call(Method::get, "/admin/train/" + absent + "/data").body, R"({"detail":"Story not found"})");
    EXPECT_EQ(call(Method::post, "/admin/train/" + absent + "/data", "[]").status, 404U);
  }
}

TEST_P(BotRunningApi, BuildsInTheBackground) {
  create("x");
  auto status = call(Method::get, "/admin/nlu/status").json();
  EXPECT_EQ(status.at("version"), 1);
  EXPECT_EQ(status.at("intents"), 3);
  EXPECT_EQ(status.at("state"), "ready");
  const auto started = call(Method::post, "/admin/train/build_models", "{}");
  EXPECT_EQ(started.status, 200U);
  EXPECT_EQ(started.body, R"({"status":"training started in the background"})");
  EXPECT_EQ(built_intents_, 4U) << "the loop of the test runs until the build is through";
  status = call(Method::get, "/admin/nlu/status").json();
  EXPECT_EQ(status.at("version"), 2);
  EXPECT_EQ(status.at("state"), "ready");
  EXPECT_EQ(status.at("intents"), 4);
  EXPECT_EQ(status.at("progress"), 1.0);
  EXPECT_EQ(call(Method::post, "/admin/train/build_models").status, 200U) << "no body is fine";
}

TEST_P(BotRunningApi, ABuildThatFailsLeavesTheOldVersionAndSaysWhy) {
  refuse_build_ = "intent x: unexpected end of template";
  call(Method::post, "/admin/train/build_models", "{}");
  auto status = call(Method::get, "/admin/nlu/status").json();
  EXPECT_EQ(status.at("version"), 1);
  EXPECT_EQ(status.at("state"), "failed");
  EXPECT_EQ(string_member(status, "message"), refuse_build_);
  refuse_build_.clear();
  call(Method::post, "/admin/train/build_models", "{}");
  status = call(Method::get, "/admin/nlu/status").json();
  EXPECT_EQ(status.at("version"), 2);
  EXPECT_EQ(status.at("state"), "ready");
  EXPECT_EQ(status.at("message"), "");
}

TEST_P(BotRunningApi, ListsVersionsAndGoesBack) {
  create("x");
  call(Method::post, "/admin/train/build_models", "{}");
  auto versions = call(Method::get, "/admin/bots/default/versions").json().as_array();
  ASSERT_EQ(versions.size(), 2U);
  EXPECT_EQ(versions[0].at("version"), 2);
  EXPECT_TRUE(versions[0].at("active").as_bool());
  EXPECT_EQ(versions[0].at("built_by"), "admin");
  EXPECT_EQ(versions[1].at("built_by"), "start");
  EXPECT_EQ(call(Method::post, "/admin/bots/default/versions/1/activate").body, success);
  EXPECT_EQ(await(store_->active_version()), 1);
  EXPECT_EQ(call(Method::post, "/admin/bots/default/versions/9/activate").status, 404U);
  EXPECT_EQ(
      call(Method::post, "/admin/bots/default/versions/x/activate").body,
      R"({"detail":[{"type":"int_parsing","loc":["path","n"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":"x"}]})");
  EXPECT_EQ(call(Method::post, "/admin/bots/other/versions/1/activate").status, 404U);
  EXPECT_EQ(call(Method::get, "/admin/bots/other/versions").status, 404U);
}

TEST_P(BotRunningApi, ShowsChatLogs) {
  EXPECT_EQ(call(Method::get, "/admin/chatlogs/").body, R"({"total":0,"page":1,"limit":10,"conversations":[]})");
  append_turn("a", "one");
  append_turn("b", "two");
  append_turn("a", "three");
  const auto list = call(Method::get, "/admin/chatlogs/?page=1.0&limit=1").json();
  EXPECT_EQ(list.at("total"), 2);
  EXPECT_EQ(list.at("limit"), 1);
  ASSERT_EQ(list.at("conversations").as_array().size(), 1U);
  EXPECT_EQ(list.at("conversations").at(0).at("thread_id"), "a");
  EXPECT_THAT(std::string(string_member(list.at("conversations").at(0), "date")), ::testing::EndsWith("+00:00"));
  const auto turns = call(Method::get, "/admin/chatlogs/a").json().as_array();
  ASSERT_EQ(turns.size(), 2U);
  EXPECT_THAT(to_json(turns[0]),
              StartsWith(R"({"user_message":{"text":"one","context":{}},"bot_message":[{"text":"a"},{"text":"b"}],"date":")"));
  EXPECT_THAT(to_json(turns[1]), ::testing::EndsWith(R"(+00:00","context":{}})"));
  const auto none = call(Method::get, "/admin/chatlogs/none");
  EXPECT_EQ(none.status, 200U);
  EXPECT_EQ(none.body, R"({"error":"Conversation not found"})");
  EXPECT_EQ(call(Method::get, "/admin/chatlogs/?end_date=2001-01-01").json().at("total"), 0);
  EXPECT_EQ(call(Method::get, "/admin/chatlogs/?start_date=1000000000").json().at("total"), 2);
}

TEST_P(BotRunningApi, RefusesBadChatLogQueries) {
  for (const auto* query : {"page=0", "page=-1", "limit=0", "limit=1001", "page=x", "page=", "limit=2.5", "start_date=foo", "end_date="}) {
    EXPECT_EQ(call(Method::get, std::string("/admin/chatlogs/?") + query).status, 422U) << query;
  }
  EXPECT_EQ(
      call(Method::get, "/admin/chatlogs/?page=x").body,
      R"({"detail":[{"type":"int_parsing","loc":["query","page"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":"x"}]})");
  EXPECT_EQ(call(Method::get, "/admin/chatlogs/?page=0&page=1").status, 200U) << "of repeated ones the last";
  EXPECT_EQ(call(Method::get, "/admin/chatlogs/?page=9223372036854775807&limit=1000").json().at("page"), 9223372036854775807);
}

TEST_P(BotRunningApi, SearchesAndExportsTurns) {
  append_turn("a", "where is my Order", "order", 0.4);
  append_turn("b", "hello", "greet", 0.9);
  const auto found = call(Method::get, "/admin/chatlog-search?q=order&max_confidence=0.5").json();
  ASSERT_EQ(found.at("items").as_array().size(), 1U);
  EXPECT_TRUE(found.at("next").is_null());
  const auto& item = found.at("items").at(0);
  EXPECT_EQ(item.at("thread_id"), "a");
  EXPECT_EQ(item.at("version"), 1);
  EXPECT_EQ(item.at("intent"), "order");
  EXPECT_EQ(item.at("confidence"), 0.4);
  EXPECT_EQ(item.at("channel"), "rest");
  const auto first = call(Method::get, "/admin/chatlog-search?limit=1").json();
  ASSERT_TRUE(first.at("next").is_string());
  const auto second =
      call(Method::get, "/admin/chatlog-search?limit=1&before=" + std::string(as_view(first.at("next").as_string()))).json();
  EXPECT_EQ(second.at("items").at(0).at("thread_id"), "a");
  EXPECT_EQ(call(Method::get, "/admin/chatlog-search?min_confidence=x").status, 422U);
  EXPECT_EQ(call(Method::get, "/admin/chatlog-search?before=x").status, 422U);
  EXPECT_EQ(call(Method::get, "/admin/chatlog-search?q=&intent=&channel=&before=").json().at("items").as_array().size(), 2U);
  const auto exported = call(Method::get, "/admin/chatlog-export?intent=greet");
  EXPECT_EQ(exported.headers.get("Content-Type"), "application/x-ndjson");
  EXPECT_EQ(std::count(exported.body.begin(), exported.body.end(), '\n'), 1);
  EXPECT_EQ(string_member(parse_json(exported.body), "text"), "hello");
}

TEST_P(BotRunningApi, ErasesAConversation) {
  append_turn("a", "one");
  EXPECT_EQ(call(Method::delete_, "/admin/chatlogs/a").status, 204U);
  EXPECT_EQ(call(Method::delete_, "/admin/chatlogs/a").status, 204U);
  EXPECT_EQ(call(Method::get, "/admin/chatlogs/a").body, R"({"error":"Conversation not found"})");
}

TEST_P(BotRunningApi, MakesTrainingExamplesOfTurns) {
  const auto id = create("order");
  append_turn("a", "first");
  append_turn("a", "where is my parcel");
  const auto made = call(Method::post, "/admin/chatlogs/a/2/label", R"({"intent_id":"order"})");
  EXPECT_EQ(made.status, 200U);
  EXPECT_EQ(made.body, R"({"text":"where is my parcel","entities":[]})");
  EXPECT_EQ(call(Method::post, "/admin/chatlogs/a/1/label", R"({"intent_id":")" + id + R"("})").status, 200U);
  call(Method::post, "/admin/chatlogs/a/1/label", R"({"intent_id":"order"})");
  EXPECT_EQ(call(Method::get, "/admin/train/" + id + "/data").body,
            R"([{"text":"where is my parcel","entities":[]},{"text":"first","entities":[]}])");
  EXPECT_EQ(call(Method::post, "/admin/chatlogs/a/9/label", R"({"intent_id":"order"})").status, 404U);
  EXPECT_EQ(call(Method::post, "/admin/chatlogs/x/1/label", R"({"intent_id":"order"})").status, 404U);
  EXPECT_EQ(call(Method::post, "/admin/chatlogs/a/1/label", R"({"intent_id":"none"})").body, R"({"detail":"Intent not found"})");
  EXPECT_EQ(call(Method::post, "/admin/chatlogs/a/1/label", "{}").status, 422U);
  EXPECT_EQ(call(Method::post, "/admin/chatlogs/a/x/label", R"({"intent_id":"order"})").status, 422U);
}

TEST_P(BotRunningApi, ServesTheWidget) {
  const auto script = call(Method::get, "/static/widget/script.js");
  EXPECT_EQ(script.status, 200U);
  EXPECT_EQ(script.headers.get("Content-Type"), "text/javascript; charset=utf-8");
  EXPECT_EQ(script.headers.count("Content-Type"), 1U);
  EXPECT_THAT(script.body, HasSubstr("/bots/channels/rest/webbook"));
  EXPECT_THAT(script.body, Not(HasSubstr("innerHTML")));
  EXPECT_EQ(call(Method::get, "/static/widget/script.js", {}, {{"If-None-Match", std::string(script.headers.get("ETag"))}}).status, 304U);
}

TEST_P(BotRunningApi, IsDescribed) {
  const auto document = http::make_openapi(router_, "Loquat", "0", "");
  EXPECT_TRUE(document.at("paths").as_object().contains("/admin/intents/{id}"));
  EXPECT_TRUE(document.at("paths").as_object().contains("/admin/chatlogs/{thread_id}/{version}/label"));
}

INSTANTIATE_TEST_SUITE_P(Stores, BotRunningApi, ::testing::Values("memory", "sqlite", "postgres"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace loquat::bot
