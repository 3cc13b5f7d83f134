#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Percent-encoding and query strings (RFC 3986; application/x-www-form-urlencoded for '+').
namespace loquat::url {

using Pairs = std::vector<std::pair<std::string, std::string>>;

/// Everything but A-Z a-z 0-9 - . _ ~ becomes %XX.
[[nodiscard]] std::string percent_encode(std::string_view text);
/// The same for one segment of a path: "." and ".." would be taken out of it on the way.
[[nodiscard]] std::string encode_segment(std::string_view text);
/// A % that no two hex digits follow stays as it is, as in Python's unquote. The result may be any bytes.
[[nodiscard]] std::string percent_decode(std::string_view text);
/// "a=1&b=%20+x" (without '?') in the order given; '+' is a blank, a name without '=' has an empty value, empty
/// pieces are left out. Bytes that are no UTF-8 become U+FFFD, as in Starlette. Never fails.
[[nodiscard]] Pairs parse_query(std::string_view query);
/// The reverse; blanks become %20.
[[nodiscard]] std::string build_query(const Pairs& pairs);

}  // namespace loquat::url
