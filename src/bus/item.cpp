#include "bus/item.h"

#include "core/error.h"

namespace loquat::bus {

std::string to_stored(const Event& event) {
  std::string out;
  out.reserve(256);
  out += R"({"kind":)";
  append_json_string(out, event.kind);
  out += R"(,"ts":)";
  out += std::to_string(event.timestamp_ms);
  out += R"(,"body":)";
  append_json(out, json::value(event.body));
  out += '}';
  return out;
}

std::optional<MessageId> find_taken_back(const Event& event) {
  return event.kind == "unsend" ? MessageId::parse(string_member(event.body, "redacts")) : std::nullopt;
}

void take_back(Event& event) {
  event.kind = taken_back;
  event.body.clear();
}

Event from_stored(const std::string& conversation_key, const MessageId& id, const std::string& text) {
  const auto value = parse_json(text, 512);
  const auto* body = find_member(value, "body");
  const auto* timestamp = find_member(value, "ts");
  if (body == nullptr || !body->is_object() || timestamp == nullptr || !timestamp->is_int64())
    throw Error(Code::malformed, "an inbox row is not an event");
  Event event;
  event.conversation = chat::ConversationId::from_key(conversation_key);
  event.message_id = id;
  event.kind = std::string(string_member(value, "kind"));
  event.timestamp_ms = timestamp->get_int64();
  event.body = body->get_object();
  return event;
}

}  // namespace loquat::bus
