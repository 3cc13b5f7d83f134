#include "dialogue/api_call.h"

#include <gmock/gmock.h>

#include <mutex>

#include "dialogue/talk_fixture.h"
#include "http/client_test_server.h"

namespace loquat::dialogue {
namespace {

using http::test::make_answer;
using http::test::Server;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const std::string json_type = "Content-Type: application/json\r\n";
constexpr std::string_view not_available = "Service is not available. Please try again later.";

/// A bot with one intent `call`; `details` are the members of apiDetails.
std::string bot_with(const std::string& details, const std::string& answer = "{{ result }}") {
  return R"({"intents":[{"name":"f","intentId":"fallback","speechResponse":"Pardon?"},{"name":"c","intentId":"call","apiTrigger":true,)"
         R"("apiDetails":{)" +
         details + R"(},"speechResponse":")" + answer +
         R"(",)"
         R"("parameters":[{"name":"q","type":"free_text","required":true,"prompt":"What?"},{"name":"city","type":"city"}]}],)"
         R"("entities":[{"name":"city","entity_values":[{"value":"São Paulo","synonyms":["sp"]}]}]})";
}

/// Answers with what `answer` makes of the request, and keeps all requests.
class Api {
 public:
  explicit Api(std::function<std::string(const std::string&)> answer)
      : server_(Server::answering([this, answer](const std::string& request) {
          {
            const std::lock_guard lock(mutex_);
            requests_.push_back(request);
          }
          return answer(request);
        })) {}
  explicit Api(std::string body) : Api([body](const std::string&) { return make_answer(body, json_type); }) {}

  [[nodiscard]] std::string url(const std::string& path) const { return server_.url(path); }
  std::vector<std::string> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  std::string last() { return requests().empty() ? "" : requests().back(); }
  [[nodiscard]] std::uint16_t port() const { return server_.port(); }

 private:
  std::mutex mutex_;
  std::vector<std::string> requests_;
  Server server_;
};

std::string details(const std::string& url, const std::string& method = "GET", const std::string& more = {}) {
  return R"("url":")" + url + R"(","requestType":")" + method + R"(","headers":[])" + more;
}

/// Says "/call", then the text for the slot.
std::string ask(test::Talk& talk, std::string_view text = "x") {
  EXPECT_EQ(talk.say("/call"), "What?");
  return talk.say(text);
}
std::string ask(const std::string& bot, std::string_view text = "x") {
  test::Talk talk(bot);
  return ask(talk, text);
}
std::string first_line(const std::string& request) { return request.substr(0, request.find('\r')); }
std::string body_of(const std::string& request) { return request.substr(std::min(request.size(), request.find("\r\n\r\n") + 4)); }

TEST(ApiCall, get_sends_slots_as_query) {
  Api api(R"({"temp": 21.5, "list": [1, "a", null]})");
  test::Talk talk(bot_with(details(api.url("/w?fixed=1")), "{{ result.temp }} {{ result['list'] }}"));
  EXPECT_EQ(ask(talk, "a b&c=d"), "21.5 [1, 'a', None]");
  EXPECT_EQ(first_line(api.last()), "GET /w?fixed=1&q=a%20b%26c%3Dd HTTP/1.1");
  EXPECT_TRUE(talk.state->complete);
  EXPECT_FALSE(talk.state->context.as_object().contains("result"));
}

TEST(ApiCall, values_cannot_leave_their_place_in_the_url) {
  Api api("{}");
  (void)ask(bot_with(details(api.url("/u/{{ parameters.q }}/x?a={{ parameters.q }}"))), "../b?c=d&e#f é");
  EXPECT_THAT(first_line(api.last()), StartsWith("GET /u/..%2Fb%3Fc%3Dd%26e%23f%20%C3%A9/x?a=..%2Fb%3Fc%3Dd%26e%23f%20%C3%A9&q="));
  EXPECT_EQ(ask(bot_with(details(api.url("/u/{{ parameters.q }}/x"))), ".."), not_available);
  EXPECT_EQ(ask(bot_with(details("http://127.0.0.1{{ parameters.q }}/")), ":" + std::to_string(api.port())), not_available);
  EXPECT_EQ(ask(bot_with(details("http://127.0.0.1:{{ parameters.q }}/")), std::to_string(api.port())), "{}");
  EXPECT_EQ(api.requests().size(), 2U);
}

