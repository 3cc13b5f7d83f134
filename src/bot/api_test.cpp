#include "bot/api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <map>

#include "bot/memory_store.h"
#include "bot/schema.h"
#include "bot/sql_store.h"
#include "core/error.h"
#include "core/url.h"
#include "db/migrate.h"
#include "http/errors.h"
#include "state/memory_store.h"
#include "testing/await.h"
#include "testing/postgres.h"
#include "testing/temporary.h"

namespace loquat::bot {
namespace {

using loquat::testing::await;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using http::Method;

constexpr std::string_view mask = "\u2022\u2022\u2022\u2022\u2022\u2022\u2022\u2022";
constexpr std::string_view success = R"({"status":"success"})";

struct Answer {
  unsigned status = 0;
  http::Headers headers;
  std::string body;

  [[nodiscard]] json::value json() const { return parse_json(body); }
};

class Collector final : public http::StreamWriter {
 public:
  asio::awaitable<void> write(std::string_view bytes) override {
    text.append(bytes);
    co_return;
  }
  std::string text;
};

/// Calls the routes as the server does, without a socket.
class BotApi : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "memory") {
      auto made = std::make_shared<MemoryStore>();
      connect(made, *made, *made);
    } else {
      std::string url = directory_.sqlite_url();
      if (GetParam() == "postgres") {
        LOQUAT_NEED_POSTGRES(made);
        url = made;
      }
      database_ = db::Database::open({.url = url});
      db::migrate(*database_, migrations());
      auto made = std::make_shared<SqlStore>(*database_, std::make_shared<const crypto::Keyring>());
      connect(made, *made, *made);
    }
    await(store_->ensure_default());
  }
  void TearDown() override {
    if (database_) database_->close();
  }

  template <class Made>
  void connect(std::shared_ptr<Made> owner, Store& store, AdminStore& admin) {
    owner_ = std::move(owner);
    store_ = &store;
    admin_ = &admin;
    states_ = state::make_memory_store();
    builder_ = std::make_unique<Builder>(store, admin, tasks_, [this](const Definition& definition) {
      if (!refuse_build_.empty()) throw Error(Code::invalid, refuse_build_);
      built_intents_ = definition.intents.size();
    });
    add_public_routes(router_);
    add_document_routes(router_, admin);
    add_bot_routes(router_, store, admin, *builder_, 1U << 20U);
    add_train_routes(router_, store, admin, *builder_, 1U << 20U);
    add_chatlog_routes(router_, *states_, admin);
  }

  Answer call(Method method, std::string_view target, std::string_view body = {}, std::map<std::string, std::string> headers = {}) {
    http::Request request;
    request.method = method;
    request.target = target;
    const auto question = target.find('?');
    request.path = target.substr(0, question);
    if (question != std::string_view::npos) request.query = url::parse_query(target.substr(question + 1));
    for (auto& [name, value] : headers) request.headers.add(name, value);
    if (!body.empty() && !request.headers.find("Content-Type")) request.headers.add("Content-Type", "application/json");
    request.body = body;
    request.request_id = "r1";
    request.principal = {service_ ? "service" : "admin", service_};
    const auto match = router_.match(method, request.path);
    if (match.route == nullptr) return {match.allowed.empty() ? 404U : 405U, {}, {}};
    request.path_parameters = match.path_parameters;
    return run(*match.route, request);
  }

  Answer run(const http::Router::Route& route, http::Request& request) {
    http::Response response;
    try {
      response = await(route.handler(request));
      if (response.stream) {
        Collector collector;
        await(response.stream(collector));
        response.body = collector.text;
      }
    } catch (...) {
      response = http::make_error(std::current_exception(), request.request_id);
    }
    return {response.status, response.headers, response.body};
  }

  std::string create(std::string_view name, std::string_view more = {}) {
    const auto answer = call(Method::post, "/admin/intents/",
                             R"({"name":")" + std::string(name) + R"(","intentId":")" + std::string(name) + R"(","speechResponse":"r")" +
                                 std::string(more) + "}");
    EXPECT_EQ(answer.status, 200U) << answer.body;
    return std::string(string_member(answer.json(), "id"));
  }

  Answer import(std::string_view file, std::string_view bot = "default") {
    return call(Method::post, "/admin/bots/" + std::string(bot) + "/import",
                "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"bot.json\"\r\n\r\n" + std::string(file) + "\r\n--b--\r\n",
                {{"Content-Type", "multipart/form-data; boundary=b"}});
  }

  void append_turn(std::string thread, std::string_view text, std::string_view intent = "order", double confidence = 0.5) {
    state::State state;
    state.conversation = {"rest", "", std::move(thread)};
    const auto latest = await(states_->find_latest(state.conversation));
    state.version = latest ? latest->version + 1 : 1;
    state.user_message = json::object{{"thread_id", state.conversation.thread_id}, {"text", json::string(text)}, {"channel", "rest"},
                                      {"context", json::object()}};
    state.bot_message = parse_json(R"([{"text":"a"},{"text":"b"}])");
    state.nlu = json::object{{"entities", json::object()}, {"intent", json::object{{"intent", json::string(intent)}, {"confidence", confidence}}}};
    state.intent = json::object{{"id", json::string(intent)}};
    await(states_->append(state, std::nullopt));
  }

  loquat::testing::TemporaryDirectory directory_;
  std::unique_ptr<db::Database> database_;
  std::shared_ptr<void> owner_;
  Store* store_ = nullptr;
  AdminStore* admin_ = nullptr;
  std::unique_ptr<state::Store> states_;
  async::TaskGroup tasks_;
  std::unique_ptr<Builder> builder_;
  std::string refuse_build_;
  std::size_t built_intents_ = 0;
  bool service_ = false;
  http::Router router_;
};

