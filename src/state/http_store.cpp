#include "state/http_store.h"

#include "async/task_group.h"
#include "core/error.h"
#include "core/json.h"
#include "core/url.h"
#include "state/wire.h"

namespace loquat::state {
namespace {

using http::ClientRequest;
using http::ClientResponse;
using http::Failure;

constexpr std::chrono::milliseconds call_deadline(10'000);
constexpr std::chrono::milliseconds ping_deadline(2'000);
constexpr std::size_t answer_limit = std::size_t{256} << 20U;
constexpr int most_attempts = 3;

Error away(std::string detail) { return {Code::unavailable, "the state service is not available, try again later", std::move(detail)}; }

json::value parse_answer(const ClientResponse& response) {
  json::value body;
  JsonError error;
  if (!try_parse_json(response.body, body, error)) throw away("an answer that is no JSON");
  return body;
}

/// What the other process refused, as its own store would have.
[[noreturn]] void throw_refusal(const ClientResponse& response) {
  json::value body;
  JsonError error;
  const bool readable = try_parse_json(response.body, body, error);
  const auto* detail = readable ? find_member(body, "detail") : nullptr;
  const std::string text(readable ? string_member(body, "detail") : std::string_view());
  if (response.status == 409) throw Error(Code::conflict, text.empty() ? "the conversation has moved on" : text);
  if (response.status == 413) throw Error(Code::too_large, "the state is too large");
  if (response.status == 422) {
    Error refused(Code::invalid, "the state service refused the values");
    if (detail != nullptr && detail->is_array()) throw std::move(refused).with_issues(to_json(*detail));
    throw std::move(refused);  // NOLINT(misc-throw-by-value-catch-by-reference): it may have got issues above
  }
  if (response.status == 401 || response.status == 403) throw away("it refuses our SERVICE_TOKEN");
  throw away("it answered " + std::to_string(response.status));
}

void require_success(const ClientResponse& response) {
  if (response.failure != Failure::none) throw away(response.error);
  if (response.status < 200 || response.status >= 300) throw_refusal(response);
}

url::Pairs conversation_pairs(const chat::ConversationId& id) { return {{"channel", id.channel}, {"account", id.account}}; }

url::Pairs thread_pairs(const ThreadQuery& query) {
  url::Pairs pairs;
  if (query.channel) pairs.emplace_back("channel", *query.channel);
  if (query.account) pairs.emplace_back("account", *query.account);
  return pairs;
}

void add_time(url::Pairs& pairs, const char* name, std::optional<Time> time) {
  if (time) pairs.emplace_back(name, to_iso8601(*time));
}

void add_number(url::Pairs& pairs, const char* name, std::optional<double> number) {
  if (!number) return;
  std::string text;
  append_python_float(text, *number);
  pairs.emplace_back(name, std::move(text));
}

std::optional<std::string> next_of(const json::value& body) {
  const auto* next = find_member(body, "next");
  return next != nullptr && next->is_string() ? std::optional(std::string(as_view(next->get_string()))) : std::nullopt;
}

const json::array& items_of(const json::value& body) {
  const auto* items = find_member(body, "items");
  if (items == nullptr || !items->is_array()) throw away("an answer without items");
  return items->get_array();
}

}  // namespace

struct HttpStore::Call {
  const char* method = "GET";
  std::string path;
  url::Pairs query = {};
  std::string body = {};
  bool repeatable = true;  ///< doing it twice is doing it once
};

HttpStore::HttpStore(http::Client& client, std::string_view base, std::string service_token)
    : client_(client), root_(base), token_(std::move(service_token)) {
  while (root_.ends_with('/')) root_.pop_back();
  if (root_.ends_with("/states")) root_.resize(root_.size() - 7);
}

asio::awaitable<ClientResponse> HttpStore::send(Call call) {
  call.query.emplace_back("full", "true");
  for (int attempt = 1;; ++attempt) {
    ClientRequest request;
    request.method = call.method;
    request.url = root_ + "/states" + call.path + "?" + url::build_query(call.query);
    request.deadline = call_deadline;
    request.response_limit = answer_limit;
    request.headers.set("Accept", "application/json");
    if (!token_.empty()) request.headers.set("Authorization", "Bearer " + token_);
    if (!call.body.empty()) {
      request.headers.set("Content-Type", "application/json");
      request.body = call.body;
    }
    auto response = co_await client_.send(std::move(request));
    // A connection that was closed while it was idle looks like a lost answer; so does the other process's restart.
    const bool lost =
        response.failure == Failure::unknown || (response.failure == Failure::none && (response.status == 502 || response.status == 504));
    if (!lost || !call.repeatable || attempt == most_attempts) co_return response;
    co_await async::sleep_for(std::chrono::milliseconds(20 * attempt));
  }
}

asio::awaitable<Store::Appended> HttpStore::append(State state, std::optional<std::int64_t> expected_version) {
  Call call{.method = "POST", .path = ""};
  if (expected_version) call.query.emplace_back("expected_version", std::to_string(*expected_version));
  call.body = to_json_text(state, true);
  call.repeatable = state.message_id.has_value();
  const auto response = co_await send(std::move(call));
  require_success(response);
  auto stored = from_wire(parse_answer(response));
  const bool existed = response.status == 200;
  co_return Appended{std::move(stored), existed};
}

asio::awaitable<std::optional<State>> HttpStore::find_one(Call call) {
  const auto response = co_await send(std::move(call));
  if (response.failure == Failure::none && response.status == 404 && string_member(parse_answer(response), "detail") == not_found_message) {
    co_return std::nullopt;
  }
  require_success(response);
  co_return from_wire(parse_answer(response));
}

asio::awaitable<std::optional<State>> HttpStore::find_latest(const chat::ConversationId& conversation) {
  if (conversation.thread_id.empty()) co_return std::nullopt;
  Call call{.path = "/" + url::encode_segment(conversation.thread_id), .query = conversation_pairs(conversation)};
  call.query.emplace_back("exact", "true");
  co_return co_await find_one(std::move(call));
}

asio::awaitable<std::optional<State>> HttpStore::find_latest(const ThreadQuery& query) {
  if (query.thread_id.empty()) co_return std::nullopt;
  co_return co_await find_one(Call{.path = "/" + url::encode_segment(query.thread_id), .query = thread_pairs(query)});
}

asio::awaitable<std::optional<State>> HttpStore::find_by_message_id(const MessageId& id) {
  co_return co_await find_one(Call{.path = "", .query = {{"view", "message"}, {"message_id", id.to_string()}}});
}

asio::awaitable<HistoryPage> HttpStore::find_page(Call call) {
  const auto response = co_await send(std::move(call));
  require_success(response);
  const auto body = parse_answer(response);
  HistoryPage page;
  for (const auto& item : items_of(body)) page.items.push_back(from_wire(item));
  page.next = next_of(body);
  co_return page;
}

asio::awaitable<HistoryPage> HttpStore::history(const ThreadQuery& query, std::size_t limit, std::optional<std::string> before) {
  if (query.thread_id.empty()) co_return HistoryPage{};
  Call call{.path = "/" + url::encode_segment(query.thread_id) + "/history", .query = thread_pairs(query)};
  call.query.emplace_back("limit", std::to_string(limit));
  if (before) call.query.emplace_back("before", *before);
  co_return co_await find_page(std::move(call));
}

asio::awaitable<ThreadsPage> HttpStore::threads(std::size_t page, std::size_t limit, std::optional<Time> start, std::optional<Time> end) {
  Call call{.path = "", .query = {{"page", std::to_string(page)}, {"limit", std::to_string(limit)}}};
  add_time(call.query, "start_date", start);
  add_time(call.query, "end_date", end);
  const auto response = co_await send(std::move(call));
  require_success(response);
  const auto body = parse_answer(response);
  ThreadsPage out;
  const auto* total = find_member(body, "total");
  if (total == nullptr || !total->is_int64()) throw away("an answer without a total");
  out.total = total->get_int64();
  for (const auto& item : items_of(body)) {
    const auto* version = find_member(item, "version");
    const auto date = parse_iso8601(string_member(item, "date"));
    if (version == nullptr || !version->is_int64() || !date) throw away("an answer that is no list of threads");
    out.items.push_back({std::string(string_member(item, "thread_id")), *date, version->get_int64()});
  }
  co_return out;
}

asio::awaitable<HistoryPage> HttpStore::search(const SearchQuery& query) {
  Call call{.path = "", .query = {{"view", "search"}, {"limit", std::to_string(query.limit)}}};
  const auto add = [&call](const char* name, const std::optional<std::string>& value) {
    if (value) call.query.emplace_back(name, *value);
  };
  add("text", query.text);
  add("intent", query.intent);
  add("channel", query.channel);
  add_number(call.query, "min_confidence", query.min_confidence);
  add_number(call.query, "max_confidence", query.max_confidence);
  add_time(call.query, "start_date", query.start_date);
  add_time(call.query, "end_date", query.end_date);
  add("before", query.before);
  co_return co_await find_page(std::move(call));
}

asio::awaitable<void> HttpStore::redact(const chat::ConversationId& conversation, const MessageId& id) {
  if (conversation.thread_id.empty()) co_return;
  require_success(co_await send(Call{.method = "DELETE",
                                     .path = "/" + url::encode_segment(conversation.thread_id) + "/messages/" + id.to_string(),
                                     .query = conversation_pairs(conversation)}));
}

asio::awaitable<bool> HttpStore::erase(const ThreadQuery& query) {
  if (query.thread_id.empty()) co_return false;
  const auto response =
      co_await send(Call{.method = "DELETE", .path = "/" + url::encode_segment(query.thread_id), .query = thread_pairs(query)});
  require_success(response);
  co_return response.headers.get(erased_header) == "true";
}

asio::awaitable<std::size_t> HttpStore::delete_older(std::chrono::hours /*age*/, std::chrono::hours /*dedup_age*/, std::size_t /*limit*/) {
  co_return 0;
}

asio::awaitable<void> HttpStore::ping() {
  ClientRequest request;
  request.method = "POST";
  request.url = root_ + "/states/ping/init";
  request.deadline = ping_deadline;
  request.connect_deadline = ping_deadline;
  if (!token_.empty()) request.headers.set("Authorization", "Bearer " + token_);
  require_success(co_await client_.send(std::move(request)));
}

}  // namespace loquat::state
