#include "core/text.h"

#include <gmock/gmock.h>

namespace {

namespace text = loquat::text;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Text, Utf8IsChecked) {
  for (const std::string_view good : {"", "abcdefghijk", "é", "日本語テキスト", "😀", "\uFFFD", "\u0000"})
    EXPECT_TRUE(text::is_valid_utf8(good)) << good;
  for (const auto* bad :
       {"\xff", "abcdefgh\x80", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "é\xc3", "\xf8\x88\x80\x80\x80"})
    EXPECT_FALSE(text::is_valid_utf8(bad)) << bad;
}

TEST(Text, Utf8IsMended) {
  EXPECT_EQ(text::to_valid_utf8("a\xff"
                                "b"),
            "a\uFFFD"
            "b");
  EXPECT_EQ(text::to_valid_utf8("\xe2\x82"), "\uFFFD") << "a cut sequence is one";
  EXPECT_EQ(text::to_valid_utf8("\xe2\x82x"), "\uFFFDx");
  EXPECT_EQ(text::to_valid_utf8("\xc0\x80"), "\uFFFD\uFFFD");
  EXPECT_EQ(text::to_valid_utf8("gut é"), "gut é");
}

TEST(Text, LengthCountsCodePoints) {
  EXPECT_EQ(text::length(""), 0U);
  EXPECT_EQ(text::length("abcdefghi"), 9U);
  EXPECT_EQ(text::length("é😀e\u0301"), 4U);
  EXPECT_EQ(text::length("a\xff\xfe"), 3U);
}

TEST(Text, FoldingIgnoresCaseWidthAndBlanks) {
  EXPECT_EQ(text::fold("  Hello   WORLD \n"), "hello world");
  EXPECT_EQ(text::fold("Straße"), "strasse");
  EXPECT_EQ(text::fold("ＡＢＣ １２３"), "abc 123");
  EXPECT_EQ(text::fold("cafe\u0301"), "caf\u00e9");
  EXPECT_EQ(text::fold("a\u00a0\u2003b"), "a b");
  EXPECT_EQ(text::fold("a\u200db\u00adc"), "abc");
  EXPECT_EQ(text::fold("ΣΊΣΥΦΟΣ"), "σίσυφοσ");
  EXPECT_EQ(text::fold("\xff"), "\uFFFD");
  EXPECT_EQ(text::fold(" \t "), "");
  EXPECT_EQ(text::fold("ﬁn"), "fin");
}

TEST(Text, MatchKeysIgnorePunctuationToo) {
  EXPECT_EQ(text::match_key("What's up?!"), "whats up");
  EXPECT_EQ(text::match_key("  Hi ,  there ... "), "hi there");
  EXPECT_EQ(text::match_key("¿Qué tal?"), "qué tal");
  EXPECT_EQ(text::match_key("5 € + 3 €"), "5 3");
  EXPECT_EQ(text::match_key("「こんにちは」。"), "こんにちは");
  EXPECT_EQ(text::match_key("Hello 👋"), "hello");
  EXPECT_EQ(text::match_key("👍"), "👍");
  EXPECT_NE(text::match_key("👍"), text::match_key("👎"));
  EXPECT_EQ(text::match_key("a!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~b"), "ab");
  for (char c = 0; c != '\x7f'; ++c) {  // a text of ASCII only is folded the quick way
    const std::string plain = std::string("A") + c + "z";
    EXPECT_EQ(text::match_key(plain) + "é", text::match_key(plain + "é")) << static_cast<int>(c);
  }
  EXPECT_EQ(text::match_key("?!"), "?!");
  EXPECT_EQ(text::match_key("  "), "");
}

TEST(Text, ShortTextsAreOnePart) {
  EXPECT_THAT(text::split_at_words("hello", 5), ElementsAre("hello"));
  EXPECT_THAT(text::split_at_words("  a b\n", 10), ElementsAre("  a b\n"));
  EXPECT_THAT(text::split_at_words("", 10), IsEmpty());
  EXPECT_THAT(text::split_at_words(" \n\t", 10), IsEmpty());
  EXPECT_THAT(text::split_at_words(" \n\t ", 2), IsEmpty());
}