TEST_P(BotApi, Welcomes) {
  const auto answer = call(Method::get, "/");
  EXPECT_EQ(answer.status, 200U);
  EXPECT_EQ(answer.body, R"({"message":"Welcome to AI Chatbot Framework API"})");
}

TEST_P(BotApi, CreatesAnIntentAndShowsItWhole) {
  const auto made = call(Method::post, "/admin/intents", R"({"name":"n","intentId":"i","speechResponse":"s","id":"ignored","unknown":1,
    "parameters":[{"name":"p"},{"name":"q","id":"5ADD0DC94AE5357959AD5F1D","required":"yes","type":"free_text","prompt":"?"}],
    "labeledSentences":[{"data":["x"]}],"trainingData":[{"text":"t","entities":[],"more":[1.0,null]}]})");
  ASSERT_EQ(made.status, 200U) << made.body;
  const auto shown = made.json();
  const auto text_at = [](const json::value& value) { return std::string(as_view(value.at("id").as_string())); };
  EXPECT_EQ(made.body, R"({"id":")" + text_at(shown) +
                           R"(","name":"n","userDefined":true,"intentId":"i","apiTrigger":false,"apiDetails":null,"speechResponse":"s",)"
                           R"("parameters":[{"id":")" +
                           text_at(shown.at("parameters").at(0)) +
                           R"(","name":"p","required":false,"type":null,"prompt":null},)"
                           R"({"id":"5add0dc94ae5357959ad5f1d","name":"q","required":true,"type":"free_text","prompt":"?"}],)"
                           R"("labeledSentences":[{"id":")" +
                           text_at(shown.at("labeledSentences").at(0)) +
                           R"(","data":["x"]}],"trainingData":[{"text":"t","entities":[],"more":[1.0,null]}]})");
  EXPECT_EQ(text_at(shown.at("parameters").at(0)).size(), 24U);
  const auto id = std::string(string_member(made.json(), "id"));
  EXPECT_EQ(id.size(), 24U);
  const auto got = call(Method::get, "/admin/intents/" + id);
  EXPECT_EQ(got.status, 200U);
  EXPECT_EQ(got.body, made.body);
  EXPECT_EQ(got.headers.get("ETag"), "\"1\"");
  EXPECT_EQ(call(Method::get, "/admin/intents/" + id + "/").body, made.body);
  const auto all = call(Method::get, "/admin/intents/").json().as_array();
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(to_json(all[3]), made.body);
  EXPECT_EQ(string_member(all[0], "intentId"), "fallback");
}

struct BadBody {
  std::string body;
  std::string answer;
};

