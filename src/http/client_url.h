#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "core/network.h"
#include "http/client.h"

/// What the client has to know about URLs and redirects; pure.
namespace loquat::http {

/// The key of the concurrency cap: "scheme://host:port" in lower case, without credentials. Empty when the text is no http
/// or https URL. Only splits; whether the URL is well-formed is for libcurl to say.
[[nodiscard]] std::string host_key(std::string_view url);

/// Whether the host is this machine by its very name: "localhost", 127.0.0.0/8 or ::1. No proxy is asked for such a URL.
[[nodiscard]] bool is_loopback_url(std::string_view url);

/// Why a request cannot be sent at all (a header with a line break, a strange method); empty when it can.
[[nodiscard]] std::string find_defect(const ClientRequest& request);

/// Whether a second sending does no harm (RFC 9110, 9.2.2).
[[nodiscard]] bool is_idempotent(std::string_view method) noexcept;

/// The request that follows `response` (RFC 9110, 15.4): 303, and 301 or 302 to a POST, become GET without a body; across
/// origins (scheme, host, port) the request's headers are dropped except Accept, Idempotency-Key and the type of a body that is
/// sent again, and credentials in the new URL never count. Empty when the response is no redirect to an http or https URL.
[[nodiscard]] std::optional<ClientRequest> make_redirect(const ClientRequest& request, const ClientResponse& response);

/// The address when the URL's host is one ("http://127.1/" too) rather than a name.
[[nodiscard]] std::optional<IpAddress> find_literal_address(const std::string& url);

/// How long the server keeps an idle connection, if it says so ("Keep-Alive: timeout=5").
[[nodiscard]] std::optional<std::chrono::seconds> find_keep_alive(const Headers& headers) noexcept;

}  // namespace loquat::http
