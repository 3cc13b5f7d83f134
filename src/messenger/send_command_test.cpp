#include "messenger/send_command.h"

#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <fstream>
#include <sstream>
#include <thread>

#include "core/error.h"
#include "core/url.h"
#include "http/server.h"
#include "messenger/sandbox.h"
#include "messenger/sandbox_secret.h"
#include "messenger/send_format.h"
#include "testing/await.h"
#include "testing/temporary.h"

namespace loquat::messenger {
namespace {

/// Answers each event at once, as the delivery would.
class AnsweringBus final : public bus::Bus {
 public:
  GraphStandIn* graph = nullptr;
  std::vector<std::string> answers = {"one", "two"};
  bool finishes = true;
  std::vector<bus::Event> events;

  boost::asio::awaitable<void> admit(std::vector<bus::Event> admitted) override {
    for (auto& event : admitted) {
      for (const auto& answer : answers) {
        send(event, {{"sender_action", "typing_on"}});
        send(event, {{"message", json::object{{"text", answer}}}});
      }
      if (finishes) graph->note_finished(event.message_id);
      events.push_back(std::move(event));
    }
    co_return;
  }
  void delivered(bus::DeliveryReport) override {}

 private:
  void send(const bus::Event& event, json::object body) {
    body.emplace("recipient", json::object{{"id", event.conversation.thread_id}});
    http::Request request;
    request.query = {{"access_token", "t"}};
    request.body = to_json(body);
    EXPECT_EQ(graph->take(request).status, 200U);
  }
};

http::ClientResponse make_response(unsigned status, std::string body) {
  http::ClientResponse response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

class SendTest : public ::testing::Test {
 protected:
  loquat::testing::TemporaryDirectory directory_;
  AnsweringBus bus_;
  Sandbox sandbox_{get_or_make_sandbox_secret(directory_.path()), bus_};
  http::Router router_;
  std::ostringstream out_;
  std::ostringstream err_;
  std::vector<http::ClientRequest> requests_;
  SendOptions options_;

  void SetUp() override {
    bus_.graph = &sandbox_.graph();
    sandbox_.add_routes(router_);
    options_.data_dir = directory_.path().string();
    options_.reply_limit = std::chrono::milliseconds(300);
    options_.quiet = std::chrono::milliseconds(1);
  }

  /// The server, without sockets.
  http::ClientResponse serve(http::ClientRequest request) {
    requests_.push_back(request);
    const std::string_view base = "http://127.0.0.1:8000";
    EXPECT_TRUE(request.url.starts_with(base)) << request.url;
    const auto target = std::string_view(request.url).substr(base.size());
    const auto question = target.find('?');
    http::Request inner;
    inner.body = request.body;
    inner.headers = request.headers;
    if (question != std::string_view::npos) inner.query = url::parse_query(target.substr(question + 1));
    const auto match = router_.match(request.method == "POST" ? http::Method::post : http::Method::get, target.substr(0, question));
    if (match.route == nullptr) return make_response(404, R"({"detail":"Not Found"})");
    try {
      const auto response = loquat::testing::await(match.route->handler(inner));
      return make_response(response.status, response.body);
    } catch (const Error& error) {
      return make_response(error.code() == Code::forbidden ? 403 : 503, R"({"detail":")" + std::string(error.what()) + "\"}");
    }
  }
  int run() {
    return run_send(options_, [this](http::ClientRequest request) { return serve(std::move(request)); }, out_, err_);
  }
  void write_file(const std::string& text) {
    options_.file = directory_.file("event.json");
    std::ofstream(*options_.file) << text;
  }
};

TEST_F(SendTest, prints_the_replies_to_a_text) {
  options_.text = "hello";
  EXPECT_EQ(run(), 0) << err_.str();
  EXPECT_EQ(out_.str(), "bot: one\nbot: two\n");
  ASSERT_EQ(bus_.events.size(), 1U);
  EXPECT_EQ(bus_.events[0].kind, "message");
  EXPECT_EQ(bus_.events[0].conversation.thread_id, options_.from);
}

TEST_F(SendTest, where_the_end_is_not_known_the_quiet_tells) {
  bus_.finishes = false;
  options_.text = "hello";
  EXPECT_EQ(run(), 0) << err_.str();
  EXPECT_EQ(out_.str(), "bot: one\nbot: two\n");
}

TEST_F(SendTest, json_prints_every_call) {
  options_.text = "hello";
  options_.json = true;
  EXPECT_EQ(run(), 0);
  EXPECT_EQ(out_.str().substr(0, out_.str().find('\n')), R"({"sender_action":"typing_on","recipient":{"id":"1000000000000001"}})");
}

TEST_F(SendTest, a_postback) {
  options_.postback = "/start";
  options_.from = "77";
  EXPECT_EQ(run(), 0);
  EXPECT_EQ(bus_.events.at(0).kind, "postback");
  EXPECT_EQ(string_member(bus_.events.at(0).body, "text"), "/start");
  EXPECT_EQ(bus_.events.at(0).conversation.thread_id, "77");
}

TEST_F(SendTest, a_file_with_an_item) {
  write_file(R"({"message":{"mid":"m","text":"from a file"}})");
  EXPECT_EQ(run(), 0) << err_.str();
  EXPECT_EQ(string_member(bus_.events.at(0).body, "text"), "from a file");
}

TEST_F(SendTest, a_file_with_a_whole_body_becomes_the_sandboxs) {
  write_file(
      R"({"object":"page","entry":[{"id":"4711","messaging":[{"sender":{"id":"5"},"message":{"mid":"a","text":"x"}},{"sender":{"id":"6"},"message":{"mid":"b","text":"y"}}]}]})");
  EXPECT_EQ(run(), 0) << err_.str();
  ASSERT_EQ(bus_.events.size(), 2U);
  EXPECT_EQ(bus_.events[0].conversation.account, "sandbox");
  EXPECT_NE(out_.str().find("to 6:\nbot: two\n"), std::string::npos) << out_.str();
}

TEST_F(SendTest, what_is_not_answered_is_said) {
  write_file(R"({"read":{"watermark":1}})");
  EXPECT_EQ(run(), 0);
  EXPECT_EQ(out_.str(), "accepted; nothing in it is answered (read)\n");
}

TEST_F(SendTest, no_reply_in_time) {
  bus_.answers.clear();
  bus_.finishes = false;
  options_.text = "hello";
  EXPECT_EQ(run(), 1);
  EXPECT_NE(err_.str().find("no reply came"), std::string::npos);
}

TEST_F(SendTest, wrong_usage) {
  EXPECT_EQ(run(), 2);
  options_.text = "a";
  options_.postback = "b";
  EXPECT_EQ(run(), 2);
  options_.text.reset();
  options_.postback.reset();
  options_.file = directory_.file("missing.json");
  EXPECT_EQ(run(), 2);
  write_file("{");
  EXPECT_EQ(run(), 2);
  write_file("[]");
  EXPECT_EQ(run(), 2);
  options_.file.reset();
  options_.text = "a";
  options_.page = "4711";
  EXPECT_EQ(run(), 2);
  EXPECT_NE(err_.str().find("APP_SECRET"), std::string::npos);
}

TEST_F(SendTest, without_a_secret_or_a_sandbox) {
  options_.text = "hello";
  options_.data_dir = directory_.file("elsewhere");
  EXPECT_EQ(run(), 1);
  EXPECT_NE(err_.str().find("there is no sandbox secret"), std::string::npos);
  static_cast<void>(get_or_make_sandbox_secret(options_.data_dir));
  EXPECT_EQ(run(), 1);
  EXPECT_NE(err_.str().find("403 Invalid request signature"), std::string::npos) << err_.str();
}

TEST_F(SendTest, nothing_listens) {
  options_.text = "hello";
  const auto refuse = [](const http::ClientRequest&) {
    http::ClientResponse response;
    response.failure = http::Failure::not_sent;
    response.error = "connection refused";
    return response;
  };
  EXPECT_EQ(run_send(options_, refuse, out_, err_), 1);
  EXPECT_NE(err_.str().find("nothing listens on http://127.0.0.1:8000 (connection refused); start it with ./dev run"), std::string::npos)
      << err_.str();
}

TEST_F(SendTest, another_page_gets_the_real_webhook) {
  options_.text = "hello";
  options_.page = "4711";
  options_.app_secret = "real";
  const auto accept = [this](http::ClientRequest request) {
    requests_.push_back(std::move(request));
    return make_response(200, R"({"success":true})");
  };
  EXPECT_EQ(run_send(options_, accept, out_, err_), 0);
  ASSERT_EQ(requests_.size(), 1U);
  EXPECT_EQ(requests_[0].url, "http://127.0.0.1:8000/webhook");
  EXPECT_EQ(requests_[0].headers.get("X-Hub-Signature-256"), SignatureChecker("real").sign(requests_[0].body));
  EXPECT_NE(requests_[0].body.find(R"("id":"4711")"), std::string::npos);
}

TEST_F(SendTest, nothing_listens_on_a_real_port) {
  options_.text = "hello";
  options_.url = "http://127.0.0.1:1";
  EXPECT_EQ(run_send(options_, out_, err_), 1);
  EXPECT_NE(err_.str().find("nothing listens on http://127.0.0.1:1"), std::string::npos) << err_.str();
}

/// The server with its checks of callers, on a port of its own.
class RunningServer {
 public:
  explicit RunningServer(const http::Router& router) : server_(settings(), router, {&loop_}) { server_.start(); }
  ~RunningServer() {
    server_.drain();
    server_.close();
    work_.reset();
    loop_.stop();
    thread_.join();
  }
  RunningServer(const RunningServer&) = delete;
  RunningServer& operator=(const RunningServer&) = delete;
  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(server_.port()); }