TEST(Text, LongTextsAreCutBetweenWords) {
  EXPECT_THAT(text::split_at_words("one two three", 7), ElementsAre("one two", "three"));
  EXPECT_THAT(text::split_at_words("one two three", 8), ElementsAre("one two", "three"));
  EXPECT_THAT(text::split_at_words("one two three", 6), ElementsAre("one", "two", "three"));
  EXPECT_THAT(text::split_at_words("one   two", 4), ElementsAre("one", "two"));
  EXPECT_THAT(text::split_at_words("one two   ", 7), ElementsAre("one two"));
  EXPECT_THAT(text::split_at_words("   one two", 5), ElementsAre("one", "two"));
  EXPECT_THAT(text::split_at_words("one\r\ntwo", 4), ElementsAre("one", "two"));
  EXPECT_THAT(text::split_at_words("a\u00a0b c", 4), ElementsAre("a\u00a0b", "c")) << "no break at a no-break space";
  EXPECT_THAT(text::split_at_words("abcdefgh", 3), ElementsAre("abc", "def", "gh"));
  EXPECT_THAT(text::split_at_words("a bcdefgh", 3), ElementsAre("a", "bcd", "efg", "h"));
  EXPECT_THAT(text::split_at_words("日本語のテキスト", 3), ElementsAre("日本語", "のテキ", "スト"));
}

TEST(Text, NeverCutsInsideAGrapheme) {
  const std::string family = "👨‍👩‍👧‍👦";  // seven code points
  EXPECT_THAT(text::split_at_words(family + family, 10), ElementsAre(family, family));
  EXPECT_THAT(text::split_at_words("ab" + family, 8), ElementsAre("ab", family));
  EXPECT_THAT(text::split_at_words("e\u0301e\u0301e\u0301", 3), ElementsAre("e\u0301", "e\u0301", "e\u0301"));
  EXPECT_THAT(text::split_at_words("🇩🇪🇫🇷", 3), ElementsAre("🇩🇪", "🇫🇷"));
  EXPECT_THAT(text::split_at_words("a \u0301b", 2), ElementsAre("a", " \u0301", "b")) << "a blank with a mark is no place to cut";
  EXPECT_THAT(text::split_at_words("x " + family, 4), ElementsAre("x", "👨‍👩‍", "👧‍👦")) << "longer than the limit";
}

TEST(Text, NothingIsLostInSplitting) {
  std::string long_text;
  for (int i = 0; i < 3000; ++i) long_text += (i % 7 == 0 ? "wörd" : "👍🏽") + std::string(i % 3 == 0 ? " " : "");
  std::string joined;
  for (const auto& part : text::split_at_words(long_text, 2000)) {
    EXPECT_LE(text::length(part), 2000U);
    EXPECT_FALSE(part.empty());
    joined += part;
  }
  std::erase(joined, ' ');
  std::erase(long_text, ' ');
  EXPECT_EQ(joined, long_text);
  EXPECT_THAT(text::split_at_words("a\xff"
                                   "b",
                                   2),
              ElementsAre("a\uFFFD", "b"));
  EXPECT_THAT(text::split_at_words("ab", 0), ElementsAre("a", "b"));
}

TEST(Text, Ascii) {
  EXPECT_EQ(text::to_lower_ascii("AbÉ9"), "abÉ9");
  EXPECT_TRUE(text::equal_ignoring_ascii_case("Content-Type", "content-TYPE"));
  EXPECT_FALSE(text::equal_ignoring_ascii_case("a", "ab"));
  EXPECT_FALSE(text::equal_ignoring_ascii_case("É", "é"));
  EXPECT_EQ(text::trim_ascii(" \t\r\n a b \v\f"), "a b");
  EXPECT_EQ(text::trim_ascii("  "), "");
  EXPECT_THAT(text::split("a,b,,c", ','), ElementsAre("a", "b", "", "c"));
  EXPECT_THAT(text::split("", ','), ElementsAre(""));
  EXPECT_THAT(text::split(",", ','), ElementsAre("", ""));
}

}  // namespace
