#include "bot/definition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace loquat::bot {
namespace {

using ::testing::HasSubstr;

std::string issues_of(std::string_view text) {
  try {
    static_cast<void>(parse_export(text));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::invalid);
    return error.issues();
  }
  return "accepted";
}

TEST(ParseExport, ReadsAWholeIntent) {
  const auto bot = parse_export(R"({"intents": [{"name": "Order", "userDefined": true, "intentId": "order", "apiTrigger": true,
    "apiDetails": {"url": "https://example.com/{{ parameters.n }}", "requestType": "GET",
                   "headers": [{"headerKey": "X-A", "headerValue": "1"}], "isJson": false, "jsonData": ""},
    "speechResponse": "it is {{ result.status }}",
    "parameters": [{"name": "n", "required": true, "type": "order_number", "prompt": "which?"}],
    "labeledSentences": [{"id": "5adb265507440E00128fcfa1", "data": ["a"]}],
    "trainingData": [{"text": "order ORD1", "entities": [{"value": "ORD1", "begin": 6, "end": 10, "name": "order_number"}]}]}],
    "entities": [{"name": "order_number", "entity_values": [{"value": "x", "synonyms": ["y"]}]}]})");
  ASSERT_EQ(bot.intents.size(), 1U);
  const auto& intent = bot.intents[0];
  EXPECT_EQ(intent.id, "");
  EXPECT_EQ(intent.name, "Order");
  EXPECT_EQ(intent.intent_id, "order");
  EXPECT_TRUE(intent.api_trigger);
  ASSERT_TRUE(intent.api_details.has_value());
  EXPECT_EQ(intent.api_details->request_type, "GET");
  EXPECT_EQ(intent.api_details->json_data, "");
  ASSERT_EQ(intent.api_details->headers.size(), 1U);
  EXPECT_EQ(intent.api_details->headers[0].header_key, "X-A");
  ASSERT_EQ(intent.parameters.size(), 1U);
  EXPECT_EQ(intent.parameters[0].prompt, "which?");
  EXPECT_EQ(intent.parameters[0].id->size(), 24U);
  EXPECT_EQ(intent.labeled_sentences[0].id, "5adb265507440e00128fcfa1");
  ASSERT_EQ(intent.training_data.size(), 1U);
  EXPECT_EQ(intent.training_data[0].entities[0].name, "order_number");
  EXPECT_EQ(intent.training_data[0].entities[0].begin, 6);
  ASSERT_EQ(bot.entities.size(), 1U);
  EXPECT_EQ(bot.entities[0].entity_values[0].synonyms, std::vector<std::string>{"y"});
}

TEST(ParseExport, TakesOddFiles) {
  EXPECT_TRUE(parse_export("{}").intents.empty());
  EXPECT_TRUE(parse_export(R"({"intents":null,"entities":null,"more":1})").intents.empty());
  EXPECT_TRUE(parse_export("\xEF\xBB\xBF{\"intents\":[]}").intents.empty());
  const auto bot = parse_export(R"({"intents":[{"name":"a","intentId":"a","speechResponse":"1","parameters":null,"apiDetails":null,
    "userDefined":null,"trainingData":null,"labeledSentences":null,"unknown":{"x":1},"_id":{"$oid":"59aae7bd26f6f60007b06fb3"}},
    {"name":"b","intentId":"b","speechResponse":"","parameters":[{"name":"p","required":null,"type":null,"prompt":null,
     "id":{"$oid":"5ae0dd474ae5357959ad5f1d"}}],"apiDetails":{"url":"u","requestType":"GET","headers":null,"jsonData":null}},
    {"name":"a","intentId":"a2","speechResponse":"2"}],
    "entities":[{"name":"e","entity_values":[{"value":"v","synonyms":null}]},{"name":"e","entity_values":null}]})");
  ASSERT_EQ(bot.intents.size(), 2U);
  EXPECT_EQ(bot.intents[0].intent_id, "a2");
  EXPECT_EQ(bot.intents[0].speech_response, "2");
  EXPECT_TRUE(bot.intents[0].user_defined);
  EXPECT_EQ(bot.intents[1].parameters[0].id, "5ae0dd474ae5357959ad5f1d");
  EXPECT_FALSE(bot.intents[1].parameters[0].required);
  EXPECT_EQ(bot.intents[1].api_details->json_data, "{}");
  ASSERT_EQ(bot.entities.size(), 1U);
  EXPECT_TRUE(bot.entities[0].entity_values.empty());
}

