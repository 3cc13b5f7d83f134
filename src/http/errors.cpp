#include "http/errors.h"

#include "core/log.h"

namespace loquat::http {
namespace {

constexpr const char* retry_after_seconds = "1";

/// Headers that belong to a status whatever the body.
void add_status_headers(Response& response) {
  if (response.status == 401) response.headers.add("WWW-Authenticate", "Bearer");
  if (response.status == 503 || response.status == 429) response.headers.add("Retry-After", retry_after_seconds);
}

Response make_detail(unsigned status, std::string_view detail) {
  std::string body = R"({"detail":)";
  append_json_string(body, detail);
  body += '}';
  Response response = Response::json_text(std::move(body), status);
  add_status_headers(response);
  return response;
}

Response make_known_error(const Error& error, std::string_view request_id) {
  if (!error.log_detail().empty()) {
    log::write(error.code() == Code::unavailable ? log::Level::warning : log::Level::debug, "http", error.what(),
               {{"request_id", request_id}, {"error", error.log_detail()}});
  }
  if (error.issues().empty()) return make_detail(to_status(error.code()), error.what());
  Response response = Response::json_text(R"({"detail":)" + error.issues() + "}", to_status(error.code()));
  add_status_headers(response);
  return response;
}

}  // namespace

unsigned to_status(Code code) noexcept {
  switch (code) {
    case Code::malformed: return 400;
    case Code::invalid: return 422;
    case Code::unauthenticated: return 401;
    case Code::forbidden: return 403;
    case Code::not_found: return 404;
    case Code::conflict: return 409;
    case Code::precondition_failed: return 412;
    case Code::too_large: return 413;
    case Code::unsupported: return 415;
    case Code::too_many: return 429;
    case Code::unavailable: return 503;
  }
  return 500;
}

Response make_error(const std::exception_ptr& error, std::string_view request_id) {
  try {
    std::rethrow_exception(error);
  } catch (const Error& known) {
    return make_known_error(known, request_id);
  } catch (const std::exception& unknown) {
    log::error("http", "a handler failed", {{"request_id", request_id}, {"error", unknown.what()}});
  } catch (...) {
    log::error("http", "a handler failed", {{"request_id", request_id}, {"error", "not a std::exception"}});
  }
  return make_detail(500, "Internal Server Error");
}

Response make_error(Code code, std::string_view detail) { return make_detail(to_status(code), detail); }

Response make_refusal(unsigned status, std::string_view detail) {
  return make_detail(status, detail.empty() ? reason_phrase(status) : detail);
}

Response make_method_refusal(const std::vector<Method>& allowed) {
  Response response = make_detail(405, reason_phrase(405));
  std::string list;
  for (const Method method : allowed) {
    if (!list.empty()) list += ", ";
    list += to_string(method);
  }
  response.headers.add("Allow", std::move(list));
  return response;
}

Response make_unready(const json::object& body) {
  Response response = Response::json(body, 503);
  add_status_headers(response);
  return response;
}

Response make_error_page(Code code, std::string html) {
  Response response = Response::html(std::move(html), to_status(code));
  add_status_headers(response);
  return response;
}

std::string_view reason_phrase(unsigned status) noexcept {
  switch (status) {
    case 100: return "Continue";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 412: return "Precondition Failed";
    case 413: return "Request Entity Too Large";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 422: return "Unprocessable Entity";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    default: return {};
  }
}

}  // namespace loquat::http
