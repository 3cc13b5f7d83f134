#include "http/client.h"

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <stdexcept>

#include "http/address_policy.h"
#include "http/client_loop.h"
#include "http/client_url.h"

namespace loquat::http {

struct Client::Impl {
  std::vector<std::shared_ptr<ClientLoop>> loops;

  [[nodiscard]] ClientLoop& loop_of(const asio::any_io_executor& executor) const {
    const auto& context = asio::query(executor, asio::execution::context);
    const auto found = std::ranges::find_if(loops, [&context](const auto& loop) { return &loop->context() == &context; });
    if (found == loops.end()) throw std::logic_error("http::Client::send on a loop that is not the client's");
    return **found;
  }
};

namespace {

/// Behind the operator's own proxy the real address is the proxy's to judge, but an address written in the URL is seen.
bool is_refused_before_proxy(const ClientRequest& request) {
  if (request.proxy.empty() || request.addresses == nullptr) return false;
  const auto literal = find_literal_address(request.url);
  return literal && !is_allowed(*request.addresses, *literal);
}

}  // namespace

Client::Client(Settings settings, std::vector<asio::io_context*> loops) : impl_(std::make_unique<Impl>()) {
  const auto share = std::make_shared<const Share>();
  for (auto* loop : loops) impl_->loops.push_back(std::make_shared<ClientLoop>(*loop, settings, share));
}

Client::~Client() { close(); }

void Client::close() {
  for (const auto& loop : impl_->loops) loop->post_shutdown();
}

asio::awaitable<ClientResponse> Client::send(ClientRequest request) {
  const auto loop = impl_->loop_of(co_await asio::this_coro::executor).weak_from_this();
  const auto deadline = ClientLoop::Clock::now() + request.deadline;
  const bool harmless = is_idempotent(request.method);
  for (unsigned redirects = 0;; ++redirects) {
    ClientResponse response;
    if (auto defect = find_defect(request); !defect.empty()) {
      response.error = std::move(defect);
    } else if (is_refused_before_proxy(request)) {
      response.error = "the address is not allowed";
    }
    if (!response.error.empty()) {
      response.failure = redirects > 0 && !harmless ? Failure::unknown : Failure::not_sent;
      co_return response;
    }
    response = co_await ClientLoop::perform(loop, request, deadline);
    // The server that answered with a redirect has perhaps acted, as 303 even says.
    if (redirects > 0 && !harmless && response.failure != Failure::none) response.failure = Failure::unknown;
    if (response.failure != Failure::none || redirects >= request.max_redirects) co_return response;
    auto next = make_redirect(request, response);
    if (!next) co_return response;
    request = std::move(*next);
  }
}

}  // namespace loquat::http
