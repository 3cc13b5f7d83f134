#include "messenger/graph_errors.h"

#include <gtest/gtest.h>

#include <vector>

namespace loquat::messenger {
namespace {

using enum SendOutcome;

http::ClientResponse make_response(unsigned status, std::string body) {
  http::ClientResponse response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

std::string error_body(int code, int subcode = 0, bool transient = false) {
  std::string body = R"({"error":{"message":"(#x) words","type":"OAuthException","code":)" + std::to_string(code);
  if (subcode != 0) body += R"(,"error_subcode":)" + std::to_string(subcode);
  if (transient) body += R"(,"is_transient":true)";
  return body + R"(,"fbtrace_id":"Abc"}})";
}

struct Case {
  int code;
  int subcode;
  SendOutcome outcome;
  const char* reason;
};

TEST(GraphErrors, FollowTheTable) {
  const std::vector<Case> cases{
      {1, 0, outcome_unknown, "graph_unknown"},
      {2, 0, outcome_unknown, "graph_unknown"},
      {1200, 0, retry, "graph_temporary"},
      {4, 0, throttled, "rate_limit"},
      {4, 2018022, throttled, "rate_limit"},
      {17, 0, throttled, "rate_limit"},
      {32, 0, throttled, "rate_limit"},
      {341, 0, throttled, "rate_limit"},
      {613, 0, throttled, "rate_limit"},
      {613, 2534040, throttled, "rate_limit"},
      {80006, 0, throttled, "rate_limit"},
      {80007, 0, throttled, "rate_limit"},
      {613, 2018338, part_rejected, "tag_abuse"},
      {613, 1893016, part_rejected, "optin_repeated"},
      {10, 2018278, person_unreachable, "outside_window"},
      {10, 2534022, person_unreachable, "outside_window"},
      {10, 2018065, person_unreachable, "outside_window"},
      {10, 2018108, person_unreachable, "not_receiving"},
      {551, 0, person_unreachable, "not_receiving"},
      {551, 1545041, person_unreachable, "not_receiving"},
      {200, 1545041, person_unreachable, "not_receiving"},
      {10, 1893063, page_stopped, "page_restricted"},
      {10, 0, page_stopped, "permission"},
      {200, 0, page_stopped, "permission"},
      {200, 2018028, page_stopped, "permission"},
      {200, 2018027, page_stopped, "permission"},
      {230, 0, page_stopped, "permission"},
      {3, 0, page_stopped, "permission"},
      {190, 0, page_stopped, "token_invalid"},
      {190, 458, page_stopped, "token_deauthorized"},
      {190, 460, page_stopped, "token_password_changed"},
      {190, 463, page_stopped, "token_expired"},
      {190, 467, page_stopped, "token_invalid"},
      {102, 0, page_stopped, "token_invalid"},
      {100, 0, part_rejected, "bad_request"},
      {100, 33, part_rejected, "bad_request"},
      {100, 2018001, person_unreachable, "no_such_person"},
      {100, 2018008, part_rejected, "media"},
      {100, 2018047, part_rejected, "media"},
      {100, 2018109, part_rejected, "media"},
      {100, 2018294, part_rejected, "media"},
      {100, 2018014, part_rejected, "bad_request"},
      {100, 2018032, part_rejected, "empty_message"},
      {100, 1893061, part_rejected, "tag_retired"},
      {10, 2018300, thread_held, "other_app"},
      {2018300, 0, thread_held, "other_app"},
      {10, 2018321, thread_held, "automated_flow"},
      {2022, 0, page_stopped, "feature_blocked"},
      {368, 0, page_stopped, "feature_blocked"},
      {100, 2018218, part_rejected, "no_profile"},
      {2018247, 0, part_rejected, "no_profile"},
      {4711, 0, part_rejected, "unknown_code"},
      {0, 0, part_rejected, "unknown_code"},
  };
  for (const auto& c : cases) {
    const auto verdict = classify(make_response(400, error_body(c.code, c.subcode)));
    EXPECT_EQ(to_string(verdict.outcome), to_string(c.outcome)) << c.code << "-" << c.subcode;
    EXPECT_EQ(verdict.reason, c.reason) << c.code << "-" << c.subcode;
    EXPECT_EQ(verdict.code, c.code);
    EXPECT_EQ(verdict.subcode, c.subcode);
    EXPECT_EQ(verdict.trace, "Abc");
  }
}

TEST(GraphErrors, ThrottleTheAppOrThePage) {
  EXPECT_TRUE(classify(make_response(400, error_body(4))).whole_app);
  EXPECT_FALSE(classify(make_response(400, error_body(613))).whole_app);
  EXPECT_FALSE(classify(make_response(400, error_body(32))).whole_app);
}

TEST(GraphErrors, BelieveThatItIsTransient) {
  EXPECT_EQ(classify(make_response(400, error_body(4711, 0, true))).outcome, retry);
  EXPECT_EQ(classify(make_response(500, error_body(4711, 0, true))).outcome, outcome_unknown);
  EXPECT_EQ(classify(make_response(400, error_body(10, 0, true))).outcome, retry);
  EXPECT_EQ(classify(make_response(400, error_body(100, 0, true))).outcome, retry);
  EXPECT_EQ(classify(make_response(500, error_body(2, 0, true))).outcome, outcome_unknown);
  EXPECT_EQ(classify(make_response(400, error_body(190, 0, true))).outcome, page_stopped);
  EXPECT_EQ(classify(make_response(400, error_body(613, 0, true))).outcome, throttled);
  EXPECT_EQ(classify(make_response(400, error_body(10, 2018278, true))).outcome, person_unreachable);
}

TEST(GraphErrors, ReadWhatIsNoGraphError) {
  EXPECT_EQ(classify(make_response(200, R"({"recipient_id":"1","message_id":"m_1"})")).message_id, "m_1");
  for (const auto* body : {"", "{}", "OK", R"({"error":null})", "[]"}) {
    EXPECT_EQ(classify(make_response(200, body)).outcome, delivered) << body;
  }
  EXPECT_EQ(classify(make_response(200, error_body(190))).outcome, page_stopped);
  for (const unsigned status : {500U, 502U, 503U, 504U}) EXPECT_EQ(classify(make_response(status, "<html>")).outcome, outcome_unknown);
  EXPECT_EQ(classify(make_response(500, error_body(4711))).outcome, outcome_unknown);
  EXPECT_EQ(classify(make_response(429, "")).outcome, throttled);
  EXPECT_EQ(classify(make_response(429, error_body(4711))).outcome, throttled);
  for (const unsigned status : {302U, 400U, 403U, 404U, 407U}) EXPECT_EQ(classify(make_response(status, "no")).outcome, retry) << status;
  EXPECT_EQ(classify(make_response(400, R"({"error":{"code":"190","error_subcode":"463"}})")).reason, "token_expired");
  EXPECT_EQ(classify(make_response(400, R"({"error":{}})")).outcome, part_rejected);
}

TEST(GraphErrors, ReadHowTheRequestEnded) {
  http::ClientResponse response;
  response.failure = http::Failure::not_sent;
  EXPECT_EQ(classify(response).outcome, retry);
  response.failure = http::Failure::unknown;
  EXPECT_EQ(classify(response).outcome, outcome_unknown);
}

TEST(GraphErrors, HeedRetryAfter) {
  auto response = make_response(429, "");
  response.headers.add("Retry-After", "7");
  EXPECT_EQ(classify(response).delay, std::chrono::seconds(7));
  response.headers.set("Retry-After", "99999999");
  EXPECT_EQ(classify(response).delay, std::chrono::hours(1));
  response.headers.set("Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT");
  EXPECT_EQ(classify(response).delay, std::chrono::milliseconds(0));
}

}  // namespace
}  // namespace loquat::messenger
