#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "chat/message.h"
#include "core/clock.h"
#include "core/json.h"

namespace loquat::bus {

namespace asio = boost::asio;

/// What a channel admits: one event of one conversation. `kind` decides what is done with it (messenger/event.h).
struct Event {
  chat::ConversationId conversation;
  MessageId message_id;           ///< from the event key: equal for redeliveries
  std::string kind;               ///< "message", "postback", "unsend", "echo", ...
  std::int64_t timestamp_ms = 0;  ///< the channel's clock, normalized to milliseconds; 0: unknown
  json::object body;              ///< what the processing needs: "text", "context"; "raw" for dead letters
  std::string dead_reason;        ///< not empty: could not be read; stored as a dead letter at once
};

/// One reply part that a channel reports as delivered (an echo of our own message): `metadata` as the sender wrote it.
struct DeliveryReport {
  chat::ConversationId conversation;
  std::string metadata;
};

/// Port of the durable path's entrance. Thread-safe.
class Bus {
 public:
  virtual ~Bus() = default;
  /// Stores all events in one durable write; when it returns they are on disk. Concurrent calls share a commit.
  /// Throws Error(unavailable): then none of them counts as accepted, and the channel's platform will send them again.
  virtual asio::awaitable<void> admit(std::vector<Event> events) = 0;
  /// Not durable, and need not be: saves a second sending of a reply whose outcome was unknown.
  virtual void delivered(DeliveryReport report) = 0;
};

/// An event that could not be processed.
struct DeadLetter {
  std::int64_t id = 0;
  Event event;
  std::string page;
  std::string reason;
  int attempts = 0;
  std::int64_t admitted_ms = 0;
};

}  // namespace loquat::bus
