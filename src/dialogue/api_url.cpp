#include "dialogue/api_url.h"

#include <algorithm>
#include <array>

#include "core/text.h"

namespace loquat::dialogue {
namespace {

constexpr std::string_view scheme_end = "://";
constexpr std::string_view hex_digits = "0123456789ABCDEF";

std::size_t find_tag(std::string_view source) {
  std::size_t first = source.size();
  for (const std::string_view tag : {"{{", "{%", "{#"}) first = std::min(first, source.find(tag));
  return first;
}

std::size_t host_end(std::string_view url, std::size_t from) { return std::min(url.find_first_of("/?#\\", from), url.size()); }

bool is_port_after(std::string_view host, std::string_view open_host) {
  if (!host.starts_with(open_host)) return false;
  host.remove_prefix(open_host.size());
  if (host.empty()) return true;
  return open_host.find_last_of(':') > open_host.find_last_of(']') + 1 && open_host.find(':') != std::string_view::npos &&
         std::ranges::all_of(host, [](char c) { return c >= '0' && c <= '9'; });
}

bool has_dot_segment(std::string_view path) {
  for (auto segment : text::split(path.substr(0, path.find_first_of("?#")), '/')) {
    if (segment == "." || segment == "..") return true;
  }
  return false;
}

/// Encodes what may not stand in a path or query: blanks, quotes, braces, bytes beyond ASCII.
void append_encoded(std::string& out, std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7F || std::string_view("\"<>\\^`{|}").find(c) != std::string_view::npos) {
      out += '%';
      out += hex_digits[byte >> 4U];
      out += hex_digits[byte & 15U];
    } else {
      out += c;
    }
  }
}

}  // namespace

std::string find_open_host(std::string_view source) {
  source = text::trim_ascii(source);
  const auto literal = source.substr(0, find_tag(source));
  if (literal.size() == source.size()) return {};
  const auto scheme = literal.find(scheme_end);
  if (scheme == std::string_view::npos) return {};
  const auto host = literal.substr(scheme + scheme_end.size());
  return host_end(host, 0) < host.size() ? std::string() : std::string(host);
}

std::expected<std::string, std::string> check_url(std::string_view rendered, std::string_view open_host, bool has_values) {
  rendered = text::trim_ascii(rendered);
  if (rendered.empty()) return std::unexpected("the URL is empty");
  const auto scheme = rendered.find(scheme_end);
  const auto name = text::to_lower_ascii(rendered.substr(0, scheme));
  if (scheme == std::string_view::npos || (name != "http" && name != "https")) return std::unexpected("the URL is no http or https URL");
  if (std::ranges::any_of(rendered, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; })) {
    return std::unexpected("the URL has a control character");
  }
  const auto begin = scheme + scheme_end.size();
  const auto end = host_end(rendered, begin);
  const auto host = rendered.substr(begin, end - begin);
  if (host.empty() || host.find(' ') != std::string_view::npos) return std::unexpected("the URL has no proper host");
  if (!open_host.empty() && !is_port_after(host, open_host)) return std::unexpected("a value would change the URL's host");
  const auto rest = rendered.substr(end);
  if (has_values && has_dot_segment(rest)) return std::unexpected("a value would change the URL's path");
  std::string url(rendered.substr(0, end));
  append_encoded(url, rest);
  return url;
}

std::string add_query(std::string url, const url::Pairs& pairs) {
  if (pairs.empty()) return url;
  url.resize(std::min(url.find('#'), url.size()));
  const bool has_query = url.find('?') != std::string::npos;
  if (!has_query) {
    url += '?';
  } else if (!url.ends_with('?') && !url.ends_with('&')) {
    url += '&';
  }
  return url + url::build_query(pairs);
}

}  // namespace loquat::dialogue
