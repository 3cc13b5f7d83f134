#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "http/router.h"

namespace loquat::http {

/// How admin paths are guarded (contract "admin access" and "Security").
struct AuthSettings {
  std::vector<std::pair<std::string, std::string>> admin_tokens;  ///< name -> token
  std::string service_token;                                      ///< empty: none
  /// No admin token is configured and that is allowed (loopback address, or AUTH=none): admin paths then still need a
  /// loopback Host (unless AUTH=none was said on another address), no Forwarded headers and a same-origin browser.
  bool open = false;
};

struct ServerSettings {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8000;                 ///< 0: any free port
  std::uint16_t admin_port = 0;              ///< 0: none; else /admin, /docs, /metrics are served there only
  std::string root_path;                     ///< prefix that a proxy leaves on, without trailing slash
  std::vector<std::string> trusted_proxies;  ///< networks in CIDR form
  std::vector<std::string> cors_origins;
  AuthSettings auth;
  std::size_t max_connections = 10'000;
  std::size_t max_header_bytes = 16 * 1024;
  std::size_t max_requests_in_flight = 10'000;        ///< beyond: 503 with Retry-After
  std::chrono::milliseconds header_deadline{10'000};  ///< from the first byte of a request to the end of its head
  std::chrono::milliseconds body_deadline{30'000};
  std::chrono::milliseconds write_deadline{30'000};
  std::chrono::milliseconds idle_deadline{75'000};  ///< between requests of a connection
  std::chrono::milliseconds handler_deadline{60'000};
};

/// The HTTP/1.1 server: one acceptor a loop (SO_REUSEPORT), coroutines inside. Adds to every answer what the contract
/// says of every service: request id, nosniff, CORS, FastAPI-shaped errors, the access log and the request metrics;
/// checks limits, deadlines, heads (two Hosts, folded lines, smuggling: 400 and close) and who may call.
class Server {
 public:
  /// `loops` and `router` must outlive the server.
  Server(ServerSettings settings, const Router& router, std::vector<boost::asio::io_context*> loops);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Binds and starts to accept. Throws Error(unavailable) in plain words when the address is taken or not ours.
  void start();
  /// The port bound (useful with port 0).
  [[nodiscard]] std::uint16_t port() const noexcept;
  [[nodiscard]] std::uint16_t admin_port() const noexcept;

  /// Stops accepting; connections close after their running request. Thread-safe, returns at once.
  void drain();
  /// Requests that are running now.
  [[nodiscard]] std::size_t in_flight() const noexcept;
  /// Open connections.
  [[nodiscard]] std::size_t connections() const noexcept;
  /// Closes what is left. Call on no loop's thread, after drain() and a wait.
  void close();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace loquat::http
