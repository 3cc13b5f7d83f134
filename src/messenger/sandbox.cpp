#include "messenger/sandbox.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/error.h"
#include "core/id.h"
#include "core/text.h"
#include "core/url.h"

namespace loquat::messenger {
namespace {

constexpr std::size_t most_calls = 1000;
constexpr std::size_t most_finished = 10'000;
constexpr std::size_t most_text = 2000;
constexpr std::size_t most_quick_replies = 13;
constexpr std::chrono::milliseconds most_wait(10'000);
constexpr std::string_view verify_token = "sandbox";
constexpr std::string_view access_token = "sandbox";
/// Any would do: the stand-in does not look at it.
constexpr std::string_view graph_version = "v25.0";

http::Response make_graph_error(int code, std::string_view type, std::string_view message) {
  return http::Response::json(
      json::object{{"error", json::object{{"message", message}, {"type", type}, {"code", code}, {"fbtrace_id", random_hex(8)}}}}, 400);
}
http::Response make_parameter_error(std::string_view message) {
  return make_graph_error(100, "OAuthException", "(#100) " + std::string(message));
}

bool has_token(const http::Request& request, const json::value& body) {
  return !http::find_parameter(request.query, "access_token").value_or("").empty() || !string_member(body, "access_token").empty() ||
         request.headers.get("Authorization").starts_with("Bearer ");
}

/// What Meta would object to in a message; empty: nothing.
std::string check_message(const json::value& message) {
  if (!message.is_object()) return "The parameter message is required";
  const auto* text = find_member(message, "text");
  const auto* attachment = find_member(message, "attachment");
  if (text == nullptr && attachment == nullptr) return "Message cannot be empty, must provide valid attachment or text";
  if (text != nullptr && (!text->is_string() || text->get_string().empty()))
    return "Param message[text] must be a non-empty UTF-8 encoded string";
  if (text != nullptr && text::length(as_view(text->get_string())) > most_text)
    return "Length of param message[text] must be less than or equal to 2000";
  const auto* quick_replies = find_member(message, "quick_replies");
  if (quick_replies != nullptr && (!quick_replies->is_array() || quick_replies->get_array().size() > most_quick_replies))
    return "Param message[quick_replies] must have at most 13 elements";
  return {};
}

std::string check_call(const json::value& body) {
  const auto* action = find_member(body, "sender_action");
  if (action == nullptr) {
    const auto* message = find_member(body, "message");
    return message == nullptr ? "The parameter message is required" : check_message(*message);
  }
  constexpr std::array<std::string_view, 3> actions{"mark_seen", "typing_on", "typing_off"};
  if (std::ranges::find(actions, string_member(body, "sender_action")) == actions.end())
    return "Param sender_action is not one of the actions";
  return find_member(body, "message") != nullptr ? "A sender action must be a request of its own" : "";
}

template <class Integer>
Integer read_number(const http::Request& request, std::string_view name, Integer fallback) {
  const auto text = http::find_parameter(request.query, name).value_or(std::string_view());
  Integer number{};
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failure == std::errc() && end == text.data() + text.size() ? number : fallback;
}

json::object to_json_object(const GraphStandIn::Kept& kept) {
  json::array replies;
  for (const auto& call : kept.calls)
    replies.push_back(json::object{{"number", call.number}, {"recipient", call.recipient}, {"at", call.at_ms}, {"request", call.request}});
  return {{"replies", std::move(replies)}, {"last", kept.last}, {"done", kept.finished}};
}

PageSettings make_sandbox_settings(std::string secret) {
  auto settings = make_page_settings(std::move(secret), std::string(verify_token), {});
  settings.page_tokens.emplace(sandbox_page, access_token);
  settings.generation = 1;
  return settings;
}

asio::awaitable<http::Response> take_call(GraphStandIn& graph, http::Request& request) { co_return graph.take(request); }

http::Doc describe(std::string summary) { return {.summary = std::move(summary), .tag = "sandbox"}; }

}  // namespace

http::Response GraphStandIn::take(const http::Request& request) {
  json::value body;
  JsonError error;
  if (!try_parse_json(request.body, body, error) || !body.is_object()) return make_parameter_error("The body is not a JSON object");
  if (!has_token(request, body)) return make_graph_error(190, "OAuthException", "An access token is required to request this resource.");
  const auto* recipient = find_member(body, "recipient");
  const auto id = recipient == nullptr ? std::string_view() : string_member(*recipient, "id");
  const auto user_ref = recipient == nullptr ? std::string_view() : string_member(*recipient, "user_ref");
  if (id.empty() && user_ref.empty()) return make_parameter_error("The parameter recipient is required");
  if (const auto objection = check_call(body); !objection.empty()) return make_parameter_error(objection);

  json::object answer;
  if (!id.empty()) answer.emplace("recipient_id", id);
  if (find_member(body, "message") != nullptr) answer.emplace("message_id", "m_" + random_hex(24));
  const std::lock_guard lock(mutex_);
  auto& kept = body.as_object();
  kept.erase("access_token");
  calls_.push_back({++last_, std::string(id.empty() ? user_ref : id), to_milliseconds(now()), std::move(kept)});
  if (calls_.size() > most_calls) calls_.pop_front();
  return http::Response::json(answer);
}

void GraphStandIn::note_finished(const MessageId& id) {
  const std::lock_guard lock(mutex_);
  if (!finished_.insert(id).second) return;
  finished_order_.push_back(id);
  if (finished_order_.size() <= most_finished) return;
  finished_.erase(finished_order_.front());
  finished_order_.pop_front();
}

GraphStandIn::Kept GraphStandIn::find(std::int64_t after, std::string_view recipient, const std::vector<MessageId>& events) const {
  const std::lock_guard lock(mutex_);
  Kept kept;
  kept.last = last_;
  // Calls are in order of their numbers.
  const auto first = std::ranges::upper_bound(calls_, after, {}, &Call::number);
  std::copy_if(first, calls_.end(), std::back_inserter(kept.calls),
               [recipient](const Call& call) { return recipient.empty() || call.recipient == recipient; });
  kept.finished = !events.empty() && std::ranges::all_of(events, [this](const MessageId& id) { return finished_.contains(id); });
  return kept;
}

Sandbox::Sandbox(std::string secret, bus::Bus& bus)
    : settings_(std::make_shared<const PageSettings>(make_sandbox_settings(std::move(secret)))),
      webhook_(
          bus, [this] { return settings_; }, nullptr,
          [this] {
            const auto url = graph_url();
            return url.empty() ? json::object() : json::object{{"graph_url", url}};
          }) {}

void Sandbox::set_own_url(std::string url) {
  const std::lock_guard lock(mutex_);
  own_url_ = std::move(url);
}

std::string Sandbox::graph_url() const {
  const std::lock_guard lock(mutex_);
  return own_url_.empty() ? std::string() : own_url_ + "/sandbox/graph/" + std::string(graph_version);
}

void Sandbox::add_routes(http::Router& router) {
  constexpr auto access = http::Access::loopback;
  add_webhook_routes(router, webhook_, "/sandbox/webhook", "", access);

  http::Options take{.access = access, .doc = describe("Stand-in of the Graph API's messages call")};
  take.doc.request_body = {{"type", "object"}};
  take.doc.responses = {{200, {{"type", "object"}}}, {400, {{"type", "object"}}}};
  router.add(http::Method::post, "/sandbox/graph/{version}/{id}/messages", std::move(take),
             [this](http::Request& request) { return take_call(graph_, request); });

  http::Options replies{.access = access, .doc = describe("What the stand-in took: waits for it at most `wait` milliseconds")};
  for (const char* name : {"after", "recipient", "event", "wait"})
    replies.doc.parameters.push_back({{"name", name}, {"in", "query"}, {"required", false}, {"schema", json::object{{"type", "string"}}}});
  replies.doc.responses = {{200, {{"type", "object"}}}};
  router.add(http::Method::get, "/sandbox/replies", std::move(replies), [this](http::Request& request) { return this->replies(request); });
}

asio::awaitable<http::Response> Sandbox::replies(http::Request& request) {
  constexpr std::chrono::milliseconds step(10);
  const auto after = read_number<std::int64_t>(request, "after", 0);
  const std::string recipient(http::find_parameter(request.query, "recipient").value_or(""));
  const std::chrono::milliseconds wait =
      std::clamp(std::chrono::milliseconds(read_number<int>(request, "wait", 0)), std::chrono::milliseconds(0), most_wait);
  std::vector<MessageId> events;
  for (const auto& [name, value] : request.query) {
    if (name != "event") continue;
    if (const auto id = MessageId::parse(value)) events.push_back(*id);
  }
  auto kept = graph_.find(after, recipient, events);
  for (std::chrono::milliseconds waited(0); waited < wait && kept.calls.empty() && !kept.finished; waited += step) {
    co_await async::sleep_for(step);
    kept = graph_.find(after, recipient, events);
  }
  co_return http::Response::json(to_json_object(kept));
}

}  // namespace loquat::messenger
