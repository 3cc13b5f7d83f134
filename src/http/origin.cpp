#include "http/origin.h"

#include <algorithm>
#include <array>

#include "core/network.h"
#include "core/text.h"
#include "http/errors.h"

namespace loquat::http {
namespace {

/// "https://Host:443/" and "https://host" are one origin.
std::string normalize_origin(std::string_view origin) {
  std::string text = text::to_lower_ascii(text::trim_ascii(origin));
  while (text.ends_with('/')) text.pop_back();
  if (text.starts_with("http://") && text.ends_with(":80")) text.resize(text.size() - 3);
  if (text.starts_with("https://") && text.ends_with(":443")) text.resize(text.size() - 4);
  return text;
}

/// "host:port" of an origin; empty for "null" and other things that are none.
std::string_view authority_of_origin(std::string_view origin) {
  const auto colon = origin.find("://");
  return colon == std::string_view::npos ? std::string_view() : origin.substr(colon + 3);
}

/// The scheme is not compared: a proxy that ends TLS leaves us without it, and a page of the same host over http has
/// no more rights than whoever can change what http carries.
bool is_same_authority(std::string_view origin, std::string_view host) {
  std::string text = text::to_lower_ascii(text::trim_ascii(host));
  const auto authority = authority_of_origin(origin);
  if (authority.empty() || text.empty()) return false;
  if (text.ends_with(":80")) text.resize(text.size() - 3);
  if (text.ends_with(":443")) text.resize(text.size() - 4);
  return text == authority;
}

bool is_header_list(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return text::is_ascii_alphanumeric(c) || std::string_view("!#$%&'*+-.^_`|~, ").contains(c);
  });
}

}  // namespace

std::string host_of_authority(std::string_view authority) {
  if (authority.starts_with('[')) {
    const auto end = authority.find(']');
    if (end == std::string_view::npos) return {};
    const auto behind = authority.substr(end + 1);
    return behind.empty() || behind.starts_with(':') ? text::to_lower_ascii(authority.substr(1, end - 1)) : std::string();
  }
  return text::to_lower_ascii(authority.substr(0, authority.find(':')));
}

bool is_loopback_host(std::string_view host) {
  if (host == "localhost") return true;
  const auto address = IpAddress::parse(host);
  return address && address->is_loopback();
}

bool has_forwarding_headers(const Headers& headers) {
  constexpr std::array<std::string_view, 7> names{
      "forwarded", "via", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip", "cf-connecting-ip"};
  return std::ranges::any_of(headers.all(), [&names](const auto& field) {
    const std::string name = text::to_lower_ascii(field.first);
    return name.starts_with("x-forwarded") || std::ranges::find(names, name) != names.end();
  });
}

Origins::Origins(std::span<const std::string> listed, bool loopback) : loopback_(loopback) {
  for (const auto& origin : listed) {
    if (origin == "*") {
      any_ = true;
    } else {
      listed_.push_back(normalize_origin(origin));
    }
  }
}

bool Origins::names(std::string_view origin) const {
  const std::string text = normalize_origin(origin);
  if (std::ranges::find(listed_, text) != listed_.end()) return true;
  return loopback_ && (text.starts_with("http://") || text.starts_with("https://")) && !text.contains('@') &&
         is_loopback_host(host_of_authority(authority_of_origin(text)));
}

bool Origins::names_host(std::string_view host) const {
  return std::ranges::any_of(listed_, [host](const std::string& origin) { return host_of_authority(authority_of_origin(origin)) == host; });
}

bool is_own_origin(const Headers& headers, const Origins& origins, std::string_view forwarded_host) {
  const auto origin = headers.find("Origin");
  if (origin && origins.names(*origin)) return true;
  if (origin) {
    const std::string text = normalize_origin(*origin);
    const bool is_ours = is_same_authority(text, headers.get("Host")) || is_same_authority(text, forwarded_host);
    if (!is_ours) return false;
  }
  // "none": the person typed the address.
  const auto site = headers.find("Sec-Fetch-Site");
  return !site || *site == "same-origin" || *site == "none";
}

bool may_read_from_browser(const Headers& headers, const Origins& origins, std::string_view forwarded_host) {
  if (is_own_origin(headers, origins, forwarded_host)) return true;
  const auto referer = headers.find("Referer");
  if (!referer || headers.find("Origin")) return false;
  // scheme://authority of it; what follows is the page's own.
  const auto scheme_end = referer->find("://");
  if (scheme_end == std::string_view::npos) return false;
  return origins.names(referer->substr(0, referer->find_first_of("/?#", scheme_end + 3)));
}

void add_cors_headers(Response& response, const Headers& request, const Origins& origins) {
  if (origins.is_empty()) return;
  const auto origin = request.find("Origin");
  if (!origins.allows_any()) response.headers.add("Vary", "Origin");
  if (!origin) return;
  if (origins.names(*origin)) {
    if (origins.allows_any()) response.headers.add("Vary", "Origin");
    response.headers.add("Access-Control-Allow-Origin", std::string(*origin));
    response.headers.add("Access-Control-Allow-Credentials", "true");
  } else if (origins.allows_any()) {
    response.headers.add("Access-Control-Allow-Origin", "*");
  } else {
    return;
  }
  response.headers.add("Access-Control-Expose-Headers", "ETag, Retry-After, X-Request-ID");
}

std::optional<Response> answer_preflight(const Request& request, const Origins& origins) {
  const auto origin = request.headers.find("Origin");
  if (origins.is_empty() || request.method != Method::options || !origin) return std::nullopt;
  if (!request.headers.find("Access-Control-Request-Method")) return std::nullopt;
  if (!origins.allows_any() && !origins.names(*origin)) return make_refusal(400, "Disallowed CORS origin");
  Response response = Response::text("OK");
  response.headers.add("Access-Control-Allow-Methods", "DELETE, GET, OPTIONS, PATCH, POST, PUT");
  const auto asked = request.headers.get("Access-Control-Request-Headers");
  response.headers.add("Access-Control-Allow-Headers",
                       is_header_list(asked) ? std::string(asked) : std::string("Authorization, Content-Type, If-Match, X-Request-ID"));
  response.headers.add("Access-Control-Max-Age", "600");
  return response;
}

}  // namespace loquat::http
