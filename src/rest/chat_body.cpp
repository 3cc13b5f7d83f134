#include "rest/chat_body.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/text.h"

namespace loquat::rest {
namespace {

constexpr std::string_view channel = "rest";
constexpr std::size_t longest_thread_id = 800;  // bytes: it stands in the keys of indexes
constexpr std::size_t longest_text = 65'536;
constexpr std::size_t longest_key = 255;
/// So that a state, which holds the context two levels deeper, can still be read by every service.
constexpr std::size_t deepest_context = 100;
/// What only a channel says of its messages.
constexpr std::array<std::string_view, 4> channel_keys{"channel", "page_id", "timestamp", "is_postback"};

json::value to_value(const std::string& text) { return json::string(text.data(), text.size()); }

void check_length(std::string_view name, const std::string& value, std::size_t most, schema::Issues& issues) {
  if (value.size() <= most) return;
  issues.add({"string_too_long", json::array{"body", name}, "String should have at most " + std::to_string(most) + " characters",
              to_value(value), json::object{{"max_length", most}}});
}

bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

bool is_deeper(const json::value& value, std::size_t levels) noexcept {
  if (!value.is_structured()) return false;
  if (levels == 0) return true;
  if (const auto* object = value.if_object()) {
    return std::ranges::any_of(*object, [&](const auto& member) { return is_deeper(member.value(), levels - 1); });
  }
  return std::ranges::any_of(value.get_array(), [&](const auto& item) { return is_deeper(item, levels - 1); });
}

std::optional<MessageId> read_key(const http::Request& request, const std::string& thread_id) {
  const auto key = text::trim_ascii(request.headers.get("Idempotency-Key"));
  if (key.empty()) return std::nullopt;
  if (key.size() > longest_key) throw Error(Code::malformed, "The Idempotency-Key is longer than 255 characters");
  std::string name(channel);
  name.append(1, '\x1F').append(thread_id).append(1, '\x1F').append(key);
  return MessageId::of_key(name);
}

}  // namespace

json::object describe_chat_body() {
  auto schema = schema::describe<ChatBody>();
  auto& properties = schema["properties"].as_object();
  auto& thread = properties["thread_id"].as_object();
  thread["maxLength"] = longest_thread_id / 4;  // of whatever characters
  thread["pattern"] = "^[^\\u0000-\\u001f\\u007f]+$";
  properties["text"].as_object()["maxLength"] = longest_text;
  return schema;
}

chat::UserMessage read_message(const http::Request& request) {
  const auto value = schema::parse_body(request.body, request.headers.get("Content-Type"));
  schema::Issues issues;
  (void)schema::read<json::object>(value, json::array{"body"}, issues);
  issues.throw_if_any();
  auto body = schema::read<ChatBody>(value, json::array{"body"}, issues);
  check_length("thread_id", body.thread_id, longest_thread_id, issues);
  if (text::length(body.text) > longest_text) check_length("text", body.text, longest_text, issues);
  if (std::ranges::any_of(body.thread_id, is_control)) {
    issues.add(schema::value_error(json::array{"body", "thread_id"}, "control characters are not allowed", to_value(body.thread_id)));
  }
  if (const auto* context = find_member(value, "context"); context != nullptr && is_deeper(*context, deepest_context)) {
    issues.add(schema::value_error(json::array{"body", "context"}, "nested too deeply", nullptr));
  }
  issues.throw_if_any();
  chat::UserMessage message;
  message.message_id = read_key(request, body.thread_id);
  message.conversation = {std::string(channel), "", std::move(body.thread_id)};
  message.text = std::move(body.text);
  if (body.context) message.context = std::move(*body.context);
  for (const auto key : channel_keys) message.context.stable_erase(json::string_view(key.data(), key.size()));
  return message;
}

}  // namespace loquat::rest
