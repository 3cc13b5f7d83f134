#include "rest/api.h"

#include <gmock/gmock.h>

#include <sstream>

#include "core/error.h"
#include "http/errors.h"
#include "rest/chat_command.h"
#include "state/memory_store.h"
#include "testing/await.h"

namespace loquat::rest {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view small_bot = R"json({"intents":[
  {"name":"f","intentId":"fallback","speechResponse":"Pardon?"},
  {"name":"hello","intentId":"init_conversation","speechResponse":"Hello {{ context.username }}###{{ context.channel }}.","trainingData":[{"text":"hi"}]},
  {"name":"w","intentId":"weather","speechResponse":"Sunny in {{ parameters.city }}","parameters":[{"name":"city","type":"city","required":true,"prompt":"Where?"}]}
],"entities":[{"name":"city","entity_values":[{"value":"Paris","synonyms":[]}]}]})json";

class Collect final : public http::StreamWriter {
 public:
  asio::awaitable<void> write(std::string_view bytes) override {
    text += bytes;
    co_return;
  }
  std::string text;
};

class RestTest : public ::testing::Test {
 protected:
  void SetUp() override {
    manager.set_bot(dialogue::compile(bot::parse_export(small_bot)));
    use({});
  }
  void use(Settings settings) {
    router = std::make_unique<http::Router>();
    add_routes(*router, std::make_shared<Api>(*store, manager, settings));
  }

  http::Response post(const std::string& path, std::string body, http::Headers headers = {}) {
    http::Request request;
    request.method = http::Method::post;
    request.path = path;
    request.body = std::move(body);
    request.headers = std::move(headers);
    request.client_address = "192.0.2.1";
    const auto match = router->match(request.method, request.path);
    if (match.route == nullptr) return http::make_refusal(404);
    try {
      return testing::await(match.route->handler(request));
    } catch (...) {
      return http::make_error(std::current_exception(), "test");
    }
  }
  http::Response talk(std::string body, http::Headers headers = {}) {
    return post("/bots/channels/rest/webbook", std::move(body), std::move(headers));
  }
  static std::string body(const std::string& text, const std::string& context = "{}", const std::string& thread = "t") {
    return R"({"thread_id":")" + thread + R"(","text":")" + text + R"(","context":)" + context + "}";
  }

  std::unique_ptr<state::Store> store = state::make_memory_store();
  dialogue::Manager manager{{}, nullptr};
  std::unique_ptr<http::Router> router;
};

TEST_F(RestTest, replies) {
  const auto answer = talk(body("/init_conversation", R"({"username":"Ada"})"));
  EXPECT_EQ(answer.status, 200U);
  EXPECT_EQ(answer.headers.get("Content-Type"), "application/json");
  EXPECT_EQ(answer.body, R"([{"text":"Hello Ada"},{"text":"."}])");
  EXPECT_EQ(post("/bots/channels/rest/webhook/", body("Weather?")).body, R"([{"text":"Pardon?"}])");
  EXPECT_EQ(talk(body("/weather")).body, R"([{"text":"Where?"}])");
  EXPECT_EQ(talk(body("paris!")).body, R"([{"text":"Sunny in Paris"}])");
  EXPECT_EQ(talk(body("", "null")).body, R"([{"text":"Pardon?"}])");
}

TEST_F(RestTest, clients_do_not_speak_for_the_server) {
  EXPECT_EQ(talk(body("hi", R"({"channel":"facebook","page_id":"1","timestamp":1,"is_postback":true,"username":"Eve"})")).body,
            R"([{"text":"Hello Eve"},{"text":"."}])");
  const auto latest = testing::await(store->find_latest(chat::ConversationId{"rest", "", "t"}));
  EXPECT_EQ(to_json(latest->context), R"({"username":"Eve"})");
}

