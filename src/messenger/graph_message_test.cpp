#include "messenger/graph_message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/text.h"

namespace loquat::messenger {
namespace {

const MessageId turn = *MessageId::parse("00112233445566778899aabbccddeeff");

Parts parts_of(std::string_view bot_messages) { return make_parts(parse_json(bot_messages).as_array(), turn); }

/// The messages without their metadata, which must be the right one.
std::vector<json::value> messages_of(const Parts& parts) {
  std::vector<json::value> messages;
  for (const auto& part : parts.parts) {
    auto message = parse_json(part.message);
    EXPECT_EQ(part.metadata, "00112233445566778899aabbccddeeff:" + std::to_string(messages.size()));
    EXPECT_EQ(message.at("metadata").as_string(), part.metadata);
    message.as_object().erase("metadata");
    messages.push_back(std::move(message));
  }
  return messages;
}

std::vector<std::string> texts_of(std::string_view bot_messages) {
  std::vector<std::string> texts;
  for (const auto& message : messages_of(parts_of(bot_messages))) texts.push_back(to_json(message));
  return texts;
}

TEST(GraphMessage, SendsTextsAsTheyAre) {
  EXPECT_THAT(texts_of(R"([{"text":"Hello"},{"text":" w\u00f6rld\n"}])"),
              testing::ElementsAre(R"({"text":"Hello"})", "{\"text\":\" w\u00f6rld\\n\"}"));
  EXPECT_TRUE(parts_of("[]").parts.empty());
}

TEST(GraphMessage, LeavesBlankPartsOut) {
  const auto parts = parts_of(R"([{"text":""},{"text":"  \n"},{"text":"a"},{},{"text":null},7,{"text":"b"}])");
  ASSERT_EQ(messages_of(parts).size(), 2U);
  EXPECT_EQ(parts.parts[1].metadata, make_metadata(turn, 1));
  EXPECT_THAT(parts.notes, testing::SizeIs(1));
}

TEST(GraphMessage, SplitsLongTexts) {
  const std::string family = "\U0001F468\u200D\U0001F469\u200D\U0001F467";  // five code points, one grapheme
  std::string text(1997, 'a');
  const auto messages = messages_of(make_parts({json::object{{"text", text + family + " " + std::string(1999, 'b')}}}, turn));
  ASSERT_EQ(messages.size(), 3U);
  EXPECT_EQ(messages[0].at("text").as_string(), text);
  EXPECT_EQ(messages[1].at("text").as_string(), family);
  EXPECT_EQ(messages[2].at("text").as_string(), std::string(1999, 'b'));
  EXPECT_EQ(messages_of(make_parts({json::object{{"text", std::string(2000, 'x')}}}, turn)).size(), 1U);
  EXPECT_EQ(messages_of(make_parts({json::object{{"text", std::string(2001, 'x')}}}, turn)).size(), 2U);
}

TEST(GraphMessage, PutsMediaFirst) {
  const auto parts =
      parts_of(R"([{"text":"see","attachment":{"type":"image","payload":{"url":"https://e.org/a.png","is_reusable":true}}}])");
  const auto messages = messages_of(parts);
  ASSERT_EQ(messages.size(), 2U);
  EXPECT_EQ(messages[0], parse_json(R"({"attachment":{"type":"image","payload":{"url":"https://e.org/a.png","is_reusable":true}}})"));
  EXPECT_EQ(messages[1], parse_json(R"({"text":"see"})"));
  EXPECT_TRUE(parts.parts[0].is_media);
  EXPECT_FALSE(parts.parts[1].is_media);
}

TEST(GraphMessage, TakesTheShortFormOfAnAttachmentAndLists) {
  const auto parts =
      parts_of(R"([{"attachment":[{"type":"video","url":"https://e.org/a.mp4"},{"type":"template","payload":{"template_type":"media"}},)"
               R"({"type":"image","url":"javascript:x"},{"payload":{}},5]},{"attachment":null}])");
  const auto messages = messages_of(parts);
  ASSERT_EQ(messages.size(), 2U);
  EXPECT_EQ(messages[0], parse_json(R"({"attachment":{"type":"video","payload":{"url":"https://e.org/a.mp4"}}})"));
  EXPECT_TRUE(parts.parts[0].is_media);
  EXPECT_FALSE(parts.parts[1].is_media);
  EXPECT_THAT(parts.notes, testing::SizeIs(3));
}

TEST(GraphMessage, PutsQuickRepliesOnTheVeryLastPart) {
  const auto messages =
      messages_of(parts_of(R"([{"text":"one","quick_replies":["Yes",{"title":"No","payload":"/no","image_url":"https://e.org/n.png"}]},)"
                           R"({"text":"two","quick_replies":[{"content_type":"user_email"},{"title":"Both","payload":{"a":1}}]}])"));
  ASSERT_EQ(messages.size(), 2U);
  EXPECT_EQ(messages[0], parse_json(R"({"text":"one"})"));
  EXPECT_EQ(messages[1].at("quick_replies"),
            parse_json(R"([{"content_type":"text","title":"Yes","payload":"Yes"},)"
                       R"({"content_type":"text","title":"No","payload":"/no","image_url":"https://e.org/n.png"},)"
                       R"({"content_type":"user_email"},{"content_type":"text","title":"Both","payload":"{\"a\":1}"}])"));
}

TEST(GraphMessage, KeepsTheLimitsOfQuickReplies) {
  json::array many;
  for (int i = 0; i < 20; ++i)
    many.push_back(json::object{{"title", "a title of more than twenty characters"}, {"payload", std::to_string(i)}});
  many[0].as_object()["payload"] = std::string(1001, 'x');
  many[1].as_object()["title"] = "";
  const auto parts = make_parts({json::object{{"text", "t"}, {"quick_replies", many}}}, turn);
  const auto replies = messages_of(parts)[0].at("quick_replies").as_array();
  ASSERT_EQ(replies.size(), 13U);
  EXPECT_EQ(replies[0].at("payload").as_string(), "2");
  EXPECT_LE(text::length(as_view(replies[0].at("title").as_string())), 20U);
  EXPECT_THAT(parts.notes, testing::Not(testing::IsEmpty()));
  EXPECT_TRUE(parts_of(R"([{"quick_replies":["a"]}])").parts.empty());
}

TEST(GraphMessage, MakesAButtonTemplate) {
  const auto messages = messages_of(parts_of(
      R"([{"text":"Choose","buttons":["Help",{"type":"web_url","title":"Shop","url":"https://e.org","webview_height_ratio":"tall"},)"
      R"({"title":"Call","type":"phone_number","payload":"+4930"}]}])"));
  ASSERT_EQ(messages.size(), 1U);
  EXPECT_EQ(messages[0], parse_json(R"({"attachment":{"type":"template","payload":{"template_type":"button","text":"Choose","buttons":[)"
                                    R"({"type":"postback","title":"Help","payload":"Help"},)"
                                    R"({"type":"web_url","title":"Shop","url":"https://e.org","webview_height_ratio":"tall"},)"
                                    R"({"title":"Call","type":"phone_number","payload":"+4930"}]}}})"));
}

TEST(GraphMessage, SendsALongTextBeforeItsButtons) {
  std::string text;
  while (text.size() < 2500) text += "word ";
  const auto messages = messages_of(make_parts({json::object{{"text", text}, {"buttons", {"A"}}}}, turn));
  ASSERT_EQ(messages.size(), 2U);
  EXPECT_TRUE(messages[0].as_object().contains("text"));
  EXPECT_LE(messages[1].at("attachment").at("payload").at("text").as_string().size(), 640U);
  const auto middle = messages_of(make_parts({json::object{{"text", text.substr(0, 1000)}, {"buttons", {"A"}}}}, turn));
  ASSERT_EQ(middle.size(), 2U);
  EXPECT_LE(middle[1].at("attachment").at("payload").at("text").as_string().size(), 640U);
}

TEST(GraphMessage, FallsBackToAGenericTemplate) {
  const auto many = messages_of(parts_of(R"([{"text":"Choose","buttons":["A","B","C","D"]}])"));
  ASSERT_EQ(many.size(), 1U);
  const auto& elements = many[0].at("attachment").at("payload").at("elements").as_array();
  ASSERT_EQ(elements.size(), 2U);
  EXPECT_EQ(elements[0].at("title").as_string(), "Choose");
  EXPECT_EQ(elements[0].at("buttons").as_array().size(), 3U);
  EXPECT_EQ(elements[1].at("buttons").as_array().size(), 1U);
  const auto without_text = messages_of(parts_of(R"([{"buttons":["A","B"]}])"));
  ASSERT_EQ(without_text.size(), 1U);
  EXPECT_EQ(without_text[0].at("attachment").at("payload").at("elements").at(0).at("title").as_string(), "A / B");
  const auto with_long_text =
      messages_of(make_parts({json::object{{"text", std::string(100, 'x')}, {"buttons", {"A", "B", "C", "D"}}}}, turn));
  EXPECT_EQ(with_long_text.size(), 2U);
}

TEST(GraphMessage, LeavesWrongButtonsOut) {
  const auto parts = parts_of(
      R"([{"text":"t","buttons":[{"type":"web_url","title":"x","url":"javascript:1"},{"type":"postback"},"",5,{"title":"ok","payload":"/ok"}]}])");
  const auto messages = messages_of(parts);
  EXPECT_EQ(messages[0].at("attachment").at("payload").at("buttons"), parse_json(R"([{"title":"ok","payload":"/ok","type":"postback"}])"));
  EXPECT_THAT(parts.notes, testing::SizeIs(4));
  EXPECT_THAT(texts_of(R"([{"text":"t","buttons":[]},{"text":"u","buttons":"x"}])"),
              testing::ElementsAre(R"({"text":"t"})", R"({"text":"u"})"));
}

}  // namespace
}  // namespace loquat::messenger
