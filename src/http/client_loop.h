#pragma once

#include <curl/curl.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "async/completion.h"
#include "http/client.h"
#include "http/client_transfer.h"

namespace loquat::http {

/// One io_context's part of the client: libcurl's multi handle in its socket-driven form, its sockets and its timer on Asio,
/// and the queue of each host. Everything runs on the loop's thread, except the constructor and `post_shutdown`.
class ClientLoop final : public SocketOwner, public std::enable_shared_from_this<ClientLoop> {
 public:
  using Clock = std::chrono::steady_clock;

  ClientLoop(asio::io_context& context, Client::Settings settings, std::shared_ptr<const Share> share);
  ~ClientLoop() override;
  ClientLoop(const ClientLoop&) = delete;
  ClientLoop& operator=(const ClientLoop&) = delete;

  [[nodiscard]] asio::io_context& context() const noexcept { return context_; }

  /// One request without redirects. The request must live until this returns. The waiting coroutine does not own the loop:
  /// the loop owns the coroutine, by its completion.
  [[nodiscard]] static asio::awaitable<ClientResponse> perform(std::weak_ptr<ClientLoop> loop, const ClientRequest& request,
                                                               Clock::time_point deadline);

  /// Ends everything, from any thread, on the loop's own; later requests fail. A loop that runs no more is cleaned up when
  /// its last owner goes.
  void post_shutdown();

  curl_socket_t open_socket(const curl_sockaddr& address) override;
  void close_socket(curl_socket_t socket) override;

 private:
  using Descriptor = asio::posix::basic_stream_descriptor<asio::io_context::executor_type>;

  struct Socket {
    Socket(asio::io_context& context, curl_socket_t socket, bool is_ours) : descriptor(context, socket), ours(is_ours) {}
    Descriptor descriptor;
    bool ours;  ///< opened by open_socket; else one of libcurl's own (the resolver's)
    bool open = true;
    int wanted = 0;  ///< CURL_POLL_*: bit 1 in, bit 2 out
    bool reading = false;
    bool writing = false;
  };

  struct Exchange;
  using ExchangePointer = std::shared_ptr<Exchange>;

  /// The requests to one scheme, host and port.
  struct Host {
    std::size_t running = 0;
    std::list<ExchangePointer> waiting;
    std::chrono::seconds idle_limit;
  };

  struct Exchange {
    Exchange(const ClientRequest& r, Clock::time_point d, async::Completion<ClientResponse> c)
        : request(&r), deadline(d), completion(std::move(c)) {}
    const ClientRequest* request;
    Clock::time_point deadline;
    std::optional<async::Completion<ClientResponse>> completion;  ///< empty: done
    asio::cancellation_slot slot;
    Host* host = nullptr;
    std::list<ExchangePointer>::iterator place;  ///< in host->waiting, or in running_ when there is a transfer
    std::unique_ptr<Transfer> transfer;
    std::optional<asio::steady_timer> queue_timer;
  };

  void submit(const ExchangePointer& exchange);
  void enqueue(const ExchangePointer& exchange);
  void start(const ExchangePointer& exchange);
  void start_next(Host& host);
  void end(Exchange& exchange, ClientResponse response);
  void abort(const ExchangePointer& exchange, const std::string& why);
  [[nodiscard]] Host& host_of(const std::string& url);
  void recycle(std::unique_ptr<Transfer> transfer);

  void drain();
  void finish_transfers();
  void run_timeouts();
  void set_timer(long milliseconds);
  void arm_timer();
  void watch(const std::shared_ptr<Socket>& socket);
  void wait_for(const std::shared_ptr<Socket>& socket, bool to_read);
  void on_ready(const std::shared_ptr<Socket>& socket, int event);
  void want(curl_socket_t socket, int what);
  void forget(curl_socket_t socket);
  void shutdown(bool answer);

  static int on_socket(CURL* easy, curl_socket_t socket, int what, void* self, void* socket_data) noexcept;
  static int on_timer(CURLM* multi, long milliseconds, void* self) noexcept;

  asio::io_context& context_;
  const Client::Settings settings_;
  const std::shared_ptr<const Share> share_;
  CURLM* multi_;
  bool closed_ = false;
  bool timeouts_due_ = false;  ///< libcurl asked to be called at once
  std::unordered_map<curl_socket_t, std::shared_ptr<Socket>> sockets_;
  std::unordered_map<std::string, Host> hosts_;
  std::list<ExchangePointer> running_;
  std::size_t waiting_ = 0;
  std::vector<std::unique_ptr<Transfer>> spare_;
  asio::steady_timer timer_;
  Clock::time_point timer_wanted_ = Clock::time_point::max();
  Clock::time_point timer_armed_ = Clock::time_point::max();
};

}  // namespace loquat::http
