#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/id.h"
#include "core/json.h"

/// What the bot says as what the Send API takes. Pure.
namespace loquat::messenger {

/// One message of the Send API.
struct Part {
  std::string message;    ///< the member `message` as JSON text, `metadata` in it
  std::string metadata;   ///< "<hex of the turn's message id>:<number of the part>"
  bool is_media = false;  ///< image, audio, video or file: the lower rate limit
};

struct Parts {
  std::vector<Part> parts;
  /// What was left out or cut, in words without the bot's texts, for the log.
  std::vector<std::string> notes;
};

/// The reply's id that goes with each part; an echo brings it back.
[[nodiscard]] std::string make_metadata(const MessageId& turn, std::size_t number);

/// All messages of a turn as parts, numbered from 0 in the order they are sent. A message is an object with
///  - `attachment`: {"type", "payload"} as the Send API has it, {"type", "url"} for short, or a list of them. It goes first.
///  - `text`: split at 2000 characters between words. Blank texts are left out.
///  - `buttons`: up to three make a button template with the text's last 640 characters at most; more than three, or buttons
///  without
///    text, a generic template. {"type", "title", "url" or "payload"}, or a text that is title and payload.
///  - `quick_replies`: {"title", "payload", ...} or a text that is both; at most 13, of all the turn's messages, and only on the
///  very
///    last part, since clients hide them as soon as another message follows.
/// Titles are cut to 20 characters; entries with a payload beyond 1000 characters, or without a title, are left out.
[[nodiscard]] Parts make_parts(const json::array& bot_messages, const MessageId& turn);

}  // namespace loquat::messenger
