#include "http/head.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/text.h"

namespace loquat::http {
namespace {

constexpr std::uint8_t is_token = 1;   ///< RFC 9110 tchar: names and methods
constexpr std::uint8_t is_value = 2;   ///< field values: visible, blank, tab, and beyond ASCII
constexpr std::uint8_t is_target = 4;  ///< request targets: visible and beyond ASCII
constexpr std::uint8_t is_host = 8;    ///< host names, addresses, port

constexpr std::array<std::uint8_t, 256> make_table() {
  std::array<std::uint8_t, 256> table{};
  for (std::size_t c = 0x20; c < 256; ++c) {
    if (c == 0x7F) continue;
    table[c] = is_value;
    if (c > 0x20 && c != '#') table[c] |= is_target;
  }
  table['\t'] = is_value;
  for (std::size_t c = 0; c < 128; ++c) {
    if (text::is_ascii_alphanumeric(c)) table[c] |= is_token | is_host;
  }
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<std::uint8_t>(c)] |= is_token;
  for (const char c : std::string_view("-._~%!$&'()*+;=:[]")) table[static_cast<std::uint8_t>(c)] |= is_host;
  return table;
}
constexpr auto table = make_table();

bool consists_of(std::string_view text, std::uint8_t kind) noexcept {
  return std::ranges::all_of(text, [kind](char c) { return (table[static_cast<std::uint8_t>(c)] & kind) != 0; });
}

struct Counts {
  int host = 0;
  int content_length = 0;
  int transfer_encoding = 0;
};

constexpr HeadFault bad_line_ending{400, "Lines of the head must end in CR LF"};
constexpr HeadFault bad_request_line{400, "Malformed request line"};
constexpr HeadFault bad_version{505, "HTTP Version Not Supported"};
constexpr HeadFault folded{400, "Folded header lines are not allowed"};
constexpr HeadFault bad_name{400, "Malformed header name"};
constexpr HeadFault bad_value{400, "Invalid character in a header value"};
constexpr HeadFault bad_host{400, "Exactly one valid Host header is needed"};
constexpr HeadFault bad_length{400, "Malformed or repeated Content-Length"};
constexpr HeadFault bad_encoding{400, "Transfer-Encoding must be chunked, once"};
constexpr HeadFault two_lengths{400, "Content-Length and Transfer-Encoding exclude each other"};

/// `is_1_1`: which of the two versions it names.
std::optional<HeadFault> check_request_line(std::string_view line, bool& is_1_1) noexcept {
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == 0 || last == first) return bad_request_line;
  const auto target = line.substr(first + 1, last - first - 1);
  if (!consists_of(line.substr(0, first), is_token) || target.empty() || !consists_of(target, is_target)) return bad_request_line;
  const auto version = line.substr(last + 1);
  is_1_1 = version == "HTTP/1.1";
  if (is_1_1 || version == "HTTP/1.0") return std::nullopt;
  return version.starts_with("HTTP/") ? bad_version : bad_request_line;
}

std::optional<HeadFault> check_framing(std::string_view name, std::string_view value, Counts& counts) noexcept {
  // By the length first: hardly any field is one of these three.
  if (name.size() == 4 && text::equal_ignoring_ascii_case(name, "host")) {
    ++counts.host;
    if (!consists_of(value, is_host)) return bad_host;
  } else if (name.size() == 14 && text::equal_ignoring_ascii_case(name, "content-length")) {
    constexpr std::size_t most_digits = 18;  // fits into 64 bits whatever they are
    const bool is_number =
        !value.empty() && value.size() <= most_digits && std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; });
    if (++counts.content_length > 1 || !is_number) return bad_length;
  } else if (name.size() == 17 && text::equal_ignoring_ascii_case(name, "transfer-encoding")) {
    if (++counts.transfer_encoding > 1 || !text::equal_ignoring_ascii_case(value, "chunked")) return bad_encoding;
  }
  return std::nullopt;
}

std::optional<HeadFault> check_field(std::string_view line, Counts& counts) noexcept {
  if (line.front() == ' ' || line.front() == '\t') return folded;
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0 || !consists_of(line.substr(0, colon), is_token)) return bad_name;
  const auto value = line.substr(colon + 1);
  if (!consists_of(value, is_value)) return bad_value;
  const auto first = value.find_first_not_of(" \t");
  const auto last = value.find_last_not_of(" \t");
  return check_framing(line.substr(0, colon), first == std::string_view::npos ? std::string_view() : value.substr(first, last - first + 1),
                       counts);
}

}  // namespace

std::optional<HeadFault> check_head(std::string_view raw) noexcept {
  if (!raw.ends_with("\r\n\r\n")) return bad_line_ending;
  raw.remove_suffix(2);
  bool is_first = true;
  bool is_1_1 = false;
  Counts counts;
  while (!raw.empty()) {
    const auto end = raw.find('\r');
    if (end == std::string_view::npos || end + 1 >= raw.size() || raw[end + 1] != '\n') return bad_line_ending;
    const auto line = raw.substr(0, end);
    raw.remove_prefix(end + 2);
    if (line.find('\n') != std::string_view::npos) return bad_line_ending;
    if (line.empty()) return bad_request_line;  // an empty line inside: the caller cut the head in the wrong place
    const auto fault = is_first ? check_request_line(line, is_1_1) : check_field(line, counts);
    if (fault) return fault;
    is_first = false;
  }
  if (is_first) return bad_request_line;
  if (counts.host > 1 || (is_1_1 && counts.host == 0)) return bad_host;
  if (counts.transfer_encoding > 0 && counts.content_length > 0) return two_lengths;
  if (counts.transfer_encoding > 0 && !is_1_1) return bad_encoding;
  return std::nullopt;
}

}  // namespace loquat::http
