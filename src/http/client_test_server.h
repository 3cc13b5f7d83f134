#pragma once

#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

/// A server for tests that misbehaves as told: one thread a connection, blocking sockets, no HTTP library.
namespace loquat::http::test {

using boost::asio::ip::tcp;

/// One request as it came; empty when the client closed.
inline std::string read_request(tcp::socket& socket) {
  boost::system::error_code error;
  std::string text;
  boost::asio::read_until(socket, boost::asio::dynamic_buffer(text), "\r\n\r\n", error);
  if (error) return {};
  const auto head = text.find("\r\n\r\n") + 4;
  const auto at = text.find("Content-Length: ");
  const std::size_t length = at < head ? std::stoul(text.substr(at + 16)) : 0;
  if (text.size() < head + length) {
    boost::asio::read(socket, boost::asio::dynamic_buffer(text), boost::asio::transfer_exactly(head + length - text.size()), error);
  }
  return error ? std::string() : text;
}

inline void write(tcp::socket& socket, const std::string& text) {
  boost::system::error_code error;
  boost::asio::write(socket, boost::asio::buffer(text), error);
}

inline std::string make_answer(const std::string& body, const std::string& headers = {}, const std::string& status = "200 OK") {
  return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body;
}

/// Closes with a reset instead of an orderly end.
inline void reset(tcp::socket& socket) {
  socket.set_option(boost::asio::socket_base::linger(true, 0));
  socket.close();
}

/// Blocks until the client closes.
inline void wait_for_close(tcp::socket& socket) {
  boost::system::error_code error;
  std::array<char, 256> buffer{};
  while (!error) socket.read_some(boost::asio::buffer(buffer), error);
}

class Server {
 public:
  /// Runs once a connection, on a thread of its own; the number counts connections from 1.
  using Serve = std::function<void(tcp::socket&, int)>;

  explicit Server(Serve serve, const char* address = "127.0.0.1")
      : acceptor_(context_, tcp::endpoint(boost::asio::ip::make_address(address), 0)), serve_(std::move(serve)) {
    port_ = acceptor_.local_endpoint().port();
    thread_ = std::thread([this] { accept(); });
  }
  ~Server() {
    stopping_ = true;
    boost::system::error_code error;
    tcp::socket knock(context_);
    knock.connect(acceptor_.local_endpoint(), error);
    thread_.join();
    {
      const std::lock_guard lock(mutex_);
      for (const auto& socket : sockets_) {
        if (socket->is_open()) ::shutdown(socket->native_handle(), SHUT_RDWR);
      }
    }
    for (auto& thread : threads_) thread.join();
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string url(const std::string& path = "/", const std::string& host = "127.0.0.1") const {
    return "http://" + host + ":" + std::to_string(port_) + path;
  }
  [[nodiscard]] int connections() const { return connections_; }

  /// Answers every request of a connection by what `answer` makes of it; an empty one closes.
  static Serve answering(std::function<std::string(const std::string&)> answer) {
    return [answer](tcp::socket& socket, int) {
      for (;;) {
        const auto request = read_request(socket);
        if (request.empty()) return;
        const auto text = answer(request);
        if (text.empty()) return;
        write(socket, text);
      }
    };
  }

 private:
  void accept() {
    for (;;) {
      auto socket = std::make_unique<tcp::socket>(context_);
      boost::system::error_code error;
      acceptor_.accept(*socket, error);
      if (stopping_) return;
      if (error) continue;
      const std::lock_guard lock(mutex_);
      sockets_.push_back(std::move(socket));
      threads_.emplace_back([this, &mine = *sockets_.back(), number = ++connections_] {
        serve_(mine, number);
        const std::lock_guard guard(mutex_);
        boost::system::error_code ignored;
        mine.close(ignored);
      });
    }
  }

  boost::asio::io_context context_;
  tcp::acceptor acceptor_;
  Serve serve_;
  std::uint16_t port_ = 0;
  std::atomic<int> connections_ = 0;
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::vector<std::unique_ptr<tcp::socket>> sockets_;
  std::vector<std::thread> threads_;
  std::thread thread_;
};

}  // namespace loquat::http::test
