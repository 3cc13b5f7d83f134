#include "core/url.h"

#include <boost/url/encode.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>

#include "core/text.h"

namespace loquat::url {
namespace {

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Boost.URL's decoding views refuse a stray %; clients send such queries and Python takes them.
std::string decode(std::string_view text, bool plus_is_blank) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '%' && i + 2 < text.size()) {
      const int high = hex_value(text[i + 1]);
      const int low = hex_value(text[i + 2]);
      if (high >= 0 && low >= 0) {
        out += static_cast<char>(high * 16 + low);
        i += 2;
        continue;
      }
    }
    out += c == '+' && plus_is_blank ? ' ' : c;
  }
  return out;
}

}  // namespace

std::string percent_encode(std::string_view text) { return boost::urls::encode({text.data(), text.size()}, boost::urls::unreserved_chars); }

std::string encode_segment(std::string_view text) {
  if (text == ".") return "%2E";
  if (text == "..") return "%2E%2E";
  return percent_encode(text);
}

std::string percent_decode(std::string_view text) { return decode(text, false); }

Pairs parse_query(std::string_view query) {
  Pairs pairs;
  for (const auto piece : text::split(query, '&')) {
    if (piece.empty()) continue;
    const auto equals = piece.find('=');
    const auto value = equals == std::string_view::npos ? std::string_view() : piece.substr(equals + 1);
    pairs.emplace_back(text::to_valid_utf8(decode(piece.substr(0, equals), true)), text::to_valid_utf8(decode(value, true)));
  }
  return pairs;
}

std::string build_query(const Pairs& pairs) {
  std::string query;
  for (const auto& [name, value] : pairs) {
    if (!query.empty()) query += '&';
    query += percent_encode(name) + '=' + percent_encode(value);
  }
  return query;
}

}  // namespace loquat::url
