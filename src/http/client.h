#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "http/message.h"

namespace loquat::http {

/// Which addresses a request may reach. Checked on the real socket address at connect, so DNS tricks do not help.
struct AddressPolicy {
  bool public_only = false;          ///< URLs from bots' data: no private, loopback, link-local, metadata addresses...
  std::vector<std::string> allowed;  ///< ...except these networks (CIDR)
};

struct ClientRequest {
  std::string method = "GET";
  std::string url;
  Headers headers;
  std::string body;
  std::chrono::milliseconds deadline{30'000};  ///< for everything: look-up, connect, send, answer
  std::chrono::milliseconds connect_deadline{5'000};
  std::size_t response_limit = std::size_t{1} << 20U;  ///< bytes
  unsigned max_redirects = 0;                          ///< followed by us; across origins headers are dropped (make_redirect)
  bool may_repeat = true;         ///< an idempotent one, once, over a new connection, when a kept one dies before an answer begins
  bool fresh_connection = false;  ///< takes no kept one
  bool use_environment_proxy = true;
  std::string proxy;                         ///< overrides the environment's
  const AddressPolicy* addresses = nullptr;  ///< null: any; must outlive the call
};

/// How a request ended that got no answer.
enum class Failure : std::uint8_t {
  none,
  not_sent,  ///< refused, unresolved, TLS failed, not allowed, bad URL: the server has not seen it
  unknown,   ///< lost or timed out after it may have been sent: the server may have acted on it
};

struct ClientResponse {
  Failure failure = Failure::none;
  std::string error;  ///< plain words when failure is not none (no secret of the URL in it)
  unsigned status = 0;
  Headers headers;
  std::string body;
};

/// Outbound HTTP: one libcurl multi handle a loop, driven by that loop; connections pooled and kept per host, TLS verified
/// (1.2 or newer), at most `per_host` requests at once a host and loop, others wait in order. `send` must be called on a
/// coroutine that runs on one of the loops given to the constructor. It never throws for what the network does: see Failure.
class Client {
 public:
  struct Settings {
    std::size_t per_host = 64;
    std::size_t max_waiting = 10'000;  ///< beyond: Failure::not_sent
    std::string user_agent = "loquat";
    std::string ca_file;  ///< certificates to trust; empty: the system's
  };
  Client(Settings settings, std::vector<boost::asio::io_context*> loops);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  [[nodiscard]] asio::awaitable<ClientResponse> send(ClientRequest request);

  /// Ends running requests (Failure::unknown). To be called before the loops stop.
  void close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace loquat::http
