#pragma once

#include <exception>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/json.h"
#include "http/message.h"

/// The only place where 4xx and 5xx answers are made. Bodies have FastAPI's shape: {"detail": ...}.
namespace loquat::http {

[[nodiscard]] unsigned to_status(Code code) noexcept;

/// An Error by its code (with its issues() when there are any); anything else is logged with the request's id and
/// becomes 500 without detail.
[[nodiscard]] Response make_error(const std::exception_ptr& error, std::string_view request_id);
[[nodiscard]] Response make_error(Code code, std::string_view detail);

/// What the protocol refuses before a handler is asked: 400, 404, 408, 413, 415, 417, 431, 503... An empty detail
/// becomes the status' own phrase.
[[nodiscard]] Response make_refusal(unsigned status, std::string_view detail = {});
/// 405 with Allow.
[[nodiscard]] Response make_method_refusal(const std::vector<Method>& allowed);
/// 503 of a readiness probe.
[[nodiscard]] Response make_unready(const json::object& body);
/// An error page for people.
[[nodiscard]] Response make_error_page(Code code, std::string html);

/// "Not Found"; empty for a status we never use.
[[nodiscard]] std::string_view reason_phrase(unsigned status) noexcept;

}  // namespace loquat::http
