#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"
#include "state/state.h"

/// What all adapters of the store do alike. Pure.
namespace loquat::state {

/// Whether an append that expects `expected` may follow the newest row. After an erasure the conversation counts as new too.
[[nodiscard]] inline bool may_append(std::optional<std::int64_t> expected, std::int64_t newest, bool newest_is_erased) noexcept {
  return !expected || *expected == newest || (*expected == 0 && newest_is_erased);
}
[[nodiscard]] inline Error moved_on(std::int64_t newest) {
  return {Code::conflict, "the conversation has moved on: its latest version is " + std::to_string(newest)};
}
/// The id that stands for an idempotency key of a client's within its conversation.
[[nodiscard]] inline MessageId message_id_of_key(const chat::ConversationId& conversation, std::string_view key) {
  return MessageId::of_key("state\x1f" + conversation.to_key() + '\x1f' + std::string(key));
}

inline constexpr std::string_view foreign_message_id_text = "this message_id belongs to another conversation";
[[nodiscard]] inline Error foreign_message_id() { return {Code::conflict, std::string(foreign_message_id_text)}; }
/// Of any store, over HTTP too.
[[nodiscard]] inline bool is_foreign_message_id(const Error& error) {
  return error.code() == Code::conflict && error.what() == foreign_message_id_text;
}

/// The row that an erasure leaves.
[[nodiscard]] inline State make_tombstone(const chat::ConversationId& conversation, std::int64_t version) {
  State state;
  state.conversation = conversation;
  state.version = version;
  state.nlu = nullptr;
  state.current_node = nullptr;
  state.erased = true;
  return state;
}

/// Removes these attachments from a context. False when it does not hold them; nor do later ones then, contexts are handed on.
inline bool redact_context(json::value& context, const json::value& attachments) {
  auto* members = context.if_object();
  const auto* held = members == nullptr ? nullptr : members->if_contains("attachments");
  if (held == nullptr || *held != attachments) return false;
  members->erase("attachments");
  return true;
}

/// Takes a person's words and attachments out of the state that they led to. Gives the attachments, for the contexts of the states after
/// it; null: there were none.
[[nodiscard]] inline json::value redact_state(State& state) {
  state.nlu = json::object();
  auto* message = state.user_message.if_object();
  if (message == nullptr) return nullptr;
  if (message->contains("text")) (*message)["text"] = "";
  auto* context = message->if_contains("context");
  const auto* held = context == nullptr ? nullptr : find_member(*context, "attachments");
  if (held == nullptr) return nullptr;
  json::value attachments = *held;
  redact_context(*context, attachments);
  redact_context(state.context, attachments);
  return attachments;
}

}  // namespace loquat::state