TEST(ApiCall, json_body) {
  Api api(R"({"ok": true})");
  const std::string data =
      R"(,"isJson":true,"jsonData":"{\"q\": \"{{ parameters.q }}\", \"raw\": {{ parameters.q }}, \"c\": {{ context }}}")";
  EXPECT_EQ(ask(bot_with(details(api.url("/p?a=1"), "post", data), "{{ result.ok }}"), R"(x", "admin": true, "y": "\)"), "True");
  EXPECT_EQ(first_line(api.last()), "POST /p?a=1 HTTP/1.1");
  EXPECT_THAT(api.last(), HasSubstr("Content-Type: application/json\r\n"));
  EXPECT_EQ(body_of(api.last()), R"({"q":"x\", \"admin\": true, \"y\": \"\\","raw":"x\", \"admin\": true, \"y\": \"\\","c":{}})");
}

TEST(ApiCall, json_data_left_empty) {
  Api api("{}");
  EXPECT_EQ(ask(bot_with(details(api.url("/"), "PUT", R"(,"isJson":true,"jsonData":"")"))), "{}");
  EXPECT_EQ(body_of(api.last()), "{}");
  EXPECT_EQ(ask(bot_with(details(api.url("/"), "PATCH", R"(,"isJson":true,"jsonData":"{ no json }")"))), not_available);
  EXPECT_EQ(api.requests().size(), 1U);
}

TEST(ApiCall, json_of_a_get_is_its_query) {
  Api api("{}");
  const std::string data = R"(,"isJson":true,"jsonData":"{\"a\": 1, \"b\": [true, null], \"c\": \"{{ parameters.q }}\", \"d\": 1.0}")";
  EXPECT_EQ(ask(bot_with(details(api.url("/g"), "DELETE", data)), "v w"), "{}");
  EXPECT_EQ(first_line(api.last()), "DELETE /g?a=1&b=%5Btrue%2Cnull%5D&c=v%20w&d=1.0 HTTP/1.1");
}

TEST(ApiCall, other_methods) {
  Api api("{}");
  EXPECT_EQ(ask(bot_with(details(api.url("/"), "Post"))), "{}");
  EXPECT_EQ(first_line(api.last()), "POST /?q=x HTTP/1.1");
  EXPECT_EQ(body_of(api.last()), "");
  EXPECT_EQ(ask(bot_with(details(api.url("/"), "TRACE"))), not_available);
  EXPECT_EQ(ask(bot_with(details(api.url("/"), ""))), not_available);
}

TEST(ApiCall, headers) {
  Api api("{}");
  const auto with = [&](const std::string& headers) {
    return bot_with(R"("url":")" + api.url("/") + R"(","requestType":"GET","headers":[)" + headers + "]");
  };
  test::Talk talk(with(R"({"headerKey":"X-Q","headerValue":" v {{ parameters.q }} "},{"headerKey":"","headerValue":"x"},)"
                       R"({"headerKey":"Content-Length","headerValue":"5"},{"headerKey":"bad name","headerValue":"x"})"));
  talk.message_id = MessageId::of_key("m");
  EXPECT_EQ(ask(talk, "Ä"), "{}");
  EXPECT_THAT(api.last(), HasSubstr("X-Q: v Ä\r\n"));
  EXPECT_THAT(api.last(), HasSubstr("Idempotency-Key: " + MessageId::of_key("m").to_string() + "\r\n"));
  EXPECT_THAT(api.last(), Not(HasSubstr("bad name")));
  EXPECT_EQ(ask(talk, "a\r\nEvil: 1"), not_available);
  EXPECT_EQ(ask(talk, std::string_view("a\0b", 3)), not_available);
  EXPECT_EQ(api.requests().size(), 1U);
}

