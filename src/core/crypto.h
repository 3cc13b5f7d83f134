#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

/// The few cryptographic pieces Loquat needs, over OpenSSL.
namespace loquat::crypto {

[[nodiscard]] std::array<std::uint8_t, 32> sha256(std::string_view data);
[[nodiscard]] std::string to_hex(std::string_view bytes);
[[nodiscard]] std::string base64_encode(std::string_view bytes);
/// Empty optional-like: false when `text` is no base64.
[[nodiscard]] bool base64_decode(std::string_view text, std::string& out);

/// Compares in a time that depends on the lengths only.
[[nodiscard]] bool equal_constant_time(std::string_view a, std::string_view b) noexcept;

/// HMAC with the key schedule done once; `sign` is const and may be called from many threads.
class Hmac {
 public:
  enum class Algorithm : std::uint8_t { sha1, sha256 };
  Hmac(Algorithm algorithm, std::string_view key);
  ~Hmac();
  Hmac(Hmac&&) noexcept;
  Hmac& operator=(Hmac&&) noexcept;
  Hmac(const Hmac&) = delete;
  Hmac& operator=(const Hmac&) = delete;
  /// Lower-case hex.
  [[nodiscard]] std::string sign(std::string_view data) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// AES-256-GCM with several keys: the first encrypts, all decrypt. A sealed text is
/// "enc:v1:" + key id (8 hex digits of SHA-256 of the key) + ":" + base64(nonce, ciphertext, tag).
class Keyring {
 public:
  /// `keys`: 32 bytes in base64 each, separated by commas; empty: no keys, seal() gives the text back as it is.
  /// Throws Error(invalid) for a key that is none.
  explicit Keyring(std::string_view keys = {});
  [[nodiscard]] bool empty() const noexcept;
  /// `associated`: where the secret stands (table, id, path); a sealed text moved elsewhere does not open.
  [[nodiscard]] std::string seal(std::string_view plain, std::string_view associated) const;
  /// A text that is not sealed comes back as it is. Throws Error(unavailable) when no key fits or the text was changed.
  [[nodiscard]] std::string open(std::string_view sealed, std::string_view associated) const;
  [[nodiscard]] static bool is_sealed(std::string_view text) noexcept;
  /// True when `sealed` was not made with the first key.
  [[nodiscard]] bool needs_rotation(std::string_view sealed) const noexcept;

 private:
  struct Key {
    std::string id;
    std::array<std::uint8_t, 32> bytes;
  };
  std::vector<Key> keys_;
};

}  // namespace loquat::crypto
