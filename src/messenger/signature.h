#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/crypto.h"

namespace loquat::messenger {

enum class SignatureResult : std::uint8_t { valid, invalid, missing, unconfigured };
[[nodiscard]] std::string_view to_string(SignatureResult result) noexcept;

/// Checks what Meta signs its webhooks with: an HMAC over the raw bytes of the body, keyed with the app's secret. The key
/// schedules are made once. Const functions may be called from many threads.
///
/// X-Hub-Signature-256 takes "sha256=<64 hex>" only, X-Hub-Signature "sha1=<40 hex>" only; the hex digits in any case, the
/// algorithm's name in small letters. With both present the stronger one alone decides, so that nobody gets by on a weaker
/// proof. Without a secret nothing is valid.
class SignatureChecker {
 public:
  explicit SignatureChecker(std::string_view secret);

  [[nodiscard]] SignatureResult check(std::string_view body, std::optional<std::string_view> sha256_header,
                                      std::optional<std::string_view> sha1_header) const;
  /// The value of X-Hub-Signature-256 for a body. Needs a secret.
  [[nodiscard]] std::string sign(std::string_view body) const;

 private:
  struct Keys {
    crypto::Hmac sha256;
    crypto::Hmac sha1;
  };
  std::optional<Keys> keys_;
};

}  // namespace loquat::messenger
