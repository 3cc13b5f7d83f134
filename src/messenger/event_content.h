#pragma once

#include <string>
#include <string_view>

#include "core/json.h"

/// What the parts of a Messenger item mean for the dialogue. Pure; internal to messenger/event.cpp.
namespace loquat::messenger {

/// The member when it is there and not null.
[[nodiscard]] const json::value* find_present(const json::value& object, std::string_view name) noexcept;
/// Whether the member is the literal true.
[[nodiscard]] bool is_true(const json::value& object, std::string_view name) noexcept;
/// An id as text, also when it was sent as a number; empty when it is none that can be stored and addressed.
[[nodiscard]] std::string read_id(const json::value& object, std::string_view name);
/// The id called `name` of the item's `party` ("sender", "recipient").
[[nodiscard]] std::string read_id_of(const json::value& item, std::string_view party, std::string_view name);

/// The attachments worth giving to the dialogue: [{"type", "url", "title", "sticker_id", "coordinates": {"lat", "long"}}], members
/// that are absent or unusable left out; URLs only when they are http(s). At most 20. Anything else than an array: none.
[[nodiscard]] json::array read_attachments(const json::value* attachments);

/// The text that stands for a message without text: 👍 and ❤️ for the stickers of that meaning, "lat,long" of a location, else the
/// first URL, else empty.
[[nodiscard]] std::string describe_attachments(const json::array& attachments);

/// {"ref", "source", "type", "ad_id"}: those that are texts. Empty for anything but an object.
[[nodiscard]] json::object read_referral(const json::value* referral);

/// "/intent": a reference that is meant as a command.
[[nodiscard]] bool is_command(std::string_view text) noexcept;

}  // namespace loquat::messenger
