#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace loquat {

/// 128 bits, written as 32 lower-case hex digits; accepted with dashes too (UUID form).
/// The identity of an accepted event: equal ids mean the same event, so one state effect.
struct MessageId {
  std::array<std::uint8_t, 16> bytes{};
  auto operator<=>(const MessageId&) const = default;
  [[nodiscard]] std::string to_string() const;
  [[nodiscard]] static std::optional<MessageId> parse(std::string_view text) noexcept;
  /// The first 128 bits of SHA-256 over `key`.
  [[nodiscard]] static MessageId of_key(std::string_view key);
  [[nodiscard]] static MessageId random();
};

/// 24 lower-case hex digits, in MongoDB's layout: seconds, a random process part, a counter. Sorts by creation.
[[nodiscard]] std::string make_object_id();
/// The id in lower case when `text` is 24 hex digits.
[[nodiscard]] std::optional<std::string> parse_object_id(std::string_view text);

/// Random bytes from the operating system.
void fill_random(void* bytes, std::size_t count);
[[nodiscard]] std::string random_hex(std::size_t bytes);

}  // namespace loquat

template <>
struct std::hash<loquat::MessageId> {
  std::size_t operator()(const loquat::MessageId& id) const noexcept {
    std::size_t value = 0;
    for (std::size_t i = 0; i < sizeof value; ++i) value = value << 8U | id.bytes[i];
    return value;
  }
};
