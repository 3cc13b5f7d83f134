#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// multipart/form-data (RFC 7578) as browsers and curl send it. Pure. Written here because the parsers that Debian has come
/// with an HTTP server of their own.
namespace loquat::bot {

struct FormPart {
  std::string name;
  std::optional<std::string> filename;  ///< none: an ordinary field
  std::string_view content;             ///< of the body given
};

/// The parts of a form, in order; empty when the content type is another one, or the body is empty. A part that the body
/// breaks off in is left out, as the old server did. Throws Error(malformed) in the old server's words: a missing boundary, lines
/// that are none, a part without name, more than 1000 parts, heads beyond 8 KiB.
[[nodiscard]] std::vector<FormPart> parse_multipart(std::string_view content_type, std::string_view body);

}  // namespace loquat::bot
