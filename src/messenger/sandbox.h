#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "messenger/api.h"

namespace loquat::messenger {

/// What stands in for the Graph API on the sandbox's page: takes the sender's calls, answers as Meta does, and keeps the last ones
/// for `loquat send`. Thread-safe.
class GraphStandIn {
 public:
  struct Call {
    std::int64_t number = 0;  ///< 1, 2, ... in the order taken
    std::string recipient;
    std::int64_t at_ms = 0;
    json::object request;  ///< the body as the Graph API would receive it
  };

  /// POST {version}/{page or me}/messages.
  [[nodiscard]] http::Response take(const http::Request& request);

  /// All replies to this event are out: whoever waits for them need not wait on. May be called for events of any page.
  void note_finished(const MessageId& id);

  struct Kept {
    std::vector<Call> calls;
    std::int64_t last = 0;  ///< number of the last call taken, of whomever
    bool finished = false;  ///< all of `events` are known to be finished
  };
  /// The calls after number `after`, of one recipient when given. `events`: ids whose end is asked for; none: never finished.
  [[nodiscard]] Kept find(std::int64_t after, std::string_view recipient, const std::vector<MessageId>& events) const;

 private:
  mutable std::mutex mutex_;
  std::deque<Call> calls_;
  std::int64_t last_ = 0;
  std::deque<MessageId> finished_order_;
  std::unordered_set<MessageId> finished_;
};

/// The page `sandbox`: a webhook of its own under /sandbox/webhook with a secret of its own, and a stand-in of the Graph API. Only for
/// callers on this machine.
class Sandbox {
 public:
  /// `secret`: get_or_make_sandbox_secret(). `bus` must outlive the sandbox.
  Sandbox(std::string secret, bus::Bus& bus);

  /// The page's settings for the sender: token and secret. Never null.
  [[nodiscard]] std::shared_ptr<const PageSettings> settings() const noexcept { return settings_; }

  /// Adds /sandbox/webhook, /sandbox/graph/{version}/{id}/messages and /sandbox/replies, all Access::loopback.
  void add_routes(http::Router& router);

  /// "http://127.0.0.1:8000": where this process is reached from itself. From then on events carry "graph_url" (the base of
  /// PageAccess: that, and /sandbox/graph/v25.0), so that whichever process answers them sends the replies to where they are
  /// waited for.
  void set_own_url(std::string url);
  [[nodiscard]] std::string graph_url() const;

  [[nodiscard]] GraphStandIn& graph() noexcept { return graph_; }

 private:
  asio::awaitable<http::Response> replies(http::Request& request);

  std::shared_ptr<const PageSettings> settings_;
  GraphStandIn graph_;
  mutable std::mutex mutex_;
  std::string own_url_;
  Webhook webhook_;
};

}  // namespace loquat::messenger
