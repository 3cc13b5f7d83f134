#include "messenger/sender.h"

#include <gmock/gmock.h>

#include "messenger/sender_fixture.h"

namespace loquat::messenger {
namespace {

using http::test::make_answer;
using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::StartsWith;

// HMAC-SHA256 of "TOKEN" with the key "SECRET", by openssl dgst.
constexpr std::string_view proof = "9bcde7f1d5e226d86e4692a62e5ec88f99306fb302d74b2dc3bff8a03770b63d";

TEST(GraphBase, UnderstandsEveryForm) {
  EXPECT_EQ(make_graph_base("https://graph.facebook.com"), "https://graph.facebook.com/v25.0");
  EXPECT_EQ(make_graph_base("https://graph.facebook.com/", "v23.0"), "https://graph.facebook.com/v23.0");
  EXPECT_EQ(make_graph_base("https://graph.facebook.com", "23.0"), "https://graph.facebook.com/v23.0");
  EXPECT_EQ(make_graph_base("http://h:9099/v18.0/me/messages"), "http://h:9099/v18.0");
  EXPECT_EQ(make_graph_base("http://h:9099/v18.0/me/messages/?x=1"), "http://h:9099/v18.0");
  EXPECT_EQ(make_graph_base("http://h:9099/v18.0/me/messages", "v25.0"), "http://h:9099/v25.0");
  EXPECT_EQ(make_graph_base("http://h:9099/me/messages"), "http://h:9099/v25.0");
  EXPECT_EQ(make_graph_base("http://h/prefix/v19.0/"), "http://h/prefix/v19.0");
  EXPECT_EQ(make_graph_base("http://127.0.0.1:8000/sandbox/graph"), "http://127.0.0.1:8000/sandbox/graph/v25.0");
}

TEST(PageAccess, SendsTheTokenAndItsProof) {
  const PageAccess access("http://h/v25.0", "TOKEN", "SECRET");
  EXPECT_EQ(access.messages_url(), "http://h/v25.0/me/messages?access_token=TOKEN&appsecret_proof=" + std::string(proof));
  EXPECT_EQ(PageAccess("http://h/v25.0", "a b&c", "").url("1/x", {{"f", "a,b"}}), "http://h/v25.0/1/x?f=a%2Cb&access_token=a%20b%26c");
}

class SenderTest : public test::GraphTest {
 protected:
  Sender::Result send(const Part& part, const Recipient& recipient = {.id = "7", .is_user_ref = false}) {
    return run(sender.send(access, "1", recipient, part));
  }
  static Part make_part(std::string_view text) {
    return make_parts({json::object{{"text", text}}}, *MessageId::parse("00112233445566778899aabbccddeeff")).parts.front();
  }

