// The low-level SHA functions are deprecated since OpenSSL 3.0 in favour of EVP. They stay here for one reason: a
// context is plain memory, so a keyed state is copied without an allocation; see docs for the measurements.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "core/crypto.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <stdexcept>

namespace loquat::crypto {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";
constexpr std::string_view base64_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::size_t block_size = 64;

const unsigned char* as_bytes(std::string_view text) noexcept { return reinterpret_cast<const unsigned char*>(text.data()); }

struct Sha1 {
  using Context = SHA_CTX;
  static constexpr std::size_t size = SHA_DIGEST_LENGTH;
  static void init(Context& c) { SHA1_Init(&c); }
  static void update(Context& c, const void* data, std::size_t count) { SHA1_Update(&c, data, count); }
  static void finish(Context& c, unsigned char* out) { SHA1_Final(out, &c); }
};

struct Sha256 {
  using Context = SHA256_CTX;
  static constexpr std::size_t size = SHA256_DIGEST_LENGTH;
  static void init(Context& c) { SHA256_Init(&c); }
  static void update(Context& c, const void* data, std::size_t count) { SHA256_Update(&c, data, count); }
  static void finish(Context& c, unsigned char* out) { SHA256_Final(out, &c); }
};

/// RFC 2104 with the two padded keys hashed in advance.
template <class Hash>
struct Keyed {
  typename Hash::Context inner{};
  typename Hash::Context outer{};

  explicit Keyed(std::string_view key) {
    std::array<unsigned char, block_size> block{};
    if (key.size() > block_size) {
      Hash::init(inner);
      Hash::update(inner, key.data(), key.size());
      Hash::finish(inner, block.data());
    } else {
      std::ranges::copy(key, block.begin());
    }
    for (auto& byte : block) byte ^= 0x36U;
    Hash::init(inner);
    Hash::update(inner, block.data(), block.size());
    for (auto& byte : block) byte ^= 0x36U ^ 0x5CU;
    Hash::init(outer);
    Hash::update(outer, block.data(), block.size());
    OPENSSL_cleanse(block.data(), block.size());
  }
  ~Keyed() { OPENSSL_cleanse(this, sizeof *this); }
  Keyed(const Keyed&) = delete;
  Keyed& operator=(const Keyed&) = delete;

  [[nodiscard]] std::string sign(std::string_view data) const {
    std::array<unsigned char, Hash::size> digest;
    auto context = inner;
    Hash::update(context, data.data(), data.size());
    Hash::finish(context, digest.data());
    context = outer;
    Hash::update(context, digest.data(), digest.size());
    Hash::finish(context, digest.data());
    return to_hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
  }
};

/// 0..63, or -1.
int base64_value(char c) noexcept {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

}  // namespace

std::array<std::uint8_t, 32> sha256(std::string_view data) {
  std::array<std::uint8_t, 32> digest;
  Sha256::Context context;
  Sha256::init(context);
  Sha256::update(context, data.data(), data.size());
  Sha256::finish(context, digest.data());
  return digest;
}

std::string to_hex(std::string_view bytes) {
  std::string text(bytes.size() * 2, '0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = as_bytes(bytes)[i];
    text[2 * i] = hex_digits[byte >> 4U];
    text[2 * i + 1] = hex_digits[byte & 15U];
  }
  return text;
}

std::string base64_encode(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](std::size_t at) { return at < bytes.size() ? as_bytes(bytes)[at] : 0U; };
    const std::uint32_t group = byte(i) << 16U | byte(i + 1) << 8U | byte(i + 2);
    out += base64_digits[group >> 18U];
    out += base64_digits[group >> 12U & 63U];
    out += i + 1 < bytes.size() ? base64_digits[group >> 6U & 63U] : '=';
    out += i + 2 < bytes.size() ? base64_digits[group & 63U] : '=';
  }
  return out;
}

bool base64_decode(std::string_view text, std::string& out) {
  out.clear();
  if (text.size() % 4 != 0) return false;
  std::size_t padding = 0;
  while (padding < 2 && text.ends_with('=')) {
    text.remove_suffix(1);
    ++padding;
  }
  out.reserve(text.size() * 3 / 4);
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const char c : text) {
    const int value = base64_value(c);
    if (value < 0) return out.clear(), false;
    bits = bits << 6U | static_cast<unsigned>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>(bits >> count & 0xFFU);
    }
  }
  // Bits left over must be zero, so that a value has one spelling only.
  if ((bits & ((1U << count) - 1U)) != 0 || count == 6) return out.clear(), false;
  return true;
}

bool equal_constant_time(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

struct Hmac::State {
  State(Algorithm algorithm, std::string_view key) {
    if (algorithm == Algorithm::sha1) {
      sha1 = std::make_unique<const Keyed<Sha1>>(key);
    } else {
      sha256 = std::make_unique<const Keyed<Sha256>>(key);
    }
  }
  std::unique_ptr<const Keyed<Sha1>> sha1;
  std::unique_ptr<const Keyed<Sha256>> sha256;
};

Hmac::Hmac(Algorithm algorithm, std::string_view key) : state_(std::make_unique<State>(algorithm, key)) {}
Hmac::~Hmac() = default;
Hmac::Hmac(Hmac&&) noexcept = default;
Hmac& Hmac::operator=(Hmac&&) noexcept = default;

std::string Hmac::sign(std::string_view data) const {
  return state_->sha256 != nullptr ? state_->sha256->sign(data) : state_->sha1->sign(data);
}

}  // namespace loquat::crypto
