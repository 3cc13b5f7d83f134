#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/crypto.h"
#include "core/network.h"
#include "http/origin.h"
#include "http/server.h"

namespace loquat::http {

inline constexpr std::string_view session_cookie = "loquat_session";

/// Who may call admin paths. Tokens are kept as digests and as keys of sessions only; every presented token is compared
/// with all of them, in constant time. A login session is stateless: "name.expiry.signature" under a key made from the
/// token, so it holds in every process of the installation and ends when its token is changed. Immutable, thread-safe.
class Authenticator {
 public:
  explicit Authenticator(const ServerSettings& settings);

  /// Throws Error(unauthenticated), or Error(forbidden) for one who is known but not allowed here. `pattern` is the
  /// route's: SERVICE_TOKEN opens only integrations and states. `forwarded_host`: of a trusted proxy, or empty.
  [[nodiscard]] Principal authenticate(const Request& request, std::string_view pattern, std::string_view forwarded_host = {}) const;

  /// For routes that only this machine may use: the peer and the Host are loopback, nobody stands between, and no other
  /// site's page asks.
  [[nodiscard]] bool is_from_this_machine(const Request& request, const IpAddress& peer) const;

  struct Session {
    std::string name;  ///< whose token it is
    std::string cookie;
  };
  static constexpr std::chrono::hours session_time{12};
  /// A session for who shows an admin token; empty when it is none.
  [[nodiscard]] std::optional<Session> make_session(std::string_view token, Time now) const;
  /// The name in a valid session that has not ended.
  [[nodiscard]] std::optional<std::string> check_session(std::string_view cookie, Time now) const;

  [[nodiscard]] bool has_tokens() const noexcept { return !tokens_.empty(); }
  [[nodiscard]] const Origins& origins() const noexcept { return origins_; }

 private:
  using Digest = std::array<std::uint8_t, 32>;
  struct Token {
    std::string name;
    Digest digest;
    crypto::Hmac key;
  };

  [[nodiscard]] const Token* find_token(const Digest& digest) const;
  [[nodiscard]] std::optional<Principal> check_bearer(std::string_view authorization, std::string_view pattern) const;
  void require_open(const Request& request, std::string_view forwarded_host) const;

  std::vector<Token> tokens_;
  std::optional<Digest> service_;
  bool open_;
  bool on_loopback_;  ///< the server listens on a loopback address only
  Origins origins_;
};

/// The value of a cookie, of all Cookie headers the first.
[[nodiscard]] std::optional<std::string_view> find_cookie(const Headers& headers, std::string_view name);

}  // namespace loquat::http
