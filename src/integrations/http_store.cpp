#include "integrations/http_store.h"

#include <algorithm>
#include <charconv>

#include "async/task_group.h"
#include "core/error.h"
#include "core/id.h"
#include "core/json.h"
#include "core/text.h"
#include "core/url.h"
#include "http/entity_tag.h"

namespace loquat::integrations {
namespace {

using http::ClientRequest;
using http::ClientResponse;
using http::Failure;

constexpr std::chrono::milliseconds call_deadline(10'000);
constexpr std::chrono::milliseconds ping_deadline(2'000);
constexpr std::size_t answer_limit = std::size_t{64} << 20U;
constexpr const char* refused_message = "it refuses our SERVICE_TOKEN";
/// How often an update starts again because another was faster.
constexpr int update_attempts = 60;

/// Longer with every attempt, and not the same for all who wait.
std::chrono::milliseconds pause_before(int attempt) {
  std::uint8_t random = 0;
  fill_random(&random, 1);
  return std::chrono::milliseconds(1 + random % (4 * std::min(attempt + 1, 12)));
}

Error away(std::string detail) {
  return {Code::unavailable, "the integrations service is not available, try again later", std::move(detail)};
}

std::int64_t parse_version(std::string_view text) {
  text = text::trim_ascii(text);
  if (text.size() >= 2 && text.starts_with('"') && text.ends_with('"')) text = text.substr(1, text.size() - 2);
  std::int64_t version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  if (error != std::errc() || end != text.data() + text.size()) throw away("an answer without a version");
  return version;
}

json::object to_body(const Integration& integration) {
  return {{"id", integration.id},
          {"name", integration.name},
          {"description", integration.description},
          {"status", integration.status},
          {"settings", integration.settings}};
}

Integration from_body(const json::value& body, std::int64_t version) {
  const auto* status = find_member(body, "status");
  const auto* settings = find_member(body, "settings");
  if (!body.is_object() || status == nullptr || !status->is_bool() || settings == nullptr || !settings->is_object()) {
    throw away("an answer that is no integration");
  }
  return {std::string(string_member(body, "id")),
          std::string(string_member(body, "name")),
          std::string(string_member(body, "description")),
          status->get_bool(),
          settings->get_object(),
          version};
}

json::value parse_answer(const ClientResponse& response) {
  json::value body;
  JsonError error;
  if (!try_parse_json(response.body, body, error)) throw away("an answer that is no JSON");
  return body;
}

Integration read_one(const ClientResponse& response) {
  return from_body(parse_answer(response), parse_version(response.headers.get("ETag")));
}

/// What the other process refused, as its own store would have.
[[noreturn]] void throw_refusal(const ClientResponse& response) {
  json::value body;
  JsonError error;
  const bool readable = try_parse_json(response.body, body, error);
  const auto* detail = readable ? find_member(body, "detail") : nullptr;
  const std::string text(readable ? string_member(body, "detail") : std::string_view());
  if (response.status == 404 && text == not_found_message) throw Error(Code::not_found, not_found_message);
  if (response.status == 409) throw Error(Code::conflict, taken_message);
  if (response.status == 412) throw Error(Code::precondition_failed, changed_message);
  if (response.status == 422 && detail != nullptr && detail->is_array()) {
    throw Error(Code::invalid, "the integrations service refused the values").with_issues(to_json(*detail));
  }
  if (response.status == 401 || response.status == 403) throw away(refused_message);
  throw away("it answered " + std::to_string(response.status));
}

void require_answer(const ClientResponse& response) {
  if (response.failure != Failure::none) throw away(response.error);
}

void require_success(const ClientResponse& response) {
  require_answer(response);
  if (response.status < 200 || response.status >= 300) throw_refusal(response);
}

}  // namespace

HttpStore::HttpStore(http::Client& client, std::string_view base, std::string service_token)
    : client_(client), root_(base), token_(std::move(service_token)) {
  const auto strip = [this](std::string_view end) {
    if (root_.ends_with(end)) root_.resize(root_.size() - end.size());
  };
  while (root_.ends_with('/')) root_.pop_back();
  strip("/integrations");
  strip("/admin");
}

ClientRequest HttpStore::make_request(std::string method, std::string_view id, const json::value* body) const {
  ClientRequest request;
  request.method = std::move(method);
  request.url = root_ + "/integrations";
  if (!id.empty()) request.url += "/" + url::encode_segment(id);
  request.deadline = call_deadline;
  request.response_limit = answer_limit;
  request.headers.set("Accept", "application/json");
  if (!token_.empty()) request.headers.set("Authorization", "Bearer " + token_);
  if (body != nullptr) {
    request.headers.set("Content-Type", "application/json");
    request.body = to_json(*body);
  }
  return request;
}

asio::awaitable<std::vector<Integration>> HttpStore::list() {
  const auto response = co_await send(make_request("GET", {}));
  require_success(response);
  const auto body = parse_answer(response);
  if (!body.is_array()) throw away("an answer that is no list");
  const auto versions = response.headers.find(versions_header);
  const auto numbers = versions ? text::split(*versions, ',') : std::vector<std::string_view>();
  std::vector<Integration> out;
  out.reserve(body.get_array().size());
  for (const auto& item : body.get_array()) {
    out.push_back(from_body(item, out.size() < numbers.size() ? parse_version(numbers[out.size()]) : 0));
  }
  co_return out;
}

asio::awaitable<std::optional<Integration>> HttpStore::find(std::string_view id) {
  if (id.empty()) co_return std::nullopt;
  const auto response = co_await send(make_request("GET", id));
  require_answer(response);
  if (response.status == 404 && string_member(parse_answer(response), "detail") == not_found_message) co_return std::nullopt;
  require_success(response);
  co_return read_one(response);
}

asio::awaitable<Integration> HttpStore::create(Integration integration) {
  const json::value body = to_body(integration);
  integration.version = 1;
  const auto response = co_await send(make_request("POST", {}, &body));
  if (response.failure == Failure::unknown) {
    // It may be there: then this was it, unless somebody else made one that is the same in all.
    if (auto stored = co_await find(integration.id); stored && *stored == integration) co_return std::move(*stored);
  }
  require_success(response);
  co_return read_one(response);
}

asio::awaitable<Integration> HttpStore::update(std::string_view id, std::function<void(Integration&)> change,
                                               std::optional<std::int64_t> if_version) {
  const std::string was(id);
  for (int attempt = 0; attempt < update_attempts; ++attempt) {
    auto current = co_await find(was);
    if (!current) throw Error(Code::not_found, not_found_message);
    require_version(current->version, if_version);
    Integration next = *current;
    change(next);
    const json::value body = to_body(next);
    auto request = make_request("PUT", was, &body);
    request.headers.set("If-Match", http::make_etag(current->version));
    const auto response = co_await send(std::move(request));
    if (response.failure == Failure::unknown) {
      next.version = current->version + 1;
      if (auto stored = co_await find(next.id); stored && *stored == next) co_return std::move(*stored);
    }
    require_answer(response);
    if (response.status == 412 && !if_version) {
      co_await async::sleep_for(pause_before(attempt));
      continue;
    }
    require_success(response);
    co_return read_one(response);
  }
  throw away("an integration kept changing");
}

asio::awaitable<void> HttpStore::remove(std::string_view id, std::optional<std::int64_t> if_version) {
  if (id.empty()) throw Error(Code::not_found, not_found_message);
  auto request = make_request("DELETE", id);
  if (if_version) request.headers.set("If-Match", http::make_etag(*if_version));
  require_success(co_await send(std::move(request)));
}

asio::awaitable<std::vector<std::string>> HttpStore::ensure_defaults() {
  const auto response = co_await send(make_request("POST", reserved_id));
  require_success(response);
  const auto body = parse_answer(response);
  std::vector<std::string> created;
  const auto* ids = find_member(body, "created");
  if (ids == nullptr || !ids->is_array()) throw away("an answer without the ids created");
  for (const auto& item : ids->get_array()) {
    if (item.is_string()) created.emplace_back(as_view(item.get_string()));
  }
  co_return created;
}

asio::awaitable<ClientResponse> HttpStore::send(ClientRequest request) {
  auto response = co_await client_.send(std::move(request));
  if (response.failure == Failure::none) refused_ = response.status == 401 || response.status == 403;
  co_return response;
}

asio::awaitable<void> HttpStore::ping() {
  // Health needs no token and no database: whether ours is taken was seen when something was asked last.
  if (refused_) throw away(refused_message);
  ClientRequest request;
  request.url = root_ + "/health";
  request.deadline = ping_deadline;
  require_success(co_await client_.send(std::move(request)));
}

}  // namespace loquat::integrations
