#include "state/state.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "state/cursor.h"

namespace loquat::state {
namespace {

State read(std::string_view text) { return from_json(parse_json(text)); }

std::string issues_of(std::string_view text) {
  try {
    static_cast<void>(read(text));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::invalid);
    return error.issues();
  }
  return "none";
}

TEST(State, DefaultsOfTheOldConstructor) {
  auto state = read(R"({"thread_id": "t"})");
  EXPECT_LT(std::chrono::abs(now() - state.date), std::chrono::minutes(1));
  state.date = from_microseconds(0);
  EXPECT_EQ(to_json(to_json_object(state)),
            R"({"thread_id":"t","user_message":null,"bot_message":null,"nlu":{},"context":{},"intent":{},"parameters":[],)"
            R"("extracted_parameters":{},"missing_parameters":[],"complete":false,"current_node":"","date":"1970-01-01T00:00:00+00:00",)"
            R"("version":0,"message_id":null})");
}

TEST(State, NullCountsAsLeftOutForFiveMembers) {
  const auto state = read(R"({"thread_id": "t", "context": null, "intent": null, "parameters": null, "extracted_parameters": null,
                              "missing_parameters": null, "nlu": null, "current_node": null, "user_message": null, "date": null})");
  EXPECT_EQ(to_json(state.context) + to_json(state.intent) + to_json(state.extracted_parameters), "{}{}{}");
  EXPECT_EQ(to_json(state.parameters) + to_json(state.missing_parameters), "[][]");
  EXPECT_TRUE(state.nlu.is_null());
  EXPECT_TRUE(state.current_node.is_null());
}

TEST(State, MembersComeBackAsTheyWere) {
  const auto* text =
      R"({"thread_id":"t","user_message":{"thread_id":"t","text":"hi","channel":"rest","context":{"z":1.0,"a":1e+30}},"bot_message":[{"text":"x"}],)"
      R"("nlu":{"intent":{"intent":"greet","confidence":0.5}},"context":{"b":1,"a":2},"intent":{"id":"greet"},"parameters":[{"name":"p"}],)"
      R"("extracted_parameters":{"p":null},"missing_parameters":["p"],"complete":true,"current_node":"p",)"
      R"("date":"2026-01-02T03:04:05.678901+00:00","version":0,"message_id":"00112233445566778899aabbccddeeff"})";
  const auto state = read(text);
  EXPECT_EQ(to_json(to_json_object(state)), text);
  EXPECT_EQ(state.conversation, (chat::ConversationId{"rest", "", "t"}));
}

TEST(State, UserMessageMayBeAnything) {
  for (const auto* message : {R"("text")", "17", "[1,2]", "true", R"({"channel":5})"}) {
    const auto state = read(std::string(R"({"thread_id": "t", "user_message": )") + message + "}");
    EXPECT_EQ(to_json(state.user_message), message);
    EXPECT_EQ(state.conversation.channel, "");
  }
}

TEST(State, WhoseConversation) {
  const auto state = read(R"({"thread_id": "t", "channel": "c", "account": "a", "user_message": {"channel": "other"}})");
  EXPECT_EQ(state.conversation, (chat::ConversationId{"c", "a", "t"}));
}

TEST(State, MessageIdsMayBeAnyText) {
  const auto id = [](std::string_view thread, std::string_view text) {
    return read(std::string(R"({"thread_id": ")") + std::string(thread) + R"(", "message_id": ")" + std::string(text) + "\"}").message_id;
  };
  EXPECT_EQ(id("t", "00112233-4455-6677-8899-AABBCCDDEEFF"), MessageId::parse("00112233445566778899aabbccddeeff"));
  EXPECT_EQ(id("t", "m-1"), id("t", "m-1"));
  EXPECT_NE(id("t", "m-1"), id("t", "m-2"));
  EXPECT_NE(id("t", "m-1"), id("u", "m-1"));
  EXPECT_EQ(id("t", ""), std::nullopt);
}

