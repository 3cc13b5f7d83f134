#pragma once

#include <curl/curl.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "core/network.h"
#include "http/client.h"

namespace loquat::http {

/// Told of the sockets that libcurl opens and closes for its connections.
class SocketOwner {
 public:
  virtual ~SocketOwner() = default;
  /// A socket of this kind, or CURL_SOCKET_BAD.
  virtual curl_socket_t open_socket(const curl_sockaddr& address) = 0;
  virtual void close_socket(curl_socket_t socket) = 0;
};

/// The DNS cache and the TLS sessions that all loops share. libcurl locks it through us.
class Share {
 public:
  Share();
  ~Share();
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;
  [[nodiscard]] CURLSH* handle() const noexcept { return handle_; }

 private:
  struct Locks;
  std::unique_ptr<Locks> locks_;
  CURLSH* handle_;
};

/// One libcurl easy handle, used for one request after the other.
class Transfer {
 public:
  Transfer(const Client::Settings& settings, const Share& share, SocketOwner& sockets);
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  [[nodiscard]] CURL* easy() const noexcept { return easy_; }

  /// Sets the handle up; `request` must live until the transfer is finished. `idle_limit`: connections that were idle longer
  /// are not used again. False when libcurl refuses a value.
  [[nodiscard]] bool prepare(const ClientRequest& request, std::chrono::milliseconds time_left, std::chrono::seconds idle_limit);
  /// The outcome, after libcurl has finished with `code`.
  [[nodiscard]] ClientResponse finish(CURLcode code);
  /// The outcome when it was ended from outside.
  [[nodiscard]] ClientResponse abort(std::string why);

  /// False after libcurl retried inside: its counter of retries is not set back with the next request (curl#19066).
  [[nodiscard]] bool is_reusable() const noexcept { return attempts_ <= 1; }

 private:
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self) noexcept;
  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self) noexcept;
  static int on_connected(void* self, char* remote_address, char* local_address, int remote_port, int local_port) noexcept;
  static curl_socket_t on_open_socket(void* self, curlsocktype purpose, curl_sockaddr* address) noexcept;
  static int on_close_socket(void* owner, curl_socket_t socket) noexcept;

  void set_constants(const Client::Settings& settings, const Share& share);
  [[nodiscard]] bool set_method(const ClientRequest& request);
  [[nodiscard]] bool set_headers(const ClientRequest& request);
  void set_proxy(const ClientRequest& request);
  [[nodiscard]] bool address_allowed(const IpAddress& address) const;
  void read_header(std::string_view line);
  [[nodiscard]] long bytes_sent() const;
  [[nodiscard]] Failure failure() const;
  [[nodiscard]] std::string describe(CURLcode code) const;

  SocketOwner& sockets_;
  CURL* easy_;
  curl_slist* header_list_ = nullptr;
  Headers headers_of_list_;
  const ClientRequest* request_ = nullptr;
  ClientResponse response_;
  std::size_t header_bytes_ = 0;
  unsigned attempts_ = 0;  ///< how often libcurl was about to send the request
  long sent_before_ = 0;   ///< bytes sent before the first attempt (a proxy's CONNECT)
  bool address_refused_ = false;
  bool too_large_ = false;
  bool repeat_refused_ = false;
  bool in_body_ = false;
  bool head_complete_ = false;
  std::array<char, CURL_ERROR_SIZE> error_{};
};

}  // namespace loquat::http
