#include "dialogue/api_call.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "async/task_group.h"
#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "dialogue/api_url.h"

namespace loquat::dialogue {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds deadline{30'000};
/// A second try with less time left than this would only fail again.
constexpr milliseconds least_for_retry{1'000};
constexpr milliseconds retry_pause{200};
constexpr std::string_view idempotency_header = "Idempotency-Key";

constexpr std::array<std::string_view, 5> methods{"GET", "POST", "PUT", "DELETE", "PATCH"};
/// Headers that say how the message itself is sent: the client's business.
constexpr std::array<std::string_view, 9> framing{"connection", "content-length",    "expect",  "keep-alive",      "te",
                                                  "trailer",    "transfer-encoding", "upgrade", "proxy-connection"};

bool has_body(std::string_view method) noexcept { return method == "POST" || method == "PUT" || method == "PATCH"; }
bool is_idempotent(std::string_view method) noexcept { return method == "GET" || method == "PUT" || method == "DELETE"; }

bool is_token(std::string_view name) noexcept {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return text::is_ascii_alphanumeric(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

std::string query_text(const json::value& value) {
  const auto* text = value.if_string();
  return text == nullptr ? to_json(value) : std::string(as_view(*text));
}

url::Pairs make_pairs(const json::object& members) {
  url::Pairs pairs;
  pairs.reserve(members.size());
  for (const auto& [key, value] : members) pairs.emplace_back(std::string(key.data(), key.size()), query_text(value));
  return pairs;
}

/// application/json or application/*+json, parameters or not.
bool is_json_type(std::string_view type) {
  const auto essence = text::to_lower_ascii(text::trim_ascii(type.substr(0, type.find(';'))));
  return essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json") && essence.size() > 17);
}

bool may_retry(const http::ClientRequest& request, const http::ClientResponse& response) {
  if (!is_idempotent(request.method)) return false;
  return response.failure != http::Failure::none || (response.status >= 502 && response.status <= 504);
}

}  // namespace

ApiCall::ApiCall(const bot::ApiDetails& details, std::vector<std::string>& faults)
    : method_(text::trim_ascii(details.request_type)), url_(details.url), fixed_host_(find_open_host(details.url)) {
  std::ranges::transform(method_, method_.begin(), [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  if (std::ranges::find(methods, method_) == methods.end())
    faults.push_back("API call: the method is none of GET, POST, PUT, DELETE, PATCH");
  if (!url_.fault().empty()) faults.push_back("API call, URL: " + url_.fault());
  for (const auto& header : details.headers) {
    const auto name = text::trim_ascii(header.header_key);
    const auto lower = text::to_lower_ascii(name);
    if (!is_token(name) || std::ranges::find(framing, lower) != framing.end() ||
        text::equal_ignoring_ascii_case(name, idempotency_header)) {
      faults.push_back("API call: a header is left out, its name is empty or not allowed");
      continue;
    }
    headers_.emplace_back(std::string(name), TextTemplate(header.header_value));
    if (!headers_.back().second.fault().empty())
      faults.push_back("API call, header " + std::string(name) + ": " + headers_.back().second.fault());
  }
  if (details.is_json) {
    json_.emplace(details.json_data);
    if (!json_->fault().empty()) faults.push_back("API call, JSON data: " + json_->fault());
  }
}

std::expected<std::string, std::string> ApiCall::render_url(const json::object& variables) const {
  const auto rendered = url_.render(variables, tmpl::Escape::url);
  if (!rendered) return std::unexpected("URL: " + rendered.error());
  return check_url(*rendered, fixed_host_, !url_.is_plain());
}

std::expected<json::value, std::string> ApiCall::render_json(const json::object& variables) const {
  const auto rendered = json_->render(variables, tmpl::Escape::json_string);
  if (!rendered) return std::unexpected("JSON data: " + rendered.error());
  if (text::trim_ascii(*rendered).empty()) return json::value(json::object());
  json::value value;
  JsonError error;
  if (!try_parse_json(*rendered, value, error)) return std::unexpected("the JSON data is no JSON when filled in");
  if (value.is_null()) return json::value(json::object());
  return value;
}

std::expected<void, std::string> ApiCall::add_headers(const json::object& variables, http::Headers& headers) const {
  for (const auto& [name, value] : headers_) {
    const auto rendered = value.render(variables);
    if (!rendered) return std::unexpected("header " + name + ": " + rendered.error());
    const auto trimmed = text::trim_ascii(*rendered);
    if (trimmed.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos) {
      return std::unexpected("header " + name + ": the value has a line break");
    }
    headers.add(name, std::string(trimmed));
  }
  return {};
}

std::expected<http::ClientRequest, std::string> ApiCall::prepare(const json::object& variables, std::string_view idempotency_key) const {
  if (std::ranges::find(methods, method_) == methods.end()) return std::unexpected("the method is not supported");
  auto url = render_url(variables);
  if (!url) return std::unexpected(url.error());
  http::ClientRequest request;
  request.method = method_;
  if (auto added = add_headers(variables, request.headers); !added) return std::unexpected(added.error());
  request.headers.add(std::string(idempotency_header), std::string(idempotency_key));
  if (!request.headers.find("Accept")) request.headers.add("Accept", "application/json, */*;q=0.5");
  if (!json_) {
    const auto* parameters = find_member(variables, "parameters");
    const auto* members = parameters == nullptr ? nullptr : parameters->if_object();
    request.url = members == nullptr ? *std::move(url) : add_query(*std::move(url), make_pairs(*members));
    return request;
  }
  auto data = render_json(variables);
  if (!data) return std::unexpected(data.error());
  if (has_body(method_)) {
    request.url = *std::move(url);
    request.body = to_json(*data);
    if (!request.headers.find("Content-Type")) request.headers.add("Content-Type", "application/json");
    return request;
  }
  if (!data->is_object()) return std::unexpected("the JSON data is no object, so it cannot be a query");
  request.url = add_query(*std::move(url), make_pairs(data->get_object()));
  return request;
}

std::expected<json::value, std::string> read_answer(const http::ClientResponse& response) {
  if (response.failure != http::Failure::none) return std::unexpected(response.error);
  if (response.status < 200 || response.status > 299) return std::unexpected("the answer's status is " + std::to_string(response.status));
  if (!is_json_type(response.headers.get("Content-Type"))) return std::unexpected("the answer's content type is not JSON");
  std::string_view body = response.body;
  if (body.starts_with("\xEF\xBB\xBF")) body.remove_prefix(3);
  if (text::trim_ascii(body).empty()) return json::value(nullptr);
  json::value value;
  JsonError error;
  if (!try_parse_json(body, value, error)) return std::unexpected("the answer is no JSON");
  return value;
}

asio::awaitable<std::expected<json::value, std::string>> perform(ApiTransport transport, http::ClientRequest request) {
  if (transport.client == nullptr) co_return std::unexpected("API calls are switched off");
  request.max_redirects = 5;
  request.response_limit = std::size_t{1} << 20U;
  request.use_environment_proxy = false;
  request.proxy = transport.proxy;
  request.addresses = transport.addresses;
  request.deadline = deadline;
  request.may_repeat = false;  // the second try is ours
  const auto end = Clock::now() + deadline;
  auto response = co_await transport.client->send(request);
  if (may_retry(request, response)) {
    const auto left = std::chrono::duration_cast<milliseconds>(end - Clock::now()) - retry_pause;
    if (left > least_for_retry) {
      co_await async::sleep_for(retry_pause);
      request.deadline = left;
      request.fresh_connection = true;  // the kept ones have perhaps died with the first
      response = co_await transport.client->send(std::move(request));
    }
  }
  co_return read_answer(response);
}

}  // namespace loquat::dialogue
