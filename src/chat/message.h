#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/id.h"
#include "core/json.h"

/// The words all channels share.
namespace loquat::chat {

/// A conversation: no two channels' and no two pages' conversations ever meet.
struct ConversationId {
  std::string channel;    ///< "facebook", "rest"
  std::string account;    ///< the page's id; empty for REST
  std::string thread_id;  ///< the sender's id
  auto operator<=>(const ConversationId&) const = default;

  /// Stable over processes and releases: partitions are made from it.
  [[nodiscard]] std::uint64_t hash() const noexcept;
  /// channel, account and thread_id with the separator U+001F.
  [[nodiscard]] std::string to_key() const;
  [[nodiscard]] static ConversationId from_key(std::string_view key);
};

/// What a person said, whatever the channel.
struct UserMessage {
  ConversationId conversation;
  std::string text;
  json::object context;  ///< merged into the state's context
  /// Identity of the event, for the one state effect. REST calls without Idempotency-Key have none.
  std::optional<MessageId> message_id;
};

/// One message of the bot: {"text": ...}, or with "attachment", "quick_replies", "buttons".
using BotMessage = json::object;

}  // namespace loquat::chat