TEST(ApiCall, answers) {
  const auto says = [](const std::string& text) {
    Api api([&text](const std::string&) { return text; });
    return ask(bot_with(details(api.url("/"), "POST"), "<{{ result }}>"));
  };
  EXPECT_EQ(says(make_answer("", json_type)), "<None>");
  EXPECT_EQ(says(make_answer(" \n", json_type)), "<None>");
  EXPECT_EQ(says(make_answer("[1]", json_type, "201 Created")), "<[1]>");
  EXPECT_EQ(says(make_answer("{\"a\":1}", "Content-Type: application/problem+json; charset=utf-8\r\n", "299 Odd")), "<{'a': 1}>");
  EXPECT_EQ(says(make_answer("{}", "Content-Type: text/plain\r\n")), not_available);
  EXPECT_EQ(says(make_answer("{}")), not_available);
  EXPECT_EQ(says(make_answer("{", json_type)), not_available);
  EXPECT_EQ(says(make_answer("{}", json_type, "404 Not Found")), not_available);
  EXPECT_EQ(says(make_answer("{}", json_type, "500 Oops")), not_available);
  EXPECT_EQ(says(make_answer("\"" + std::string(std::size_t{1} << 20U, 'x') + "\"", json_type)), not_available);
  EXPECT_EQ(says(""), not_available);
  EXPECT_EQ(says("garbage"), not_available);
}

TEST(ApiCall, redirects) {
  Api api([](const std::string& request) {
    if (request.starts_with("GET /end")) return make_answer("\"there\"", json_type);
    if (request.starts_with("GET /loop")) return make_answer("", "Location: /loop\r\n", "302 Found");
    return make_answer("", "Location: /end?x=1\r\n", "302 Found");
  });
  EXPECT_EQ(ask(bot_with(details(api.url("/start")))), "there");
  EXPECT_EQ(first_line(api.last()), "GET /end?x=1 HTTP/1.1");
  EXPECT_EQ(ask(bot_with(details(api.url("/loop")))), not_available);
}

TEST(ApiCall, a_redirect_to_another_origin_keeps_the_key_but_no_secret) {
  Api there("1");
  for (const auto& [method, status, then] : std::vector<std::array<const char*, 3>>{{"POST", "307 Temporary Redirect", "POST"},
                                                                                    {"PUT", "308 Permanent Redirect", "PUT"},
                                                                                    {"POST", "301 Moved Permanently", "GET"},
                                                                                    {"GET", "302 Found", "GET"}}) {
    Api here([&there, status](const std::string&) { return make_answer("", "Location: " + there.url("/") + "\r\n", status); });
    test::Talk talk(
        bot_with(R"("url":")" + here.url("/") + R"(","requestType":")" + method +
                 R"(","headers":[{"headerKey":"Authorization","headerValue":"secret"},{"headerKey":"Cookie","headerValue":"secret"}])"));
    talk.message_id = MessageId::of_key("m");
    EXPECT_EQ(ask(talk), "1");
    EXPECT_THAT(here.last(), HasSubstr("Authorization: secret"));
    EXPECT_THAT(there.last(), StartsWith(std::string(then) + " "));
    EXPECT_THAT(there.last(), HasSubstr("Idempotency-Key: " + MessageId::of_key("m").to_string() + "\r\n"));
    EXPECT_THAT(there.last(), HasSubstr("Accept: application/json"));
    EXPECT_THAT(there.last(), Not(HasSubstr("secret")));
  }
}

