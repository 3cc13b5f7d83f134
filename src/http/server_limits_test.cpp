#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <future>

#include "async/task_group.h"
#include "core/error.h"
#include "http/server_fixture.h"

namespace loquat::http::test {
namespace {

using testing::HasSubstr;
using namespace std::string_literals;

/// Lets the test decide when a handler goes on.
struct Latch {
  std::atomic<int> entered{0};
  std::atomic<bool> open{false};
};
asio::awaitable<Response> wait_for(std::shared_ptr<Latch> latch) {
  ++latch->entered;
  while (!latch->open) co_await async::sleep_for(milliseconds(2));
  co_return Response::text("late");
}
void await_entered(const Latch& latch, int count) {
  while (latch.entered < count) std::this_thread::sleep_for(milliseconds(1));
}

bool accepts(std::uint16_t port) {
  try {
    RawClient client(port);
    return true;
  } catch (const boost::system::system_error&) {
    return false;
  }
}

asio::awaitable<void> write_parts(StreamWriter& writer) {
  co_await writer.write("one ");
  co_await writer.write("");
  co_await async::sleep_for(milliseconds(1));
  co_await writer.write("two");
}
asio::awaitable<void> write_and_fail(StreamWriter& writer) {
  co_await writer.write("begun");
  throw std::runtime_error("no more");
}
asio::awaitable<Response> stream(std::function<asio::awaitable<void>(StreamWriter&)> writer) {
  Response response;
  response.headers.add("Content-Type", "text/event-stream");
  response.stream = std::move(writer);
  co_return response;
}

class ServerLimits : public ServerTest {
 protected:
  void SetUp() override {
    add(Method::get, "/text", Access::open, fixed("hello"));
    add(Method::get, "/health", Access::open, fixed("ok"));
    add(Method::get, "/large", Access::open, fixed(std::string(3'000'000, 'x')));
    add(Method::post, "/echo", Access::open, echo, 100'000);
    add(Method::get, "/wait", Access::open, [latch = latch](Request&) { return wait_for(latch); });
    add(Method::get, "/stream", Access::open, [](Request&) { return stream(write_parts); });
    add(Method::get, "/broken-stream", Access::open, [](Request&) { return stream(write_and_fail); });
    add(Method::get, "/admin/x", Access::admin, fixed("secret"));
    add(Method::post, "/admin/x", Access::admin, echo, 10'000'000);
  }
  std::shared_ptr<Latch> latch = std::make_shared<Latch>();
};

TEST_F(ServerLimits, RefusesBadHeadsAndCloses) {
  start();
  for (const auto& [bytes, status] : std::vector<std::pair<std::string, std::string>>{
           {"GET /text HTTP/1.1\r\n\r\n", "400"},
           {"GET /text HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400"},
           {"GET /text HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", "400"},
           {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /text HTTP/1.1\r\nHost: "
            "a\r\n\r\n",
            "400"},
           {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\nx", "400"},
           {"GET /text HTTP/1.1\nHost: a\n\n", "400"},
           {"\x16\x03\x01 TLS?\r\n\r\n", "400"},
           {"GET text HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
           {"GET http://b/text HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
           {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"},
           {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc", "400"},
           {"GET /" + std::string(17'000, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n", "431"},
           {"GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(17'000, 'x'), "431"}}) {
    RawClient client(server->port());
    client.send(bytes);
    client.finish_sending();
    const std::string answer = client.read_to_end();
    EXPECT_THAT(answer, testing::StartsWith("HTTP/1.1 " + status + " ")) << bytes.substr(0, 100);
    EXPECT_THAT(answer, HasSubstr(R"({"detail":")")) << bytes.substr(0, 100);
    EXPECT_EQ(answer.find("HTTP/1.1", 1), std::string::npos) << "one answer only: " << bytes.substr(0, 100);
  }
}

TEST_F(ServerLimits, KeepsConnectionsAsTheRequestAsks) {
  start();
  RawClient client(server->port());
  EXPECT_EQ(client.ask(make("GET", "/text")).body, "hello");
  EXPECT_EQ(client.ask(make("GET", "/nothing")).status, 404U);
  EXPECT_EQ(client.ask(make("POST", "/text", {}, "body of a refused one")).status, 405U);
  EXPECT_EQ(client.ask("GET /text HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").header("Connection"), "keep-alive");
  const auto last = client.ask(make("GET", "/text", "Connection: close\r\n"));
  EXPECT_EQ(last.header("Connection"), "close");
  EXPECT_TRUE(client.is_closed_within(milliseconds(5000)));
  RawClient old(server->port());
  EXPECT_EQ(old.ask("GET /text HTTP/1.0\r\n\r\n").body, "hello");
  EXPECT_TRUE(old.is_closed_within(milliseconds(5000)));
}

TEST_F(ServerLimits, AnswersPipelinedRequestsInOrder) {
  start();
  std::string all;
  for (int i = 0; i < 50; ++i) all += make("POST", "/echo", {}, "number " + std::to_string(i));
  RawClient client(server->port());
  client.send(all);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(client.receive().body, "number " + std::to_string(i));
}

TEST_F(ServerLimits, TakesBodiesUpToTheRoutesLimit) {
  start();
  const std::string largest(100'000, 'x');
  EXPECT_EQ(ask(make("POST", "/echo", {}, largest)).body, largest);
  EXPECT_EQ(ask(make("POST", "/echo", {}, largest + "x")).status, 413U);
  std::string chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 11; ++i) chunked += "2710\r\n" + std::string(10'000, 'y') + "\r\n";
  const auto refused = ask(chunked + "0\r\n\r\n");
  EXPECT_EQ(refused.status, 413U);
  EXPECT_EQ(refused.body, R"({"detail":"Request Entity Too Large"})");
  EXPECT_EQ(refused.header("Connection"), "close");
  EXPECT_EQ(ask(make("POST", "/nothing", {}, std::string(1'100'000, 'z'))).status, 404U);
  EXPECT_EQ(ask("POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999\r\n\r\n").status, 404U);
}

TEST_F(ServerLimits, ContinuesOnlyWhatItWillTake) {
  settings.auth.admin_tokens = {{"admin", "t"}};
  start();
  RawClient client(server->port());
  client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.receive(false).status, 100U);
  EXPECT_EQ(client.ask("hello").body, "hello");
  const auto refused = client.ask("POST /admin/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(refused.status, 401U);
  EXPECT_EQ(refused.header("Connection"), "close");
  EXPECT_EQ(ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\nExpect: 100-continue\r\n\r\n").status, 413U);
  EXPECT_EQ(get("/text", "Expect: miracles\r\n").status, 417U);
}

TEST_F(ServerLimits, RefusesCompressedBodies) {
  start();
  EXPECT_EQ(ask(make("POST", "/echo", "Content-Encoding: gzip\r\n", "x")).status, 415U);
  EXPECT_EQ(ask(make("POST", "/echo", "Content-Encoding: identity\r\n", "x")).status, 200U);
}

TEST_F(ServerLimits, CutsSlowClientsOff) {
  settings.header_deadline = milliseconds(40);
  settings.body_deadline = milliseconds(40);
  settings.idle_deadline = milliseconds(60);
  start();
  RawClient slow_head(server->port());
  slow_head.send("GET /text HT");
  EXPECT_EQ(slow_head.receive().status, 408U);
  RawClient slow_body(server->port());
  slow_body.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12");
  const auto answer = slow_body.receive();
  EXPECT_EQ(answer.status, 408U);
  EXPECT_EQ(answer.header("Connection"), "close");
  RawClient idle(server->port());
  EXPECT_EQ(idle.ask(make("GET", "/text")).status, 200U);
  EXPECT_EQ(idle.read_to_end(), "") << "closed without a word";
}

TEST_F(ServerLimits, CutsOffWhoDoesNotRead) {
  settings.write_deadline = milliseconds(50);
  start();
  RawClient client(server->port());
  for (int i = 0; i < 20; ++i) client.send(make("GET", "/large"));
  while (server->connections() > 0) std::this_thread::sleep_for(milliseconds(2));
}

TEST_F(ServerLimits, WritesLargeAnswersWhole) {
  start();
  EXPECT_EQ(get("/large").body.size(), 3'000'000U);
}

TEST_F(ServerLimits, AnswersForAHandlerThatTakesTooLong) {
  settings.handler_deadline = milliseconds(30);
  start();
  const auto answer = get("/wait");
  EXPECT_EQ(answer.status, 503U);
  EXPECT_EQ(answer.header("Retry-After"), "1");
  EXPECT_EQ(server->in_flight(), 1U) << "it still runs";
  latch->open = true;
  while (server->in_flight() > 0) std::this_thread::sleep_for(milliseconds(1));
}

TEST_F(ServerLimits, GoesOnWithARequestWhoseClientHasGone) {
  start();
  {
    RawClient client(server->port());
    client.send(make("GET", "/wait"));
    await_entered(*latch, 1);
  }
  EXPECT_EQ(server->in_flight(), 1U);
  latch->open = true;
  while (server->connections() > 0) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(get("/text").status, 200U);
}

TEST_F(ServerLimits, RefusesConnectionsBeyondTheCap) {
  settings.max_connections = 2;
  start();
  auto first = std::make_unique<RawClient>(server->port());
  RawClient second(server->port());
  EXPECT_EQ(first->ask(make("GET", "/text")).status, 200U);
  EXPECT_EQ(second.ask(make("GET", "/text")).status, 200U);
  const auto refused = get("/text");
  EXPECT_EQ(refused.status, 503U);
  EXPECT_EQ(refused.header("Retry-After"), "1");
  EXPECT_EQ(refused.body, R"({"detail":"Service Unavailable"})");
  first.reset();
  while (server->connections() > 1) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(get("/text").status, 200U);
}

TEST_F(ServerLimits, RefusesRequestsBeyondTheCapButNotProbes) {
  settings.max_requests_in_flight = 1;
  start();
  RawClient busy(server->port());
  busy.send(make("GET", "/wait"));
  await_entered(*latch, 1);
  const auto refused = get("/text");
  EXPECT_EQ(refused.status, 503U);
  EXPECT_EQ(refused.header("Retry-After"), "1");
  EXPECT_EQ(get("/health").status, 200U);
  latch->open = true;
  EXPECT_EQ(busy.receive().body, "late");
  EXPECT_EQ(get("/text").status, 200U);
}

TEST_F(ServerLimits, StreamsInChunks) {
  start();
  RawClient client(server->port());
  const auto answer = client.ask(make("GET", "/stream"));
  EXPECT_EQ(answer.body, "one two");
  EXPECT_EQ(answer.header("Content-Type"), "text/event-stream");
  EXPECT_EQ(client.ask(make("GET", "/text")).body, "hello") << "the connection goes on";
  RawClient old(server->port());
  old.send("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  const std::string bytes = old.read_to_end();
  EXPECT_THAT(bytes, testing::EndsWith("\r\n\r\none two"));
  EXPECT_EQ(bytes.find("Transfer-Encoding"), std::string::npos);
}

TEST_F(ServerLimits, CutsABrokenStreamOff) {
  start();
  EXPECT_EQ(get("/broken-stream").body, "begun<cut off>");
}

TEST_F(ServerLimits, DrainsIdleConnectionsAtOnceAndRunningOnesAfterTheirAnswer) {
  start(2);
  RawClient idle(server->port());
  EXPECT_EQ(idle.ask(make("GET", "/text")).status, 200U);
  RawClient busy(server->port());
  busy.send(make("GET", "/wait"));
  await_entered(*latch, 1);
  server->drain();
  EXPECT_TRUE(idle.is_closed_within(milliseconds(5000)));
  EXPECT_EQ(server->in_flight(), 1U);
  latch->open = true;
  const auto answer = busy.receive();
  EXPECT_EQ(answer.body, "late");
  EXPECT_EQ(answer.header("Connection"), "close");
  EXPECT_TRUE(busy.is_closed_within(milliseconds(5000)));
  // Each loop closes its own listener.
  while (accepts(server->port())) std::this_thread::sleep_for(milliseconds(1));
}

TEST_F(ServerLimits, ServesManyClientsOnTwoLoops) {
  start(2);
  std::vector<std::future<int>> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(std::async(std::launch::async, [this, i] {
      RawClient client(server->port());
      int good = 0;
      for (int n = 0; n < 100; ++n) {
        const std::string body = std::to_string(i) + " " + std::to_string(n);
        good += client.ask(make("POST", "/echo", {}, body)).body == body ? 1 : 0;
      }
      return good;
    }));
  }
  for (auto& client : clients) EXPECT_EQ(client.get(), 100);
  EXPECT_EQ(server->in_flight(), 0U);
}

TEST_F(ServerLimits, SaysInWordsThatTheAddressIsTaken) {
  start();
  asio::io_context other;
  ServerSettings same;
  same.port = server->port();
  try {
    Server second(same, router, {&other});
    second.start();
    FAIL() << "two servers on one port";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::unavailable);
    EXPECT_THAT(error.what(), HasSubstr("another program"));
  }
  same.host = "203.0.113.9";
  Server elsewhere(same, router, {&other});
  EXPECT_THROW(elsewhere.start(), Error);
}

}  // namespace
}  // namespace loquat::http::test
