#include "http/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <latch>

#include "async/timeout.h"
#include "http/client_fixture.h"
#include "http/client_test_server.h"

namespace loquat::http {
namespace {

using test::ClientTest;
using test::keep_response;
using test::make_answer;
using test::make_request;
using test::milliseconds;
using test::read_request;
using test::Server;
using test::tcp;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST_F(ClientTest, GivesStatusHeadersAndBody) {
  Server server(Server::answering([](const std::string&) { return make_answer("hello", "A: 1\r\nB:\r\na: 2\r\n", "418 I'm a teapot"); }));
  const auto response = get(server.url());
  EXPECT_EQ(response.failure, Failure::none) << response.error;
  EXPECT_EQ(response.status, 418U);
  EXPECT_EQ(response.body, "hello");
  EXPECT_EQ(response.headers.get("content-length"), "5");
  EXPECT_EQ(response.headers.get("A"), "1");
  EXPECT_EQ(response.headers.count("a"), 2U);
  EXPECT_EQ(response.headers.find("b"), "");
}

TEST_F(ClientTest, SendsEveryMethodAsItIs) {
  Server server(Server::answering([](const std::string& request) { return make_answer(request.starts_with("HEAD") ? "" : request); }));
  const auto plain = get(server.url("/a?b=c#d")).body;
  EXPECT_THAT(plain, testing::StartsWith("GET /a?b=c HTTP/1.1\r\n"));
  EXPECT_THAT(plain, HasSubstr("User-Agent: loquat\r\n"));
  EXPECT_THAT(plain, Not(HasSubstr("Accept-Encoding")));
  const auto posted = post(server.url(), "{}").body;
  EXPECT_THAT(posted, testing::StartsWith("POST / HTTP/1.1\r\n"));
  EXPECT_THAT(posted, testing::EndsWith("Content-Length: 2\r\n\r\n{}"));
  EXPECT_THAT(posted, Not(HasSubstr("Content-Type")));
  EXPECT_THAT(post(server.url(), "").body, HasSubstr("Content-Length: 0\r\n"));
  EXPECT_THAT(send(make_request("PATCH", server.url(), "x")).body, testing::StartsWith("PATCH / HTTP/1.1\r\n"));
  EXPECT_THAT(send(make_request("PUT", server.url(), "x")).body, testing::EndsWith("\r\n\r\nx"));
  EXPECT_THAT(send(make_request("DELETE", server.url())).body, testing::StartsWith("DELETE / HTTP/1.1\r\n"));
  EXPECT_EQ(send(make_request("HEAD", server.url())).status, 200U);
  EXPECT_THAT(get(server.url()).body, testing::StartsWith("GET / HTTP/1.1\r\n"));
  const auto large = post(server.url(), std::string(300'000, 'x')).body;
  EXPECT_EQ(large.size() - large.find("\r\n\r\n"), 300'004U);
  EXPECT_THAT(large.substr(0, 1000), Not(HasSubstr("Expect")));
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(ClientTest, SendsTheGivenHeaders) {
  Server server(Server::answering([](const std::string& request) { return make_answer(request); }));
  auto request = make_request("POST", server.url(), "{}");
  request.headers.add("Content-Type", "application/json");
  request.headers.add("X-Empty", "");
  request.headers.add("Accept-Encoding", "gzip");
  request.headers.add("Content-Length", "999");
  request.headers.add("Transfer-Encoding", "chunked");
  request.headers.add("user-agent", "other");
  const auto sent = send(request).body;
  EXPECT_THAT(sent, HasSubstr("Content-Type: application/json\r\n"));
  EXPECT_THAT(sent, HasSubstr("X-Empty:"));
  EXPECT_THAT(sent, HasSubstr("Content-Length: 2\r\n"));
  EXPECT_THAT(sent, HasSubstr("user-agent: other\r\n"));
  EXPECT_THAT(sent, Not(HasSubstr("gzip")));
  EXPECT_THAT(sent, Not(HasSubstr("999")));
  EXPECT_THAT(sent, Not(HasSubstr("chunked")));
  EXPECT_THAT(get(server.url()).body, Not(HasSubstr("X-Empty")));
}

TEST_F(ClientTest, RefusesRequestsThatAreNone) {
  Server server(Server::answering([](const std::string&) { return make_answer(""); }));
  for (const auto* url :
       {"", "ftp://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1:1/", "/path", "http://", "127.0.0.1", "http://a b/"}) {
    const auto response = get(url);
    EXPECT_EQ(response.failure, Failure::not_sent) << url;
    EXPECT_NE(response.error, "") << url;
  }
  auto request = make_request("GET", server.url());
  request.headers.add("X-A", "1\r\nX-B: 2");
  EXPECT_EQ(send(request).failure, Failure::not_sent);
  request = make_request("GET", server.url());
  request.headers.add("X A", "1");
  EXPECT_EQ(send(request).failure, Failure::not_sent);
  EXPECT_EQ(send(make_request("GET /x HTTP/1.1\r\n", server.url())).failure, Failure::not_sent);
  EXPECT_EQ(server.connections(), 0);
}

TEST_F(ClientTest, KeepsItsConnection) {
  Server server(Server::answering([](const std::string&) { return make_answer("ok"); }));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(post(server.url(), "x").body, "ok");
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(ClientTest, KeepsTheConnectionsOfABurst) {
  Server server(Server::answering([](const std::string&) { return make_answer("ok"); }));
  const std::vector<ClientRequest> burst(20, make_request("POST", server.url(), "x"));
  for (int i = 0; i < 5; ++i) {
    for (const auto& response : send_all(burst)) EXPECT_EQ(response.body, "ok") << response.error;
  }
  EXPECT_LE(server.connections(), 20);
}

TEST_F(ClientTest, GoesOnWhenTheServerClosedAnIdleConnection) {
  std::atomic<int> closed = 0;
  Server server([&closed](tcp::socket& socket, int) {
    read_request(socket);
    test::write(socket, make_answer("ok"));
    socket.shutdown(tcp::socket::shutdown_both);
    ++closed;
    closed.notify_all();
  });
  for (int i = 0; i < 5; ++i) {
    const auto response = post(server.url(), "x");
    EXPECT_EQ(response.body, "ok") << response.error;
    closed.wait(i);
  }
  EXPECT_EQ(server.connections(), 5);
}

/// A kept connection that dies after the request was read, without an answer.
Server::Serve die_at_second_request(std::atomic<int>& seen, bool with_reset) {
  return [&seen, with_reset](tcp::socket& socket, int number) {
    while (!read_request(socket).empty()) {
      if (++seen == 2 && number == 1) {
        if (with_reset) test::reset(socket);
        return;
      }
      test::write(socket, make_answer("ok"));
    }
  };
}

TEST_F(ClientTest, NeverRepeatsAPostByItself) {
  for (const bool with_reset : {false, true}) {
    std::atomic<int> seen = 0;
    Server server(die_at_second_request(seen, with_reset));
    EXPECT_EQ(post(server.url(), "1").body, "ok");
    const auto lost = post(server.url(), "2");
    EXPECT_EQ(lost.failure, Failure::unknown) << lost.error;
    EXPECT_EQ(seen, 2);
    EXPECT_EQ(post(server.url(), "3").body, "ok");
    EXPECT_EQ(seen, 3);
  }
}

TEST_F(ClientTest, RepeatsAGetOnceItsKeptConnectionDied) {
  std::atomic<int> seen = 0;
  Server server(die_at_second_request(seen, false));
  EXPECT_EQ(get(server.url()).body, "ok");
  EXPECT_EQ(get(server.url()).body, "ok");
  EXPECT_EQ(seen, 3);
  EXPECT_EQ(server.connections(), 2);
}

/// Answers its first `kept` connections once all of them have asked, and is dead after that: it reads every request, and closes.
class DyingServer {
 public:
  explicit DyingServer(int kept)
      : all_(kept), server_([this, kept](tcp::socket& socket, int number) {
          if (number <= kept) {
            read_request(socket);
            all_.arrive_and_wait();
            test::write(socket, make_answer("ok"));
          }
          if (read_request(socket).empty()) return;
          (number <= kept ? over_kept : over_new)++;
        }) {}
  [[nodiscard]] std::string url() const { return server_.url(); }

  std::atomic<int> over_kept = 0;
  std::atomic<int> over_new = 0;

 private:
  std::latch all_;
  Server server_;
};

TEST_F(ClientTest, RepeatsOnceAndOverANewConnection) {
  DyingServer server(8);
  for (const auto& response : send_all(std::vector<ClientRequest>(8, make_request("GET", server.url())))) EXPECT_EQ(response.body, "ok");
  auto request = make_request("GET", server.url());
  EXPECT_EQ(send(request).failure, Failure::unknown);
  EXPECT_EQ(server.over_kept, 1);
  EXPECT_EQ(server.over_new, 1);
  request.may_repeat = false;
  EXPECT_EQ(send(request).failure, Failure::unknown);
  EXPECT_EQ(server.over_kept, 2);
  EXPECT_EQ(server.over_new, 1);
  request.fresh_connection = true;
  request.may_repeat = true;
  EXPECT_EQ(send(request).failure, Failure::unknown);
  EXPECT_EQ(server.over_kept, 2);
  EXPECT_EQ(server.over_new, 2);
  // The handle that was used for this takes kept connections again.
  EXPECT_EQ(send(make_request("POST", server.url(), "x")).failure, Failure::unknown);
  EXPECT_EQ(server.over_kept, 3);
}

TEST_F(ClientTest, KnowsWhatWasNotSent) {
  std::uint16_t free_port = 0;
  {
    const Server gone([](tcp::socket&, int) {});
    free_port = gone.port();
  }
  const auto refused = post("http://127.0.0.1:" + std::to_string(free_port) + "/?access_token=hidden", "x");
  EXPECT_EQ(refused.failure, Failure::not_sent);
  EXPECT_THAT(refused.error, Not(HasSubstr("hidden")));
  EXPECT_EQ(post("http://no-such-host.invalid/", "x").failure, Failure::not_sent);
}

TEST_F(ClientTest, KnowsAHandshakeThatNeverEndsAsNotSent) {
  Server silent([](tcp::socket& socket, int) { test::wait_for_close(socket); });
  auto request = make_request("POST", "https://127.0.0.1:" + std::to_string(silent.port()) + "/", "x");
  request.connect_deadline = milliseconds(100);
  EXPECT_EQ(send(request).failure, Failure::not_sent);
  Server no_tls([](tcp::socket& socket, int) { test::write(socket, "SSH-2.0-nonsense\r\n"); });
  request.url = "https://127.0.0.1:" + std::to_string(no_tls.port()) + "/";
  request.connect_deadline = milliseconds(5'000);
  EXPECT_EQ(send(request).failure, Failure::not_sent);
}

TEST_F(ClientTest, KnowsWhatMayHaveBeenSent) {
  const std::vector<std::pair<const char*, Server::Serve>> servers{
      {"silent",
       [](tcp::socket& socket, int) {
         read_request(socket);
         test::wait_for_close(socket);
       }},
      {"reads nothing", [](tcp::socket& socket, int) { test::wait_for_close(socket); }},
      {"closes", [](tcp::socket& socket, int) { read_request(socket); }},
      {"resets",
       [](tcp::socket& socket, int) {
         read_request(socket);
         test::reset(socket);
       }},
      {"half a head",
       [](tcp::socket& socket, int) {
         read_request(socket);
         test::write(socket, "HTTP/1.1 200 OK\r\nContent-");
       }},
      {"half a body",
       [](tcp::socket& socket, int) {
         read_request(socket);
         test::write(socket, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
       }},
      {"broken chunk",
       [](tcp::socket& socket, int) {
         read_request(socket);
         test::write(socket, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
       }},
      {"no HTTP",
       [](tcp::socket& socket, int) {
         read_request(socket);
         test::write(socket, "hello\r\n\r\n");
       }},
      {"slow body",
       [](tcp::socket& socket, int) {
         read_request(socket);
         test::write(socket, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na");
         test::wait_for_close(socket);
       }},
  };
  for (const auto& [name, serve] : servers) {
    Server server(serve);
    auto request = make_request("POST", server.url(), "x");
    request.deadline = milliseconds(200);
    const auto response = send(request);
    EXPECT_EQ(response.failure, Failure::unknown) << name;
    EXPECT_NE(response.error, "") << name;
    EXPECT_EQ(response.status, 0U) << name;
  }
}

TEST_F(ClientTest, LimitsTheAnswer) {
  Server server(Server::answering(
      [](const std::string& request) { return make_answer(std::string(request.starts_with("GET /large") ? 5001 : 5000, 'x')); }));
  auto request = make_request("GET", server.url("/exact"));
  request.response_limit = 5000;
  EXPECT_EQ(send(request).body.size(), 5000U);
  request.url = server.url("/large");
  const auto response = send(request);
  EXPECT_EQ(response.failure, Failure::unknown);
  EXPECT_THAT(response.error, HasSubstr("larger"));
  Server endless([](tcp::socket& socket, int) {
    read_request(socket);
    test::write(socket, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 10'000 && socket.is_open(); ++i) test::write(socket, "X-Header-Number: " + std::to_string(i) + "\r\n");
  });
  EXPECT_THAT(get(endless.url()).error, HasSubstr("larger"));
}

TEST_F(ClientTest, SkipsInterimAnswersAndTrailers) {
  Server server(Server::answering([](const std::string&) {
    return std::string(
        "HTTP/1.1 103 Early Hints\r\nX-A: early\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-A: "
        "late\r\n\r\n");
  }));
  const auto response = get(server.url());
  EXPECT_EQ(response.status, 200U);
  EXPECT_EQ(response.body, "ok");
  EXPECT_EQ(response.headers.count("X-A"), 0U);
}

TEST_F(ClientTest, HoldsTheCapOfAHostAndKeepsTheOrder) {
  Client::Settings settings;
  settings.per_host = 1;
  use(settings);
  std::mutex mutex;
  std::vector<std::string> order;
  Server server(Server::answering([&](const std::string& request) {
    const std::lock_guard lock(mutex);
    order.push_back(request.substr(4, 2));
    return make_answer("ok");
  }));
  std::vector<ClientRequest> requests;
  for (const auto* path : {"/1", "/2", "/3", "/4", "/5"}) requests.push_back(make_request("GET", server.url(path)));
  for (const auto& response : send_all(requests)) EXPECT_EQ(response.body, "ok");
  EXPECT_THAT(order, ElementsAre("/1", "/2", "/3", "/4", "/5"));
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(ClientTest, RunsAtMostSoManyAtOnce) {
  Client::Settings settings;
  settings.per_host = 3;
  use(settings);
  std::atomic<int> now = 0;
  std::atomic<int> most = 0;
  Server server(Server::answering([&](const std::string&) {
    const int running = ++now;
    for (int seen = most; running > seen && !most.compare_exchange_weak(seen, running);) {
    }
    std::this_thread::sleep_for(milliseconds(5));
    --now;
    return make_answer("ok");
  }));
  for (const auto& response : send_all(std::vector<ClientRequest>(20, make_request("GET", server.url())))) EXPECT_EQ(response.body, "ok");
  EXPECT_LE(most, 3);
  EXPECT_LE(server.connections(), 3);
}

TEST_F(ClientTest, BoundsTheQueue) {
  Client::Settings settings;
  settings.per_host = 1;
  settings.max_waiting = 2;
  use(settings);
  Server server(Server::answering([](const std::string&) { return make_answer("ok"); }));
  const auto responses = send_all(std::vector<ClientRequest>(5, make_request("POST", server.url(), "x")));
  const auto refused = std::ranges::count_if(responses, [](const auto& response) { return response.failure == Failure::not_sent; });
  EXPECT_EQ(refused, 2);
  EXPECT_EQ(post(server.url(), "x").body, "ok");
}

TEST_F(ClientTest, CountsTheQueueIntoTheDeadline) {
  Client::Settings settings;
  settings.per_host = 1;
  use(settings);
  Server server([](tcp::socket& socket, int) { test::wait_for_close(socket); });
  auto first = make_request("POST", server.url(), "x");
  first.deadline = milliseconds(300);
  auto second = first;
  second.deadline = milliseconds(50);
  const auto responses = send_all({first, second});
  EXPECT_EQ(responses[0].failure, Failure::unknown);
  EXPECT_EQ(responses[1].failure, Failure::not_sent) << responses[1].error;
}

asio::awaitable<void> send_for(Client& client, ClientRequest request, milliseconds limit, bool& timed_out) {
  const auto response = co_await async::with_timeout(client.send(std::move(request)), limit);
  timed_out = !response;
}

TEST_F(ClientTest, IsCancelledWhileItRunsAndWhileItWaits) {
  Client::Settings settings;
  settings.per_host = 1;
  use(settings);
  Server server([](tcp::socket& socket, int number) {
    if (number == 1) return test::wait_for_close(socket);
    Server::answering([](const std::string&) { return make_answer("ok"); })(socket, number);
  });
  bool first = false;
  bool second = false;
  tasks.spawn(loop.get_executor(), "test", send_for(*client, make_request("POST", server.url(), "x"), milliseconds(100), first));
  tasks.spawn(loop.get_executor(), "test", send_for(*client, make_request("POST", server.url(), "x"), milliseconds(20), second));
  loop.run();
  EXPECT_TRUE(first);
  EXPECT_TRUE(second);
  EXPECT_EQ(post(server.url(), "x").body, "ok");
}

TEST_F(ClientTest, EndsEverythingWhenItIsClosed) {
  Client::Settings settings;
  settings.per_host = 1;
  use(settings);
  std::atomic<bool> read = false;
  Server server([this, &read](tcp::socket& socket, int) {
    read = !read_request(socket).empty();
    client->close();
    test::wait_for_close(socket);
  });
  const auto responses = send_all(std::vector<ClientRequest>(2, make_request("POST", server.url(), "x")));
  EXPECT_TRUE(read);
  EXPECT_EQ(responses[0].failure, Failure::unknown);
  EXPECT_EQ(responses[1].failure, Failure::not_sent);
  EXPECT_EQ(post(server.url(), "x").failure, Failure::not_sent);
}

TEST(Client, CanGoWithItsLoopWhileRequestsRun) {
  Server server([](tcp::socket& socket, int) { test::wait_for_close(socket); });
  async::TaskGroup tasks;
  std::vector<ClientResponse> responses(3);
  asio::io_context loop;
  Client client({.per_host = 2, .max_waiting = 10, .user_agent = "test", .ca_file = ""}, {&loop});
  for (auto& response : responses)
    tasks.spawn(loop.get_executor(), "test", keep_response(client, make_request("POST", server.url(), "x"), response));
  loop.run_for(milliseconds(50));
  EXPECT_EQ(server.connections(), 2);
}

/// Passes requests on to loops of their own threads and waits for them.
TEST(ClientThreads, WorkSideBySide) {
  Server server(Server::answering([](const std::string& request) { return make_answer(request.substr(request.find("\r\n\r\n") + 4)); }));
  std::deque<asio::io_context> loops(2);
  Client client({}, {&loops[0], &loops[1]});
  async::TaskGroup tasks;
  std::vector<ClientResponse> responses(200);
  for (std::size_t i = 0; i < responses.size(); ++i) {
    tasks.spawn(loops[i % 2].get_executor(), "test",
                keep_response(client, make_request("POST", server.url(), std::to_string(i)), responses[i]));
  }
  std::vector<std::thread> threads;
  threads.reserve(loops.size());
  for (auto& loop : loops) threads.emplace_back([&loop] { loop.run(); });
  EXPECT_TRUE(tasks.join(milliseconds(20'000)));
  client.close();
  for (auto& thread : threads) thread.join();
  for (std::size_t i = 0; i < responses.size(); ++i) EXPECT_EQ(responses[i].body, std::to_string(i));
}

}  // namespace
}  // namespace loquat::http
