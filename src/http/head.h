#pragma once

#include <optional>
#include <string_view>

namespace loquat::http {

/// Why a request's head must be refused. The connection has to be closed then: where the request ends is not sure.
struct HeadFault {
  unsigned status;        ///< 400, or 505 for another version of HTTP
  std::string_view what;  ///< for the client, a literal
};

/// Checks the raw bytes of a head, from the request line to the empty line (the last four bytes are CR LF CR LF). Pure.
/// It is stricter than the parser behind it, in all that lets two programs disagree on where a request ends or whom it
/// is for (RFC 9112, sections 2.2, 3.2, 5, 6.3 and 11.2): line ends that are not CR LF, control characters, blanks
/// around names, folded lines, a Host that is missing, doubled or malformed, Transfer-Encoding other than exactly
/// "chunked", Content-Length that is doubled, no number or beside Transfer-Encoding.
[[nodiscard]] std::optional<HeadFault> check_head(std::string_view raw) noexcept;

}  // namespace loquat::http