TEST_P(BotApi, RefusesBodiesAsFastApiDoes) {
  const std::vector<BadBody> table{
      {"{}",
       R"({"detail":[{"type":"missing","loc":["body","name"],"msg":"Field required","input":{}},{"type":"missing","loc":["body","intentId"],"msg":"Field required","input":{}},{"type":"missing","loc":["body","speechResponse"],"msg":"Field required","input":{}}]})"},
      {"[]",
       R"({"detail":[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":[]}]})"},
      {R"({"name":"a","intentId":"a","speechResponse":null})",
       R"({"detail":[{"type":"string_type","loc":["body","speechResponse"],"msg":"Input should be a valid string","input":null}]})"},
      {R"({"name":"a","intentId":"a","speechResponse":"","parameters":[{"id":"zz","name":"p"}]})",
       R"({"detail":[{"type":"value_error","loc":["body","parameters",0,"id"],"msg":"Value error, an id has 24 hexadecimal digits","input":"zz","ctx":{"error":{}}}]})"},
      {R"({"name":"a","intentId":"a","speechResponse":"","_id":"zz"})",
       R"({"detail":[{"type":"value_error","loc":["body","_id"],"msg":"Value error, an id has 24 hexadecimal digits","input":"zz","ctx":{"error":{}}}]})"},
      {R"({"name":"a","intentId":"a","speechResponse":"","apiDetails":{"url":"u","requestType":"GET","headers":[{"a":1},5]},"trainingData":[5]})",
       R"({"detail":[{"type":"string_type","loc":["body","apiDetails","headers",0,"a"],"msg":"Input should be a valid string","input":1},{"type":"dict_type","loc":["body","apiDetails","headers",1],"msg":"Input should be a valid dictionary","input":5},{"type":"dict_type","loc":["body","trainingData",0],"msg":"Input should be a valid dictionary","input":5}]})"},
      {"{bad", R"({"detail":[{"type":"json_invalid","loc":["body",1],"msg":"JSON decode error","input":{},"ctx":{"error":"Expecting property name enclosed in double quotes"}}]})"},
  };
  const auto id = create("x");
  for (const auto& item : table) {
    for (const auto& [method, target] : {std::pair{Method::post, std::string("/admin/intents/")}, std::pair{Method::put, "/admin/intents/" + id},
                                         std::pair{Method::put, "/admin/intents/" + std::string(24, '0')}}) {
      const auto answer = call(method, target, item.body);
      EXPECT_EQ(answer.status, 422U) << item.body;
      EXPECT_EQ(answer.body, item.answer);
    }
  }
  EXPECT_EQ(call(Method::post, "/admin/intents/").body,
            R"({"detail":[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]})");
  EXPECT_EQ(call(Method::post, "/admin/intents/", R"({"name":"a"})", {{"Content-Type", "text/plain"}}).status, 422U);
  EXPECT_EQ(call(Method::post, "/admin/intents/", "\xFF").status, 400U);
  EXPECT_EQ(call(Method::post, "/admin/entities/", R"({"entity_values":[{"synonyms":[1]}]})").body,
            R"({"detail":[{"type":"missing","loc":["body","name"],"msg":"Field required","input":{"entity_values":[{"synonyms":[1]}]}},)"
            R"({"type":"missing","loc":["body","entity_values",0,"value"],"msg":"Field required","input":{"synonyms":[1]}},)"
            R"({"type":"string_type","loc":["body","entity_values",0,"synonyms",0],"msg":"Input should be a valid string","input":1}]})");
}