TEST(ApiCall, retries_only_what_may_be_repeated) {
  int count = 0;
  Api flaky([&count](const std::string&) { return ++count == 1 ? std::string() : make_answer("1", json_type); });
  EXPECT_EQ(ask(bot_with(details(flaky.url("/")))), "1");
  const auto requests = flaky.requests();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0], requests[1]);  // the Idempotency-Key too
  int gateway = 0;
  Api busy([&gateway](const std::string&) { return ++gateway == 1 ? make_answer("", {}, "503 Busy") : make_answer("2", json_type); });
  EXPECT_EQ(ask(bot_with(details(busy.url("/"), "PUT"))), "2");
  int posts = 0;
  Api post([&posts](const std::string&) { return ++posts == 1 ? std::string() : make_answer("3", json_type); });
  EXPECT_EQ(ask(bot_with(details(post.url("/"), "POST"))), not_available);
  EXPECT_EQ(posts, 1);
}

TEST(ApiCall, a_kept_connection_that_dies_costs_one_of_the_two_tries) {
  std::atomic<int> count = 0;
  Api api([&count](const std::string&) { return ++count == 1 ? make_answer("1", json_type) : std::string(); });
  test::Talk talk(bot_with(details(api.url("/"))));
  EXPECT_EQ(ask(talk), "1");
  EXPECT_EQ(ask(talk), not_available);
  EXPECT_EQ(count, 3);
}

TEST(ApiCall, urls_that_are_none) {
  for (const auto* url : {"", "nonsense", "file:///etc/passwd", "http://", "http://127.0.0.1:1/", "{{ 1 / 0 }}", "{{ x | nosuch }}"}) {
    EXPECT_EQ(ask(bot_with(details(url))), not_available) << url;
  }
}

TEST(ApiCall, private_addresses_are_closed) {
  Api api("{}");
  test::Talk closed(bot_with(details(api.url("/"))), {.public_only = true, .allowed = {}});
  EXPECT_EQ(ask(closed), not_available);
  test::Talk metadata(bot_with(details("http://169.254.169.254/latest")));
  EXPECT_EQ(ask(metadata), not_available);
  EXPECT_EQ(api.requests().size(), 0U);
}

TEST(ApiCall, a_conflict_does_not_call_twice) {
  Api api("7");
  test::Talk talk(bot_with(details(api.url("/"))));
  EXPECT_EQ(talk.say("/call"), "What?");
  const auto before = talk.state;
  Manager::CallMemory memory;
  talk.memory = &memory;
  EXPECT_EQ(talk.say("x"), "7");
  talk.state = before;
  EXPECT_EQ(talk.say("x"), "7");
  EXPECT_EQ(api.requests().size(), 1U);
  // Another message was faster and changed the slots: that is another call.
  talk.state = before;
  EXPECT_EQ(talk.say("y"), "7");
  EXPECT_EQ(api.requests().size(), 2U);
  EXPECT_THAT(api.last(), HasSubstr("Idempotency-Key: " + memory.key));
}

TEST(ApiCall, only_with_a_trigger) {
  test::Talk talk(
      R"({"intents":[{"name":"c","intentId":"call","apiTrigger":false,"apiDetails":{"url":"http://127.0.0.1:1/","requestType":"GET",)"
      R"("headers":[]},"speechResponse":"<{{ result }}>"}],"entities":[]})");
  EXPECT_EQ(talk.say("/call"), "<>");
}

TEST(ApiCall, without_a_client) {
  Manager manager({}, nullptr);
  manager.set_bot(compile(bot::parse_export(
      R"({"intents":[{"name":"c","intentId":"call","apiTrigger":true,"apiDetails":{"url":"http://a/","requestType":"GET","headers":[]},"speechResponse":""}],"entities":[]})")));
  boost::asio::io_context loop;
  async::TaskGroup tasks;
  std::string said;
  const auto run = [](const Manager& m, std::string& out) -> asio::awaitable<void> {
    const chat::UserMessage message{{"rest", "", "t"}, "/call", {}, std::nullopt};
    out = test::join((co_await m.decide(std::nullopt, message)).bot_message);
  };
  tasks.spawn(loop.get_executor(), "test", run(manager, said));
  loop.run();
  EXPECT_EQ(said, not_available);
}

}  // namespace
}  // namespace loquat::dialogue
