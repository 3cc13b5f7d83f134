#include "http/server.h"

#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <thread>

#include "core/error.h"
#include "core/log.h"
#include "http/loop.h"

namespace loquat::http {
namespace {

using asio::ip::tcp;
using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;
constexpr int backlog = 4096;

[[noreturn]] void fail_to_bind(const tcp::endpoint& endpoint, const boost::system::error_code& error) {
  const std::string place = endpoint.address().to_string() + ", port " + std::to_string(endpoint.port());
  if (error == asio::error::address_in_use) throw Error(Code::unavailable, "cannot listen on " + place + ": another program does");
  if (error == asio::error::access_denied)
    throw Error(Code::unavailable, "cannot listen on " + place + ": not allowed (ports below 1024 need a privilege)");
  throw Error(Code::unavailable, "cannot listen on " + place + ": " + error.message());
}

/// A socket that only this program's loops share. Without `is_shared` the bind fails when anybody else listens there.
tcp::acceptor bind_acceptor(asio::io_context& io, const tcp::endpoint& endpoint, bool is_shared) {
  tcp::acceptor acceptor(io);
  boost::system::error_code error;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && is_shared) acceptor.set_option(ReusePort(true), error);
  if (!error && endpoint.address().is_v6()) acceptor.set_option(asio::ip::v6_only(!endpoint.address().is_unspecified()), error);
  if (!error) acceptor.bind(endpoint, error);
  if (error) fail_to_bind(endpoint, error);
  return acceptor;
}

std::vector<asio::ip::address> resolve(asio::io_context& io, const std::string& host) {
  tcp::resolver resolver(io);
  boost::system::error_code error;
  const auto results = resolver.resolve(host, "0", tcp::resolver::passive, error);
  if (error || results.empty()) throw Error(Code::unavailable, "cannot listen on \"" + host + "\": no such address");
  std::vector<asio::ip::address> addresses;
  for (const auto& result : results) addresses.push_back(result.endpoint().address());
  return addresses;
}

}  // namespace

struct Server::Impl {
  Impl(ServerSettings settings, const Router& router, const std::vector<asio::io_context*>& contexts)
      : shared(std::make_shared<Shared>(std::move(settings), router)) {
    for (auto* context : contexts) loops.push_back(std::make_shared<Loop>(*context, shared));
  }

  /// One acceptor a loop on every address of the host; the port bound.
  std::uint16_t listen(std::uint16_t wanted, bool is_admin) {
    const auto addresses = resolve(loops.front()->context, shared->settings.host);
    std::uint16_t port = wanted;
    bool has_any = false;
    std::exception_ptr failure;
    for (const auto& address : addresses) {
      try {
        port = listen_at(tcp::endpoint(address, port), is_admin);
        has_any = true;
      } catch (const Error&) {
        failure = std::current_exception();
      }
      // "localhost" may name ::1 on a machine without IPv6; a port that is taken on one of them is taken.
      if (failure && (has_any || addresses.size() == 1)) break;
    }
    if (!has_any) std::rethrow_exception(failure);
    return port;
  }

  std::uint16_t listen_at(tcp::endpoint endpoint, bool is_admin) {
    // SO_REUSEPORT would let a second process of the same user in without a word.
    if (endpoint.port() != 0) (void)bind_acceptor(loops.front()->context, endpoint, false);
    std::vector<tcp::acceptor> acceptors;
    for (const auto& loop : loops) {
      acceptors.push_back(bind_acceptor(loop->context, endpoint, true));
      endpoint.port(acceptors.back().local_endpoint().port());
    }
    for (std::size_t i = 0; i < loops.size(); ++i) {
      boost::system::error_code error;
      acceptors[i].listen(backlog, error);
      if (error) fail_to_bind(endpoint, error);
    }
    for (std::size_t i = 0; i < loops.size(); ++i) {
      asio::co_spawn(loops[i]->context, Loop::accept(loops[i], std::move(acceptors[i]), is_admin), asio::detached);
    }
    return endpoint.port();
  }

  void for_each_loop(void (Loop::*action)()) {
    for (const auto& loop : loops) {
      asio::post(loop->context, [loop, action] { ((*loop).*action)(); });
    }
  }

  std::shared_ptr<Shared> shared;
  std::vector<std::shared_ptr<Loop>> loops;
  std::uint16_t port = 0;
  std::uint16_t admin_port = 0;
};

Server::Server(ServerSettings settings, const Router& router, std::vector<asio::io_context*> loops)
    : impl_(std::make_shared<Impl>(std::move(settings), router, loops)) {}

Server::~Server() {
  if (!impl_->shared->draining.exchange(true)) impl_->for_each_loop(&Loop::close);
}

void Server::start() {
  impl_->port = impl_->listen(impl_->shared->settings.port, false);
  if (impl_->shared->settings.admin_port != 0) impl_->admin_port = impl_->listen(impl_->shared->settings.admin_port, true);
  for (const auto& loop : impl_->loops) asio::co_spawn(loop->context, Loop::sweep(loop), asio::detached);
}

std::uint16_t Server::port() const noexcept { return impl_->port; }
std::uint16_t Server::admin_port() const noexcept { return impl_->admin_port; }

void Server::drain() {
  impl_->shared->draining = true;
  impl_->for_each_loop(&Loop::drain);
}

std::size_t Server::in_flight() const noexcept { return impl_->shared->in_flight; }
std::size_t Server::connections() const noexcept { return impl_->shared->connections; }

void Server::close() {
  impl_->shared->draining = true;
  impl_->for_each_loop(&Loop::close);
  // Loops that do not run any more never get to it.
  constexpr auto limit = std::chrono::seconds(2);
  const auto until = Clock::now() + limit;
  while (impl_->shared->connections > impl_->shared->in_flight && Clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
}

}  // namespace loquat::http