TEST(ParseExport, NamesTheElementItRefuses) {
  EXPECT_EQ(issues_of(R"({"intents":[{"name":"x","speechResponse":"y"}]})"),
            R"([{"type":"missing","loc":["intents",0,"intentId"],"msg":"Field required","input":{"name":"x","speechResponse":"y"}}])");
  EXPECT_EQ(issues_of(R"({"intents":[{"name":"x","intentId":null,"speechResponse":"y"}]})"),
            R"([{"type":"string_type","loc":["intents",0,"intentId"],"msg":"Input should be a valid string","input":null}])");
  EXPECT_THAT(issues_of(R"({"entities":[{"name":"x"},5]})"), HasSubstr(R"("loc":["entities",1])"));
  EXPECT_THAT(issues_of(R"({"intents":{"a":1}})"), HasSubstr(R"("type":"list_type","loc":["intents"])"));
  EXPECT_THAT(issues_of(R"({"intents":[{"name":"x","intentId":"x","speechResponse":"","parameters":[{"name":"p","id":"zz"}]}]})"),
              HasSubstr(R"("loc":["intents",0,"parameters",0,"id"])"));
  EXPECT_THAT(issues_of(R"({"intents":[{"name":"x","intentId":"x","speechResponse":"","_id":"zz"}]})"), HasSubstr("_id"));
  EXPECT_THAT(issues_of("[]"), HasSubstr("dict_type"));
  EXPECT_THAT(issues_of("{\"intents\": [}"), HasSubstr("json_invalid"));
  EXPECT_THAT(issues_of(""), HasSubstr("json_invalid"));
}

TEST(ParseExport, SaysInWordsWhatIsWrong) {
  try {
    static_cast<void>(parse_export(R"({"intents":[{"name":"x","speechResponse":"y"}]})"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "intents.0.intentId: Field required");
  }
}

TEST(ParseExport, LeavesOutTrainingDataWithoutText) {
  const auto bot = parse_export(R"({"intents":[{"name":"a","intentId":"a","speechResponse":"1","trainingData":[
    {"text":"one","entities":"none"},{"entities":[]},{"text":5},{"text":"two","entities":[{"name":"n"},5,{"value":"v"}],"more":1}]}]})");
  ASSERT_EQ(bot.intents[0].training_data.size(), 2U);
  EXPECT_EQ(bot.intents[0].training_data[1].text, "two");
  ASSERT_EQ(bot.intents[0].training_data[1].entities.size(), 1U);
  EXPECT_EQ(bot.intents[0].training_data[1].entities[0].name, "n");
}

TEST(ParseExport, TakesTenThousandIntents) {
  std::string text = "{\"intents\":[";
  for (int i = 0; i < 10'000; ++i) {
    if (i > 0) text += ',';
    const auto n = std::to_string(i);
    text += R"({"name":"n)" + n + R"(","intentId":"i)" + n + R"(","speechResponse":"r","trainingData":[{"text":"say )" + n + R"("}]})";
  }
  text += "]}";
  const auto bot = parse_export(text);
  ASSERT_EQ(bot.intents.size(), 10'000U);
  EXPECT_EQ(bot.intents.back().intent_id, "i9999");
}

TEST(DefaultDefinition, HasTheThreeIntents) {
  const auto bot = default_definition();
  ASSERT_EQ(bot.intents.size(), 3U);
  EXPECT_TRUE(bot.entities.empty());
  for (const auto& intent : bot.intents) {
    EXPECT_FALSE(intent.user_defined);
    EXPECT_TRUE(intent.parameters.empty());
    EXPECT_FALSE(intent.api_details.has_value());
    EXPECT_FALSE(intent.api_trigger);
  }
  EXPECT_EQ(bot.intents[0].intent_id, "fallback");
  EXPECT_THAT(*bot.intents[0].speech_response, HasSubstr("| random \n\n}}\xEF\xBB\xBF\n"));
  EXPECT_EQ(bot.intents[1].intent_id, "cancel");
  EXPECT_EQ(bot.intents[2].intent_id, "init_conversation");
  EXPECT_EQ(bot.config.intent_detection_threshold, 0.75);
  EXPECT_EQ(
      to_json(json::value(bot.config.raw)),
      R"({"pipeline_type":"traditional","traditional_settings":{"intent_detection_threshold":0.75,"entity_detection_threshold":0.65,"use_spacy":true},)"
      R"("llm_settings":{"base_url":"http://127.0.0.1:11434/v1","api_key":"ollama","model_name":"llama2:13b-chat","max_tokens":4096,"temperature":0.7}})");
}

TEST(ReadConfig, DefaultsWhatIsMissingOrOfAnotherType) {
  const auto read = [](std::string_view text) { return read_config(parse_json(text).get_object()); };
  EXPECT_EQ(read("{}").intent_detection_threshold, 0.75);
  EXPECT_EQ(read(R"({"traditional_settings":5})").intent_detection_threshold, 0.75);
  EXPECT_EQ(read(R"({"traditional_settings":{"intent_detection_threshold":"x"}})").intent_detection_threshold, 0.75);
  EXPECT_EQ(read(R"({"traditional_settings":{"intent_detection_threshold":"0.5"}})").intent_detection_threshold, 0.5);
  EXPECT_EQ(read(R"({"traditional_settings":{"intent_detection_threshold":1}})").intent_detection_threshold, 1.0);
  EXPECT_EQ(read(R"({"traditional_settings":{"entity_detection_threshold":0.1}})").entity_detection_threshold, 0.1);
}

}  // namespace
}  // namespace loquat::bot
