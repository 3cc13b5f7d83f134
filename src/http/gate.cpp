#include "http/gate.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/id.h"
#include "core/text.h"
#include "http/errors.h"

namespace loquat::http {
namespace {

bool is_request_id(std::string_view text) {
  constexpr std::size_t most = 64;
  return !text.empty() && text.size() <= most &&
         std::ranges::all_of(text, [](char c) { return text::is_ascii_alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

bool is_admin_path(std::string_view path) {
  constexpr std::array<std::string_view, 6> paths{"/admin", "/docs", "/metrics", "/openapi.json", "/login", "/logout"};
  return std::ranges::any_of(paths, [path](std::string_view prefix) {
    return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
  });
}

bool is_probe_path(std::string_view pattern) {
  return pattern == "/health" || pattern == "/ready" || pattern == "/readiness" || pattern == "/metrics";
}

/// Splitmix64: every state gives another value, and one step costs nothing.
std::uint64_t next_random() {
  thread_local std::uint64_t state = [] {
    std::uint64_t seed = 0;
    fill_random(&seed, sizeof seed);
    return seed;
  }();
  state += 0x9E3779B97F4A7C15U;
  std::uint64_t mixed = state;
  mixed = (mixed ^ (mixed >> 30U)) * 0xBF58476D1CE4E5B9U;
  mixed = (mixed ^ (mixed >> 27U)) * 0x94D049BB133111EBU;
  return mixed ^ (mixed >> 31U);
}

/// "GET http://host/path" is as good as "GET /path" when the Host says the same (RFC 9112, 3.2.2). False: a malformed target.
bool take_origin_form(Request& request) {
  std::string_view target = request.target;
  if (target.starts_with('/')) return true;
  if (target == "*") return request.method == Method::options;
  const auto scheme = target.find("://");
  if (scheme == std::string_view::npos) return false;
  const auto name = text::to_lower_ascii(target.substr(0, scheme));
  if (name != "http" && name != "https") return false;
  target.remove_prefix(scheme + 3);
  const auto end = std::min(target.find_first_of("/?"), target.size());
  if (!text::equal_ignoring_ascii_case(target.substr(0, end), request.headers.get("Host"))) return false;
  std::string path(target.substr(end));
  if (!path.starts_with('/')) path.insert(path.begin(), '/');
  request.target = std::move(path);
  request.path = request.target.substr(0, request.target.find('?'));
  return true;
}

}  // namespace

std::string make_request_id() {
  constexpr std::string_view digits = "0123456789abcdef";
  std::uint64_t value = next_random();
  std::string id(16, '0');
  for (char& c : id) {
    c = digits[value & 15U];
    value >>= 4U;
  }
  return id;
}

Gate::Gate(const ServerSettings& settings, const Router& router)
    : router_(router),
      root_path_(settings.root_path),
      has_admin_port_(settings.admin_port != 0),
      proxies_(settings.trusted_proxies),
      authenticator_(settings) {
  while (root_path_.ends_with('/')) root_path_.pop_back();
}

void Gate::identify(Request& request, const Peer& peer) const {
  const auto sent = request.headers.get("X-Request-ID");
  request.request_id = is_request_id(sent) ? std::string(sent) : make_request_id();
  request.client_address = peer.is_proxy ? proxies_.find_client(peer.address, request.headers) : peer.text;
  request.is_https = peer.is_proxy && is_forwarded_https(request.headers);
}

std::optional<Response> Gate::refuse_head(Request& request) const {
  if (!take_origin_form(request)) return make_refusal(400, "Malformed request target");
  if (!root_path_.empty() && request.path.starts_with(root_path_)) {
    const auto rest = std::string_view(request.path).substr(root_path_.size());
    if (rest.empty()) {
      request.path = "/";
    } else if (rest.starts_with('/')) {
      request.path = std::string(rest);
    }
  }
  const auto coding = request.headers.get("Content-Encoding");
  if (!coding.empty() && !text::equal_ignoring_ascii_case(coding, "identity")) {
    return make_refusal(415, "Content-Encoding is not supported");
  }
  const auto expect = request.headers.get("Expect");
  if (!expect.empty() && !text::equal_ignoring_ascii_case(expect, "100-continue")) return make_refusal(417);
  return std::nullopt;
}

std::optional<Response> Gate::refuse_caller(Request& request, const Router::Route& route, const Peer& peer) const {
  if (route.options.access == Access::open) return std::nullopt;
  if (route.options.access == Access::loopback) {
    // To anybody else it is not there.
    if (!authenticator_.is_from_this_machine(request, peer.address)) return make_refusal(404);
    return std::nullopt;
  }
  const auto forwarded_host = peer.is_proxy ? request.headers.get("X-Forwarded-Host") : std::string_view();
  try {
    request.principal = authenticator_.authenticate(request, route.pattern, forwarded_host);
    return std::nullopt;
  } catch (...) {
    return make_error(std::current_exception(), request.request_id);
  }
}

Gate::Verdict Gate::judge(Request& request, const Peer& peer) const {
  identify(request, peer);
  Verdict verdict;
  if (auto refusal = refuse_head(request)) {
    verdict.answer = std::move(*refusal);
    return verdict;
  }
  if (auto preflight = answer_preflight(request, origins())) {
    verdict.answer = std::move(*preflight);
    return verdict;
  }
  if (has_admin_port_ && !peer.on_admin_port && is_admin_path(request.path)) {
    verdict.answer = make_refusal(404);
    return verdict;
  }
  auto match = router_.match(request.method, request.path);
  const bool is_hidden = match.route != nullptr && has_admin_port_ && !peer.on_admin_port && is_admin_path(match.route->pattern);
  if (match.route == nullptr || is_hidden) {
    verdict.answer = match.allowed.empty() ? make_refusal(404) : make_method_refusal(match.allowed);
    return verdict;
  }
  request.route = match.route->pattern;
  request.path_parameters = std::move(match.path_parameters);
  verdict.body_limit = match.route->options.body_limit;
  if (auto refusal = refuse_caller(request, *match.route, peer)) {
    verdict.answer = std::move(*refusal);
    return verdict;
  }
  verdict.route = match.route;
  verdict.is_probe = is_probe_path(match.route->pattern);
  return verdict;
}

}  // namespace loquat::http
