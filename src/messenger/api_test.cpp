#include "messenger/api.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "messenger/fake_bus.h"
#include "testing/await.h"

namespace loquat::messenger {
namespace {

constexpr std::string_view not_configured = "Facebook integration not configured or disabled";

/// What the server would answer: a status and the detail or body.
struct Answer {
  unsigned status = 0;
  std::string text;
  bool operator==(const Answer&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Answer& answer) { return out << answer.status << ' ' << answer.text; }

class WebhookTest : public ::testing::Test {
 protected:
  FakeBus bus_;
  std::shared_ptr<const PageSettings> settings_ = std::make_shared<PageSettings>(make_page_settings("secret", "verify", "token"));
  Webhook webhook_{bus_, [this] { return settings_; }, nullptr};
  http::Router router_;

  void SetUp() override { add_webhook_routes(router_, webhook_, "/webhook", "/bots/channels/facebook/webhook"); }

  Answer call(http::Method method, http::Request request, std::string_view path = "/webhook") {
    const auto match = router_.match(method, path);
    if (match.route == nullptr) return {404, "no route"};
    try {
      const auto response = loquat::testing::await(match.route->handler(request));
      return {response.status, response.body};
    } catch (const Error& error) {
      switch (error.code()) {
        case Code::malformed: return {400, error.what()};
        case Code::forbidden: return {403, error.what()};
        case Code::not_found: return {404, error.what()};
        case Code::unavailable: return {503, error.what()};
        default: return {500, error.what()};
      }
    }
  }
  Answer get(http::Parameters query) {
    http::Request request;
    request.query = std::move(query);
    return call(http::Method::get, std::move(request));
  }
  Answer post(const std::string& body, std::string_view secret = "secret", std::string_view path = "/webhook") {
    http::Request request;
    request.headers.add("X-Hub-Signature-256", SignatureChecker(secret).sign(body));
    request.body = body;
    return call(http::Method::post, std::move(request), path);
  }
  static std::string message(const std::string& mid, const std::string& page = "1") {
    return R"({"object":"page","entry":[{"id":")" + page +
           R"(","messaging":[{"sender":{"id":"5"},"recipient":{"id":"1"},"timestamp":1,"message":{"mid":")" + mid +
           R"(","text":"hello"}}]}]})";
  }
};

const Answer success{200, R"({"success":true})"};

TEST_F(WebhookTest, verification) {
  EXPECT_EQ(get({{"hub.mode", "subscribe"}, {"hub.verify_token", "verify"}, {"hub.challenge", "1158201444"}}), (Answer{200, "1158201444"}));
  EXPECT_EQ(get({{"hub.mode", "subscribe"}, {"hub.verify_token", "verify"}, {"hub.challenge", "no int"}}), (Answer{200, "no int"}));
  const Answer bad{400, "Invalid request parameters"};
  EXPECT_EQ(get({}), bad);
  EXPECT_EQ(get({{"hub.mode", "subscribe"}}), bad);
  EXPECT_EQ(get({{"hub.verify_token", "verify"}}), bad);
  EXPECT_EQ(get({{"hub.mode", "subscribe"}, {"hub.verify_token", ""}, {"hub.challenge", "1"}}), bad);
  EXPECT_EQ(get({{"hub.mode", "subscribe"}, {"hub.verify_token", "verify"}}), bad);
  const Answer wrong{403, "Invalid verification token"};
  EXPECT_EQ(get({{"hub.mode", "subscribe"}, {"hub.verify_token", "Verify"}, {"hub.challenge", "1"}}), wrong);
  EXPECT_EQ(get({{"hub.mode", "unsubscribe"}, {"hub.verify_token", "verify"}, {"hub.challenge", "1"}}), wrong);
  EXPECT_EQ(get({{"hub.mode", "x"}, {"hub.verify_token", "y"}}), wrong);
}

TEST_F(WebhookTest, an_empty_verify_token_verifies_nothing) {
  settings_ = std::make_shared<PageSettings>(make_page_settings("secret", "", "token"));
  EXPECT_EQ(get({{"hub.mode", "subscribe"}, {"hub.verify_token", "x"}, {"hub.challenge", "1"}}).status, 403U);
}

TEST_F(WebhookTest, without_the_integration) {
  settings_ = std::make_shared<PageSettings>();
  EXPECT_EQ(get({}), (Answer{404, std::string(not_configured)}));
  EXPECT_EQ(post("x"), (Answer{404, std::string(not_configured)}));
  settings_ = nullptr;
  EXPECT_EQ(get({}).status, 503U);
  EXPECT_EQ(post(message("a")).status, 503U);
}

TEST_F(WebhookTest, a_message_is_admitted) {
  EXPECT_EQ(post(message("a")), success);
  EXPECT_EQ(post(message("b"), "secret", "/bots/channels/facebook/webhook"), success);
  ASSERT_EQ(bus_.events.size(), 2U);
  EXPECT_EQ(bus_.events[0].conversation, (chat::ConversationId{"facebook", "1", "5"}));
  EXPECT_EQ(string_member(bus_.events[0].body, "text"), "hello");
  EXPECT_FALSE(bus_.events[0].body.contains("graph_url"));
}

TEST_F(WebhookTest, the_signature_comes_first) {
  const Answer refused{403, "Invalid request signature"};
  EXPECT_EQ(post("no json", "wrong"), refused);
  EXPECT_EQ(post(message("a"), "wrong"), refused);
  http::Request unsigned_request;
  unsigned_request.body = message("a");
  EXPECT_EQ(call(http::Method::post, unsigned_request), refused);
  http::Request twice = unsigned_request;
  twice.headers.add("X-Hub-Signature-256", SignatureChecker("secret").sign(twice.body));
  twice.headers.add("x-hub-signature-256", SignatureChecker("secret").sign(twice.body));
  EXPECT_EQ(call(http::Method::post, twice), refused);
  settings_ = std::make_shared<PageSettings>(make_page_settings("", "verify", "token"));
  EXPECT_EQ(post(message("a"), "secret"), refused);
  EXPECT_TRUE(bus_.events.empty());
}

