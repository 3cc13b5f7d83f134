#include "http/client_loop.h"

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <new>

#include "http/client_url.h"

namespace loquat::http {

namespace {

/// Connections that were idle for longer are not used again, unless their server names another time: many servers close
/// after 60 s, and a request that meets such a closing half-way ends as `unknown`.
constexpr std::chrono::seconds default_idle_limit{50};
constexpr std::size_t spare_limit = 256;
constexpr std::size_t host_limit = 1024;
constexpr long pool_limit = 512;

ClientResponse make_failure(Failure failure, std::string why) {
  ClientResponse response;
  response.failure = failure;
  response.error = std::move(why);
  return response;
}

}  // namespace

ClientLoop::ClientLoop(asio::io_context& context, Client::Settings settings, std::shared_ptr<const Share> share)
    : context_(context), settings_(std::move(settings)), share_(std::move(share)), multi_(curl_multi_init()), timer_(context) {
  if (multi_ == nullptr) throw std::bad_alloc();
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &ClientLoop::on_socket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &ClientLoop::on_timer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  // By default the pool shrinks to four connections for each request that is running: too few after a burst.
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, pool_limit);
}

ClientLoop::~ClientLoop() { shutdown(false); }

void ClientLoop::post_shutdown() {
  asio::post(context_, [self = shared_from_this()] { self->shutdown(true); });
}

/// `answer`: the waiting coroutines go on with a failure; otherwise their loop has gone, and they with it.
void ClientLoop::shutdown(bool answer) {
  if (multi_ == nullptr) return;
  closed_ = true;
  auto running = std::move(running_);
  running_.clear();
  for (auto& exchange : running) {
    curl_multi_remove_handle(multi_, exchange->transfer->easy());
    exchange->host = nullptr;
    if (answer) end(*exchange, exchange->transfer->abort("the client was closed"));
  }
  for (auto& [key, host] : hosts_) {
    const auto waiting = std::move(host.waiting);
    host.waiting.clear();
    for (const auto& exchange : waiting) {
      exchange->host = nullptr;
      if (answer) end(*exchange, make_failure(Failure::not_sent, "the client was closed"));
    }
  }
  waiting_ = 0;
  running.clear();
  hosts_.clear();
  spare_.clear();
  curl_multi_cleanup(multi_);
  multi_ = nullptr;
  sockets_.clear();
  timer_wanted_ = Clock::time_point::max();
  timer_.cancel();
}

asio::awaitable<ClientResponse> ClientLoop::perform(std::weak_ptr<ClientLoop> loop, const ClientRequest& request,
                                                    Clock::time_point deadline) {
  using Outcome = async::Outcome<ClientResponse>;
  auto outcome = co_await asio::async_initiate<const asio::use_awaitable_t<>&, void(Outcome)>(
      [](auto handler, std::weak_ptr<ClientLoop> weak_loop, const ClientRequest* what, Clock::time_point until) {
        const asio::any_io_executor executor = asio::get_associated_executor(handler);
        auto slot = asio::get_associated_cancellation_slot(handler);
        auto resume = [h = std::move(handler)](Outcome result) mutable { std::move(h)(std::move(result)); };
        async::Completion<ClientResponse> completion(executor, std::move(resume));
        const auto self = weak_loop.lock();
        if (!self) return completion.resolve(make_failure(Failure::not_sent, "the client is closed"));
        auto exchange = std::make_shared<Exchange>(*what, until, std::move(completion));
        if (slot.is_connected()) {
          exchange->slot = slot;
          // Posted: the slot's handler must not be destroyed while it runs, as ending the exchange does.
          slot.assign([executor, weak_loop, weak = std::weak_ptr(exchange)](asio::cancellation_type) {
            asio::post(executor, [weak_loop, weak] {
              const auto still = weak_loop.lock();
              const auto cancelled = weak.lock();
              if (still && cancelled) still->abort(cancelled, "the request was cancelled");
            });
          });
        }
        self->submit(exchange);
      },
      asio::use_awaitable, std::move(loop), &request, deadline);
  co_return async::take(std::move(outcome));
}

ClientLoop::Host& ClientLoop::host_of(const std::string& url) {
  const auto [place, is_new] = hosts_.try_emplace(host_key(url));
  if (is_new) {
    place->second.idle_limit = default_idle_limit;
    if (hosts_.size() > host_limit) {
      std::erase_if(hosts_, [&](const auto& item) {
        return &item.second != &place->second && item.second.running == 0 && item.second.waiting.empty();
      });
    }
  }
  return place->second;
}

