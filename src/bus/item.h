#pragma once

#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include "bus/bus.h"

namespace loquat::bus {

/// Conversations are spread over this many partitions; processes own whole partitions.
inline constexpr unsigned partition_count = 64;

[[nodiscard]] inline unsigned partition_of(const chat::ConversationId& conversation) noexcept {
  return static_cast<unsigned>(conversation.hash() % partition_count);
}

/// One pending event in memory: its row in the inbox or among the parked.
struct Item {
  std::int64_t seq = 0;
  Event event;
  int attempts = 0;    ///< deliveries that failed
  int crashes = 0;     ///< times it was being decided when its process died
  int parts_sent = 0;  ///< parts of its replies that are known to be delivered
  std::int64_t admitted_ms = 0;
  bool parked = false;  ///< its row is in `parked`, not in `inbox`
  bool fresh = false;   ///< admitted by this very process just now: no look-up for an earlier decision is needed
};

/// Where among those that wait an event of this time belongs: the channel's timestamp decides (0: it has none), then the order of
/// admission.
template <class Waiting, class TimestampOf>
[[nodiscard]] auto find_place(Waiting& waiting, std::int64_t timestamp_ms, const TimestampOf& timestamp_of) {
  auto place = waiting.end();
  while (timestamp_ms != 0 && place != waiting.begin()) {
    const auto before = timestamp_of(*std::prev(place));
    if (before == 0 || before <= timestamp_ms) break;
    --place;
  }
  return place;
}

/// The kind of an event that its sender took back: nothing of it is kept, and nothing is answered.
inline constexpr std::string_view taken_back = "taken_back";
/// Of an event of the kind `unsend`: the event of its conversation that it takes back (the member `redacts` of its body, in hex).
[[nodiscard]] std::optional<MessageId> find_taken_back(const Event& event);
/// Leaves the event's identity and time only.
void take_back(Event& event);

/// The event as stored in the column `event`.
[[nodiscard]] std::string to_stored(const Event& event);
/// Throws Error(malformed) when the text is not ours.
[[nodiscard]] Event from_stored(const std::string& conversation_key, const MessageId& id, const std::string& text);

}  // namespace loquat::bus
