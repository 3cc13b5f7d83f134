#pragma once

#include <array>
#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bus/bus.h"
#include "core/metrics.h"
#include "http/router.h"
#include "messenger/event.h"
#include "messenger/settings.h"
#include "messenger/watchdog.h"

namespace loquat::messenger {

/// Meta's webhook: verification (GET) and events (POST). Thread-safe.
class Webhook {
 public:
  /// The settings of now; null while they are not known: 503.
  using CurrentSettings = std::function<std::shared_ptr<const PageSettings>()>;
  /// Members added to every event's body.
  using Extra = std::function<json::object()>;

  /// `bus` and `watchdog` (may be null) must outlive the webhook.
  /// `app_id`: echoes of other apps are no report of ours; empty: unknown.
  Webhook(bus::Bus& bus, CurrentSettings settings, Watchdog* watchdog, Extra extra = {}, std::string app_id = {});

  /// 404 without the integration, 400 without mode, token or challenge, 403 for a wrong one, else the challenge as text.
  asio::awaitable<http::Response> verify(http::Request& request);
  /// 404 without the integration, 403 without a valid signature, 400 for no JSON object, 503 when the bus cannot store it; else 200,
  /// and everything in it is on disk. After a valid signature there is no other 4xx: it would make Meta cut the page off.
  asio::awaitable<http::Response> receive(http::Request& request);

 private:
  [[nodiscard]] std::shared_ptr<const PageSettings> get_settings() const;
  void count(const Parsed& parsed);
  void warn(const Parsed& parsed);
  asio::awaitable<void> admit(std::vector<bus::Event> events);

  bus::Bus& bus_;
  const CurrentSettings settings_;
  Watchdog* const watchdog_;
  const Extra extra_;
  const std::string app_id_;
  std::array<metrics::Counter*, kind_count> kinds_{};
  std::array<metrics::Counter*, 4> checks_{};
  std::mutex mutex_;
  std::map<std::string, Time> warned_;  ///< pages that are not ours -> last warning
};

/// The webhook at `path`; `also` a second spelling that the OpenAPI document leaves out (may be empty).
void add_webhook_routes(http::Router& router, Webhook& webhook, const std::string& path, const std::string& also,
                        http::Access access = http::Access::open);

}  // namespace loquat::messenger
