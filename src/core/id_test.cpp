#include "core/id.h"

#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <thread>
#include <vector>

namespace {

using loquat::MessageId;

TEST(MessageId, ReadsBothSpellings) {
  const auto plain = MessageId::parse("00112233445566778899aAbBcCdDeEfF");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->to_string(), "00112233445566778899aabbccddeeff");
  EXPECT_EQ(MessageId::parse("00112233-4455-6677-8899-aabbccddeeff"), plain);
  for (const auto* text :
       {"", "00112233445566778899aabbccddeef", "00112233445566778899aabbccddeefg", "0011223344556677-8899aabbccddeeff",
        "00112233-4455-6677-8899aabbccddeeff-", "{0112233-4455-6677-8899-aabbccddeeff}", "00112233445566778899aabbccddeeff0"})
    EXPECT_FALSE(MessageId::parse(text)) << text;
}

TEST(MessageId, OfAKeyIsTheBeginningOfSha256) {
  EXPECT_EQ(MessageId::of_key("").to_string(), "e3b0c44298fc1c149afbf4c8996fb924");
  EXPECT_EQ(MessageId::of_key("abc").to_string(), "ba7816bf8f01cfea414140de5dae2223");
}

TEST(MessageId, RandomOnesDiffer) {
  std::set<MessageId> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(MessageId::random());
  EXPECT_EQ(ids.size(), 1000U);
  EXPECT_NE(std::hash<MessageId>()(MessageId::random()), std::hash<MessageId>()(MessageId::random()));
}

TEST(ObjectId, HasMongosLayout) {
  const std::string first = loquat::make_object_id();
  const std::string second = loquat::make_object_id();
  ASSERT_EQ(first.size(), 24U);
  EXPECT_EQ(first.substr(8, 10), second.substr(8, 10));
  EXPECT_NE(first, second);
  const auto seconds = std::stoll(first.substr(0, 8), nullptr, 16);
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  EXPECT_NEAR(static_cast<double>(seconds), static_cast<double>(now), 60);
  EXPECT_EQ(loquat::parse_object_id(first), first);
}

TEST(ObjectId, IsUniqueAmongThreads) {
  constexpr int each = 20'000;
  std::vector<std::vector<std::string>> made(4);
  std::vector<std::thread> threads;
  for (auto& ids : made) {
    threads.emplace_back([&ids] {
      for (int i = 0; i < each; ++i) ids.push_back(loquat::make_object_id());
    });
  }
  for (auto& thread : threads) thread.join();
  std::set<std::string> all;
  for (const auto& ids : made) all.insert(ids.begin(), ids.end());
  EXPECT_EQ(all.size(), 4U * each);
}

TEST(ObjectId, ReadsHexOnly) {
  EXPECT_EQ(loquat::parse_object_id("507F1F77BCF86CD799439011"), "507f1f77bcf86cd799439011");
  for (const auto* text :
       {"", "507f1f77bcf86cd79943901", "507f1f77bcf86cd7994390111", "507f1f77bcf86cd79943901g", " 07f1f77bcf86cd799439011"})
    EXPECT_FALSE(loquat::parse_object_id(text)) << text;
}

TEST(Random, HexHasTwoDigitsAByte) {
  EXPECT_EQ(loquat::random_hex(16).size(), 32U);
  EXPECT_EQ(loquat::random_hex(0), "");
  EXPECT_NE(loquat::random_hex(16), loquat::random_hex(16));
  EXPECT_EQ(loquat::random_hex(300).find_first_not_of("0123456789abcdef"), std::string::npos);
}

}  // namespace