TEST_P(BotApi, PutReplacesAllButWhatWouldBeLost) {
  const auto id = create("x", R"(,"trainingData":[{"text":"t"}],"parameters":[{"name":"p"}],"labeledSentences":[{"data":[]}],"userDefined":false)");
  const auto before = call(Method::get, "/admin/intents/" + id).json();
  const auto put = call(Method::put, "/admin/intents/" + id, R"({"name":"y","intentId":"y","speechResponse":"z","parameters":[{"name":"n"},{"name":"p"}]})");
  EXPECT_EQ(put.status, 200U);
  EXPECT_EQ(put.body, success);
  EXPECT_EQ(put.headers.get("ETag"), "\"2\"");
  const auto after = call(Method::get, "/admin/intents/" + id).json();
  EXPECT_EQ(to_json(after.at("trainingData")), R"([{"text":"t"}])") << "left out: kept";
  EXPECT_EQ(after.at("parameters").at(1).at("id"), before.at("parameters").at(0).at("id")) << "parameters keep their ids";
  EXPECT_NE(after.at("parameters").at(0).at("id"), after.at("parameters").at(1).at("id"));
  EXPECT_EQ(to_json(after.at("labeledSentences")), "[]");
  EXPECT_TRUE(after.at("userDefined").as_bool());
  EXPECT_EQ(after.at("name"), "y");
  call(Method::put, "/admin/intents/" + id, R"({"name":"y","intentId":"y","speechResponse":"z","trainingData":[]})");
  EXPECT_EQ(to_json(call(Method::get, "/admin/intents/" + id).json().at("trainingData")), "[]");
}

TEST_P(BotApi, AnswersForWhatIsNotThere) {
  const std::string absent(24, '0');
  for (const std::string kind : {"intents", "entities"}) {
    const std::string detail = kind == "intents" ? R"({"detail":"Intent not found"})" : R"({"detail":"Entity not found"})";
    const std::string body = R"({"name":"a","intentId":"a","speechResponse":""})";
    for (const auto& id : {absent, std::string("nonsense")}) {
      const auto got = call(Method::get, "/admin/" + kind + "/" + id);
      EXPECT_EQ(got.status, 404U);
      EXPECT_EQ(got.body, detail);
      EXPECT_EQ(call(Method::put, "/admin/" + kind + "/" + id, body).status, 404U);
    }
    EXPECT_EQ(call(Method::delete_, "/admin/" + kind + "/" + absent).body, success);
    EXPECT_EQ(call(Method::delete_, "/admin/" + kind + "/nonsense").status, 404U);
  }
  EXPECT_EQ(call(Method::patch, "/admin/intents/").status, 405U);
  EXPECT_EQ(call(Method::get, "/admin/train/build_models").status, 405U);
}

TEST_P(BotApi, KeepsEntities) {
  const auto made = call(Method::post, "/admin/entities/", R"({"name":"city","entity_values":[{"value":"Köln","synonyms":["Cologne"]},{"value":"x"}]})");
  ASSERT_EQ(made.status, 200U);
  const auto id = std::string(string_member(made.json(), "id"));
  EXPECT_EQ(made.body, R"({"id":")" + id + R"(","name":"city","entity_values":[{"value":"Köln","synonyms":["Cologne"]},{"value":"x","synonyms":[]}]})");
  EXPECT_EQ(call(Method::get, "/admin/entities/").body, "[" + made.body + "]");
  EXPECT_EQ(call(Method::put, "/admin/entities/" + id, R"({"name":"town"})").body, success);
  EXPECT_EQ(call(Method::get, "/admin/entities/" + id).body, R"({"id":")" + id + R"(","name":"town","entity_values":[]})");
  EXPECT_EQ(call(Method::delete_, "/admin/entities/" + id).body, success);
  EXPECT_EQ(call(Method::get, "/admin/entities/").body, "[]");
}

TEST_P(BotApi, GuardsWithEtags) {
  const auto id = create("x");
  const std::string body = R"({"name":"y","intentId":"y","speechResponse":"z"})";
  const auto put = [&](const std::string& tag) { return call(Method::put, "/admin/intents/" + id, body, {{"If-Match", tag}}); };
  EXPECT_EQ(put("\"2\"").status, 412U);
  EXPECT_EQ(put("W/\"1\"").status, 412U);
  EXPECT_EQ(put("nonsense").status, 412U);
  EXPECT_EQ(put("\"1\"").headers.get("ETag"), "\"2\"");
  EXPECT_EQ(put("\"1\"").status, 412U);
  EXPECT_EQ(put("\"7\", \"2\"").status, 200U);
  EXPECT_EQ(put("*").status, 200U);
  EXPECT_EQ(call(Method::delete_, "/admin/intents/" + id, {}, {{"If-Match", "\"1\""}}).status, 412U);
  EXPECT_EQ(call(Method::post, "/admin/train/" + id + "/data", "[]", {{"If-Match", "\"1\""}}).status, 412U);
  EXPECT_EQ(call(Method::post, "/admin/train/" + id + "/data", "[]", {{"If-Match", "\"4\""}}).headers.get("ETag"), "\"5\"");
  EXPECT_EQ(call(Method::delete_, "/admin/intents/" + id, {}, {{"If-Match", "\"5\""}}).status, 200U);
  EXPECT_EQ(call(Method::put, "/admin/bots/default/config", "{}", {{"If-Match", "\"9\""}}).status, 412U);
  EXPECT_EQ(call(Method::put, "/admin/bots/default/config", "{}", {{"If-Match", "\"1\""}}).headers.get("ETag"), "\"2\"");
}

