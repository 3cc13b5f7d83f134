// The limits that the benchmarks compare with: a Beast server that does next to nothing, and a stand-in for the Graph API.
//
// usage: bare_server PORT fixed|hmac|graph [DELAY_MS]
//   fixed: answers 200 at once; hmac: checks X-Hub-Signature-256 and parses the body first; graph: answers like the Send API,
//   GET /stats gives {"count": n}
#include <atomic>
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/json.hpp>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>

#include "core/crypto.h"

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

enum class Mode { fixed, hmac, graph };

struct Server {
  Mode mode = Mode::fixed;
  std::chrono::milliseconds delay{0};
  loquat::crypto::Hmac hmac{loquat::crypto::Hmac::Algorithm::sha256, "appsecret"};
  std::size_t count = 0;
};

bool is_valid(const Server& server, const http::request<http::string_body>& request) {
  const auto field = request["X-Hub-Signature-256"];
  const std::string_view header(field.data(), field.size());
  if (!header.starts_with("sha256=") || !loquat::crypto::equal_constant_time(server.hmac.sign(request.body()), header.substr(7)))
    return false;
  boost::system::error_code failure;
  const auto value = boost::json::parse(request.body(), failure);
  return !failure && value.is_object() && value.as_object().contains("entry");
}

std::string answer(Server& server, const http::request<http::string_body>& request, http::status& status) {
  if (server.mode == Mode::hmac && !is_valid(server, request)) status = http::status::forbidden;
  if (server.mode != Mode::graph) return R"({"success":true})";
  if (request.method() == http::verb::get) return R"({"count":)" + std::to_string(server.count) + "}";
  // Seen and typing marks are no replies.
  if (request.body().find("sender_action") == std::string::npos) ++server.count;
  return R"({"recipient_id":"1","message_id":"m_)" + std::to_string(server.count) + "\"}";
}

asio::awaitable<void> talk(Server& server, tcp::socket socket) {
  boost::system::error_code failure;
  socket.set_option(tcp::no_delay(true), failure);
  beast::flat_buffer buffer;
  auto token = asio::redirect_error(asio::use_awaitable, failure);
  for (;;) {
    http::request_parser<http::string_body> parser;
    parser.body_limit(std::uint64_t{1} << 22U);
    co_await http::async_read(socket, buffer, parser, token);
    if (failure) co_return;
    http::response<http::string_body> response{http::status::ok, 11};
    auto status = http::status::ok;
    response.body() = answer(server, parser.get(), status);
    response.result(status);
    response.set(http::field::content_type, "application/json");
    response.prepare_payload();
    if (server.delay.count() > 0) {
      asio::steady_timer timer(socket.get_executor(), server.delay);
      co_await timer.async_wait(token);
    }
    http::response_serializer<http::string_body> serializer{response};
    co_await http::async_write(socket, serializer, token);
    if (failure) co_return;
  }
}

asio::awaitable<void> listen(Server& server, std::uint16_t port) {
  const auto executor = co_await asio::this_coro::executor;
  tcp::acceptor acceptor(executor, {asio::ip::address_v4::loopback(), port});
  std::cout << "ready " << acceptor.local_endpoint().port() << std::endl;
  for (;;) {
    auto socket = co_await acceptor.async_accept(asio::use_awaitable);
    asio::co_spawn(executor, talk(server, std::move(socket)), asio::detached);
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3) {
    std::cerr << "usage: bare_server PORT fixed|hmac|graph [DELAY_MS]\n";
    return 2;
  }
  Server server;
  const std::string mode = arguments[2];
  server.mode = mode == "hmac" ? Mode::hmac : mode == "graph" ? Mode::graph : Mode::fixed;
  if (count > 3) server.delay = std::chrono::milliseconds(std::atoi(arguments[3]));
  asio::io_context loop(1);
  asio::co_spawn(loop, listen(server, static_cast<std::uint16_t>(std::atoi(arguments[1]))), asio::detached);
  loop.run();
}
