#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/network.h"
#include "http/message.h"

namespace loquat::http {

/// What proxies of ours say of the client (TRUSTED_PROXIES). From anybody else their headers mean nothing. Immutable.
class TrustedProxies {
 public:
  /// Networks in CIDR form.
  explicit TrustedProxies(std::span<const std::string> networks) : networks_(parse_networks(networks)) {}

  [[nodiscard]] bool trusts(const IpAddress& address) const noexcept { return contains(networks_, address); }
  /// The client of a request that came through a trusted peer: the right-most address of X-Forwarded-For that is not
  /// trusted; the left-most when all are. What is no address ends the search: nothing to the left of it counts.
  [[nodiscard]] std::string find_client(const IpAddress& peer, const Headers& headers) const;

 private:
  std::vector<IpNetwork> networks_;
};

/// Whether a trusted proxy took the request over TLS.
[[nodiscard]] bool is_forwarded_https(const Headers& headers);

}  // namespace loquat::http
