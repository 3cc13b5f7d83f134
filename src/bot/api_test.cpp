#include "bot/api_fixture.h"

namespace loquat::bot {
namespace {

class BotDraftApi : public BotApi {};

TEST_P(BotDraftApi, Welcomes) {
  const auto answer = call(Method::get, "/");
  EXPECT_EQ(answer.status, 200U);
  EXPECT_EQ(answer.body, R"({"message":"Welcome to AI Chatbot Framework API"})");
}

TEST_P(BotDraftApi, CreatesAnIntentAndShowsItWhole) {
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

TEST_P(BotDraftApi, RefusesBodiesAsFastApiDoes) {
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
      {"{bad",
       R"({"detail":[{"type":"json_invalid","loc":["body",1],"msg":"JSON decode error","input":{},"ctx":{"error":"Expecting property name enclosed in double quotes"}}]})"},
  };
  const auto id = create("x");
  for (const auto& item : table) {
    for (const auto& [method, target] :
         {std::pair{Method::post, std::string("/admin/intents/")}, std::pair{Method::put, "/admin/intents/" + id},
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

TEST_P(BotDraftApi, PutReplacesAllButWhatWouldBeLost) {
  const auto id =
      create("x", R"(,"trainingData":[{"text":"t"}],"parameters":[{"name":"p"}],"labeledSentences":[{"data":[]}],"userDefined":false)");
  const auto before = call(Method::get, "/admin/intents/" + id).json();
  const auto put = call(Method::put, "/admin/intents/" + id,
                        R"({"name":"y","intentId":"y","speechResponse":"z","parameters":[{"name":"n"},{"name":"p"}]})");
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

TEST_P(BotDraftApi, AnswersForWhatIsNotThere) {
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

TEST_P(BotDraftApi, KeepsEntities) {
  const auto made =
      call(Method::post, "/admin/entities/", R"({"name":"city","entity_values":[{"value":"Köln","synonyms":["Cologne"]},{"value":"x"}]})");
  ASSERT_EQ(made.status, 200U);
  const auto id = std::string(string_member(made.json(), "id"));
  EXPECT_EQ(made.body, R"({"id":")" + id +
                           R"(","name":"city","entity_values":[{"value":"Köln","synonyms":["Cologne"]},{"value":"x","synonyms":[]}]})");
  EXPECT_EQ(call(Method::get, "/admin/entities/").body, "[" + made.body + "]");
  EXPECT_EQ(call(Method::put, "/admin/entities/" + id, R"({"name":"town"})").body, success);
  EXPECT_EQ(call(Method::get, "/admin/entities/" + id).body, R"({"id":")" + id + R"(","name":"town","entity_values":[]})");
  EXPECT_EQ(call(Method::delete_, "/admin/entities/" + id).body, success);
  EXPECT_EQ(call(Method::get, "/admin/entities/").body, "[]");
}

TEST_P(BotDraftApi, GuardsWithEtags) {
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

TEST_P(BotDraftApi, MasksSecretHeaders) {
  const std::string details =
      R"("apiDetails":{"url":"u","requestType":"GET","headers":[{"headerKey":"Authorization","headerValue":"HERE"}]})";
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
  const auto put = [&](std::string_view value) {
    return call(Method::put, target, R"({"name":"x","intentId":"x","speechResponse":"new",)" + with(value) + "}");
  };
  const auto stored = [&] {
    return std::string(
        as_view(await(admin_->find(Kind::intent, id))->body.at("apiDetails").at("headers").at(0).at("headerValue").as_string()));
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

TEST_P(BotDraftApi, ReadsAndReplacesTheConfig) {
  const auto got = call(Method::get, "/admin/bots/default/config");
  EXPECT_EQ(
      got.body,
      R"({"pipeline_type":"traditional","traditional_settings":{"intent_detection_threshold":0.75,"entity_detection_threshold":0.65,"use_spacy":true},)"
      R"("llm_settings":{"base_url":"http://127.0.0.1:11434/v1","api_key":")" +
          std::string(mask) + R"(","model_name":"llama2:13b-chat","max_tokens":4096,"temperature":0.7}})");
  EXPECT_EQ(got.headers.get("ETag"), "\"1\"");
  const auto put = [&](std::string_view body) { return call(Method::put, "/admin/bots/default/config", body); };
  EXPECT_EQ(
      put(R"({"pipeline_type":"llm","llm_settings":{"api_key":"sk-1","max_tokens":"7"},"traditional_settings":{"intent_detection_threshold":1}})")
          .body,
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

TEST_P(BotDraftApi, RefusesConfigsThatCannotBeRead) {
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

TEST_P(BotDraftApi, ExportsAndImports) {
  create("é", R"(,"parameters":[{"name":"p"}],"labeledSentences":[{"id":"5add0dc94ae5357959ad5f1d","data":["a"]}])");
  const auto exported = call(Method::get, "/admin/bots/whatever/export");
  EXPECT_EQ(exported.status, 200U);
  EXPECT_EQ(exported.headers.get("Content-Type"), "application/json");
  EXPECT_EQ(exported.headers.get("Content-Disposition"), "attachment;filename=chatbot_data.json");
  EXPECT_THAT(
      exported.body,
      StartsWith(
          R"({"intents": [{"name": "Default Fallback intent", "userDefined": false, "intentId": "fallback", "apiTrigger": false, "apiDetails": null, )"));
  EXPECT_THAT(
      exported.body,
      HasSubstr(
          R"({"name": "\u00e9", "userDefined": true, "intentId": "\u00e9", "apiTrigger": false, "apiDetails": null, "speechResponse": "r", )"
          R"("parameters": [{"name": "p", "required": false, "type": null, "prompt": null}], )"
          R"("labeledSentences": [{"id": "5add0dc94ae5357959ad5f1d", "data": ["a"]}], "trainingData": []}], "entities": []})"));
  EXPECT_EQ(import(exported.body).body, R"({"num_intents_created":0,"num_entities_created":0})");
  EXPECT_EQ(call(Method::get, "/admin/bots/default/export").body, exported.body);
  EXPECT_EQ(import("\xEF\xBB\xBF{\"intents\":[{\"name\":\"n\",\"intentId\":\"n\",\"speechResponse\":\"\"}],\"entities\":[{\"name\":\"e\"}],"
                   "\"more\":1}",
                   "any")
                .body,
            R"({"num_intents_created":1,"num_entities_created":1})");
}

TEST_P(BotDraftApi, RefusesBadImports) {
  const auto before = call(Method::get, "/admin/bots/default/export").body;
  EXPECT_EQ(
      import(R"({"intents":[{"name":"ok","intentId":"ok","speechResponse":""},{"name":"x","speechResponse":""}]})").body,
      R"({"detail":[{"type":"missing","loc":["body","file","intents",1,"intentId"],"msg":"Field required","input":{"name":"x","speechResponse":""}}]})");
  for (const auto* file :
       {"", "{", "[]", "[{\"name\":\"x\"}]", "null", "5", "{\"intents\":5}", "{\"intents\":[5]}", "{\"entities\":[{}]}", "\xFF"}) {
    EXPECT_EQ(import(file).status, 422U) << file;
  }
  EXPECT_EQ(call(Method::get, "/admin/bots/default/export").body, before);
  const std::string target = "/admin/bots/default/import";
  const std::string missing = R"({"detail":[{"type":"missing","loc":["body","file"],"msg":"Field required","input":null}]})";
  EXPECT_EQ(call(Method::post, target).body, missing);
  EXPECT_EQ(call(Method::post, target, R"({"intents":[]})").body, missing);
  const std::map<std::string, std::string> form{{"Content-Type", "multipart/form-data; boundary=x"}};
  EXPECT_EQ(
      call(Method::post, target, "--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nabc\r\n--x--\r\n", form).body,
      R"({"detail":[{"type":"value_error","loc":["body","file"],"msg":"Value error, Expected UploadFile, received: <class 'str'>","input":"abc","ctx":{"error":{}}}]})");
  EXPECT_EQ(
      call(Method::post, target, "file=1&file=a+c&x=", {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}}).body,
      R"({"detail":[{"type":"value_error","loc":["body","file"],"msg":"Value error, Expected UploadFile, received: <class 'str'>","input":"a c","ctx":{"error":{}}}]})");
  EXPECT_EQ(call(Method::post, target, "x=1", {{"Content-Type", "application/x-www-form-urlencoded"}}).body, missing);
  EXPECT_EQ(
      call(Method::post, target, "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"\"\r\n\r\n{}\r\n--x--\r\n", form).status,
      200U)
      << "a file without a name is a file";
  EXPECT_EQ(call(Method::post, target, "abc", form).body, R"({"detail":"Invalid multipart data."})");
  EXPECT_EQ(call(Method::post, target, "abc", form).status, 400U);
  EXPECT_EQ(call(Method::post, target, "abc", {{"Content-Type", "multipart/form-data"}}).body,
            R"({"detail":"Missing boundary in multipart."})");
}

TEST_P(BotDraftApi, OfTwoFilesTheLastWins) {
  const std::string part = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";
  const auto answer =
      call(Method::post, "/admin/bots/default/import",
           part + "{\"entities\":[{\"name\":\"a\"}]}\r\n" + part + "{\"entities\":[{\"name\":\"b\"},{\"name\":\"c\"}]}\r\n--x--\r\n",
           {{"Content-Type", "multipart/form-data; boundary=\"x\""}});
  EXPECT_EQ(answer.body, R"({"num_intents_created":0,"num_entities_created":2})");
}

INSTANTIATE_TEST_SUITE_P(Stores, BotDraftApi, ::testing::Values("memory", "sqlite", "postgres"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace loquat::bot