void ClientLoop::submit(const ExchangePointer& exchange) {
  if (closed_) return end(*exchange, make_failure(Failure::not_sent, "the client is closed"));
  if (exchange->deadline <= Clock::now()) return end(*exchange, make_failure(Failure::not_sent, "no time was left"));
  exchange->host = &host_of(exchange->request->url);
  if (exchange->host->running < settings_.per_host) {
    start(exchange);
    drain();
  } else if (waiting_ < settings_.max_waiting) {
    enqueue(exchange);
  } else {
    exchange->host = nullptr;
    end(*exchange, make_failure(Failure::not_sent, "too many requests are waiting"));
  }
}

void ClientLoop::enqueue(const ExchangePointer& exchange) {
  auto& waiting = exchange->host->waiting;
  exchange->place = waiting.insert(waiting.end(), exchange);
  ++waiting_;
  exchange->queue_timer.emplace(context_, exchange->deadline);
  exchange->queue_timer->async_wait([weak_loop = weak_from_this(), weak = std::weak_ptr(exchange)](boost::system::error_code error) {
    const auto self = weak_loop.lock();
    const auto late = weak.lock();
    if (!error && self && late && !late->transfer) self->abort(late, "the deadline passed before the host was free");
  });
}

/// Takes a place of the host; the exchange is in no list.
void ClientLoop::start(const ExchangePointer& exchange) {
  auto& host = *exchange->host;
  ++host.running;
  exchange->queue_timer.reset();
  if (spare_.empty()) {
    exchange->transfer = std::make_unique<Transfer>(settings_, *share_, *this);
  } else {
    exchange->transfer = std::move(spare_.back());
    spare_.pop_back();
  }
  exchange->place = running_.insert(running_.end(), exchange);
  auto* easy = exchange->transfer->easy();
  curl_easy_setopt(easy, CURLOPT_PRIVATE, exchange.get());
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(exchange->deadline - Clock::now());
  if (exchange->transfer->prepare(*exchange->request, left, host.idle_limit) && curl_multi_add_handle(multi_, easy) == CURLM_OK) return;
  const auto keep = exchange;
  running_.erase(keep->place);
  end(*keep, make_failure(Failure::not_sent, "the request cannot be made"));
}

void ClientLoop::start_next(Host& host) {
  while (!closed_ && host.running < settings_.per_host && !host.waiting.empty()) {
    const auto next = host.waiting.front();
    host.waiting.pop_front();
    --waiting_;
    start(next);
  }
}

/// The exchange is in no list any more; gives its place of the host back and lets its coroutine go on.
void ClientLoop::end(Exchange& exchange, ClientResponse response) {
  if (exchange.host != nullptr && exchange.transfer) --exchange.host->running;
  exchange.queue_timer.reset();
  exchange.slot.clear();
  if (auto completion = std::exchange(exchange.completion, std::nullopt)) completion->resolve(std::move(response));
}

/// From outside, at any time: cancellation or a deadline.
void ClientLoop::abort(const ExchangePointer& exchange, const std::string& why) {
  if (!exchange->completion || multi_ == nullptr) return;
  auto* host = exchange->host;
  if (exchange->transfer) {
    curl_multi_remove_handle(multi_, exchange->transfer->easy());
    running_.erase(exchange->place);
    end(*exchange, exchange->transfer->abort(why));
  } else {
    host->waiting.erase(exchange->place);
    --waiting_;
    end(*exchange, make_failure(Failure::not_sent, why));
  }
  start_next(*host);
  drain();
}

void ClientLoop::recycle(std::unique_ptr<Transfer> transfer) {
  if (transfer->is_reusable() && spare_.size() < spare_limit) spare_.push_back(std::move(transfer));
}

/// After every call into libcurl, outside its callbacks: hands out what is finished, starts what waited for it, and lets
/// libcurl run its timeouts that are due.
void ClientLoop::drain() {
  finish_transfers();
  for (int rounds = 0; timeouts_due_ && rounds < 16; ++rounds) run_timeouts();
  if (timeouts_due_) {
    timeouts_due_ = false;
    timer_wanted_ = Clock::now();
  }
  arm_timer();
}

void ClientLoop::run_timeouts() {
  timeouts_due_ = false;
  int running = 0;
  curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
  finish_transfers();
}

void ClientLoop::finish_transfers() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const auto code = message->data.result;
    auto* easy = message->easy_handle;
    Exchange* found = nullptr;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &found);
    const ExchangePointer exchange = *found->place;
    auto& host = *exchange->host;
    curl_multi_remove_handle(multi_, easy);
    running_.erase(exchange->place);
    auto response = exchange->transfer->finish(code);
    // One second less than promised, for the way there.
    if (const auto limit = find_keep_alive(response.headers))
      host.idle_limit = std::max(*limit - std::chrono::seconds(1), std::chrono::seconds(1));
    end(*exchange, std::move(response));
    recycle(std::move(exchange->transfer));
    start_next(host);
  }
}