TEST_F(WebhookTest, after_a_valid_signature_only_no_object_is_400) {
  for (const char* body : {"", "[]", "null", "5", "{", "not json"}) EXPECT_EQ(post(body), (Answer{400, "Invalid JSON"})) << body;
  for (const char* body : {"{}", R"({"object":"page"})", R"({"object":"instagram","entry":[{}]})", R"({"object":5,"entry":{}})",
                           R"({"object":"page","entry":null})"})
    EXPECT_EQ(post(body), success) << body;
  EXPECT_TRUE(bus_.events.empty());
  EXPECT_EQ(post(R"({"object":"page","entry":[5]})"), success);
  ASSERT_EQ(bus_.events.size(), 1U);
  EXPECT_EQ(bus_.events[0].dead_reason, "entry is not an object");
}

TEST_F(WebhookTest, whatever_the_bus_throws_meta_is_to_try_again) {
  bus_.failure = std::make_exception_ptr(Error(Code::unavailable, "Database unavailable"));
  EXPECT_EQ(post(message("a")).status, 503U);
  bus_.failure = std::make_exception_ptr(Error(Code::conflict, "conflict"));
  EXPECT_EQ(post(message("a")).status, 503U);
  bus_.failure = std::make_exception_ptr(std::runtime_error("disk"));
  EXPECT_EQ(post(message("a")), (Answer{503, "Service unavailable"}));
  bus_.failure = nullptr;
  EXPECT_EQ(post(message("a")), success);
}

TEST_F(WebhookTest, an_echo_of_ours_is_reported) {
  const std::string metadata = std::string(32, 'a') + ":1";
  EXPECT_EQ(
      post(
          R"({"object":"page","entry":[{"id":"1","messaging":[{"sender":{"id":"1"},"recipient":{"id":"5"},"message":{"is_echo":true,"metadata":")" +
          metadata + R"("}}]}]})"),
      success);
  ASSERT_EQ(bus_.reports.size(), 1U);
  EXPECT_EQ(bus_.reports[0].metadata, metadata);
  EXPECT_EQ(bus_.reports[0].conversation, (chat::ConversationId{"facebook", "1", "5"}));
  EXPECT_TRUE(bus_.events.empty());
}

TEST_F(WebhookTest, an_echo_of_another_app_is_no_report_when_ours_is_known) {
  Webhook ours(bus_, [this] { return settings_; }, nullptr, {}, "4711");
  add_webhook_routes(router_, ours, "/ours", "");
  const auto echo = [](std::string_view app) {
    return R"({"object":"page","entry":[{"id":"1","messaging":[{"sender":{"id":"1"},"recipient":{"id":"5"},"message":{"is_echo":true)" +
           std::string(app) + R"(,"metadata":")" + std::string(32, 'a') + R"(:1"}}]}]})";
  };
  for (const auto* app : {"", R"(,"app_id":42)", R"(,"app_id":null)"}) EXPECT_EQ(post(echo(app), "secret", "/ours"), success);
  EXPECT_TRUE(bus_.reports.empty());
  for (const auto* app : {R"(,"app_id":4711)", R"(,"app_id":"4711")"}) EXPECT_EQ(post(echo(app), "secret", "/ours"), success);
  EXPECT_EQ(bus_.reports.size(), 2U);
  EXPECT_EQ(post(echo(R"(,"app_id":42)")), success);
  EXPECT_EQ(bus_.reports.size(), 3U);
}

TEST_F(WebhookTest, pages_that_are_not_ours) {
  auto settings = make_page_settings("secret", "verify", "");
  settings.page_tokens.emplace("1", "token");
  settings_ = std::make_shared<PageSettings>(std::move(settings));
  auto& foreign = metrics::counter("messenger_events_total", "", {{"kind", "foreign_page"}});
  const auto before = foreign.value();
  EXPECT_EQ(post(message("a", "2")), success);
  EXPECT_EQ(post(message("a", "sandbox")), success);
  EXPECT_TRUE(bus_.events.empty());
  EXPECT_EQ(foreign.value(), before + 2);
  EXPECT_EQ(post(message("a", "1")), success);
  EXPECT_EQ(bus_.events.size(), 1U);
}

TEST_F(WebhookTest, the_watchdog_hears_our_pages) {
  Time time = Time(std::chrono::hours(1));
  Watchdog watchdog(std::chrono::minutes(1), [&time] { return time; });
  Webhook webhook(bus_, [this] { return settings_; }, &watchdog);
  http::Request request;
  request.body = message("a", "heard");
  request.headers.add("X-Hub-Signature-256", SignatureChecker("secret").sign(request.body));
  EXPECT_EQ(loquat::testing::await(webhook.receive(request)).status, 200U);
  time += std::chrono::minutes(2);
  EXPECT_EQ(watchdog.check(), std::vector<std::string>{"heard"});
}

TEST_F(WebhookTest, routes) {
  for (const char* path : {"/webhook", "/webhook/", "/bots/channels/facebook/webhook"}) {
    const auto match = router_.match(http::Method::post, path);
    ASSERT_NE(match.route, nullptr) << path;
    EXPECT_EQ(match.route->options.access, http::Access::open);
    EXPECT_EQ(match.route->options.body_limit, 4U * 1024 * 1024);
    EXPECT_NE(router_.match(http::Method::get, path).route, nullptr) << path;
  }
}

}  // namespace
}  // namespace loquat::messenger
