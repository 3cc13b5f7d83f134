#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "http/gate.h"
#include "http/request_metrics.h"
#include "http/server.h"

/// Inside of the server.
namespace loquat::http {

using Clock = std::chrono::steady_clock;
class Connection;

/// What all loops of a server share. Settings and gate are immutable; the rest is atomic.
struct Shared {
  Shared(ServerSettings s, const Router& router) : settings(std::move(s)), gate(settings, router) {}

  const ServerSettings settings;
  const Gate gate;
  std::atomic<std::size_t> connections{0};
  std::atomic<std::size_t> in_flight{0};
  std::atomic<std::size_t> refusing{0};  ///< connections that are being told that the server is full
  std::atomic<bool> draining{false};
};

/// One io_context's part of the server. Used on that loop's thread only. Sockets, acceptors and timers live in coroutine frames, which
/// go with their io_context; here are only pointers to them.
class Loop {
 public:
  Loop(asio::io_context& io, std::shared_ptr<Shared> shared) : context(io), state(std::move(shared)) {}

  asio::io_context& context;
  const std::shared_ptr<Shared> state;
  RequestMetrics metrics;
  std::vector<asio::ip::tcp::acceptor*> acceptors;

  void add(Connection& connection);
  void remove(Connection& connection) noexcept;
  /// The Date header's value; made anew at most once a second.
  [[nodiscard]] const std::string& date(Clock::time_point now);

  /// Closes the acceptors and the connections without a request.
  void drain();
  void close();

  /// Looks after all deadlines of the loop's connections with one timer. Runs until the context ends.
  [[nodiscard]] static asio::awaitable<void> sweep(std::shared_ptr<Loop> self);
  [[nodiscard]] static asio::awaitable<void> accept(std::shared_ptr<Loop> self, asio::ip::tcp::acceptor acceptor, bool is_admin);

 private:
  [[nodiscard]] bool admit(asio::ip::tcp::socket& socket, bool is_admin, const std::shared_ptr<Loop>& self);

  std::vector<Connection*> connections_;
  asio::steady_timer* sweep_timer_ = nullptr;
  bool is_sweep_idle_ = false;
  std::string date_;
  Clock::time_point date_since_;
};

}  // namespace loquat::http
