#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/network.h"
#include "http/auth.h"
#include "http/proxies.h"
#include "http/router.h"
#include "http/server.h"

namespace loquat::http {

/// The connection's other end.
struct Peer {
  IpAddress address;
  std::string text;       ///< the address
  bool is_proxy = false;  ///< one of TRUSTED_PROXIES
  bool on_admin_port = false;
};

/// Decides on a request once its head is there, before the body is read: which route, who asks, or why not.
/// Immutable after its construction, thread-safe.
class Gate {
 public:
  /// The router must be complete and outlive the gate.
  Gate(const ServerSettings& settings, const Router& router);

  struct Verdict {
    const Router::Route* route = nullptr;  ///< null: a refusal or an answer to a preflight
    Response answer;
    std::size_t body_limit = std::size_t{1} << 20U;
    bool is_probe = false;  ///< health and metrics: answered under overload too
  };
  /// Fills what the server knows of the request: ids, addresses, path parameters, principal.
  [[nodiscard]] Verdict judge(Request& request, const Peer& peer) const;

  [[nodiscard]] const Origins& origins() const noexcept { return authenticator_.origins(); }
  [[nodiscard]] bool trusts(const IpAddress& address) const noexcept { return proxies_.trusts(address); }

 private:
  void identify(Request& request, const Peer& peer) const;
  [[nodiscard]] std::optional<Response> refuse_head(Request& request) const;
  [[nodiscard]] std::optional<Response> refuse_caller(Request& request, const Router::Route& route, const Peer& peer) const;

  const Router& router_;
  std::string root_path_;
  bool has_admin_port_;
  TrustedProxies proxies_;
  Authenticator authenticator_;
};

/// Not secret, only unlikely to meet another: 16 hex digits.
[[nodiscard]] std::string make_request_id();

}  // namespace loquat::http
