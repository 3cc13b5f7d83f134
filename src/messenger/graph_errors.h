#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "http/client.h"

/// What an answer of the Graph API to a sent message means. Pure. The table is in docs/sender.md.
namespace loquat::messenger {

enum class SendOutcome : std::uint8_t {
  delivered,
  retry,               ///< it was not sent, and may be later
  throttled,           ///< the page, or the whole app, is over a limit: nothing of it may be sent for a while
  page_stopped,        ///< nothing of this page can be sent until somebody mends it: token, permission, restriction
  person_unreachable,  ///< nothing can be sent to this person now: blocked us, left, or outside the 24 hours
  thread_held,         ///< another app controls the thread: again when it has given it back
  part_rejected,       ///< this message is refused for what it is; the next one may pass
  outcome_unknown,     ///< it may have been sent: the only case in which a person may get a reply twice
};
inline constexpr std::size_t send_outcome_count = 8;
/// A label for metrics and logs.
[[nodiscard]] std::string_view to_string(SendOutcome outcome) noexcept;

struct Verdict {
  SendOutcome outcome = SendOutcome::outcome_unknown;
  /// Why, a fixed word: "rate_limit", "token_expired", "outside_window"... Empty when delivered.
  std::string_view reason = {};
  /// retry and throttled: how long the server asked to wait; zero: it did not say.
  std::chrono::milliseconds delay{0};
  bool whole_app = false;  ///< throttled: the limit is the app's, all pages wait
  std::int64_t code = 0;
  std::int64_t subcode = 0;
  std::string message_id = {};  ///< delivered: Meta's id, when it gave one
  std::string trace = {};       ///< fbtrace_id, for Meta's support
};

[[nodiscard]] Verdict classify(const http::ClientResponse& response);

}  // namespace loquat::messenger
