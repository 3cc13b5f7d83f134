#include "http/connection.h"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "core/log.h"
#include "http/errors.h"
#include "http/response_head.h"

namespace loquat::http {
namespace {

using std::chrono::milliseconds;

/// A body or an answer may take its deadline plus the time its bytes need at this rate.
constexpr std::uint64_t slowest_bytes_per_second = std::uint64_t{32} * 1024;
/// Beyond this a body is written by itself instead of being copied behind its head.
constexpr std::size_t joined_body_limit = std::size_t{32} * 1024;
/// The output buffer an idle connection may keep.
constexpr std::size_t kept_capacity = std::size_t{16} * 1024;
constexpr milliseconds linger_time{3'000};

milliseconds time_for(std::uint64_t bytes) { return milliseconds(bytes * 1000 / slowest_bytes_per_second); }

}  // namespace

Connection::Connection(asio::ip::tcp::socket socket, Peer peer, std::shared_ptr<Loop> loop)
    : socket_(std::move(socket)),
      peer_(std::move(peer)),
      loop_(std::move(loop)),
      shared_(*loop_->state),
      reader_(shared_.settings.max_header_bytes),
      deadline_(Clock::now() + shared_.settings.idle_deadline) {
  shared_.connections.fetch_add(1, std::memory_order_relaxed);
  loop_->add(*this);
}

Connection::~Connection() {
  loop_->remove(*this);
  shared_.connections.fetch_sub(1, std::memory_order_relaxed);
}

asio::awaitable<void> Connection::run(std::shared_ptr<Connection> self) {
  Connection& c = *self;
  do {
    c.begin();
    while (c.needs_bytes()) {
      if (c.wants_continue_) {
        c.wants_continue_ = false;
        co_await c.write_rest("HTTP/1.1 100 Continue\r\n\r\n");
        c.phase_ = Phase::body;
        if (c.error_) break;
      }
      const std::size_t count =
          co_await c.socket_.async_read_some(c.reader_.prepare(), asio::redirect_error(asio::use_awaitable, c.error_));
      if (c.error_) break;
      c.take_bytes(count);
    }
    if (c.error_) {
      if (!c.is_timed_out_) break;
      c.answer_too_late();
    }
    if (c.start_handler()) {
      std::exception_ptr failure;
      try {
        c.response_ = co_await c.route_->handler(c.request_);
      } catch (...) {
        failure = std::current_exception();
      }
      c.end_handler(std::move(failure));
      if (c.phase_ == Phase::abandoned) co_return;  // abandon() closes when its answer is out
    }
    if (c.response_.stream) {
      co_await c.write_stream();
    } else {
      const bool is_joined = c.encode();
      std::string_view rest = c.out_;
      if (!c.write_now(rest)) co_await c.write_rest(rest);
      if (!is_joined && !c.error_) co_await c.write_rest(c.response_.body);
    }
    c.account(c.response_.status);
  } while (!c.error_ && c.keep_alive_);
  if (!c.error_ && c.has_unread()) co_await c.linger();
  c.close();
}

void Connection::begin() {
  reader_.start(request_);
  response_ = {};
  route_ = nullptr;
  is_refused_ = is_timed_out_ = wants_continue_ = has_head_ = waited_for_body_ = false;
  out_.clear();
  if (out_.capacity() > kept_capacity) out_.shrink_to_fit();
  phase_ = reader_.has_bytes() ? Phase::head : Phase::idle;
  const auto now = started_ == Clock::time_point() ? Clock::now() : started_;
  deadline_ = now + (phase_ == Phase::head ? shared_.settings.header_deadline : shared_.settings.idle_deadline);
  if (shared_.draining.load(std::memory_order_relaxed) && phase_ == Phase::idle) close();
}

/// Goes as far as the bytes that are there reach. False: there is something to handle or to answer.
bool Connection::needs_bytes() {
  for (;;) {
    switch (reader_.advance()) {
      case RequestReader::Step::need_more:
        if (phase_ == Phase::idle && reader_.has_bytes()) {
          phase_ = Phase::head;
          deadline_ = Clock::now() + shared_.settings.header_deadline;
        }
        return true;
      case RequestReader::Step::head:
        if (take_head()) continue;
        return false;
      case RequestReader::Step::done: return false;
      case RequestReader::Step::bad: refuse(make_refusal(reader_.fault().status, reader_.fault().what)); return false;
      case RequestReader::Step::head_too_large: refuse(make_refusal(431)); return false;
      case RequestReader::Step::body_too_large:
        // Who may not call at all is told that instead.
        refuse(is_refused_ ? std::move(response_) : make_refusal(413));
        return false;
    }
  }
}

/// False: answered without the body.
bool Connection::take_head() {
  has_head_ = true;
  started_ = Clock::now();
  phase_ = Phase::body;
  deadline_ = started_ + shared_.settings.body_deadline;
  keep_alive_ = reader_.keeps_alive() && !shared_.draining.load(std::memory_order_relaxed);
  auto verdict = shared_.gate.judge(request_, peer_);
  route_ = verdict.route;
  is_probe_ = verdict.is_probe;
  reader_.limit_body(verdict.body_limit);
  const bool has_expectation = !reader_.is_http_1_0() && request_.headers.find("Expect").has_value();
  if (route_ != nullptr) {
    wants_continue_ = has_expectation && reader_.body_bytes() == 0 && !reader_.has_bytes();
    return true;
  }
  response_ = std::move(verdict.answer);
  is_refused_ = true;
  // A small body is read away so that the connection can go on; a large one, or one that waits for our word, is not.
  constexpr std::size_t most_discarded = std::size_t{1} << 20U;
  reader_.limit_body(std::min(verdict.body_limit, most_discarded));
  reader_.discard_body();
  if (!has_expectation || reader_.content_length() == 0) return true;
  refuse(std::move(response_));
  return false;
}

void Connection::take_bytes(std::size_t count) {
  reader_.commit(count);
  if (phase_ != Phase::body) return;
  deadline_ = started_ + shared_.settings.body_deadline + time_for(reader_.body_bytes());
  waited_for_body_ = true;
}

/// An answer after which the connection cannot go on, as its next request's place is unknown.
void Connection::refuse(Response answer) {
  if (!has_head_) {
    started_ = Clock::now();
    request_.request_id = make_request_id();
    request_.client_address = peer_.text;
    request_.method = Method::other;
    request_.path.clear();
    request_.headers.clear();
  }
  response_ = std::move(answer);
  is_refused_ = true;
  route_ = nullptr;
  keep_alive_ = false;
  must_linger_ = true;
}

void Connection::answer_too_late() {
  error_ = {};
  refuse(make_refusal(408));
}

bool Connection::start_handler() {
  if (is_refused_) return false;
  const auto running = shared_.in_flight.load(std::memory_order_relaxed);
  if (running >= shared_.settings.max_requests_in_flight && !is_probe_) {
    response_ = make_refusal(503, "The server is busy");
    return false;
  }
  shared_.in_flight.fetch_add(1, std::memory_order_relaxed);
  phase_ = Phase::handling;
  deadline_ = (waited_for_body_ ? Clock::now() : started_) + shared_.settings.handler_deadline;
  return true;
}

void Connection::end_handler(std::exception_ptr failure) {
  shared_.in_flight.fetch_sub(1, std::memory_order_relaxed);
  if (phase_ == Phase::abandoned) return;
  if (failure) response_ = make_error(failure, request_.request_id);
  phase_ = Phase::writing;
}

/// The handler takes too long. It goes on, but the client gets its answer here and now: while a handler runs nobody
/// else uses the socket.
void Connection::abandon() {
  phase_ = Phase::abandoned;
  keep_alive_ = false;
  response_ = make_refusal(503, "The request took too long");
  deadline_ = Clock::now() + shared_.settings.write_deadline;
  (void)encode();
  account(503);
  asio::async_write(socket_, asio::buffer(out_), [self = shared_from_this()](boost::system::error_code, std::size_t) { self->close(); });
}

void Connection::check_deadline(Clock::time_point now) {
  if (now < deadline_) return;
  switch (phase_) {
    case Phase::head:
    case Phase::body: {
      is_timed_out_ = true;
      boost::system::error_code ignored;
      socket_.cancel(ignored);
      return;
    }
    case Phase::handling: abandon(); return;
    default: close();
  }
}

void Connection::drain() {
  if (phase_ == Phase::idle) return close();
  keep_alive_ = false;
}

void Connection::close() {
  boost::system::error_code ignored;
  if (!socket_.is_open()) return;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
}

/// Fills out_ with the head and, when it is not long, the body. False: the body is still to be written.
bool Connection::encode() {
  if (!response_.stream) add_cors_headers(response_, request_.headers, shared_.gate.origins());
  const bool is_to_head = request_.method == Method::head;
  const bool is_1_0 = has_head_ && reader_.is_http_1_0();
  keep_alive_ = keep_alive_ && !shared_.draining.load(std::memory_order_relaxed);
  out_.clear();
  append_head(out_, response_,
              {.date = loop_->date(started_),
               .request_id = request_.request_id,
               .is_http_1_0 = is_1_0,
               .keep_alive = keep_alive_,
               .is_chunked = static_cast<bool>(response_.stream)});
  if (response_.stream || is_to_head || has_no_body(response_.status)) return true;
  if (response_.body.size() > joined_body_limit) return false;
  out_ += response_.body;
  return true;
}

/// Most answers fit into the socket's buffer: one system call, no way through the event loop. True: all is out, or error_ is set.
bool Connection::write_now(std::string_view& rest) {
  while (!rest.empty()) {
    boost::system::error_code error;
    const std::size_t count = socket_.write_some(asio::buffer(rest), error);
    if (error == asio::error::would_block || error == asio::error::try_again) return false;
    if (error) {
      error_ = error;
      return true;
    }
    rest.remove_prefix(count);
  }
  return true;
}

asio::awaitable<void> Connection::write_rest(std::string_view rest) {
  const auto before = phase_;
  phase_ = Phase::writing;
  const auto since = Clock::now();
  std::uint64_t written = 0;
  while (!rest.empty() && !error_) {
    deadline_ = since + shared_.settings.write_deadline + time_for(written);
    const std::size_t count = co_await socket_.async_write_some(asio::buffer(rest), asio::redirect_error(asio::use_awaitable, error_));
    rest.remove_prefix(count);
    written += count;
  }
  phase_ = before;
}

/// The other end of a streamed answer.
class Connection::Stream final : public StreamWriter {
 public:
  explicit Stream(Connection& connection, bool is_chunked) : connection_(connection), is_chunked_(is_chunked) {}

