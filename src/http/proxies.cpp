#include "http/proxies.h"

#include <algorithm>
#include <optional>
#include <ranges>

#include "core/text.h"

namespace loquat::http {
namespace {

/// "192.0.2.1", "192.0.2.1:8080", "2001:db8::1", "[2001:db8::1]:8080", with or without quotes.
std::optional<IpAddress> parse_forwarded(std::string_view text) {
  text = text::trim_ascii(text);
  if (text.size() >= 2 && text.starts_with('"') && text.ends_with('"')) text = text.substr(1, text.size() - 2);
  if (text.starts_with('[')) return IpAddress::parse(text.substr(0, text.find(']') + 1));
  if (std::ranges::count(text, ':') == 1) text = text.substr(0, text.find(':'));
  return IpAddress::parse(text);
}

}  // namespace

std::string TrustedProxies::find_client(const IpAddress& peer, const Headers& headers) const {
  std::vector<std::string_view> hops;
  for (const auto& [name, value] : headers.all()) {
    if (!text::equal_ignoring_ascii_case(name, "X-Forwarded-For")) continue;
    for (const auto hop : text::split(value, ',')) hops.push_back(hop);
  }
  IpAddress client = peer;
  for (const auto hop : std::views::reverse(hops)) {
    if (!trusts(client)) break;
    const auto next = parse_forwarded(hop);
    if (!next) break;
    client = *next;
  }
  return client.to_string();
}

bool is_forwarded_https(const Headers& headers) {
  const auto proto = headers.get("X-Forwarded-Proto");
  const auto comma = proto.rfind(',');
  return text::equal_ignoring_ascii_case(text::trim_ascii(comma == std::string_view::npos ? proto : proto.substr(comma + 1)), "https");
}

}  // namespace loquat::http
