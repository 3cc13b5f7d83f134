#include "core/id.h"

#include <sys/random.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <system_error>

#include "core/crypto.h"

namespace loquat {
namespace {

constexpr std::string_view digits = "0123456789abcdef";

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string hex(const std::uint8_t* bytes, std::size_t count) {
  std::string text(count * 2, '0');
  for (std::size_t i = 0; i < count; ++i) {
    text[2 * i] = digits[bytes[i] >> 4U];
    text[2 * i + 1] = digits[bytes[i] & 15U];
  }
  return text;
}

bool is_uuid_dash(std::size_t at) noexcept { return at == 8 || at == 13 || at == 18 || at == 23; }

struct ProcessPart {
  std::array<std::uint8_t, 5> bytes{};
  std::atomic<std::uint32_t> counter{0};
  ProcessPart() {
    std::uint32_t start = 0;
    fill_random(bytes.data(), bytes.size());
    fill_random(&start, sizeof start);
    counter.store(start, std::memory_order_relaxed);
  }
};

}  // namespace

void fill_random(void* bytes, std::size_t count) {
  auto* at = static_cast<std::uint8_t*>(bytes);
  while (count > 0) {
    const ssize_t got = ::getrandom(at, count, 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      throw std::system_error(errno, std::generic_category(), "getrandom");
    }
    at += got;
    count -= static_cast<std::size_t>(got);
  }
}

std::string random_hex(std::size_t bytes) {
  std::string raw(bytes, '\0');
  fill_random(raw.data(), raw.size());
  return crypto::to_hex(raw);
}

std::string MessageId::to_string() const { return hex(bytes.data(), bytes.size()); }

std::optional<MessageId> MessageId::parse(std::string_view text) noexcept {
  const bool dashed = text.size() == 36;
  if (!dashed && text.size() != 32) return std::nullopt;
  MessageId id;
  std::size_t nibble = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (dashed && is_uuid_dash(i)) {
      if (text[i] != '-') return std::nullopt;
      continue;
    }
    const int value = hex_value(text[i]);
    if (value < 0) return std::nullopt;
    auto& byte = id.bytes[nibble / 2];
    byte = static_cast<std::uint8_t>(unsigned{byte} << 4U | static_cast<unsigned>(value));
    ++nibble;
  }
  return id;
}

MessageId MessageId::of_key(std::string_view key) {
  const auto digest = crypto::sha256(key);
  MessageId id;
  for (std::size_t i = 0; i < id.bytes.size(); ++i) id.bytes[i] = digest[i];
  return id;
}

MessageId MessageId::random() {
  MessageId id;
  fill_random(id.bytes.data(), id.bytes.size());
  return id;
}

std::string make_object_id() {
  static ProcessPart process;
  const auto seconds = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count());
  const std::uint32_t count = process.counter.fetch_add(1, std::memory_order_relaxed);
  std::array<std::uint8_t, 12> id{};
  for (std::size_t i = 0; i < 4; ++i) id[i] = static_cast<std::uint8_t>(seconds >> (24 - 8 * i));
  for (std::size_t i = 0; i < 5; ++i) id[4 + i] = process.bytes[i];
  for (std::size_t i = 0; i < 3; ++i) id[9 + i] = static_cast<std::uint8_t>(count >> (16 - 8 * i));
  return hex(id.data(), id.size());
}

std::optional<std::string> parse_object_id(std::string_view text) {
  if (text.size() != 24) return std::nullopt;
  std::string id;
  id.reserve(24);
  for (const char c : text) {
    const int value = hex_value(c);
    if (value < 0) return std::nullopt;
    id += digits[static_cast<std::size_t>(value)];
  }
  return id;
}

}  // namespace loquat
