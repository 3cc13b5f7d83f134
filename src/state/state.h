#pragma once

#include <optional>
#include <string>

#include "chat/message.h"
#include "core/clock.h"
#include "core/id.h"
#include "core/json.h"

namespace loquat::state {

/// One state of a conversation: the twelve members of the old State.to_dict, and who and which it is.
struct State {
  chat::ConversationId conversation;  ///< thread_id is the member `thread_id`
  std::int64_t version = 0;           ///< 1, 2, ... within the conversation; 0: not stored yet
  std::optional<MessageId> message_id;
  /// The inbox row (bus) that made this state; 0: none. Tells a redelivered event from its original: only the original's row still
  /// owes its replies. A column of `states` (bigint, null); over HTTP the member `origin`, read from and shown to other Loquat
  /// processes (SERVICE_TOKEN) only.
  std::int64_t origin = 0;
  json::value user_message = nullptr;  ///< null, {thread_id, text, channel, context}, or whatever an old client stored
  json::value bot_message = nullptr;   ///< null or an array of bot messages: the replies
  json::value nlu = json::object();
  json::value context = json::object();
  json::value intent = json::object();
  json::value parameters = json::array();
  json::value extracted_parameters = json::object();
  json::value missing_parameters = json::array();
  bool complete = false;
  json::value current_node = "";  ///< text or null
  Time date = now();
  bool erased = false;  ///< a tombstone: GET answers 404, the next version starts fresh
};

/// The object a client sees: the twelve members in the old order, then version and message_id.
[[nodiscard]] json::object to_json_object(const State& state);
/// Reads a client's object with the old constructor's defaults; issues as schema.h. `thread_id` is required.
[[nodiscard]] State from_json(const json::value& body);

}  // namespace loquat::state
