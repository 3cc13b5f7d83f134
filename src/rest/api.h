#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <memory>

#include "dialogue/manager.h"
#include "http/router.h"
#include "rest/conversations.h"
#include "rest/rate_limit.h"
#include "state/store.h"

namespace loquat::rest {

struct Settings {
  std::uint32_t rate_per_thread = 60;    ///< REST_RATE_PER_THREAD, a minute; 0: no limit
  std::uint32_t rate_per_address = 600;  ///< REST_RATE_PER_ADDRESS
};

/// The REST channel: a message in, the replies out; and the admin's test chat, which shows the whole state. Thread-safe.
class Api {
 public:
  /// Both must outlive the api.
  Api(state::Store& states, const dialogue::Manager& manager, Settings settings);

  /// {thread_id, text, context} -> [{"text": ...}], or as events with `Accept: text/event-stream`. 429 beyond the rate.
  asio::awaitable<http::Response> talk(http::Request& request);
  /// The same body -> the twelve members of the state.
  asio::awaitable<http::Response> test_chat(http::Request& request);

 private:
  void check_rate(const http::Request& request, const chat::UserMessage& message);

  Conversations conversations_;
  RateLimit by_thread_;
  RateLimit by_address_;
};

/// POST /bots/channels/rest/webbook (sic), /bots/channels/rest/webhook, /admin/test/chat. The routes keep the api alive.
void add_routes(http::Router& router, const std::shared_ptr<Api>& api);

}  // namespace loquat::rest
