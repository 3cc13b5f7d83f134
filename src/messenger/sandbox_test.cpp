#include "messenger/sandbox.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "core/error.h"
#include "messenger/fake_bus.h"
#include "messenger/sandbox_secret.h"
#include "testing/await.h"
#include "testing/temporary.h"

namespace loquat::messenger {
namespace {

using loquat::testing::TemporaryDirectory;

TEST(SandboxSecret, is_made_once_and_only_for_its_owner) {
  const TemporaryDirectory directory;
  const auto data = directory.path() / "new" / "data";
  EXPECT_FALSE(find_sandbox_secret(data));
  const auto secret = get_or_make_sandbox_secret(data);
  EXPECT_EQ(secret.size(), 64U);
  EXPECT_EQ(get_or_make_sandbox_secret(data), secret);
  EXPECT_EQ(find_sandbox_secret(data), secret);
  struct stat status{};
  ASSERT_EQ(::stat((data / "sandbox-secret").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(data), {}), 1);
}

TEST(SandboxSecret, of_many_at_once_one_wins) {
  const TemporaryDirectory directory;
  std::vector<std::string> secrets(8);
  {
    std::vector<std::jthread> threads;
    threads.reserve(secrets.size());
    for (auto& secret : secrets) threads.emplace_back([&secret, &directory] { secret = get_or_make_sandbox_secret(directory.path()); });
  }
  EXPECT_EQ(std::set<std::string>(secrets.begin(), secrets.end()).size(), 1U);
}

TEST(SandboxSecret, a_damaged_file_is_named) {
  const TemporaryDirectory directory;
  std::ofstream(directory.path() / "sandbox-secret") << "short\n";
  EXPECT_THROW(static_cast<void>(find_sandbox_secret(directory.path())), Error);
  EXPECT_THROW(static_cast<void>(get_or_make_sandbox_secret(directory.path())), Error);
}

TEST(SandboxSecret, a_place_that_cannot_be_written) {
  const TemporaryDirectory directory;
  std::ofstream(directory.path() / "file") << "x";
  EXPECT_THROW(static_cast<void>(get_or_make_sandbox_secret(directory.path() / "file" / "data")), Error);
}

class SandboxTest : public ::testing::Test {
 protected:
  FakeBus bus_;
  Sandbox sandbox_{std::string(64, 'a'), bus_};
  http::Router router_;

  void SetUp() override { sandbox_.add_routes(router_); }

  http::Response call(http::Method method, std::string_view path, http::Request request) {
    const auto match = router_.match(method, path);
    EXPECT_NE(match.route, nullptr) << path;
    EXPECT_EQ(match.route->options.access, http::Access::loopback);
    request.path_parameters = match.path_parameters;
    return loquat::testing::await(match.route->handler(request));
  }
  http::Response graph(const std::string& body, bool with_token = true) {
    http::Request request;
    if (with_token) request.query = {{"access_token", "sandbox"}};
    request.body = body;
    return call(http::Method::post, "/sandbox/graph/v25.0/me/messages", std::move(request));
  }
  json::value replies(http::Parameters query) {
    http::Request request;
    request.query = std::move(query);
    return parse_json(call(http::Method::get, "/sandbox/replies", std::move(request)).body);
  }
};

TEST_F(SandboxTest, its_webhook_takes_its_page_only) {
  sandbox_.set_own_url("http://127.0.0.1:8000");
  for (const char* page : {"sandbox", "1"}) {
    http::Request request;
    request.body = std::string(R"({"object":"page","entry":[{"id":")") + page +
                   R"(","messaging":[{"sender":{"id":"5"},"message":{"mid":"a","text":"hello"}}]}]})";
    request.headers.add("X-Hub-Signature-256", sandbox_.settings()->checker->sign(request.body));
    EXPECT_EQ(call(http::Method::post, "/sandbox/webhook", std::move(request)).status, 200U);
  }
  ASSERT_EQ(bus_.events.size(), 1U);
  EXPECT_EQ(bus_.events[0].conversation.account, "sandbox");
  EXPECT_EQ(string_member(bus_.events[0].body, "graph_url"), "http://127.0.0.1:8000/sandbox/graph/v25.0");
  ASSERT_NE(sandbox_.settings()->find_token("sandbox"), nullptr);
}

