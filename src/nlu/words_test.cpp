#include "nlu/words.h"

#include <gmock/gmock.h>

namespace loquat::nlu {
namespace {

std::vector<std::string> split(std::string_view text) {
  const auto words = split_words(text);
  std::vector<std::string> out;
  for (std::size_t i = 0; i < words.units.size(); ++i) {
    const auto& unit = words.units[i];
    out.push_back((unit.glued ? "+" : "") + std::string(words.text(i)) + "@" + std::to_string(unit.begin) + "-" + std::to_string(unit.end));
  }
  return out;
}

using testing::ElementsAre;

TEST(Words, case_blanks_and_punctuation) {
  EXPECT_THAT(split("  Fly to Paris, please! "), ElementsAre("fly@2-5", "to@6-8", "paris@9-14", "please@16-22"));
  EXPECT_THAT(split(""), ElementsAre());
  EXPECT_THAT(split(" \t\n"), ElementsAre());
}

TEST(Words, glued_by_punctuation) {
  EXPECT_THAT(split("don't wi-fi"), ElementsAre("don@0-3", "+t@4-5", "wi@6-8", "+fi@9-11"));
  EXPECT_THAT(split("a, b"), ElementsAre("a@0-1", "b@3-4"));
}

TEST(Words, signs_that_mean_something) {
  EXPECT_THAT(split("C++ AT&T"), ElementsAre("c@0-1", "+@1-2", "+@2-3", "at@4-6", "&@6-7", "t@7-8"));
  EXPECT_THAT(split("I ♥ 🍕"), ElementsAre("i@0-1", "♥@2-3", "🍕@4-5"));
}

TEST(Words, nothing_but_punctuation) { EXPECT_THAT(split("?!"), ElementsAre("?@0-1", "!@1-2")); }

TEST(Words, folding) {
  EXPECT_THAT(split("STRASSE Straße"), ElementsAre("strasse@0-7", "strasse@8-14"));
  EXPECT_THAT(split("Ｐａｒｉｓ"), ElementsAre("paris@0-5"));
  EXPECT_THAT(split("Cafe\u0301 CAFÉ"), ElementsAre("café@0-5", "café@6-10"));
  EXPECT_THAT(split("so\u00ADft"), ElementsAre("soft@0-5"));
}

TEST(Words, scripts_without_blanks) {
  EXPECT_THAT(split("去北京"), ElementsAre("去@0-1", "北@1-2", "京@2-3"));
  EXPECT_THAT(split("北京 A1号"), ElementsAre("北@0-1", "京@1-2", "a1@3-5", "号@5-6"));
}

TEST(Words, no_utf8) {
  EXPECT_THAT(split("a\xff"
                    "b"),
              ElementsAre("a@0-1", "\uFFFD@1-2", "b@2-3"));
}

TEST(Words, limit) { EXPECT_EQ(split_words("a b c d", 3).units.size(), 3U); }

}  // namespace
}  // namespace loquat::nlu
