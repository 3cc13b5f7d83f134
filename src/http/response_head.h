#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http/message.h"

namespace loquat::http {

/// What the server adds to a response.
struct HeadExtras {
  std::string_view date;  ///< IMF-fixdate
  std::string_view request_id;
  bool is_http_1_0 = false;
  bool keep_alive = true;
  bool is_chunked = false;  ///< the body's length is not known
};

/// Appends the status line, the headers and the empty line. Fields that are the server's business (Content-Length,
/// Connection, Transfer-Encoding, Date, X-Request-ID) are taken from `extras` only. Control characters in values become blanks, so no
/// value can begin another header.
void append_head(std::string& out, const Response& response, const HeadExtras& extras);

/// Statuses whose answers have no body by definition.
[[nodiscard]] bool has_no_body(unsigned status) noexcept;

/// "Sat, 21 Nov 2026 10:00:00 GMT"
[[nodiscard]] std::string make_http_date(std::int64_t seconds_since_1970);

}  // namespace loquat::http
