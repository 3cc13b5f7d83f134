#include "http/message.h"

#include <algorithm>
#include <array>
#include <stdexcept>

#include "core/text.h"

namespace loquat::http {

std::string_view to_string(Method method) noexcept {
  constexpr std::array<std::string_view, 9> names{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "OTHER"};
  return names.at(static_cast<std::size_t>(method));
}

void Headers::set(std::string name, std::string value) {
  std::erase_if(fields_, [&name](const auto& field) { return text::equal_ignoring_ascii_case(field.first, name); });
  add(std::move(name), std::move(value));
}

std::optional<std::string_view> Headers::find(std::string_view name) const noexcept {
  for (const auto& [key, value] : fields_) {
    if (key.size() == name.size() && text::equal_ignoring_ascii_case(key, name)) return value;
  }
  return std::nullopt;
}

std::size_t Headers::count(std::string_view name) const noexcept {
  return static_cast<std::size_t>(
      std::ranges::count_if(fields_, [name](const auto& field) { return text::equal_ignoring_ascii_case(field.first, name); }));
}

std::optional<std::string_view> find_parameter(const Parameters& parameters, std::string_view name) noexcept {
  for (auto at = parameters.rbegin(); at != parameters.rend(); ++at) {
    if (at->first == name) return at->second;
  }
  return std::nullopt;
}

const std::string& Request::path_parameter(std::string_view name) const {
  for (const auto& [key, value] : path_parameters) {
    if (key == name) return value;
  }
  throw std::logic_error("the route has no path parameter " + std::string(name));
}

Response Response::json(const json::value& value, unsigned status) { return json_text(to_json(value), status); }

namespace {

Response make_body(std::string text, unsigned status, const char* content_type) {
  Response response;
  response.status = status;
  response.headers.add("Content-Type", content_type);
  response.body = std::move(text);
  return response;
}

}  // namespace

Response Response::json_text(std::string text, unsigned status) { return make_body(std::move(text), status, "application/json"); }
Response Response::text(std::string text, unsigned status) { return make_body(std::move(text), status, "text/plain; charset=utf-8"); }
Response Response::html(std::string text, unsigned status) { return make_body(std::move(text), status, "text/html; charset=utf-8"); }

Response Response::empty(unsigned status) {
  Response response;
  response.status = status;
  return response;
}

}  // namespace loquat::http
