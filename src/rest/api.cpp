#include "rest/api.h"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/network.h"
#include "core/text.h"
#include "rest/chat_body.h"

namespace loquat::rest {
namespace {

/// Whoever has an IPv6 address has 2^64 of them.
std::string address_key(const std::string& address) {
  const auto parsed = IpAddress::parse(address);
  if (!parsed || parsed->is_v4()) return address;
  return {parsed->bytes().begin(), parsed->bytes().begin() + 8};
}

bool wants_events(const http::Request& request) {
  for (const auto type : text::split(request.headers.get("Accept"), ',')) {
    if (text::equal_ignoring_ascii_case(text::trim_ascii(type.substr(0, type.find(';'))), "text/event-stream")) return true;
  }
  return false;
}

/// The replies; a state that an old client stored may have none.
json::array take_replies(state::State& state) {
  auto* replies = state.bot_message.if_array();
  return replies == nullptr ? json::array() : std::move(*replies);
}

asio::awaitable<void> write_events(http::StreamWriter& writer, json::array replies) {
  for (const auto& reply : replies) {
    const auto event = "event: message\ndata: " + to_json(reply) + "\n\n";
    co_await writer.write(event);
  }
  co_await writer.write("event: done\ndata: {}\n\n");
}

http::Response make_event_stream(json::array replies) {
  http::Response response;
  response.headers.add("Content-Type", "text/event-stream; charset=utf-8");
  response.headers.add("Cache-Control", "no-store");
  response.headers.add("X-Accel-Buffering", "no");
  response.stream = [replies = std::move(replies)](http::StreamWriter& writer) { return write_events(writer, replies); };
  return response;
}

json::object replies_schema() {
  return {{"type", "array"},
          {"items", json::object{{"type", "object"}, {"properties", json::object{{"text", json::object{{"type", "string"}}}}}}}};
}

json::object error_schema() { return {{"type", "object"}, {"properties", json::object{{"detail", json::object()}}}}; }

http::Doc make_doc(std::string summary, std::string tag, json::object answer) {
  http::Doc doc;
  doc.summary = std::move(summary);
  doc.tag = std::move(tag);
  doc.request_body = describe_chat_body();
  doc.parameters = {json::object{{"name", "Idempotency-Key"},
                                 {"in", "header"},
                                 {"required", false},
                                 {"description", "Names the message: sent again with the same key it gets the same answer"},
                                 {"schema", json::object{{"type", "string"}, {"maxLength", 255}}}}};
  doc.responses = {{200, std::move(answer)}, {400, error_schema()}, {413, error_schema()},
                   {422, error_schema()},    {429, error_schema()}, {503, error_schema()}};
  return doc;
}

}  // namespace

Api::Api(state::Store& states, const dialogue::Manager& manager, Settings settings)
    : conversations_(states, manager), by_thread_(settings.rate_per_thread), by_address_(settings.rate_per_address) {}

void Api::check_rate(const http::Request& request, const chat::UserMessage& message) {
  const bool address_full = by_address_.take(address_key(request.client_address)).count() > 0;
  if (address_full || by_thread_.take(message.conversation.thread_id).count() > 0) {
    throw Error(Code::too_many, address_full ? "Too many messages from this address" : "Too many messages in this conversation");
  }
}

asio::awaitable<http::Response> Api::talk(http::Request& request) {
  auto message = read_message(request);
  check_rate(request, message);
  const bool as_events = wants_events(request);
  auto state = co_await conversations_.talk(std::move(message));
  auto replies = take_replies(state);
  co_return as_events ? make_event_stream(std::move(replies)) : http::Response::json(json::value(std::move(replies)));
}

asio::awaitable<http::Response> Api::test_chat(http::Request& request) {
  const auto state = co_await conversations_.talk(read_message(request));
  auto shown = state::to_json_object(state);
  // The old state had twelve members.
  shown.stable_erase("version");
  shown.stable_erase("message_id");
  co_return http::Response::json(json::value(std::move(shown)));
}

void add_routes(http::Router& router, const std::shared_ptr<Api>& api) {
  const auto talk = [api](http::Request& request) { return api->talk(request); };
  const auto doc = make_doc("Say something to the bot", "rest", replies_schema());
  http::Doc old_spelling = doc;
  old_spelling.deprecated = true;
  router.add(http::Method::post, "/bots/channels/rest/webhook", {.access = http::Access::open, .doc = doc}, talk);
  router.add(http::Method::post, "/bots/channels/rest/webbook", {.access = http::Access::open, .doc = old_spelling}, talk);
  router.add(http::Method::post, "/admin/test/chat",
             {.access = http::Access::admin, .doc = make_doc("Talk to the bot and see the whole state", "bot", {{"type", "object"}})},
             [api](http::Request& request) { return api->test_chat(request); });
}

}  // namespace loquat::rest