TEST_P(BotApi, MasksSecretHeaders) {
  const std::string details = R"("apiDetails":{"url":"u","requestType":"GET","headers":[{"headerKey":"Authorization","headerValue":"HERE"}]})";
  const auto with = [&](std::string_view value) {
    auto text = details;
    return text.replace(text.find("HERE"), 4, value);
  };
  const auto id = create("x", "," + with("Bearer top"));
  const auto target = "/admin/intents/" + id;
  EXPECT_THAT(call(Method::get, target).body, HasSubstr("\"headerValue\":\"" + std::string(mask) + "\""));
  EXPECT_THAT(call(Method::get, "/admin/intents/").body, Not(HasSubstr("Bearer top")));
  EXPECT_THAT(call(Method::get, "/admin/bots/default/export").body, Not(HasSubstr("Bearer top")));
  EXPECT_THAT(call(Method::get, "/admin/bots/default/export?secrets=true").body, HasSubstr("Bearer top"));
  service_ = true;
  EXPECT_THAT(call(Method::get, target).body, HasSubstr("Bearer top"));
  service_ = false;
  const auto put = [&](std::string_view value) {
    return call(Method::put, target, R"({"name":"x","intentId":"x","speechResponse":"new",)" + with(value) + "}");
  };
  const auto stored = [&] {
    return std::string(as_view(await(admin_->find(Kind::intent, id))->body.at("apiDetails").at("headers").at(0).at("headerValue").as_string()));
  };
  EXPECT_EQ(put(mask).body, success);
  EXPECT_EQ(stored(), "Bearer top");
  EXPECT_EQ(put(std::string(mask) + "x").status, 422U);
  EXPECT_EQ(stored(), "Bearer top");
  EXPECT_EQ(put("Bearer next").status, 200U);
  EXPECT_EQ(stored(), "Bearer next");
  EXPECT_EQ(put("").status, 200U);
  EXPECT_EQ(stored(), "");
  EXPECT_EQ(call(Method::post, "/admin/intents/", R"({"name":"m","intentId":"m","speechResponse":"",)" + with(mask) + "}").status, 422U);
}

TEST_P(BotApi, ReadsAndReplacesTheConfig) {
  const auto got = call(Method::get, "/admin/bots/default/config");
  EXPECT_EQ(got.body,
            R"({"pipeline_type":"traditional","traditional_settings":{"intent_detection_threshold":0.75,"entity_detection_threshold":0.65,"use_spacy":true},)"
            R"("llm_settings":{"base_url":"http://127.0.0.1:11434/v1","api_key":")" +
                std::string(mask) + R"(","model_name":"llama2:13b-chat","max_tokens":4096,"temperature":0.7}})");
  EXPECT_EQ(got.headers.get("ETag"), "\"1\"");
  const auto put = [&](std::string_view body) { return call(Method::put, "/admin/bots/default/config", body); };
  EXPECT_EQ(put(R"({"pipeline_type":"llm","llm_settings":{"api_key":"sk-1","max_tokens":"7"},"traditional_settings":{"intent_detection_threshold":1}})").body,
            R"({"message":"Config updated successfully"})");
  const auto after = call(Method::get, "/admin/bots/default/config").body;
  EXPECT_THAT(after, HasSubstr(R"("pipeline_type":"llm")"));
  EXPECT_THAT(after, HasSubstr(R"("intent_detection_threshold":1.0,"entity_detection_threshold":0.65)"));
  EXPECT_THAT(after, HasSubstr(R"("max_tokens":7)"));
  EXPECT_THAT(after, Not(HasSubstr("sk-1")));
  EXPECT_EQ(put(after).status, 200U);
  EXPECT_EQ(await(admin_->find_config("default"))->config.at("llm_settings").at("api_key"), "sk-1") << "the mask alone changes nothing";
  EXPECT_EQ(put(R"({"llm_settings":{"api_key":")" + std::string(mask) + R"(2"}})").status, 422U);
  EXPECT_EQ(put(R"({"llm_settings":{"api_key":""}})").status, 200U);
  EXPECT_THAT(call(Method::get, "/admin/bots/default/config").body, HasSubstr(R"("api_key":"")"));
}

