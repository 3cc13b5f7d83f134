#include "messenger/signature.h"

namespace loquat::messenger {
namespace {

constexpr std::string_view sha256_prefix = "sha256=";
constexpr std::string_view sha1_prefix = "sha1=";

std::string to_lower_hex(std::string_view digits) {
  std::string lower(digits);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

bool matches(const crypto::Hmac& hmac, std::string_view prefix, std::size_t digits, std::string_view header, std::string_view body) {
  if (!header.starts_with(prefix)) return false;
  header.remove_prefix(prefix.size());
  if (header.size() != digits) return false;
  return crypto::equal_constant_time(hmac.sign(body), to_lower_hex(header));
}

}  // namespace

std::string_view to_string(SignatureResult result) noexcept {
  switch (result) {
    case SignatureResult::valid: return "valid";
    case SignatureResult::invalid: return "invalid";
    case SignatureResult::missing: return "missing";
    case SignatureResult::unconfigured: return "unconfigured";
  }
  return "invalid";
}

SignatureChecker::SignatureChecker(std::string_view secret) {
  // An empty key would make a valid HMAC that everybody can compute.
  if (secret.empty()) return;
  keys_.emplace(Keys{crypto::Hmac(crypto::Hmac::Algorithm::sha256, secret), crypto::Hmac(crypto::Hmac::Algorithm::sha1, secret)});
}

SignatureResult SignatureChecker::check(std::string_view body, std::optional<std::string_view> sha256_header,
                                        std::optional<std::string_view> sha1_header) const {
  if (!keys_) return SignatureResult::unconfigured;
  if (!sha256_header && !sha1_header) return SignatureResult::missing;
  const bool valid = sha256_header ? matches(keys_->sha256, sha256_prefix, 64, *sha256_header, body)
                                   : matches(keys_->sha1, sha1_prefix, 40, *sha1_header, body);
  return valid ? SignatureResult::valid : SignatureResult::invalid;
}

std::string SignatureChecker::sign(std::string_view body) const { return std::string(sha256_prefix) + keys_.value().sha256.sign(body); }

}  // namespace loquat::messenger