 private:
  static http::ServerSettings settings() {
    http::ServerSettings settings;
    settings.port = 0;
    return settings;
  }
  boost::asio::io_context loop_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{loop_.get_executor()};
  http::Server server_;
  std::thread thread_{[this] { loop_.run(); }};
};

TEST_F(SendTest, over_real_sockets) {
  const RunningServer server(router_);
  options_.url = server.url() + "/";
  options_.reply_limit = std::chrono::seconds(20);
  for (const char* text : {"hello", "again"}) {
    options_.text = text;
    EXPECT_EQ(run_send(options_, out_, err_), 0) << err_.str();
  }
  EXPECT_EQ(out_.str(), "bot: one\nbot: two\nbot: one\nbot: two\n");
  const auto elsewhere = loquat::testing::TemporaryDirectory();
  options_.data_dir = elsewhere.path().string();
  static_cast<void>(get_or_make_sandbox_secret(options_.data_dir));
  EXPECT_EQ(run_send(options_, out_, err_), 1);
  EXPECT_NE(err_.str().find("not accepted: 403 Invalid request signature"), std::string::npos) << err_.str();
}

TEST(SendFormat, replies_for_people) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {R"({"sender_action":"typing_on"})", ""},
      {R"({"message":{"text":"a\nb\u001b[2J"}})", "bot: a\n     b[2J\n"},
      {R"({"message":{"text":"pick","quick_replies":[{"title":"Yes"},{"title":"No"},{"content_type":"user_email"}]}})",
       "bot: pick\n     (Yes) (No) (user_email)\n"},
      {R"({"message":{"attachment":{"type":"image","payload":{"url":"https://x/y.png"}}}})", "bot: (image) https://x/y.png\n"},
      {R"({"message":{"attachment":{"type":"image","payload":{"attachment_id":"9"}}}})", "bot: (image) \"9\"\n"},
      {R"({"message":{"attachment":{"type":"template","payload":{"template_type":"button","text":"t","buttons":[{"title":"B","payload":"/b"},{"title":"W","url":"https://w"}]}}}})",
       "bot: t\n     [B] /b\n     [W] https://w\n"},
      {R"({"message":{"attachment":{"type":"template","payload":{"template_type":"generic","elements":[{"title":"E","subtitle":"s","buttons":[{"title":"B","payload":"/b"}]}]}}}})",
       "bot: E\n     s\n     [B] /b\n"},
      {R"({"message":{"attachment":{"type":"audio"}}})", "bot: (audio)\n"},
      {R"({"message":5})", ""}};
  for (const auto& [request, expected] : cases) EXPECT_EQ(format_reply(parse_json(request)), expected) << request;
}

}  // namespace
}  // namespace loquat::messenger
