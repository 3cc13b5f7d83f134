#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/url.h"
#include "http/client.h"

namespace loquat::messenger {

namespace asio = boost::asio;

/// The Graph API's address with its version, "https://graph.facebook.com/v25.0". `url` is GRAPH_API_URL, also in the old full
/// form
/// ("https://graph.facebook.com/v18.0/me/messages"); `version` is GRAPH_API_VERSION when that was set, else empty: then a version
/// in the URL holds, else v25.0. "25.0" is understood as "v25.0".
[[nodiscard]] std::string make_graph_base(std::string_view url, std::string_view version = {});
inline constexpr std::string_view default_graph_version = "v25.0";

/// What is needed to act for one page. Immutable; the proof is computed once.
class PageAccess {
 public:
  /// `app_secret` may be empty: then no proof is sent (Meta refuses that where the app requires one).
  PageAccess(std::string base, std::string token, std::string app_secret);

  /// `path` without a leading slash. The token and its proof are in the query: the URL must not be logged.
  [[nodiscard]] std::string url(std::string_view path, const url::Pairs& query = {}) const;
  /// url("me/messages")
  [[nodiscard]] const std::string& messages_url() const noexcept { return messages_url_; }
  /// What must not be shown, even where Meta repeats it.
  [[nodiscard]] const std::string& token() const noexcept { return token_; }

 private:
  std::string base_;
  std::string token_;
  std::string credentials_;  ///< "access_token=...&appsecret_proof=..."
  std::string messages_url_;
};

struct Recipient {
  std::string id;
  bool is_user_ref = false;  ///< of the checkbox plugin, as long as there is no page-scoped id
};

enum class SenderAction : std::uint8_t { mark_seen, typing_on, typing_off };

/// Talks to the Graph API. Every function must be called on one of the http client's loops; arguments must live until it returns.
class GraphClient {
 public:
  struct Settings {
    /// For one message. Shorter than a process's lease on its partitions: nothing may be sent on after it is lost.
    std::chrono::milliseconds send_deadline{5'000};
    std::chrono::milliseconds connect_deadline{3'000};
    std::chrono::milliseconds other_deadline{20'000};
  };

  explicit GraphClient(http::Client& client) : GraphClient(client, Settings()) {}
  GraphClient(http::Client& client, Settings settings) : client_(client), settings_(settings) {}

  [[nodiscard]] const Settings& settings() const noexcept { return settings_; }

  /// `message`: the member `message` as JSON text.
  [[nodiscard]] asio::awaitable<http::ClientResponse> send_message(const PageAccess& access, const Recipient& recipient,
                                                                   std::string_view message);
  [[nodiscard]] asio::awaitable<http::ClientResponse> send_action(const PageAccess& access, const Recipient& recipient,
                                                                  SenderAction action);
  /// Anything else. `body`: JSON text, or empty.
  [[nodiscard]] asio::awaitable<http::ClientResponse> call(const PageAccess& access, std::string_view method, std::string_view path,
                                                           const url::Pairs& query, std::string_view body);

 private:
  [[nodiscard]] http::ClientRequest make_message_request(const PageAccess& access, std::string body) const;

  http::Client& client_;
  const Settings settings_;
};

}  // namespace loquat::messenger