TEST(State, DatesAsPydanticReadsThem) {
  const auto date = [](std::string_view value) {
    return to_iso8601(read(R"({"thread_id": "t", "date": )" + std::string(value) + "}").date);
  };
  EXPECT_EQ(date(R"("2026-01-02T03:04:05")"), "2026-01-02T03:04:05+00:00");
  EXPECT_EQ(date(R"("2026-01-02T03:04:05.5+02:00")"), "2026-01-02T01:04:05.500000+00:00");
  EXPECT_EQ(date(R"("2026-01-02")"), "2026-01-02T00:00:00+00:00");
  EXPECT_EQ(date("1767323045"), "2026-01-02T03:04:05+00:00");
  EXPECT_EQ(date("1767323045.25"), "2026-01-02T03:04:05.250000+00:00");
  EXPECT_EQ(date("1767323045000"), "2026-01-02T03:04:05+00:00");
  EXPECT_NE(issues_of(R"({"thread_id": "t", "date": "soon"})").find("\"datetime_from_date_parsing\""), std::string::npos);
  EXPECT_NE(issues_of(R"({"thread_id": "t", "date": []})").find("\"datetime_type\""), std::string::npos);
}

TEST(State, WrongMembersAreNamed) {
  EXPECT_EQ(issues_of("{}"), R"([{"type":"missing","loc":["body","thread_id"],"msg":"Field required","input":{}}])");
  EXPECT_EQ(issues_of(R"({"thread_id": 5})"),
            R"([{"type":"string_type","loc":["body","thread_id"],"msg":"Input should be a valid string","input":5}])");
  EXPECT_NE(issues_of(R"({"thread_id": ""})").find("string_too_short"), std::string::npos);
  EXPECT_NE(issues_of(R"({"thread_id": "t", "context": []})").find(R"("dict_type","loc":["body","context"])"), std::string::npos);
  EXPECT_NE(issues_of(R"({"thread_id": "t", "parameters": {}})").find(R"("list_type","loc":["body","parameters"])"), std::string::npos);
  EXPECT_NE(issues_of(R"({"thread_id": "t", "complete": "maybe"})").find("bool_parsing"), std::string::npos);
  EXPECT_NE(issues_of(R"({"thread_id": "a\u0000b"})").find("value_error"), std::string::npos);
  EXPECT_NE(issues_of("{\"thread_id\": \"" + std::string(801, 'x') + "\"}").find("string_too_long"), std::string::npos);
}

TEST(Cursor, ThereAndBack) {
  const HistoryCursor plain{{"", "", "t"}, 17};
  EXPECT_EQ(to_text(plain), "17..");
  EXPECT_EQ(parse_history_cursor("17..", "t").conversation, plain.conversation);
  EXPECT_EQ(parse_history_cursor("17", "t").version, 17);
  EXPECT_EQ(parse_history_cursor("17", "t").conversation.thread_id, "");
  const HistoryCursor full{{"face book", "p.1", "t"}, 17};
  const auto back = parse_history_cursor(to_text(full), "t");
  EXPECT_EQ(back.conversation, full.conversation);
  EXPECT_EQ(back.version, 17);
  for (const auto* wrong : {"", "x", "1.2", "1.zz.00", "1.0.0", "1.00.00.00", "1 "}) {
    EXPECT_THROW(static_cast<void>(parse_history_cursor(wrong, "t")), Error) << wrong;
  }
  const SearchCursor place{from_microseconds(-5), {"c", "a", "t"}, 3};
  const auto found = parse_search_cursor(to_text(place));
  EXPECT_EQ(found.date, place.date);
  EXPECT_EQ(found.conversation, place.conversation);
  EXPECT_EQ(found.version, 3);
  for (const auto* wrong : {"", "1", "1.2", "1.2.g0", "a.b.00"})
    EXPECT_THROW(static_cast<void>(parse_search_cursor(wrong)), Error) << wrong;
}

}  // namespace
}  // namespace loquat::state
