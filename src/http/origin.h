#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"

/// Who is at the other end: hosts, browsers' origins, addresses behind proxies.
namespace loquat::http {

/// The host of "host", "host:8000", "[::1]:8000": lower case, no port, no brackets. Empty when it is none.
[[nodiscard]] std::string host_of_authority(std::string_view authority);
/// localhost, 127.0.0.0/8, ::1.
[[nodiscard]] bool is_loopback_host(std::string_view host);
/// Whether a Forwarded, X-Forwarded-*, X-Real-IP, Via... header shows that somebody stands between.
[[nodiscard]] bool has_forwarding_headers(const Headers& headers);

/// The origins that may use the API from a browser (CORS_ORIGINS). Immutable.
class Origins {
 public:
  /// `listed`: scheme://host[:port], or "*". `loopback`: any origin on this machine may, too.
  Origins(std::span<const std::string> listed, bool loopback);

  [[nodiscard]] bool is_empty() const noexcept { return listed_.empty() && !loopback_ && !any_; }
  /// "*" is in the list: anybody may read, but without credentials.
  [[nodiscard]] bool allows_any() const noexcept { return any_; }
  /// Named, or on this machine: credentials may come along.
  [[nodiscard]] bool names(std::string_view origin) const;
  /// One of the listed origins has this host, whatever its scheme and port.
  [[nodiscard]] bool names_host(std::string_view host) const;

 private:
  std::vector<std::string> listed_;
  bool loopback_ = false;
  bool any_ = false;
};

/// Whether a browser's request comes from our own pages: Origin and Sec-Fetch-Site are absent or same-origin, or the
/// origin is one of `origins`. `forwarded_host`: X-Forwarded-Host of a trusted proxy, or empty.
[[nodiscard]] bool is_own_origin(const Headers& headers, const Origins& origins, std::string_view forwarded_host = {});
/// The same for a request that only reads (GET, HEAD): a browser that follows a link to a download sends no Origin, so the origin of the
/// page that the link is on (Referer, which pages cannot forge) counts when it is one of `origins`.
[[nodiscard]] bool may_read_from_browser(const Headers& headers, const Origins& origins, std::string_view forwarded_host = {});

/// CORS headers of an answer.
void add_cors_headers(Response& response, const Headers& request, const Origins& origins);
/// The answer to a preflight request; empty when it is none (no Origin or no Access-Control-Request-Method).
[[nodiscard]] std::optional<Response> answer_preflight(const Request& request, const Origins& origins);

}  // namespace loquat::http