TEST_F(SandboxTest, answers_as_meta_does) {
  const auto sent = graph(R"({"recipient":{"id":"5"},"messaging_type":"RESPONSE","message":{"text":"hi"}})");
  EXPECT_EQ(sent.status, 200U);
  const auto answer = parse_json(sent.body);
  EXPECT_EQ(string_member(answer, "recipient_id"), "5");
  EXPECT_FALSE(string_member(answer, "message_id").empty());
  const auto typing = graph(R"({"recipient":{"id":"5"},"sender_action":"typing_on"})");
  EXPECT_EQ(typing.status, 200U);
  EXPECT_EQ(typing.body, R"({"recipient_id":"5"})");
  EXPECT_FALSE(parse_json(graph(R"({"recipient":{"user_ref":"r"},"message":{"text":"hi"}})").body).as_object().contains("recipient_id"));
}

TEST_F(SandboxTest, refuses_what_meta_refuses) {
  const std::string too_long(2001, 'x');
  std::string many = "{}";
  for (int i = 0; i < 13; ++i) many += ",{}";
  for (const auto& body :
       {std::string("x"), std::string("[]"), std::string("{}"), std::string(R"({"recipient":{"id":"5"}})"),
        std::string(R"({"recipient":{"id":"5"},"message":{}})"), std::string(R"({"recipient":{"id":"5"},"message":{"text":""}})"),
        R"({"recipient":{"id":"5"},"message":{"text":")" + too_long + "\"}}",
        R"({"recipient":{"id":"5"},"message":{"text":"x","quick_replies":[)" + many + "]}}",
        std::string(R"({"recipient":{"id":"5"},"sender_action":"dance"})"),
        std::string(R"({"recipient":{"id":"5"},"sender_action":"typing_on","message":{"text":"x"}})")}) {
    const auto response = graph(body);
    EXPECT_EQ(response.status, 400U) << body;
    EXPECT_EQ(parse_json(response.body).at("error").at("code").to_number<int>(), 100) << body;
  }
  EXPECT_EQ(parse_json(graph(R"({"recipient":{"id":"5"},"message":{"text":"x"}})", false).body).at("error").at("code").to_number<int>(),
            190);
}

TEST_F(SandboxTest, gives_the_replies_of_one_person_after_a_number) {
  EXPECT_EQ(to_json(replies({})), R"({"replies":[],"last":0,"done":false})");
  for (const char* id : {"5", "6", "5"})
    static_cast<void>(graph(std::string(R"({"recipient":{"id":")") + id + R"("},"message":{"text":"to )" + id + "\"}}"));
  EXPECT_EQ(replies({}).at("replies").as_array().size(), 3U);
  const auto five = replies({{"recipient", "5"}, {"after", "1"}, {"wait", "1000"}});
  ASSERT_EQ(five.at("replies").as_array().size(), 1U);
  EXPECT_EQ(five.at("replies").at(0).at("number").to_number<int>(), 3);
  EXPECT_EQ(five.at("replies").at(0).at("request").at("message").at("text").as_string(), "to 5");
  EXPECT_EQ(five.at("last").to_number<int>(), 3);
}

TEST_F(SandboxTest, says_when_all_replies_are_out) {
  const auto one = MessageId::random();
  const auto two = MessageId::random();
  const http::Parameters both{{"event", one.to_string()}, {"event", two.to_string()}, {"wait", "1"}};
  EXPECT_FALSE(replies(both).at("done").as_bool());
  sandbox_.graph().note_finished(one);
  EXPECT_FALSE(replies(both).at("done").as_bool());
  sandbox_.graph().note_finished(two);
  sandbox_.graph().note_finished(two);
  EXPECT_TRUE(replies(both).at("done").as_bool());
  EXPECT_FALSE(replies({}).at("done").as_bool());
}

TEST_F(SandboxTest, keeps_the_last_thousand) {
  for (int i = 0; i < 1010; ++i) static_cast<void>(graph(R"({"recipient":{"id":"5"},"message":{"text":"x"}})"));
  const auto kept = sandbox_.graph().find(0, "", {});
  ASSERT_EQ(kept.calls.size(), 1000U);
  EXPECT_EQ(kept.calls.front().number, 11);
  EXPECT_EQ(kept.last, 1010);
}

}  // namespace
}  // namespace loquat::messenger