TEST_P(BotApi, RefusesConfigsThatCannotBeRead) {
  const auto put = [&](std::string_view body) { return call(Method::put, "/admin/bots/default/config", body); };
  EXPECT_EQ(put(R"({"pipeline_type":5})").body,
            R"({"detail":[{"type":"string_type","loc":["body","pipeline_type"],"msg":"Input should be a valid string","input":5}]})");
  EXPECT_EQ(put("[]").body, R"({"detail":[{"type":"dict_type","loc":["body"],"msg":"Input should be a valid dictionary","input":[]}]})");
  EXPECT_EQ(put(R"({"llm_settings":null})").status, 422U);
  EXPECT_EQ(call(Method::get, "/admin/bots/other/config").status, 404U);
  EXPECT_EQ(call(Method::get, "/admin/bots/other/config").body, R"({"detail":"Bot not found"})");
  EXPECT_EQ(call(Method::put, "/admin/bots/other/config", "{}").body, R"({"message":"Config updated successfully"})");
  EXPECT_EQ(call(Method::get, "/admin/bots/other/config").status, 404U) << "no upsert";
}

TEST_P(BotApi, ExportsAndImports) {
  create("é", R"(,"parameters":[{"name":"p"}],"labeledSentences":[{"id":"5add0dc94ae5357959ad5f1d","data":["a"]}])");
  const auto exported = call(Method::get, "/admin/bots/whatever/export");
  EXPECT_EQ(exported.status, 200U);
  EXPECT_EQ(exported.headers.get("Content-Type"), "application/json");
  EXPECT_EQ(exported.headers.get("Content-Disposition"), "attachment;filename=chatbot_data.json");
  EXPECT_THAT(exported.body, StartsWith(R"({"intents": [{"name": "Default Fallback intent", "userDefined": false, "intentId": "fallback", "apiTrigger": false, "apiDetails": null, )"));
  EXPECT_THAT(exported.body, HasSubstr(R"({"name": "\u00e9", "userDefined": true, "intentId": "\u00e9", "apiTrigger": false, "apiDetails": null, "speechResponse": "r", )"
                                       R"("parameters": [{"name": "p", "required": false, "type": null, "prompt": null}], )"
                                       R"("labeledSentences": [{"id": "5add0dc94ae5357959ad5f1d", "data": ["a"]}], "trainingData": []}], "entities": []})"));
  EXPECT_EQ(import(exported.body).body, R"({"num_intents_created":0,"num_entities_created":0})");
  EXPECT_EQ(call(Method::get, "/admin/bots/default/export").body, exported.body);
  EXPECT_EQ(import("\xEF\xBB\xBF{\"intents\":[{\"name\":\"n\",\"intentId\":\"n\",\"speechResponse\":\"\"}],\"entities\":[{\"name\":\"e\"}],\"more\":1}", "any").body,
            R"({"num_intents_created":1,"num_entities_created":1})");
}