int ClientLoop::on_timer(CURLM* /*multi*/, long milliseconds, void* self) noexcept {
  static_cast<ClientLoop*>(self)->set_timer(milliseconds);
  return 0;
}

void ClientLoop::set_timer(long milliseconds) {
  timeouts_due_ = milliseconds == 0;
  timer_wanted_ = milliseconds > 0 ? Clock::now() + std::chrono::milliseconds(milliseconds) : Clock::time_point::max();
}

/// libcurl moves its timer with each request; the real one is moved only to become earlier. One that goes off too early
/// finds nothing due and is set again.
void ClientLoop::arm_timer() {
  if (running_.empty() && timer_armed_ != Clock::time_point::max()) {
    timer_.cancel();  // an idle client does not keep its loop from ending
    timer_armed_ = Clock::time_point::max();
  }
  if (timer_wanted_ >= timer_armed_ || multi_ == nullptr) return;
  timer_armed_ = timer_wanted_;
  timer_.expires_at(timer_armed_);
  timer_.async_wait([weak = weak_from_this()](boost::system::error_code error) {
    const auto self = weak.lock();
    if (error || !self || self->multi_ == nullptr) return;
    self->timer_armed_ = Clock::time_point::max();
    if (self->timer_wanted_ <= Clock::now()) {
      self->timer_wanted_ = Clock::time_point::max();
      self->timeouts_due_ = true;
    }
    self->drain();
  });
}

curl_socket_t ClientLoop::open_socket(const curl_sockaddr& address) {
  const int socket = ::socket(address.family, address.socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address.protocol);
  if (socket < 0) return CURL_SOCKET_BAD;
  try {
    sockets_[socket] = std::make_shared<Socket>(context_, socket, true);
  } catch (const boost::system::system_error&) {  // no more watches: this is called from C
    ::close(socket);
    return CURL_SOCKET_BAD;
  }
  return socket;
}

void ClientLoop::close_socket(curl_socket_t socket) {
  forget(socket);
  ::close(socket);
}

void ClientLoop::forget(curl_socket_t socket) {
  const auto found = sockets_.find(socket);
  if (found == sockets_.end()) return;
  const auto gone = found->second;
  sockets_.erase(found);
  gone->open = false;
  gone->wanted = 0;
  gone->descriptor.release();  // ends the waits; libcurl, or close_socket, closes it
}

int ClientLoop::on_socket(CURL* /*easy*/, curl_socket_t socket, int what, void* self, void* /*socket_data*/) noexcept {
  static_cast<ClientLoop*>(self)->want(socket, what);
  return 0;
}

void ClientLoop::want(curl_socket_t socket, int what) {
  auto found = sockets_.find(socket);
  if (what == CURL_POLL_REMOVE) {
    if (found == sockets_.end()) return;
    const auto& kept = found->second;
    if (!kept->ours) return forget(socket);
    // The connection goes to the pool; it stays registered, for the next request.
    kept->wanted = 0;
    if (kept->reading || kept->writing) kept->descriptor.cancel();
    return;
  }
  if (found == sockets_.end()) found = sockets_.emplace(socket, std::make_shared<Socket>(context_, socket, false)).first;
  found->second->wanted = what;
  watch(found->second);
}

void ClientLoop::watch(const std::shared_ptr<Socket>& socket) {
  if ((socket->wanted & CURL_POLL_IN) != 0 && !socket->reading) wait_for(socket, true);
  if ((socket->wanted & CURL_POLL_OUT) != 0 && !socket->writing) wait_for(socket, false);
}

void ClientLoop::wait_for(const std::shared_ptr<Socket>& socket, bool to_read) {
  (to_read ? socket->reading : socket->writing) = true;
  socket->descriptor.async_wait(to_read ? Descriptor::wait_read : Descriptor::wait_write,
                                [weak = weak_from_this(), socket, to_read](boost::system::error_code error) {
                                  (to_read ? socket->reading : socket->writing) = false;
                                  const auto self = weak.lock();
                                  if (!self || self->multi_ == nullptr || !socket->open) return;
                                  if (error) return self->watch(socket);  // cancelled, and perhaps wanted again since
                                  self->on_ready(socket, to_read ? CURL_POLL_IN : CURL_POLL_OUT);
                                });
}

void ClientLoop::on_ready(const std::shared_ptr<Socket>& socket, int event) {
  if ((socket->wanted & event) == 0) return;
  int running = 0;
  curl_multi_socket_action(multi_, socket->descriptor.native_handle(), event == CURL_POLL_IN ? CURL_CSELECT_IN : CURL_CSELECT_OUT,
                           &running);
  if (socket->open) watch(socket);
  drain();
}

}  // namespace loquat::http
