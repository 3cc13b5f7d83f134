#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

#include "core/crypto.h"
#include "core/error.h"
#include "core/id.h"
#include "core/text.h"

namespace loquat::crypto {
namespace {

constexpr std::string_view prefix = "enc:v1:";
constexpr std::size_t id_size = 8;
constexpr std::size_t nonce_size = 12;
constexpr std::size_t tag_size = 16;

using Cipher = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

const unsigned char* as_bytes(std::string_view text) noexcept { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* as_bytes(std::string& text) noexcept { return reinterpret_cast<unsigned char*>(text.data()); }

Cipher make_cipher() { return {EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free}; }

void require(int result) {
  if (result != 1) throw std::runtime_error("OpenSSL refused AES-256-GCM");
}

int size_of(std::string_view text) {
  if (text.size() > 1U << 30U) throw Error(Code::too_large, "the secret is too long");
  return static_cast<int>(text.size());
}

std::string key_id(std::string_view key) {
  const auto digest = sha256(key);
  return to_hex({reinterpret_cast<const char*>(digest.data()), id_size / 2});
}

/// nonce + ciphertext + tag.
std::string encrypt(const unsigned char* key, std::string_view plain, std::string_view associated) {
  const auto cipher = make_cipher();
  std::string out(nonce_size + plain.size() + tag_size, '\0');
  fill_random(out.data(), nonce_size);
  int written = 0;
  require(EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key, as_bytes(out)));
  require(EVP_EncryptUpdate(cipher.get(), nullptr, &written, as_bytes(associated), size_of(associated)));
  require(EVP_EncryptUpdate(cipher.get(), as_bytes(out) + nonce_size, &written, as_bytes(plain), size_of(plain)));
  require(EVP_EncryptFinal_ex(cipher.get(), as_bytes(out) + nonce_size + plain.size(), &written));
  require(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, tag_size, as_bytes(out) + nonce_size + plain.size()));
  return out;
}

/// False when the key does not fit or anything was changed.
bool decrypt(const unsigned char* key, std::string& sealed, std::string_view associated, std::string& plain) {
  if (sealed.size() < nonce_size + tag_size) return false;
  const auto cipher = make_cipher();
  const std::size_t size = sealed.size() - nonce_size - tag_size;
  plain.resize(size);
  int written = 0;
  require(EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key, as_bytes(sealed)));
  require(EVP_DecryptUpdate(cipher.get(), nullptr, &written, as_bytes(associated), size_of(associated)));
  require(EVP_DecryptUpdate(cipher.get(), as_bytes(plain), &written, as_bytes(sealed) + nonce_size, static_cast<int>(size)));
  require(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, tag_size, as_bytes(sealed) + nonce_size + size));
  return EVP_DecryptFinal_ex(cipher.get(), as_bytes(plain) + size, &written) == 1;
}

std::string_view sealed_key_id(std::string_view sealed) { return sealed.substr(prefix.size(), id_size); }

Error unreadable(const std::string& detail) { return {Code::unavailable, "a stored secret cannot be decrypted", detail}; }

}  // namespace

Keyring::Keyring(std::string_view keys) {
  if (text::trim_ascii(keys).empty()) return;
  for (const auto part : text::split(keys, ',')) {
    std::string bytes;
    if (!base64_decode(text::trim_ascii(part), bytes) || bytes.size() != 32) {
      OPENSSL_cleanse(bytes.data(), bytes.size());
      throw Error(Code::invalid, "every key must be 32 bytes in base64");
    }
    Key key{key_id(bytes), {}};
    std::ranges::copy(bytes, key.bytes.begin());
    OPENSSL_cleanse(bytes.data(), bytes.size());
    keys_.push_back(std::move(key));
  }
}

bool Keyring::empty() const noexcept { return keys_.empty(); }

std::string Keyring::seal(std::string_view plain, std::string_view associated) const {
  if (keys_.empty()) return std::string(plain);
  const auto& key = keys_.front();
  return std::string(prefix) + key.id + ":" + base64_encode(encrypt(key.bytes.data(), plain, associated));
}

std::string Keyring::open(std::string_view sealed, std::string_view associated) const {
  if (!is_sealed(sealed)) return std::string(sealed);
  std::string bytes;
  if (!base64_decode(sealed.substr(prefix.size() + id_size + 1), bytes)) throw unreadable("the sealed text is damaged");
  std::string plain;
  bool known = false;
  for (const auto& key : keys_) {
    if (key.id != sealed_key_id(sealed)) continue;
    known = true;
    if (decrypt(key.bytes.data(), bytes, associated, plain)) return plain;
  }
  throw unreadable(known ? "the sealed text was changed or moved" : "no key has the id " + std::string(sealed_key_id(sealed)));
}

bool Keyring::is_sealed(std::string_view text) noexcept {
  if (!text.starts_with(prefix) || text.size() < prefix.size() + id_size + 1 || text[prefix.size() + id_size] != ':') return false;
  return std::ranges::all_of(text.substr(prefix.size(), id_size), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool Keyring::needs_rotation(std::string_view sealed) const noexcept {
  if (keys_.empty()) return false;
  return !is_sealed(sealed) || sealed_key_id(sealed) != keys_.front().id;
}

}  // namespace loquat::crypto