TEST_F(RestTest, the_whole_state) {
  const auto answer = post("/admin/test/chat", body("/weather", R"({"a":1})", "x"));
  EXPECT_EQ(answer.status, 200U);
  const auto state = parse_json(answer.body).as_object();
  std::string names;
  for (const auto& [key, value] : state) names += std::string(key) + " ";
  EXPECT_EQ(names,
            "thread_id user_message bot_message nlu context intent parameters extracted_parameters missing_parameters complete "
            "current_node date ");
  EXPECT_EQ(to_json(state.at("user_message")), R"({"thread_id":"x","text":"/weather","channel":"rest","context":{"a":1}})");
  EXPECT_EQ(to_json(state.at("nlu")), R"({"entities":{},"intent":{"intent":"weather","confidence":1.0}})");
  EXPECT_EQ(to_json(state.at("missing_parameters")), R"(["city"])");
  EXPECT_EQ(router->match(http::Method::post, "/admin/test/chat").route->options.access, http::Access::admin);
}

TEST_F(RestTest, wrong_bodies) {
  const auto detail = [&](const std::string& text) {
    const auto answer = talk(text);
    EXPECT_EQ(answer.status, 422U) << text;
    return answer.body;
  };
  EXPECT_EQ(detail("{}"), R"({"detail":[{"type":"missing","loc":["body","thread_id"],"msg":"Field required","input":{}},)"
                          R"({"type":"missing","loc":["body","text"],"msg":"Field required","input":{}},)"
                          R"({"type":"missing","loc":["body","context"],"msg":"Field required","input":{}}]})");
  EXPECT_THAT(detail("[]"), HasSubstr(R"("type":"dict_type","loc":["body"],"msg":"Input should be a valid dictionary","input":[])"));
  EXPECT_THAT(detail(""), HasSubstr(R"("type":"missing","loc":["body"])"));
  EXPECT_THAT(detail("{bad"), HasSubstr("json_invalid"));
  EXPECT_THAT(detail(R"({"thread_id":5,"text":null,"context":[]})"),
              ::testing::AllOf(HasSubstr(R"("type":"string_type","loc":["body","thread_id"])"),
                               HasSubstr(R"("type":"string_type","loc":["body","text"])"),
                               HasSubstr(R"("type":"dict_type","loc":["body","context"])")));
  EXPECT_THAT(detail(body("hi", "{}", "")), HasSubstr("string_too_short"));
  EXPECT_THAT(detail(body("hi", "{}", "a\\u0000b")), HasSubstr("control characters"));
  EXPECT_THAT(detail(body("hi", "{}", std::string(801, 'x'))), HasSubstr("string_too_long"));
  EXPECT_THAT(detail(body(std::string(65'537, 'x'))), HasSubstr("string_too_long"));
  EXPECT_EQ(talk(body(std::string(65'536, 'x'))).status, 200U);
  EXPECT_EQ(talk("{\"thread_id\":\"t\xff\",\"text\":\"\",\"context\":{}}").status, 400U);
}

TEST_F(RestTest, context_has_limits) {
  const auto nested = [](std::size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); };
  EXPECT_EQ(talk(body("hi", R"({"a":)" + nested(99) + "}")).status, 200U);
  EXPECT_EQ(talk(body("hi", R"({"a":)" + nested(100) + "}")).status, 422U);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(talk(body("hi", R"({"big)" + std::to_string(i) + R"(":")" + std::string(100'000, 'x') + "\"}")).status, 200U);
  }
  EXPECT_EQ(talk(body("hi", R"({"more":")" + std::string(100'000, 'x') + "\"}")).status, 413U);
  EXPECT_EQ(talk(body("hi")).status, 200U);
}

TEST_F(RestTest, the_same_key_the_same_answer) {
  http::Headers headers;
  headers.add("idempotency-key", "k1");
  EXPECT_EQ(talk(body("/weather"), headers).body, R"([{"text":"Where?"}])");
  EXPECT_EQ(talk(body("/weather"), headers).body, R"([{"text":"Where?"}])");
  EXPECT_EQ(talk(body("/weather", "{}", "other"), headers).body, R"([{"text":"Where?"}])");
  EXPECT_EQ(talk(body("Paris")).body, R"([{"text":"Sunny in Paris"}])");
  EXPECT_EQ(talk(body("/weather"), headers).body, R"([{"text":"Where?"}])");
  EXPECT_EQ(testing::await(store->find_latest(chat::ConversationId{"rest", "", "t"}))->version, 2);
  headers.set("Idempotency-Key", std::string(256, 'k'));
  EXPECT_EQ(talk(body("hi"), headers).status, 400U);
}

TEST_F(RestTest, events) {
  http::Headers headers;
  headers.add("Accept", "application/json;q=0.5, text/event-stream");
  const auto answer = talk(body("hi", R"({"username":"A\nB"})"), headers);
  EXPECT_EQ(answer.headers.get("Content-Type"), "text/event-stream; charset=utf-8");
  ASSERT_TRUE(answer.stream);
  Collect out;
  testing::await(answer.stream(out));
  EXPECT_EQ(out.text,
            "event: message\ndata: {\"text\":\"Hello A\\nB\"}\n\nevent: message\ndata: {\"text\":\".\"}\n\nevent: done\ndata: {}\n\n");
  EXPECT_EQ(talk("{}", headers).status, 422U);
}

TEST_F(RestTest, rates) {
  use({.rate_per_thread = 2, .rate_per_address = 4});
  EXPECT_EQ(talk(body("hi")).status, 200U);
  EXPECT_EQ(talk(body("hi")).status, 200U);
  const auto refused = talk(body("hi"));
  EXPECT_EQ(refused.status, 429U);
  EXPECT_TRUE(refused.headers.find("Retry-After"));
  EXPECT_EQ(refused.body, R"({"detail":"Too many messages in this conversation"})");
  EXPECT_EQ(talk(body("hi", "{}", "u")).status, 200U);
  EXPECT_EQ(talk(body("hi", "{}", "v")).body, R"({"detail":"Too many messages from this address"})");
  EXPECT_EQ(post("/admin/test/chat", body("hi")).status, 200U);
}

TEST_F(RestTest, no_bot_yet) {
  dialogue::Manager empty{{.api_proxy = {}, .addresses = nullptr, .bot_wait = std::chrono::milliseconds(5)}, nullptr};
  router = std::make_unique<http::Router>();
  add_routes(*router, std::make_shared<Api>(*store, empty, Settings()));
  const auto answer = talk(body("hi"));
  EXPECT_EQ(answer.status, 503U);
  EXPECT_TRUE(answer.headers.find("Retry-After"));
}

class ChatCommandTest : public RestTest {
 protected:
  /// What the terminal shows when these lines are typed.
  std::string chat(const std::string& lines, ChatOptions options = {}) {
    options.thread = "terminal";
    std::istringstream in(lines);
    std::ostringstream out;
    status = run_chat(
        options,
        [this](http::ClientRequest request) {
          const auto path = request.url.substr(request.url.find('/', request.url.find("//") + 2));
          auto answer = post(path, request.body, request.headers);
          http::ClientResponse response;
          response.status = answer.status;
          response.body = answer.body;
          if (fail) response.failure = http::Failure::not_sent, response.error = "refused";
          return response;
        },
        in, out);
    return out.str();
  }
  int status = -1;
  bool fail = false;
};

TEST_F(ChatCommandTest, a_conversation) {
  EXPECT_EQ(chat("hi\r\n\n/weather\nParis\n/quit\nhi\n"), "Hello \n.\nWhere?\nSunny in Paris\n");
  EXPECT_EQ(status, 0);
}

TEST_F(ChatCommandTest, verbose) {
  ChatOptions options;
  options.verbose = true;
  EXPECT_EQ(chat("/weather/paris", options),
            "Sunny in Paris\n     intent weather (understood weather at 1.0)\n     slots {\"city\":\"Paris\"} missing []\n");
}

TEST_F(ChatCommandTest, faults) {
  fail = true;
  EXPECT_EQ(chat("hi"), "No answer from http://127.0.0.1:8000: refused\n");
  EXPECT_EQ(status, 1);
  fail = false;
  ChatOptions options;
  options.url = "http://127.0.0.1:8000/nowhere/";
  EXPECT_EQ(chat("hi", options), "Status 404: Not Found\n");
  EXPECT_EQ(chat("say \x1b[2J"), "Pardon?\n");
}

}  // namespace
}  // namespace loquat::rest
