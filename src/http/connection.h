#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "http/loop.h"
#include "http/request_reader.h"

namespace loquat::http {

/// One client's connection: reads requests one after the other, has them judged and handled, writes the answers.
/// Everything runs on the connection's loop. Each phase has a deadline, which the loop's sweep enforces.
class Connection final : public std::enable_shared_from_this<Connection> {
 public:
  Connection(asio::ip::tcp::socket socket, Peer peer, std::shared_ptr<Loop> loop);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Serves until the client or a deadline ends it.
  [[nodiscard]] static asio::awaitable<void> run(std::shared_ptr<Connection> self);

  /// Ends what is too late: by an answer (408, 503) where one is possible, else by closing.
  void check_deadline(Clock::time_point now);
  /// Closes now when no request is under way; otherwise its answer is the last.
  void drain();
  void close();

  std::size_t place = 0;  ///< in the loop's list

 private:
  enum class Phase : std::uint8_t { idle, head, body, handling, writing, streaming, lingering, abandoned };
  class Stream;

  void begin();
  [[nodiscard]] bool needs_bytes();
  [[nodiscard]] bool take_head();
  void take_bytes(std::size_t count);
  void refuse(Response answer);
  [[nodiscard]] bool start_handler();
  void end_handler(std::exception_ptr failure);
  void answer_too_late();
  void abandon();

  [[nodiscard]] bool encode();
  [[nodiscard]] bool write_now(std::string_view& rest);
  [[nodiscard]] asio::awaitable<void> write_rest(std::string_view rest);
  [[nodiscard]] asio::awaitable<void> write_stream();
  [[nodiscard]] bool has_unread();
  [[nodiscard]] asio::awaitable<void> linger();
  void account(unsigned status);

  asio::ip::tcp::socket socket_;
  Peer peer_;
  std::shared_ptr<Loop> loop_;
  Shared& shared_;
  RequestReader reader_;

  Phase phase_ = Phase::idle;
  Clock::time_point deadline_;
  Clock::time_point started_;  ///< the request's head was complete
  boost::system::error_code error_;

  Request request_;
  Response response_;
  const Router::Route* route_ = nullptr;
  bool is_probe_ = false;
  bool is_refused_ = false;
  bool is_timed_out_ = false;
  bool wants_continue_ = false;
  bool keep_alive_ = true;
  bool must_linger_ = false;  ///< the client may still be sending: closing at once could destroy the answer
  bool has_head_ = false;
  bool waited_for_body_ = false;
  std::string out_;
};

}  // namespace loquat::http