TEST_P(BotApi, RefusesBadImports) {
  const auto before = call(Method::get, "/admin/bots/default/export").body;
  EXPECT_EQ(import(R"({"intents":[{"name":"ok","intentId":"ok","speechResponse":""},{"name":"x","speechResponse":""}]})").body,
            R"({"detail":[{"type":"missing","loc":["body","file","intents",1,"intentId"],"msg":"Field required","input":{"name":"x","speechResponse":""}}]})");
  for (const auto* file : {"", "{", "[]", "[{\"name\":\"x\"}]", "null", "5", "{\"intents\":5}", "{\"intents\":[5]}", "{\"entities\":[{}]}", "\xFF"}) {
    EXPECT_EQ(import(file).status, 422U) << file;
  }
  EXPECT_EQ(call(Method::get, "/admin/bots/default/export").body, before);
  const std::string target = "/admin/bots/default/import";
  const std::string missing = R"({"detail":[{"type":"missing","loc":["body","file"],"msg":"Field required","input":null}]})";
  EXPECT_EQ(call(Method::post, target).body, missing);
  EXPECT_EQ(call(Method::post, target, R"({"intents":[]})").body, missing);
  const std::map<std::string, std::string> form{{"Content-Type", "multipart/form-data; boundary=x"}};
  EXPECT_EQ(call(Method::post, target, "--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nabc\r\n--x--\r\n", form).body,
            R"({"detail":[{"type":"value_error","loc":["body","file"],"msg":"Value error, Expected UploadFile, received: <class 'str'>","input":"abc","ctx":{"error":{}}}]})");
  EXPECT_EQ(call(Method::post, target, "abc", form).body, R"({"detail":"Invalid multipart data."})");
  EXPECT_EQ(call(Method::post, target, "abc", form).status, 400U);
  EXPECT_EQ(call(Method::post, target, "abc", {{"Content-Type", "multipart/form-data"}}).body, R"({"detail":"Missing boundary in multipart."})");
}

TEST_P(BotApi, OfTwoFilesTheLastWins) {
  const std::string part = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";
  const auto answer = call(Method::post, "/admin/bots/default/import",
                           part + "{\"entities\":[{\"name\":\"a\"}]}\r\n" + part + "{\"entities\":[{\"name\":\"b\"},{\"name\":\"c\"}]}\r\n--x--\r\n",
                           {{"Content-Type", "multipart/form-data; boundary=\"x\""}});
  EXPECT_EQ(answer.body, R"({"num_intents_created":0,"num_entities_created":2})");
}

TEST_P(BotApi, KeepsTrainingData) {
  const auto id = create("x");
  const auto target = "/admin/train/" + id + "/data";
  EXPECT_EQ(call(Method::get, target).body, "[]");
  const std::string data = R"([{"text":"a b","entities":[{"value":"b","begin":2,"end":3,"name":"n"}]},{"whatever":1.5}])";
  EXPECT_EQ(call(Method::post, target, data).body, success);
  EXPECT_EQ(call(Method::get, target).body, data);
  EXPECT_EQ(call(Method::post, target, "{}").body, R"({"detail":[{"type":"list_type","loc":["body"],"msg":"Input should be a valid list","input":{}}]})");
  EXPECT_EQ(call(Method::post, target, "[5]").body,
            R"({"detail":[{"type":"dict_type","loc":["body",0],"msg":"Input should be a valid dictionary","input":5}]})");
  for (const auto& absent : {std::string(24, '0'), std::string("x")}) {
    EXPECT_EQ(call(Method::get, "/admin/train/" + absent + "/data").body, R"({"detail":"Story not found"})");
    EXPECT_EQ(call(Method::post, "/admin/train/" + absent + "/data", "[]").status, 404U);
  }
}

TEST_P(BotApi, BuildsInTheBackground) {
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

TEST_P(BotApi, ABuildThatFailsLeavesTheOldVersionAndSaysWhy) {
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

TEST_P(BotApi, ListsVersionsAndGoesBack) {
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
  EXPECT_EQ(call(Method::post, "/admin/bots/default/versions/x/activate").body,
            R"({"detail":[{"type":"int_parsing","loc":["path","n"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":"x"}]})");
  EXPECT_EQ(call(Method::post, "/admin/bots/other/versions/1/activate").status, 404U);
  EXPECT_EQ(call(Method::get, "/admin/bots/other/versions").status, 404U);
}

