#include "chat/message.h"

namespace loquat::chat {
namespace {

constexpr char separator = '\x1F';

/// FNV-1a, 64 bits (Fowler, Noll, Vo): small, stable, good enough to spread conversations.
std::uint64_t mix(std::uint64_t hash, std::string_view text) noexcept {
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001B3ULL;
  }
  return hash;
}

}  // namespace

std::uint64_t ConversationId::hash() const noexcept {
  constexpr std::string_view between(&separator, 1);
  std::uint64_t value = 0xCBF29CE484222325ULL;
  value = mix(mix(mix(mix(mix(value, channel), between), account), between), thread_id);
  // The low bits choose partitions and loops: fold the high ones in (the finalizer of MurmurHash3).
  value ^= value >> 33U;
  value *= 0xFF51AFD7ED558CCDULL;
  value ^= value >> 33U;
  return value;
}

std::string ConversationId::to_key() const {
  std::string key;
  key.reserve(channel.size() + account.size() + thread_id.size() + 2);
  key.append(channel).append(1, separator).append(account).append(1, separator).append(thread_id);
  return key;
}

ConversationId ConversationId::from_key(std::string_view key) {
  const auto first = key.find(separator);
  const auto second = first == std::string_view::npos ? first : key.find(separator, first + 1);
  if (second == std::string_view::npos) return {"", "", std::string(key)};
  return {std::string(key.substr(0, first)), std::string(key.substr(first + 1, second - first - 1)), std::string(key.substr(second + 1))};
}

}  // namespace loquat::chat
