#pragma once

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/text.h"
#include "http/server.h"

/// A real server on a free port, and a client that sends and shows raw bytes.
namespace loquat::http::test {

using boost::asio::ip::tcp;
using std::chrono::milliseconds;

/// An answer as it came. Status 0: the server closed without one.
struct Answer {
  unsigned status = 0;
  std::string head;  ///< status line and headers
  std::string body;

  /// The first value of that header, or "none".
  [[nodiscard]] std::string header(std::string_view name) const {
    for (auto line : text::split(head, '\n')) {
      const auto colon = line.find(':');
      if (colon == std::string_view::npos || !text::equal_ignoring_ascii_case(line.substr(0, colon), name)) continue;
      return std::string(text::trim_ascii(line.substr(colon + 1)));
    }
    return "none";
  }
};

class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : socket_(io_) {
    socket_.connect({boost::asio::ip::make_address("127.0.0.1"), port});
    const timeval limit{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }

  void send(std::string_view bytes) {
    boost::system::error_code ignored;
    boost::asio::write(socket_, boost::asio::buffer(bytes), ignored);
  }
  /// The next answer; interim ones (100) are answers too.
  Answer receive(bool has_body = true) {
    Answer answer;
    boost::system::error_code error;
    boost::asio::read_until(socket_, boost::asio::dynamic_buffer(input_), "\r\n\r\n", error);
    const auto end = input_.find("\r\n\r\n");
    if (end == std::string::npos) return answer;
    answer.head = input_.substr(0, end + 2);
    input_.erase(0, end + 4);
    answer.status = static_cast<unsigned>(std::stoul(answer.head.substr(9, 3)));
    const auto length = answer.header("Content-Length");
    if (has_body && length != "none") answer.body = take(std::stoul(length));
    if (has_body && answer.header("Transfer-Encoding") == "chunked") answer.body = take_chunks();
    return answer;
  }
  Answer ask(std::string_view bytes) {
    send(bytes);
    return receive();
  }
  /// Everything until the server closes.
  std::string read_to_end() {
    boost::system::error_code error;
    boost::asio::read(socket_, boost::asio::dynamic_buffer(input_), error);
    return std::exchange(input_, {});
  }
  /// Whether the server closes (true) or stays silent until the time is over.
  bool is_closed_within(milliseconds time) {
    const timeval limit{.tv_sec = time.count() / 1000, .tv_usec = (time.count() % 1000) * 1000};
    ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    char byte = 0;
    return ::recv(socket_.native_handle(), &byte, 1, 0) == 0 || errno == ECONNRESET;
  }
  void finish_sending() { socket_.shutdown(tcp::socket::shutdown_send); }
  void close() { socket_.close(); }

 private:
  std::string take(std::size_t bytes) {
    boost::system::error_code error;
    if (input_.size() < bytes) {
      boost::asio::read(socket_, boost::asio::dynamic_buffer(input_), boost::asio::transfer_exactly(bytes - input_.size()), error);
    }
    std::string body = input_.substr(0, bytes);
    input_.erase(0, body.size());
    return body;
  }
  std::string take_chunks() {
    std::string body;
    for (;;) {
      boost::system::error_code error;
      boost::asio::read_until(socket_, boost::asio::dynamic_buffer(input_), "\r\n", error);
      if (error) return body + "<cut off>";
      const auto size = std::stoul(input_, nullptr, 16);
      input_.erase(0, input_.find("\r\n") + 2);
      body += take(size);
      take(2);
      if (size == 0) return body;
    }
  }

  boost::asio::io_context io_;
  tcp::socket socket_;
  std::string input_;
};

class ServerTest : public testing::Test {
 protected:
  ~ServerTest() override { stop(); }

  /// Routes must be added before.
  void start(std::size_t loops = 1) {
    std::vector<asio::io_context*> pointers;
    for (std::size_t i = 0; i < loops; ++i) {
      contexts_.push_back(std::make_unique<asio::io_context>(1));
      pointers.push_back(contexts_.back().get());
    }
    settings.port = 0;
    server = std::make_unique<Server>(settings, router, pointers);
    server->start();
    for (auto& context : contexts_) threads_.emplace_back([&context] { context->run(); });
  }
  void stop() {
    if (!server) return;
    server->close();
    for (auto& context : contexts_) context->stop();
    for (auto& thread : threads_) thread.join();
    threads_.clear();
    server.reset();
    contexts_.clear();
  }

  void add(Method method, const std::string& pattern, Access access, Handler handler, std::size_t body_limit = std::size_t{1} << 20U) {
    router.add(method, pattern, {.access = access, .body_limit = body_limit}, std::move(handler));
  }
  /// One request on a connection of its own.
  Answer ask(std::string_view bytes) { return RawClient(server->port()).ask(bytes); }
  /// A GET with more header lines ("Name: value\r\n").
  Answer get(const std::string& path, const std::string& headers = {}) { return ask(make("GET", path, headers)); }
  static std::string make(const std::string& method, const std::string& path, const std::string& headers = {},
                          const std::string& body = {}) {
    std::string text = method + " " + path + " HTTP/1.1\r\n";
    if (headers.find("Host:") == std::string::npos) text += "Host: localhost\r\n";
    text += headers;
    if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    return text + "\r\n" + body;
  }

  ServerSettings settings;
  Router router;
  std::unique_ptr<Server> server;

 private:
  std::vector<std::unique_ptr<asio::io_context>> contexts_;
  std::vector<std::thread> threads_;
};

/// Answers with a fixed text.
inline Handler fixed(std::string text) {
  return [text](Request&) -> asio::awaitable<Response> {
    return [](std::string body) -> asio::awaitable<Response> { co_return Response::text(std::move(body)); }(text);
  };
}
inline asio::awaitable<Response> echo(Request& request) { co_return Response::text(request.body); }

}  // namespace loquat::http::test