TEST_P(BotApi, ShowsChatLogs) {
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
  EXPECT_THAT(to_json(turns[0]), StartsWith(R"({"user_message":{"text":"one","context":{}},"bot_message":[{"text":"a"},{"text":"b"}],"date":")"));
  EXPECT_THAT(to_json(turns[1]), ::testing::EndsWith(R"(+00:00","context":{}})"));
  const auto none = call(Method::get, "/admin/chatlogs/none");
  EXPECT_EQ(none.status, 200U);
  EXPECT_EQ(none.body, R"({"error":"Conversation not found"})");
  EXPECT_EQ(call(Method::get, "/admin/chatlogs/?end_date=2001-01-01").json().at("total"), 0);
  EXPECT_EQ(call(Method::get, "/admin/chatlogs/?start_date=1000000000").json().at("total"), 2);
}

TEST_P(BotApi, RefusesBadChatLogQueries) {
  for (const auto* query : {"page=0", "page=-1", "limit=0", "limit=1001", "page=x", "page=", "limit=2.5", "start_date=foo", "end_date="}) {
    EXPECT_EQ(call(Method::get, std::string("/admin/chatlogs/?") + query).status, 422U) << query;
  }
  EXPECT_EQ(call(Method::get, "/admin/chatlogs/?page=x").body,
            R"({"detail":[{"type":"int_parsing","loc":["query","page"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":"x"}]})");
  EXPECT_EQ(call(Method::get, "/admin/chatlogs/?page=0&page=1").status, 200U) << "of repeated ones the last";
  EXPECT_EQ(call(Method::get, "/admin/chatlogs/?page=9223372036854775807&limit=1000").json().at("page"), 9223372036854775807);
}

TEST_P(BotApi, SearchesAndExportsTurns) {
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
  const auto second = call(Method::get, "/admin/chatlog-search?limit=1&before=" + std::string(as_view(first.at("next").as_string()))).json();
  EXPECT_EQ(second.at("items").at(0).at("thread_id"), "a");
  EXPECT_EQ(call(Method::get, "/admin/chatlog-search?min_confidence=x").status, 422U);
  EXPECT_EQ(call(Method::get, "/admin/chatlog-search?before=x").status, 422U);
  EXPECT_EQ(call(Method::get, "/admin/chatlog-search?q=&intent=&channel=&before=").json().at("items").as_array().size(), 2U);
  const auto exported = call(Method::get, "/admin/chatlog-export?intent=greet");
  EXPECT_EQ(exported.headers.get("Content-Type"), "application/x-ndjson");
  EXPECT_EQ(std::count(exported.body.begin(), exported.body.end(), '\n'), 1);
  EXPECT_EQ(string_member(parse_json(exported.body), "text"), "hello");
}

TEST_P(BotApi, ErasesAConversation) {
  append_turn("a", "one");
  EXPECT_EQ(call(Method::delete_, "/admin/chatlogs/a").status, 204U);
  EXPECT_EQ(call(Method::delete_, "/admin/chatlogs/a").status, 204U);
  EXPECT_EQ(call(Method::get, "/admin/chatlogs/a").body, R"({"error":"Conversation not found"})");
}

TEST_P(BotApi, MakesTrainingExamplesOfTurns) {
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

TEST_P(BotApi, ServesTheWidget) {
  const auto script = call(Method::get, "/static/widget/script.js");
  EXPECT_EQ(script.status, 200U);
  EXPECT_EQ(script.headers.get("Content-Type"), "text/javascript; charset=utf-8");
  EXPECT_EQ(script.headers.count("Content-Type"), 1U);
  EXPECT_THAT(script.body, HasSubstr("/bots/channels/rest/webbook"));
  EXPECT_THAT(script.body, Not(HasSubstr("innerHTML")));
  EXPECT_EQ(call(Method::get, "/static/widget/script.js", {}, {{"If-None-Match", std::string(script.headers.get("ETag"))}}).status, 304U);
}

TEST_P(BotApi, IsDescribed) {
  const auto document = http::make_openapi(router_, "Loquat", "0", "");
  EXPECT_TRUE(document.at("paths").as_object().contains("/admin/intents/{id}"));
  EXPECT_TRUE(document.at("paths").as_object().contains("/admin/chatlogs/{thread_id}/{version}/label"));
}

INSTANTIATE_TEST_SUITE_P(Stores, BotApi, ::testing::Values("memory", "sqlite", "postgres"), [](const auto& info) { return info.param; });

}  // namespace
}  // namespace loquat::bot