  RateLimiter limiter;
  Sender sender{graph, limiter};
};

TEST_F(SenderTest, SendsWhatTheSendApiTakes) {
  const auto result = send(make_part("h\u00e9llo \"you\""));
  EXPECT_EQ(result.verdict.outcome, SendOutcome::delivered);
  EXPECT_EQ(result.verdict.message_id, "m_1");
  const auto requests = asked();
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_THAT(requests[0],
              StartsWith("POST /v25.0/me/messages?access_token=TOKEN&appsecret_proof=" + std::string(proof) + " HTTP/1.1\r\n"));
  EXPECT_THAT(requests[0], HasSubstr("Content-Type: application/json\r\n"));
  EXPECT_EQ(parse_json(body_of(requests[0])),
            parse_json("{\"recipient\":{\"id\":\"7\"},\"messaging_type\":\"RESPONSE\",\"message\":{\"text\":\"h\u00e9llo \\\"you\\\"\","
                       "\"metadata\":\"00112233445566778899aabbccddeeff:0\"}}"));
  send(make_part("x"), {.id = "ref\"1", .is_user_ref = true});
  EXPECT_EQ(parse_json(body_of(asked().at(1))).at("recipient"), parse_json(R"({"user_ref":"ref\"1"})"));
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(SenderTest, SendsActionsOnTheirOwn) {
  run(sender.act(access, "1", {.id = "7", .is_user_ref = false}, SenderAction::mark_seen));
  run(sender.act(access, "1", {.id = "7", .is_user_ref = false}, SenderAction::typing_on));
  const auto requests = asked();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(body_of(requests[0]), R"({"recipient":{"id":"7"},"sender_action":"mark_seen"})");
  EXPECT_EQ(body_of(requests[1]), R"({"recipient":{"id":"7"},"sender_action":"typing_on"})");
}

TEST_F(SenderTest, ThrottlesThePageAfterALimit) {
  answer = [](const std::string&) { return make_answer(R"({"error":{"message":"limit","code":613}})", "", "400 Bad Request"); };
  const auto part = make_part("x");
  EXPECT_TRUE(sender.reserve("1", part).granted);
  const auto result = send(part);
  EXPECT_EQ(result.verdict.outcome, SendOutcome::throttled);
  EXPECT_EQ(result.wait, milliseconds(1'000));
  EXPECT_GT(result.stops.page, milliseconds(900));
  EXPECT_EQ(result.stops.app, milliseconds(0));
  EXPECT_EQ(send(part).stops.page, milliseconds(0));  // it was stopped already
  EXPECT_FALSE(sender.reserve("1", part).granted);
  EXPECT_TRUE(sender.reserve("2", part).granted);
  run(sender.act(access, "1", {.id = "7", .is_user_ref = false}, SenderAction::typing_on));
  EXPECT_EQ(asked().size(), 2U);
}

TEST_F(SenderTest, HeedsTheUsageHeaders) {
  answer = [](const std::string&) {
    return make_answer(R"({"message_id":"m_1"})",
                       "X-Business-Use-Case-Usage: "
                       "{\"1\":[{\"type\":\"messenger\",\"call_count\":100,\"estimated_time_to_regain_access\":2}]}\r\n");
  };
  const auto result = send(make_part("x"));
  EXPECT_EQ(result.verdict.outcome, SendOutcome::delivered);
  EXPECT_EQ(result.usage.page_percent, 100);
  EXPECT_GT(result.stops.page, milliseconds(60'000));
  EXPECT_EQ(result.stops.app, milliseconds(0));
  EXPECT_GT(result.wait, milliseconds(60'000));
  const auto grant = sender.reserve("1", make_part("y"));
  EXPECT_FALSE(grant.granted);
  EXPECT_GT(grant.wait, milliseconds(60'000));
}

TEST_F(SenderTest, TellsWhatStopsTheWholeApp) {
  answer = [](const std::string&) { return make_answer(R"({"message_id":"m_1"})", "X-App-Usage: {\"call_count\":100}\r\n"); };
  const auto usage = send(make_part("x"));
  EXPECT_GT(usage.stops.app, milliseconds(59'000));
  EXPECT_EQ(usage.stops.page, milliseconds(0));
  EXPECT_FALSE(sender.reserve("2", make_part("y")).granted);
  // A mark can be the first to be told.
  RateLimiter untold;
  Sender another(graph, untold);
  answer = [](const std::string&) { return make_answer(R"({"error":{"message":"limit","code":4}})", "", "400 Bad Request"); };
  const auto stops = run(another.act(access, "1", {.id = "7", .is_user_ref = false}, SenderAction::typing_on));
  EXPECT_GT(stops.app, milliseconds(900));
  EXPECT_EQ(stops.page, milliseconds(0));
}

TEST_F(SenderTest, TellsAnOutcomeThatIsUnknown) {
  answer = [](const std::string&) { return std::string(); };  // closes without an answer
  EXPECT_EQ(send(make_part("x")).verdict.outcome, SendOutcome::outcome_unknown);
  EXPECT_EQ(asked().size(), 1U);
  const PageAccess nowhere("http://no-such-host.invalid/v25.0", "T", "");
  EXPECT_EQ(run(sender.send(nowhere, "1", {.id = "7", .is_user_ref = false}, make_part("x"))).verdict.outcome, SendOutcome::retry);
}

TEST_F(SenderTest, CountsItsOutcomes) {
  const auto& delivered =
      metrics::counter("messenger_sends_total", "Messages sent to the Send API, by how that ended", {{"outcome", "delivered"}});
  const double before = delivered.value();
  send(make_part("x"));
  EXPECT_EQ(delivered.value(), before + 1);
}

}  // namespace
}  // namespace loquat::messenger
