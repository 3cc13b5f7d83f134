#include "core/crypto.h"

#include <gtest/gtest.h>

#include <thread>

#include "core/error.h"

namespace {

using loquat::Code;
using loquat::Error;
using loquat::crypto::Hmac;
using loquat::crypto::Keyring;
namespace crypto = loquat::crypto;

std::string hex(const std::array<std::uint8_t, 32>& digest) {
  return crypto::to_hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

std::string sign(Hmac::Algorithm algorithm, std::string_view key, std::string_view data) { return Hmac(algorithm, key).sign(data); }

TEST(Sha256, KnownAnswers) {
  EXPECT_EQ(hex(crypto::sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex(crypto::sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex(crypto::sha256(std::string(1'000'000, 'a'))), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

// RFC 4231 (SHA-256) and RFC 2202 (SHA-1).
TEST(Hmac, KnownAnswers) {
  using enum Hmac::Algorithm;
  EXPECT_EQ(sign(sha256, std::string(20, '\x0b'), "Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(sign(sha256, "Jefe", "what do ya want for nothing?"), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(sign(sha256, std::string(20, '\xaa'), std::string(50, '\xdd')),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
  EXPECT_EQ(sign(sha256, std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  EXPECT_EQ(sign(sha1, std::string(20, '\x0b'), "Hi There"), "b617318655057264e28bc0b6fb378c8ef146be00");
  EXPECT_EQ(sign(sha1, "Jefe", "what do ya want for nothing?"), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
  EXPECT_EQ(sign(sha1, std::string(80, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First"),
            "aa4ae5e15272d00e95705637ce8a3b55ed402112");
  EXPECT_EQ(sign(sha256, "", ""), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
  EXPECT_EQ(sign(sha256, std::string(64, 'k'), "x").size(), 64U);
}

TEST(Hmac, OneKeySignsOnManyThreads) {
  const Hmac hmac(Hmac::Algorithm::sha256, "app secret");
  const std::string body(1000, 'x');
  const std::string expected = hmac.sign(body);
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) wrong += hmac.sign(body) != expected ? 1 : 0;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Hmac, CanBeMoved) {
  Hmac first(Hmac::Algorithm::sha1, "a");
  const std::string expected = first.sign("x");
  Hmac second = std::move(first);
  EXPECT_EQ(second.sign("x"), expected);
  second = Hmac(Hmac::Algorithm::sha1, "b");
  EXPECT_NE(second.sign("x"), expected);
}

// RFC 4648, section 10.
TEST(Base64, KnownAnswers) {
  const std::pair<std::string_view, std::string_view> cases[] = {{"", ""},
                                                                 {"f", "Zg=="},
                                                                 {"fo", "Zm8="},
                                                                 {"foo", "Zm9v"},
                                                                 {"foob", "Zm9vYg=="},
                                                                 {"fooba", "Zm9vYmE="},
                                                                 {"foobar", "Zm9vYmFy"},
                                                                 {"\xff\xfe\xfd", "//79"}};
  for (const auto& [plain, encoded] : cases) {
    EXPECT_EQ(crypto::base64_encode(plain), encoded);
    std::string decoded = "left over";
    EXPECT_TRUE(crypto::base64_decode(encoded, decoded));
    EXPECT_EQ(decoded, plain);
  }
}

TEST(Base64, RefusesOtherSpellings) {
  std::string out;
  for (const auto* text : {"Zg", "Zg=", "Zg===", "Z===", "====", "Zh==", "Zm9=", "Zm9v\n", "Zm-v", "Zm9vZg==Zm9v", "Z g=", "=", "Zg=a"})
    EXPECT_FALSE(crypto::base64_decode(text, out)) << text;
}

TEST(ConstantTime, ComparesBytes) {
  EXPECT_TRUE(crypto::equal_constant_time("abc", "abc"));
  EXPECT_TRUE(crypto::equal_constant_time("", ""));
  EXPECT_FALSE(crypto::equal_constant_time("abc", "abd"));
  EXPECT_FALSE(crypto::equal_constant_time("abc", "ab"));
  EXPECT_FALSE(crypto::equal_constant_time(std::string_view("a\0b", 3), std::string_view("a\0c", 3)));
}

const std::string first_key = crypto::base64_encode(std::string(32, '\x01'));
const std::string second_key = crypto::base64_encode(std::string(32, '\x02'));

Code code_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.code();
  }
  return Code{};
}

TEST(Keyring, SealsAndOpens) {
  const Keyring keys(first_key);
  const std::string sealed = keys.seal("gehéim", "integrations/facebook/secret");
  EXPECT_TRUE(sealed.starts_with("enc:v1:72cd6e84:")) << sealed;
  EXPECT_NE(sealed, keys.seal("gehéim", "integrations/facebook/secret")) << "each has a nonce of its own";
  EXPECT_EQ(keys.open(sealed, "integrations/facebook/secret"), "gehéim");
  EXPECT_EQ(keys.open(keys.seal("", "x"), "x"), "");
  EXPECT_EQ(keys.open(keys.seal(std::string(10'000, 'a'), ""), ""), std::string(10'000, 'a'));
  EXPECT_TRUE(Keyring::is_sealed(sealed));
}

TEST(Keyring, ASealedTextStaysWhereItIs) {
  const Keyring keys(first_key);
  const std::string sealed = keys.seal("secret", "here");
  EXPECT_EQ(code_of([&] { (void)keys.open(sealed, "there"); }), Code::unavailable);
  std::string changed = sealed;
  changed[changed.size() - 3] = changed[changed.size() - 3] == 'A' ? 'B' : 'A';
  EXPECT_EQ(code_of([&] { (void)keys.open(changed, "here"); }), Code::unavailable);
  EXPECT_EQ(code_of([&] { (void)keys.open(sealed.substr(0, 20), "here"); }), Code::unavailable);
  EXPECT_EQ(code_of([&] { (void)keys.open(sealed.substr(0, 16), "here"); }), Code::unavailable);
  EXPECT_EQ(code_of([&] { (void)Keyring(second_key).open(sealed, "here"); }), Code::unavailable);
  EXPECT_EQ(code_of([&] { (void)Keyring().open(sealed, "here"); }), Code::unavailable);
}

TEST(Keyring, KeysCanBeRotated) {
  const std::string old = Keyring(first_key).seal("secret", "here");
  const Keyring both(second_key + " , " + first_key + "\n");
  EXPECT_EQ(both.open(old, "here"), "secret");
  EXPECT_TRUE(both.needs_rotation(old));
  EXPECT_TRUE(both.needs_rotation("in clear"));
  EXPECT_FALSE(both.needs_rotation(both.seal("secret", "here")));
  EXPECT_FALSE(Keyring().needs_rotation("in clear"));
}

TEST(Keyring, WithoutKeysTextsStayAsTheyAre) {
  const Keyring none;
  EXPECT_TRUE(none.empty());
  EXPECT_TRUE(Keyring("  ").empty());
  EXPECT_EQ(none.seal("secret", "here"), "secret");
  EXPECT_EQ(none.open("secret", "here"), "secret");
  for (const auto* text : {"", "enc:v1:", "enc:v1:72cd6e8:x", "enc:v1:72CD6E84:x", "enc:v2:72cd6e84:x"}) {
    EXPECT_FALSE(Keyring::is_sealed(text)) << text;
    EXPECT_EQ(none.open(text, ""), text);
  }
}

TEST(Keyring, RefusesWhatIsNoKey) {
  for (const auto& text : {std::string("x"), crypto::base64_encode(std::string(31, 'a')), crypto::base64_encode(std::string(33, 'a')),
                           first_key + ",", "," + first_key, first_key + ",x"})
    EXPECT_EQ(code_of([&] { const Keyring keys(text); }), Code::invalid) << text;
}

}  // namespace
