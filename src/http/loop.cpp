#include "http/loop.h"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "core/clock.h"
#include "core/log.h"
#include "http/connection.h"
#include "http/response_head.h"

namespace loquat::http {
namespace {

using asio::ip::tcp;
using std::chrono::milliseconds;

/// At most so many connections at once are told that the server is full; beyond, they are just closed.
constexpr std::size_t most_refusals = 256;

IpAddress to_address(const asio::ip::address& address) {
  if (address.is_v4()) return IpAddress(address.to_v4().to_bytes());
  return IpAddress(address.to_v6().to_bytes());
}

/// How late a deadline may be noticed: a quarter of the shortest one, so that short deadlines (tests) hold too.
milliseconds sweep_interval(const ServerSettings& settings) {
  const auto shortest = std::min(
      {settings.header_deadline, settings.body_deadline, settings.write_deadline, settings.idle_deadline, settings.handler_deadline});
  return std::clamp(shortest / 4, milliseconds(5), milliseconds(250));
}

/// Says 503 and waits a moment for the client to have read it.
asio::awaitable<void> refuse_connection(std::shared_ptr<tcp::socket> socket, std::shared_ptr<Shared> state) {
  constexpr std::string_view answer =
      "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 32\r\nRetry-After: 1\r\n"
      "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{\"detail\":\"Service Unavailable\"}";
  boost::system::error_code error;
  socket->write_some(asio::buffer(answer), error);
  socket->shutdown(tcp::socket::shutdown_send, error);
  asio::steady_timer timer(socket->get_executor(), std::chrono::seconds(1));
  // Shares the socket: an expiry that is queued already runs even when this coroutine has ended.
  timer.async_wait([socket](boost::system::error_code cancelled) {
    boost::system::error_code ignored;
    if (!cancelled) socket->close(ignored);
  });
  std::array<char, 1024> waste{};
  error = {};
  while (!error && socket->is_open()) {
    (void)co_await socket->async_read_some(asio::buffer(waste), asio::redirect_error(asio::use_awaitable, error));
  }
  state->refusing.fetch_sub(1, std::memory_order_relaxed);
}

void log_escaped(const std::exception_ptr& escaped) {
  if (!escaped) return;
  try {
    std::rethrow_exception(escaped);
  } catch (const std::exception& error) {
    log::error("http", "a connection failed", {{"error", error.what()}});
  }
}

}  // namespace

void Loop::add(Connection& connection) {
  connection.place = connections_.size();
  connections_.push_back(&connection);
  if (is_sweep_idle_ && sweep_timer_ != nullptr) sweep_timer_->cancel();
}

void Loop::remove(Connection& connection) noexcept {
  connections_.back()->place = connection.place;
  connections_[connection.place] = connections_.back();
  connections_.pop_back();
}

const std::string& Loop::date(Clock::time_point now) {
  if (date_.empty() || now - date_since_ >= std::chrono::seconds(1)) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(loquat::now()).time_since_epoch();
    date_ = make_http_date(seconds.count());
    date_since_ = now;
  }
  return date_;
}

void Loop::drain() {
  for (auto* acceptor : acceptors) {
    boost::system::error_code ignored;
    acceptor->close(ignored);
  }
  for (std::size_t i = 0; i < connections_.size(); ++i) connections_[i]->drain();
  if (sweep_timer_ != nullptr) sweep_timer_->cancel();
}

void Loop::close() {
  drain();
  for (std::size_t i = 0; i < connections_.size(); ++i) connections_[i]->close();
}

asio::awaitable<void> Loop::sweep(std::shared_ptr<Loop> self) {
  const auto interval = sweep_interval(self->state->settings);
  asio::steady_timer timer(self->context);
  self->sweep_timer_ = &timer;
  while (!self->connections_.empty() || !self->state->draining) {
    // Without connections there is nothing to wake up for.
    self->is_sweep_idle_ = self->connections_.empty();
    if (self->is_sweep_idle_) {
      timer.expires_at(Clock::time_point::max());
    } else {
      timer.expires_after(interval);
    }
    boost::system::error_code cancelled;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    const auto now = Clock::now();
    for (std::size_t i = 0; i < self->connections_.size(); ++i) self->connections_[i]->check_deadline(now);
  }
  self->sweep_timer_ = nullptr;
}

bool Loop::admit(tcp::socket& socket, bool is_admin, const std::shared_ptr<Loop>& self) {
  boost::system::error_code error;
  socket.non_blocking(true, error);
  if (state->connections.load(std::memory_order_relaxed) >= state->settings.max_connections) {
    if (state->refusing.load(std::memory_order_relaxed) >= most_refusals) return false;
    state->refusing.fetch_add(1, std::memory_order_relaxed);
    asio::co_spawn(context, refuse_connection(std::make_shared<tcp::socket>(std::move(socket)), state), log_escaped);
    return false;
  }
  const auto endpoint = socket.remote_endpoint(error);
  if (error) return false;
  socket.set_option(tcp::no_delay(true), error);
  Peer peer;
  peer.address = to_address(endpoint.address());
  peer.text = peer.address.to_string();
  peer.is_proxy = state->gate.trusts(peer.address);
  peer.on_admin_port = is_admin;
  asio::co_spawn(context, Connection::run(std::make_shared<Connection>(std::move(socket), std::move(peer), self)), log_escaped);
  return true;
}

asio::awaitable<void> Loop::accept(std::shared_ptr<Loop> self, tcp::acceptor acceptor, bool is_admin) {
  self->acceptors.push_back(&acceptor);
  bool was_failing = false;
  while (!self->state->draining && acceptor.is_open()) {
    boost::system::error_code error;
    tcp::socket socket = co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (!error) {
      (void)self->admit(socket, is_admin, self);
      was_failing = false;
      continue;
    }
    if (error == asio::error::operation_aborted || !acceptor.is_open()) break;
    // No descriptors or memory left: others may give some back.
    if (!was_failing) log::warning("http", "cannot accept connections", {{"error", error.message()}});
    was_failing = true;
    asio::steady_timer pause(self->context, milliseconds(50));
    co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
  }
  std::erase(self->acceptors, &acceptor);
}

}  // namespace loquat::http
