#include "http/auth.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/error.h"
#include "core/text.h"

namespace loquat::http {
namespace {

std::string_view view(const std::array<std::uint8_t, 32>& digest) noexcept {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

/// What a session's signature covers. The first line keeps it apart from any other use of the token as a key.
std::string signed_text(std::string_view name, std::string_view expiry) {
  return "loquat session 1\n" + std::string(name) + "\n" + std::string(expiry);
}

std::int64_t to_seconds(Time time) noexcept { return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count(); }

bool is_under(std::string_view pattern, std::string_view prefix) {
  return pattern.starts_with(prefix) && (pattern.size() == prefix.size() || pattern[prefix.size()] == '/');
}

bool is_for_services(std::string_view pattern) {
  return is_under(pattern, "/integrations") || is_under(pattern, "/admin/integrations") || is_under(pattern, "/states");
}

/// A Host that no other site's page can have: its owner could make a public name point here (DNS rebinding), but not an address,
/// nor a name that is none of the public DNS (RFC 6761, RFC 6762, RFC 9476 and what clusters use).
bool is_private_name(std::string_view host) {
  if (host.empty()) return false;
  if (!host.contains('.') || IpAddress::parse(host)) return true;
  constexpr std::array<std::string_view, 4> suffixes{".localhost", ".local", ".internal", ".svc"};
  return std::ranges::any_of(suffixes, [host](std::string_view suffix) { return host.ends_with(suffix); });
}

/// The token of "Bearer T"; empty for another scheme.
std::string_view bearer_token(std::string_view authorization) {
  constexpr std::string_view scheme = "bearer ";
  if (authorization.size() <= scheme.size()) return {};
  if (!text::equal_ignoring_ascii_case(authorization.substr(0, scheme.size()), scheme)) return {};
  return text::trim_ascii(authorization.substr(scheme.size()));
}

/// Throws Error(forbidden) when a browser sends it from a page that is not ours.
void refuse_foreign_pages(const Request& request, const Origins& origins, std::string_view forwarded_host) {
  const bool only_reads = request.method == Method::get || request.method == Method::head;
  const bool is_ours = only_reads ? may_read_from_browser(request.headers, origins, forwarded_host)
                                  : is_own_origin(request.headers, origins, forwarded_host);
  if (!is_ours) throw Error(Code::forbidden, "Not allowed from this origin");
}

}  // namespace

Authenticator::Authenticator(const ServerSettings& settings)
    : open_(settings.auth.open),
      on_loopback_(is_loopback_host(settings.host)),
      origins_(settings.cors_origins, settings.cors_origins.empty() && is_loopback_host(settings.host)) {
  for (const auto& [name, token] : settings.auth.admin_tokens) {
    tokens_.push_back({name, crypto::sha256(token), crypto::Hmac(crypto::Hmac::Algorithm::sha256, token)});
  }
  if (!settings.auth.service_token.empty()) service_ = crypto::sha256(settings.auth.service_token);
}

const Authenticator::Token* Authenticator::find_token(const Digest& digest) const {
  const Token* found = nullptr;
  for (const auto& token : tokens_) {
    if (crypto::equal_constant_time(view(token.digest), view(digest)) && found == nullptr) found = &token;
  }
  return found;
}

std::optional<Principal> Authenticator::check_bearer(std::string_view authorization, std::string_view pattern) const {
  const auto token = bearer_token(authorization);
  if (token.empty()) return std::nullopt;
  const Digest digest = crypto::sha256(token);
  const Token* admin = find_token(digest);
  const bool is_service = service_ && crypto::equal_constant_time(view(*service_), view(digest));
  if (admin != nullptr) return Principal{admin->name, false};
  if (!is_service) {
    // Without any token there is nothing to be wrong about: a client may still have one from before.
    if (!has_tokens() && !service_) return std::nullopt;
    throw Error(Code::unauthenticated, "Invalid token");
  }
  if (!is_for_services(pattern)) throw Error(Code::forbidden, "The service token opens integrations and states only");
  return Principal{"service", true};
}

Principal Authenticator::authenticate(const Request& request, std::string_view pattern, std::string_view forwarded_host) const {
  if (const auto authorization = request.headers.find("Authorization")) {
    if (auto principal = check_bearer(*authorization, pattern)) return std::move(*principal);
  }
  if (open_) {
    require_open(request, forwarded_host);
    return {"anonymous", false};
  }
  const auto cookie = find_cookie(request.headers, session_cookie);
  auto name = cookie ? check_session(*cookie, now()) : std::nullopt;
  if (!name) throw Error(Code::unauthenticated, "Not authenticated");
  refuse_foreign_pages(request, origins_, forwarded_host);
  return {std::move(*name), false};
}

void Authenticator::require_open(const Request& request, std::string_view forwarded_host) const {
  if (has_forwarding_headers(request.headers)) {
    throw Error(Code::forbidden, "Behind a proxy admin paths need a token: set ADMIN_TOKEN");
  }
  const std::string host = host_of_authority(request.headers.get("Host"));
  if (on_loopback_ && !is_loopback_host(host)) throw Error(Code::forbidden, "Without a token admin paths answer to localhost only");
  if (!on_loopback_ && !is_private_name(host) && !origins_.names_host(host)) {
    throw Error(Code::forbidden,
                "Without a token admin paths answer to localhost, addresses and private names only: set ADMIN_TOKEN, or list the name in "
                "CORS_ORIGINS");
  }
  refuse_foreign_pages(request, origins_, forwarded_host);
}

bool Authenticator::is_from_this_machine(const Request& request, const IpAddress& peer) const {
  return peer.is_loopback() && is_loopback_host(host_of_authority(request.headers.get("Host"))) &&
         !has_forwarding_headers(request.headers) && is_own_origin(request.headers, origins_);
}

std::optional<Authenticator::Session> Authenticator::make_session(std::string_view token, Time now) const {
  const Token* admin = find_token(crypto::sha256(token));
  if (admin == nullptr) return std::nullopt;
  const std::string name = crypto::to_hex(admin->name);
  const std::string expiry = std::to_string(to_seconds(now + session_time));
  return Session{admin->name, name + "." + expiry + "." + admin->key.sign(signed_text(name, expiry))};
}

std::optional<std::string> Authenticator::check_session(std::string_view cookie, Time now) const {
  const auto parts = text::split(cookie, '.');
  if (parts.size() != 3) return std::nullopt;
  std::int64_t expiry = 0;
  const auto [end, error] = std::from_chars(parts[1].data(), parts[1].data() + parts[1].size(), expiry);
  if (error != std::errc() || end != parts[1].data() + parts[1].size()) return std::nullopt;
  const std::string text = signed_text(parts[0], parts[1]);
  std::optional<std::string> name;
  for (const auto& token : tokens_) {
    const bool is_signed = crypto::equal_constant_time(token.key.sign(text), parts[2]);
    if (is_signed && crypto::to_hex(token.name) == parts[0]) name = token.name;
  }
  return expiry > to_seconds(now) ? name : std::nullopt;
}

std::optional<std::string_view> find_cookie(const Headers& headers, std::string_view name) {
  for (const auto& [key, value] : headers.all()) {
    if (!text::equal_ignoring_ascii_case(key, "Cookie")) continue;
    for (auto pair : text::split(value, ';')) {
      pair = text::trim_ascii(pair);
      const auto equals = pair.find('=');
      if (equals != std::string_view::npos && pair.substr(0, equals) == name) return pair.substr(equals + 1);
    }
  }
  return std::nullopt;
}

}  // namespace loquat::http
