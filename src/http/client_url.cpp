#include "http/client_url.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>

#include "core/text.h"

namespace loquat::http {

namespace {

struct FreeUrl {
  void operator()(CURLU* url) const noexcept { curl_url_cleanup(url); }
};
using Url = std::unique_ptr<CURLU, FreeUrl>;

std::string part_of(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return {};
  std::string copy(text);
  curl_free(text);
  return copy;
}

struct Origin {
  std::string scheme;
  std::string host;
  std::string port;
  bool operator==(const Origin&) const = default;
};

Origin origin_of(CURLU* url) {
  return {text::to_lower_ascii(part_of(url, CURLUPART_SCHEME)), text::to_lower_ascii(part_of(url, CURLUPART_HOST)),
          part_of(url, CURLUPART_PORT, CURLU_DEFAULT_PORT)};
}

bool is_token(std::string_view text) {
  static constexpr std::string_view others = "!#$%&'*+-.^_`|~";
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return text::is_ascii_alphanumeric(c) || others.find(c) != std::string_view::npos; });
}

bool is_redirect(unsigned status) { return status == 301 || status == 302 || status == 303 || status == 307 || status == 308; }

/// What another origin is told too: it names nobody, and without the key a repetition would look like a second request.
bool crosses_origins(std::string_view name) {
  return std::ranges::any_of(std::array{"accept", "content-type", "idempotency-key"},
                             [name](const char* kept) { return text::equal_ignoring_ascii_case(name, kept); });
}

/// The headers for the next hop.
Headers keep_headers(const Headers& headers, bool same_origin, bool keeps_body) {
  Headers kept;
  for (const auto& [name, value] : headers.all()) {
    const bool describes_body = text::to_lower_ascii(name).starts_with("content-");
    if (describes_body && !keeps_body) continue;
    if (same_origin || crosses_origins(name)) kept.add(name, value);
  }
  return kept;
}

}  // namespace

std::string host_key(std::string_view url) {
  const auto colon = url.find("://");
  if (colon == std::string_view::npos) return {};
  const auto scheme = text::to_lower_ascii(url.substr(0, colon));
  if (scheme != "http" && scheme != "https") return {};
  auto authority = url.substr(colon + 3);
  authority = authority.substr(0, authority.find_first_of("/?#"));
  if (const auto at = authority.rfind('@'); at != std::string_view::npos) authority.remove_prefix(at + 1);
  if (authority.empty()) return {};
  return scheme + "://" + text::to_lower_ascii(authority);
}

bool is_loopback_url(std::string_view url) {
  const auto key = host_key(url);
  const auto begin = key.find("//");
  if (begin == std::string::npos) return false;
  auto host = std::string_view(key).substr(begin + 2);
  if (host.starts_with('[')) {
    host = host.substr(0, host.find(']') + 1);
  } else {
    host = host.substr(0, host.find(':'));
  }
  if (host == "localhost") return true;
  if (!host.starts_with('[') && !host.starts_with("127.")) return false;
  const auto address = IpAddress::parse(host);
  return address && address->is_loopback();
}

std::string find_defect(const ClientRequest& request) {
  if (!is_token(request.method)) return "the method is no HTTP method";
  if (request.url.find('\0') != std::string::npos || host_key(request.url).empty()) return "the URL is no http or https URL";
  constexpr std::string_view line_ends("\r\n\0", 3);
  for (const auto& [name, value] : request.headers.all()) {
    if (!is_token(name)) return "a header's name is not allowed";
    if (value.find_first_of(line_ends) != std::string::npos) return "a header's value has a line break";
  }
  return {};
}

bool is_idempotent(std::string_view method) noexcept {
  constexpr std::array<std::string_view, 6> methods{"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};
  return std::ranges::find(methods, method) != methods.end();
}

std::optional<ClientRequest> make_redirect(const ClientRequest& request, const ClientResponse& response) {
  const auto location = response.headers.find("location");
  if (!is_redirect(response.status) || !location || location->empty()) return std::nullopt;
  const Url from(curl_url());
  const Url to(curl_url());
  if (!from || !to || curl_url_set(from.get(), CURLUPART_URL, request.url.c_str(), 0) != CURLUE_OK) return std::nullopt;
  const auto origin = origin_of(from.get());
  const auto user = part_of(from.get(), CURLUPART_USER);
  const auto password = part_of(from.get(), CURLUPART_PASSWORD);
  // The base without its credentials, so that a relative reference does not carry them along unseen.
  curl_url_set(from.get(), CURLUPART_USER, nullptr, 0);
  curl_url_set(from.get(), CURLUPART_PASSWORD, nullptr, 0);
  const auto base = part_of(from.get(), CURLUPART_URL);
  const std::string target(*location);
  if (curl_url_set(to.get(), CURLUPART_URL, base.c_str(), 0) != CURLUE_OK ||
      curl_url_set(to.get(), CURLUPART_URL, target.c_str(), CURLU_URLENCODE) != CURLUE_OK) {
    return std::nullopt;
  }
  const auto next_origin = origin_of(to.get());
  if (next_origin.scheme != "http" && next_origin.scheme != "https") return std::nullopt;
  const bool same_origin = next_origin == origin;
  const bool with_user = same_origin && !user.empty();
  curl_url_set(to.get(), CURLUPART_USER, with_user ? user.c_str() : nullptr, 0);
  curl_url_set(to.get(), CURLUPART_PASSWORD, with_user && !password.empty() ? password.c_str() : nullptr, 0);
  curl_url_set(to.get(), CURLUPART_FRAGMENT, nullptr, 0);

  const bool becomes_get = (response.status == 303 && request.method != "HEAD" && request.method != "GET") ||
                           ((response.status == 301 || response.status == 302) && request.method == "POST");
  ClientRequest next = request;
  next.url = part_of(to.get(), CURLUPART_URL);
  next.headers = keep_headers(request.headers, same_origin, !becomes_get && !request.body.empty());
  if (becomes_get) {
    next.method = "GET";
    next.body.clear();
  }
  return next;
}

std::optional<IpAddress> find_literal_address(const std::string& url) {
  const Url parsed(curl_url());
  if (!parsed || curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) return std::nullopt;
  return IpAddress::parse(part_of(parsed.get(), CURLUPART_HOST));
}

std::optional<std::chrono::seconds> find_keep_alive(const Headers& headers) noexcept {
  constexpr std::string_view name = "timeout=";
  const auto value = headers.get("keep-alive");
  const auto at = value.find(name);
  if (at == std::string_view::npos) return std::nullopt;
  const auto digits = value.substr(at + name.size());
  unsigned seconds = 0;
  if (std::from_chars(digits.data(), digits.data() + digits.size(), seconds).ec != std::errc()) return std::nullopt;
  return std::chrono::seconds(seconds);
}

}  // namespace loquat::http
