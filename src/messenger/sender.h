#pragma once

#include <array>
#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/metrics.h"
#include "messenger/graph_client.h"
#include "messenger/graph_errors.h"
#include "messenger/graph_message.h"
#include "messenger/rate_limiter.h"

namespace loquat::messenger {

/// Sends single parts and says how each ended; what follows from that (order, retries, parking) is the delivery's. One for the
/// process, used on all loops. For each part:
///
///     const auto grant = sender.reserve(page, part);
///     if (!grant.granted) return later(grant.wait);       // throttled, or too many waiting
///     co_await async::sleep_for(grant.wait);              // mostly nothing
///     if (!may_act(sender.needed_time())) return abandoned;
///     const auto result = co_await sender.send(access, page, recipient, part);
class Sender {
 public:
  /// How long an answer, by its usage headers or as an error, stops the page and the app; zero when it stops nothing that was not
  /// stopped already. The other processes should be told (Pages::hold).
  struct Stops {
    std::chrono::milliseconds page{0};
    std::chrono::milliseconds app{0};
  };
  struct Result {
    Verdict verdict;
    /// throttled, or stopped by usage: how long nothing of the page (or the app: verdict.whole_app) is sent. retry: what the server asked
    /// for; zero when it did not.
    std::chrono::milliseconds wait{0};
    Usage usage;
    Stops stops;
  };

  Sender(GraphClient& graph, RateLimiter& limiter);

  /// A place in the page's rate.
  [[nodiscard]] RateLimiter::Grant reserve(std::string_view page, const Part& part);
  /// The longest that send() takes.
  [[nodiscard]] std::chrono::milliseconds needed_time() const noexcept { return graph_.settings().send_deadline; }

  /// Sends one part now. Never throws for what Meta or the network does. The arguments must live until it returns.
  [[nodiscard]] asio::awaitable<Result> send(const PageAccess& access, std::string_view page, const Recipient& recipient, const Part& part);

  /// mark_seen or typing_on: nothing depends on it, so it is not repeated, and not tried while the page is throttled.
  [[nodiscard]] asio::awaitable<Stops> act(const PageAccess& access, std::string_view page, const Recipient& recipient,
                                           SenderAction action);

 private:
  void account(std::string_view page, Result& result);
  void log(std::string_view page, const Result& result, std::string_view error);

  GraphClient& graph_;
  RateLimiter& limiter_;
  std::array<metrics::Counter*, send_outcome_count> sends_{};
  metrics::Histogram& duration_;
  std::array<std::atomic<std::int64_t>, send_outcome_count> logged_at_{};
};

}  // namespace loquat::messenger
