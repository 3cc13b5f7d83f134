#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/bus.h"
#include "core/clock.h"
#include "core/id.h"

namespace loquat::messenger {

/// The channel's name in conversations and contexts.
inline constexpr std::string_view channel = "facebook";

/// What an item of a webhook is. docs/messenger-events.md says how each is treated.
enum class Kind : std::uint8_t {
  // Admitted: they end in a turn of the dialogue.
  message,
  quick_reply,
  postback,
  referral,
  optin,
  attachment,
  // Admitted: the person took a message back; its text is erased from what is kept, nothing is answered.
  unsend,
  // Admitted as dead letter: an item that cannot be read.
  unreadable,
  // Not admitted. An echo of our own reply becomes a DeliveryReport.
  echo,
  delivery,
  read,
  reaction,
  edit,
  standby,
  handover,
  account_linking,
  policy_enforcement,
  app_roles,
  feedback,
  order,
  empty,   ///< a message with nothing in it, a referral or opt-in that names no command
  change,  ///< a page field that is no conversation, such as feed
  unknown,
  foreign_page,  ///< an entry of a page that is not ours
  other_object,  ///< a body whose `object` is not "page"
};
inline constexpr std::size_t kind_count = static_cast<std::size_t>(Kind::other_object) + 1;
/// The kind's name in metrics and in bus::Event::kind.
[[nodiscard]] std::string_view to_string(Kind kind) noexcept;

/// Something the operator should read in the log.
struct Notice {
  std::string page;
  std::string text;
};

/// What a webhook's body holds.
struct Parsed {
  bool is_object = false;  ///< false: the body is no JSON object; everything else is empty then
  /// In the body's order. `body` of each: "text" (what the dialogue gets) and "context" (channel, page_id, timestamp, is_postback
  /// when it is one; "attachments" and "referral" when there are some); "recipient": "user_ref" when the conversation's thread_id is
  /// such a one and no page-scoped id. Kind `unsend`: "redacts", the hex MessageId of the message taken back. Kind `unreadable`:
  /// dead_reason is set and body is {"raw": the item's JSON text}.
  std::vector<bus::Event> events;
  std::vector<bus::DeliveryReport> reports;
  std::vector<Notice> notices;
  std::vector<std::string> pages;          ///< our pages that have an entry, each once
  std::vector<std::string> foreign_pages;  ///< the others, each once
  std::array<std::uint32_t, kind_count> counts{};

  [[nodiscard]] std::uint32_t count(Kind kind) const noexcept { return counts[static_cast<std::size_t>(kind)]; }
};

/// Whether a page's events are ours to answer.
using IsOurs = std::function<bool(std::string_view page)>;

/// Reads every entry and every item of a webhook's body; the signature must have been checked before. Pure. An item that cannot
/// be read (wrong types, too deeply nested, no UTF-8) becomes a dead letter, the rest goes on. `is_ours` may be empty: all pages are.
/// `now`: timestamps more than a day ahead of it count as unknown. `app_id`: only echoes of this app are reports; empty: of any.
[[nodiscard]] Parsed parse_webhook(std::string_view body, Time now, const IsOurs& is_ours = {}, std::string_view app_id = {});

/// Milliseconds since 1970 from what Meta or a gateway sends: milliseconds, seconds or microseconds, as number or text. 0: unknown.
[[nodiscard]] std::int64_t normalize_timestamp(const json::value& value, Time now) noexcept;

/// The identity of a message or postback that has a mid: equal for redeliveries, whatever the batch. `kind` is "message" (also for
/// quick replies and attachments) or "postback".
[[nodiscard]] MessageId event_key(std::string_view page, std::string_view kind, std::string_view mid);

/// Whether a message's `metadata` is ours: 32 hex digits, a colon and the number of the part, as the sender writes it.
[[nodiscard]] bool is_reply_metadata(std::string_view metadata) noexcept;

}  // namespace loquat::messenger