  asio::awaitable<void> write(std::string_view bytes) override {
    if (bytes.empty()) co_return;  // an empty chunk would end the body
    std::string head;
    if (is_chunked_) {
      constexpr std::string_view digits = "0123456789abcdef";
      for (std::size_t left = bytes.size(); left > 0; left >>= 4U) head.insert(head.begin(), digits[left & 15U]);
      head += "\r\n";
    }
    head += bytes;
    if (is_chunked_) head += "\r\n";
    co_await send(head);
  }

  asio::awaitable<void> send(std::string_view bytes) {
    auto& c = connection_;
    if (!c.socket_.is_open()) c.error_ = asio::error::operation_aborted;
    if (!c.error_ && !c.write_now(bytes)) co_await c.write_rest(bytes);
    if (c.error_) throw boost::system::system_error(c.error_);
    c.deadline_ = Clock::now() + c.shared_.settings.handler_deadline;
  }

 private:
  Connection& connection_;
  bool is_chunked_;
};

asio::awaitable<void> Connection::write_stream() {
  add_cors_headers(response_, request_.headers, shared_.gate.origins());
  const bool is_chunked = !reader_.is_http_1_0();
  if (!is_chunked) keep_alive_ = false;
  (void)encode();
  phase_ = Phase::streaming;
  Stream stream(*this, is_chunked);
  std::exception_ptr failure;
  shared_.in_flight.fetch_add(1, std::memory_order_relaxed);
  try {
    co_await stream.send(out_);
    if (request_.method != Method::head) {
      co_await response_.stream(stream);
      if (is_chunked) co_await stream.send("0\r\n\r\n");
    }
  } catch (...) {
    failure = std::current_exception();
  }
  shared_.in_flight.fetch_sub(1, std::memory_order_relaxed);
  response_.stream = nullptr;
  if (!failure) co_return;
  // The status is out already: that the body is not whole shows by the missing end.
  keep_alive_ = false;
  if (!error_) (void)make_error(failure, request_.request_id);
}

/// Closing while something is unread resets the connection, which may destroy the answer on its way.
bool Connection::has_unread() {
  boost::system::error_code ignored;
  return must_linger_ || reader_.has_bytes() || socket_.available(ignored) > 0;
}

asio::awaitable<void> Connection::linger() {
  phase_ = Phase::lingering;
  deadline_ = Clock::now() + linger_time;
  boost::system::error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  std::array<char, 4096> waste{};
  while (!error_ && socket_.is_open()) {
    (void)co_await socket_.async_read_some(asio::buffer(waste), asio::redirect_error(asio::use_awaitable, error_));
  }
}

void Connection::account(unsigned status) {
  const auto end = Clock::now();
  const auto time = end - started_;
  loop_->metrics.count(request_.method, request_.route, status, time);
  if (log::enabled(log::Level::info)) {
    constexpr std::size_t most_shown = 512;
    log::info("access", "request",
              {{"method", to_string(request_.method)},
               {"route", request_.route},
               {"path", std::string_view(request_.path).substr(0, most_shown)},
               {"status", status},
               {"duration_ms", std::chrono::duration<double, std::milli>(time).count()},
               {"client", request_.client_address},
               {"request_id", request_.request_id}});
  }
  started_ = end;
}

}  // namespace loquat::http
