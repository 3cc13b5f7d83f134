#include "state/api.h"

#include <algorithm>
#include <memory>

#include "core/error.h"
#include "core/query_values.h"
#include "core/schema.h"
#include "core/text.h"
#include "http/audit.h"
#include "http/entity_tag.h"
#include "state/client_keys.h"
#include "state/doc.h"
#include "state/search_request.h"
#include "state/wire.h"

namespace loquat::state {
namespace {

using http::Method;
using http::Request;
using http::Response;

constexpr std::size_t default_limit = 50;
constexpr std::int64_t highest_limit = 1'000;

/// Only other processes of this installation see what belongs to us: SERVICE_TOKEN, or anybody where nobody needs a token.
bool wants_full(const Request& request) {
  if (request.principal.is_service) return true;
  return request.principal.name == "anonymous" && http::find_parameter(request.query, "full") == "true";
}

ThreadQuery read_thread(const Request& request) {
  ThreadQuery query;
  query.thread_id = request.path_parameter("thread_id");
  if (const auto channel = http::find_parameter(request.query, "channel")) query.channel = *channel;
  if (const auto account = http::find_parameter(request.query, "account")) query.account = *account;
  return query;
}

Response show(const State& state, const Request& request, unsigned status = 200) {
  auto response = Response::json_text(to_json_text(state, wants_full(request)), status);
  response.headers.set("ETag", http::make_etag(state.version));
  return response;
}

// --- appending --------------------------------------------------------------------------------------------------

/// What If-Match and If-None-Match ask of the latest version.
struct Precondition {
  bool asked = false;
  bool must_exist = false;             ///< If-Match: *
  std::vector<std::int64_t> versions;  ///< any of them
};

Precondition read_precondition(const http::Headers& headers) {
  Precondition out;
  if (text::trim_ascii(headers.get("If-None-Match")) == "*") {
    out.asked = true;
    out.versions.push_back(0);
  }
  const http::IfMatch allowed(headers);
  if (!allowed.is_given()) return out;
  out.asked = true;
  out.must_exist = allowed.is_any();
  out.versions.insert(out.versions.end(), allowed.versions().begin(), allowed.versions().end());
  return out;
}

json::value read_body(const Request& request) {
  auto body = schema::parse_body(request.body, request.headers.get("Content-Type"));
  if (auto* object = body.if_object()) {
    const auto put_default = [object](std::string_view name, std::string_view value) {
      const json::string_view key(name.data(), name.size());
      if (const auto* sent = object->if_contains(key); sent == nullptr || sent->is_null()) (*object)[key] = value;
    };
    if (request.method == Method::put) (*object)["thread_id"] = request.path_parameter("thread_id");
    if (const auto key = request.headers.find("Idempotency-Key"); key && !key->empty()) put_default("message_id", *key);
    if (const auto channel = http::find_parameter(request.query, "channel")) put_default("channel", *channel);
    if (const auto account = http::find_parameter(request.query, "account")) put_default("account", *account);
  }
  return body;
}

[[noreturn]] void fail_precondition() { throw Error(Code::precondition_failed, "the conversation has moved on: If-Match does not hold"); }

/// Turns the header into the version to expect. `*` and several tags need to know the latest one first.
asio::awaitable<std::optional<std::int64_t>> expected_by(const Precondition& precondition, Store& store, const State& state) {
  if (!precondition.asked) co_return std::nullopt;
  if (!precondition.must_exist && precondition.versions.empty()) co_return -1;
  if (!precondition.must_exist && precondition.versions.size() == 1) co_return precondition.versions.front();
  const auto latest = co_await store.find_latest(state.conversation);
  const auto version = latest && !latest->erased ? latest->version : 0;
  const bool fits =
      precondition.must_exist ? version > 0 : std::ranges::find(precondition.versions, version) != precondition.versions.end();
  // A version that nothing has: the store still looks for a known message id first.
  co_return fits ? version : -1;
}

asio::awaitable<Response> append(Store& store, Request& request) {
  const auto body = read_body(request);
  auto state = from_json(body);
  if (wants_full(request)) {
    if (const auto* origin = find_member(body, "origin"); origin != nullptr && origin->is_int64()) state.origin = origin->get_int64();
  }
  schema::Issues issues;
  const schema::QueryReader query(request.query, issues);
  // Another process passes on that no version fits its client's If-Match as -1.
  auto expected = wants_full(request) ? query.find_integer("expected_version") : query.find_integer("expected_version", {.at_least = 0});
  issues.throw_if_any();
  const auto by_header = co_await expected_by(read_precondition(request.headers), store, state);
  // Two that differ cannot both hold. The store still looks for a known message id first.
  if (by_header) expected = expected && expected != by_header ? -1 : by_header;
  std::optional<Store::Appended> appended;
  try {
    if (wants_full(request))
      appended = co_await store.append(std::move(state), expected);
    else
      appended = co_await append_of_client(store, std::move(state), expected);
  } catch (const Error& error) {
    if (error.code() != Code::conflict || !by_header) throw;
  }
  if (!appended) fail_precondition();
  co_return show(appended->state, request, appended->existed ? 200 : 201);
}

asio::awaitable<Response> init(Request& request) {
  json::object body{{"thread_id", request.path_parameter("thread_id")}};
  co_return Response::json_text(to_json_text(from_json(body), wants_full(request)));
}

// --- reading ----------------------------------------------------------------------------------------------------

asio::awaitable<Response> get(Store& store, Request& request) {
  const auto query = read_thread(request);
  const bool full = wants_full(request);
  const bool exact = full && http::find_parameter(request.query, "exact") == "true";
  std::optional<State> found;
  if (exact) {
    found = co_await store.find_latest(chat::ConversationId{query.channel.value_or(""), query.account.value_or(""), query.thread_id});
  } else {
    found = co_await store.find_latest(query);
  }
  if (!found) throw Error(Code::not_found, not_found_message);
  co_return show(*found, request);
}

std::string page_text(const HistoryPage& page, bool full) {
  std::string out = R"({"items":[)";
  for (const auto& state : page.items) {
    if (out.back() == '}') out += ',';
    append_state_json(out, state, full);
  }
  out += R"(],"next":)";
  if (page.next)
    append_json_string(out, *page.next);
  else
    out += "null";
  out += '}';
  return out;
}

asio::awaitable<Response> history(Store& store, Request& request) {
  schema::Issues issues;
  const schema::QueryReader query(request.query, issues);
  const auto limit = query.integer("limit", default_limit, {.at_least = 1, .at_most = highest_limit});
  auto before = query.find_text("before");
  issues.throw_if_any();
  if (before && before->empty()) before.reset();
  const auto page = co_await store.history(read_thread(request), static_cast<std::size_t>(limit), std::move(before));
  co_return Response::json_text(page_text(page, wants_full(request)));
}

asio::awaitable<Response> search(Store& store, Request& request) {
  const auto search = read_search(request, "text", default_limit, highest_limit);
  const auto page = co_await store.search(search);
  co_return Response::json_text(page_text(page, wants_full(request)));
}

asio::awaitable<Response> find_message(Store& store, Request& request) {
  const auto text = http::find_parameter(request.query, "message_id").value_or("");
  const auto id = MessageId::parse(text);
  std::optional<State> found;
  if (id) found = co_await store.find_by_message_id(*id);
  if (!found) throw Error(Code::not_found, not_found_message);
  co_return show(*found, request);
}

asio::awaitable<Response> list(Store& store, Request& request) {
  const auto view = http::find_parameter(request.query, "view").value_or("");
  if (view == "search") co_return co_await search(store, request);
  if (view == "message") co_return co_await find_message(store, request);
  constexpr std::int64_t highest_page = 1'000'000'000;
  schema::Issues issues;
  const schema::QueryReader query(request.query, issues);
  const auto page = query.integer("page", 1, {.at_least = 1, .at_most = highest_page});
  const auto limit = query.integer("limit", default_limit, {.at_least = 1, .at_most = highest_limit});
  const auto start = query.find_time("start_date");
  const auto end = query.find_time("end_date");
  issues.throw_if_any();
  const auto threads = co_await store.threads(static_cast<std::size_t>(page), static_cast<std::size_t>(limit), start, end);
  json::array items;
  for (const auto& thread : threads.items) {
    items.push_back(json::object{{"thread_id", thread.thread_id}, {"date", to_iso8601(thread.date)}, {"version", thread.version}});
  }
  co_return Response::json(json::object{{"total", threads.total}, {"page", page}, {"limit", limit}, {"items", std::move(items)}});
}

// --- erasing ----------------------------------------------------------------------------------------------------

asio::awaitable<Response> erase(Store& store, const AlsoErase& also_erase, Request& request) {
  const auto query = read_thread(request);
  const bool existed = co_await store.erase(query);
  if (also_erase) co_await also_erase(query);
  http::audit(request, "conversation erased", query.thread_id);
  auto response = Response::empty();
  if (wants_full(request)) response.headers.set(erased_header, existed ? "true" : "false");
  co_return response;
}

asio::awaitable<Response> redact(Store& store, Request& request) {
  const auto query = read_thread(request);
  if (const auto id = MessageId::parse(request.path_parameter("message_id"))) {
    co_await store.redact({query.channel.value_or(""), query.account.value_or(""), query.thread_id}, *id);
  }
  co_return Response::empty();
}

}  // namespace

void add_routes(http::Router& router, Store& store, AlsoErase also_erase) {
  const std::string one = "/states/{thread_id}";
  router.add(Method::post, "/states", {.doc = doc::append()}, [&store](Request& request) { return append(store, request); });
  router.add(Method::put, one, {.doc = doc::put()}, [&store](Request& request) { return append(store, request); });
  router.add(Method::get, "/states", {.doc = doc::list()}, [&store](Request& request) { return list(store, request); });
  router.add(Method::get, one, {.doc = doc::get()}, [&store](Request& request) { return get(store, request); });
  router.add(Method::delete_, one, {.doc = doc::erase()},
             [&store, also_erase = std::move(also_erase)](Request& request) { return erase(store, also_erase, request); });
  router.add(Method::post, one + "/init", {.doc = doc::init()}, [](Request& request) { return init(request); });
  router.add(Method::get, one + "/history", {.doc = doc::history()}, [&store](Request& request) { return history(store, request); });
  router.add(Method::delete_, one + "/messages/{message_id}", {.doc = doc::redact()},
             [&store](Request& request) { return redact(store, request); });
}

}  // namespace loquat::state
