#include "messenger/signature.h"

#include <gtest/gtest.h>

namespace loquat::messenger {
namespace {

constexpr std::string_view body = R"({"object":"page","entry":[]})";
constexpr std::string_view secret = "app secret";

std::string sha256_of(std::string_view key, std::string_view text) {
  return "sha256=" + crypto::Hmac(crypto::Hmac::Algorithm::sha256, key).sign(text);
}
std::string sha1_of(std::string_view key, std::string_view text) {
  return "sha1=" + crypto::Hmac(crypto::Hmac::Algorithm::sha1, key).sign(text);
}
std::string upper(std::string text, std::size_t from) {
  for (auto i = from; i < text.size(); ++i) text[i] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[i])));
  return text;
}

TEST(Signature, known_value) {
  // RFC 4231, test case 2.
  const SignatureChecker checker("Jefe");
  EXPECT_EQ(checker.sign("what do ya want for nothing?"), "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(Signature, either_header_alone_is_enough) {
  const SignatureChecker checker(secret);
  EXPECT_EQ(checker.check(body, sha256_of(secret, body), {}), SignatureResult::valid);
  EXPECT_EQ(checker.check(body, {}, sha1_of(secret, body)), SignatureResult::valid);
  EXPECT_EQ(checker.check("", sha256_of(secret, ""), {}), SignatureResult::valid);
  EXPECT_EQ(checker.check(body, {}, {}), SignatureResult::missing);
}

TEST(Signature, the_stronger_decides) {
  const SignatureChecker checker(secret);
  EXPECT_EQ(checker.check(body, sha256_of(secret, body), "sha1=bad"), SignatureResult::valid);
  EXPECT_EQ(checker.check(body, "sha256=bad", sha1_of(secret, body)), SignatureResult::invalid);
  EXPECT_EQ(checker.check(body, "", sha1_of(secret, body)), SignatureResult::invalid);
}

TEST(Signature, hex_in_capitals_but_not_the_algorithm) {
  const SignatureChecker checker(secret);
  EXPECT_EQ(checker.check(body, upper(sha256_of(secret, body), 7), {}), SignatureResult::valid);
  EXPECT_EQ(checker.check(body, {}, upper(sha1_of(secret, body), 5)), SignatureResult::valid);
  EXPECT_EQ(checker.check(body, upper(sha256_of(secret, body), 0), {}), SignatureResult::invalid);
}

TEST(Signature, each_header_has_its_own_algorithm) {
  const SignatureChecker checker(secret);
  EXPECT_EQ(checker.check(body, sha1_of(secret, body), {}), SignatureResult::invalid);
  EXPECT_EQ(checker.check(body, {}, sha256_of(secret, body)), SignatureResult::invalid);
  for (const char* header : {"", "=", "sha256", "sha256=", "md5=9e107d9d372bb6826bd81d3542a419d6", "sha512=00", "sha256=zz", "SHA256=00",
                             " sha256=00", "none="}) {
    EXPECT_EQ(checker.check(body, header, {}), SignatureResult::invalid) << header;
    EXPECT_EQ(checker.check(body, {}, header), SignatureResult::invalid) << header;
  }
}

TEST(Signature, every_byte_counts) {
  const SignatureChecker checker(secret);
  const auto good = sha256_of(secret, body);
  EXPECT_EQ(checker.check(std::string(body) + " ", good, {}), SignatureResult::invalid);
  EXPECT_EQ(checker.check(body, good + "0", {}), SignatureResult::invalid);
  EXPECT_EQ(checker.check(body, good.substr(0, good.size() - 1), {}), SignatureResult::invalid);
  EXPECT_EQ(checker.check(body, sha256_of("another secret", body), {}), SignatureResult::invalid);
  for (std::size_t i = 7; i < good.size(); ++i) {
    auto changed = good;
    changed[i] = changed[i] == '0' ? '1' : '0';
    EXPECT_EQ(checker.check(body, changed, {}), SignatureResult::invalid) << i;
  }
}

TEST(Signature, without_a_secret_nothing_is_valid) {
  const SignatureChecker checker("");
  EXPECT_EQ(checker.check(body, sha256_of("", body), {}), SignatureResult::unconfigured);
  EXPECT_EQ(checker.check(body, {}, sha1_of("", body)), SignatureResult::unconfigured);
  EXPECT_EQ(checker.check(body, {}, {}), SignatureResult::unconfigured);
}

}  // namespace
}  // namespace loquat::messenger
