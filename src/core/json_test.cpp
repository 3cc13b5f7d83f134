#include "core/json.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "core/error.h"
#include "core/json_diagnosis.h"

namespace {

namespace json = loquat::json;
using loquat::JsonError;
using loquat::parse_json;
using loquat::to_json;

std::string again(std::string_view text) { return to_json(parse_json(text)); }

std::string float_text(double value) {
  std::string out;
  loquat::append_python_float(out, value);
  return out;
}

JsonError error_of(std::string_view text) {
  json::value value;
  JsonError error;
  EXPECT_FALSE(loquat::try_parse_json(text, value, error)) << text;
  return error;
}

// What Python's json.dumps prints.
TEST(Json, FloatsPrintLikePython) {
  const std::pair<double, std::string_view> cases[] = {
      {0.0, "0.0"},
      {-0.0, "-0.0"},
      {1, "1.0"},
      {100, "100.0"},
      {0.1, "0.1"},
      {0.1 + 0.2, "0.30000000000000004"},
      {1.0 / 3, "0.3333333333333333"},
      {1e15, "1000000000000000.0"},
      {9999999999999998.0, "9999999999999998.0"},
      {1e16, "1e+16"},
      {99999999999999990.0, "9.999999999999998e+16"},
      {123456789012345680.0, "1.2345678901234568e+17"},
      {1e22, "1e+22"},
      {1e100, "1e+100"},
      {1e-4, "0.0001"},
      {1.2345e-4, "0.00012345"},
      {1e-5, "1e-05"},
      {-2.5e-7, "-2.5e-07"},
      {1.23e-18, "1.23e-18"},
      {std::numeric_limits<double>::max(), "1.7976931348623157e+308"},
      {std::numeric_limits<double>::min(), "2.2250738585072014e-308"},
      {std::numeric_limits<double>::denorm_min(), "5e-324"},
      {9007199254740992.0, "9007199254740992.0"},
      {1234567.891, "1234567.891"},
      {std::numeric_limits<double>::infinity(), "Infinity"},
      {-std::numeric_limits<double>::infinity(), "-Infinity"},
      {std::numeric_limits<double>::quiet_NaN(), "NaN"},
  };
  for (const auto& [value, text] : cases) EXPECT_EQ(float_text(value), text);
}

TEST(Json, EveryDoubleComesBackAsItWas) {
  std::mt19937_64 random(20261121);
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t bits = random();
    double value = 0;
    std::memcpy(&value, &bits, sizeof value);
    if (i % 2 == 0) value = std::uniform_real_distribution<double>(0, 1)(random);
    if (!std::isfinite(value)) continue;
    const std::string text = float_text(value);
    const json::value read = parse_json("[" + text + "]");
    ASSERT_EQ(to_json(read), "[" + text + "]");
    ASSERT_EQ(read.at(0).get_double(), value);
  }
}

TEST(Json, Numbers) {
  EXPECT_EQ(again("9223372036854775807"), "9223372036854775807");
  EXPECT_EQ(again("-9223372036854775808"), "-9223372036854775808");
  EXPECT_EQ(again("18446744073709551615"), "18446744073709551615");
  EXPECT_EQ(again("18446744073709551616"), "1.8446744073709552e+19");
  EXPECT_EQ(again("-9223372036854775809"), "-9.223372036854776e+18");
  EXPECT_EQ(again("-0"), "0");
  EXPECT_EQ(again("-0.0"), "-0.0");
  EXPECT_EQ(again("1E5"), "100000.0");
  EXPECT_EQ(again("1e-400"), "0.0");
  EXPECT_EQ(again("-1e-400"), "-0.0");
  EXPECT_EQ(again("0.30000000000000004"), "0.30000000000000004");
  EXPECT_EQ(again("0.11935319286735585"), "0.11935319286735585");
  EXPECT_EQ(again(std::string(400, '9') + "e-400"), "1.0");
  for (const auto* text : {"1e400", "-1e400", "NaN", "Infinity", "-Infinity", "01", "1.", ".5", "+1", "0x1", "1e", "--1", "1_0"})
    EXPECT_FALSE(error_of(text).message.empty());
  EXPECT_FALSE(error_of(std::string(400, '9')).message.empty());
}

TEST(Json, StringsPrintLikeJsonResponse) {
  EXPECT_EQ(to_json(parse_json(R"("\u0000\u001f\b\f\n\r\t\"\\\/\u00e9\ud83d\ude00\u2028\u007f")")),
            "\"\\u0000\\u001f\\b\\f\\n\\r\\t\\\"\\\\/é😀\u2028\x7f\"");
  EXPECT_EQ(to_json(parse_json(R"("é😀\u2028\u007f")"), {.ascii = true}), "\"\\u00e9\\ud83d\\ude00\\u2028\\u007f\"");
  EXPECT_EQ(to_json(json::value("1234567\x7f"), {.ascii = true}), "\"1234567\\u007f\"");
  EXPECT_EQ(to_json(json::value("1234567\x7f")), "\"1234567\x7f\"");
  EXPECT_EQ(to_json(json::value(json::string("a\xE4")), {.ascii = true}).substr(0, 3), "\"a\\");
}

TEST(Json, SpacedPrintsLikeJsonDumps) {
  EXPECT_EQ(to_json(parse_json(R"({"a":[1,2.0,{}],"b":null,"c":[],"ü":true})"), {.ascii = true, .spaced = true}),
            R"({"a": [1, 2.0, {}], "b": null, "c": [], "\u00fc": true})");
}

TEST(Json, LoneSurrogatesBecomeTheReplacementCharacter) {
  EXPECT_EQ(again(R"("\ud800")"), "\"\uFFFD\"");
  EXPECT_EQ(again(R"("\udc00x")"), "\"\uFFFDx\"");
  EXPECT_EQ(again(R"("\ud800\ud800\udc00")"), "\"\uFFFD\U00010000\"");
  EXPECT_EQ(again(R"("\uD83D\uDE00")"), "\"😀\"");
  EXPECT_EQ(again(R"("\ud83d\\ude00")"), "\"\uFFFD\\\\ude00\"");
  EXPECT_EQ(again(R"("\\ud800")"), R"("\\ud800")");
  EXPECT_EQ(again(R"({"\ud800":1})"), "{\"\uFFFD\":1}");
  EXPECT_EQ(again(R"("\ud800\u0041")"), "\"\uFFFDA\"");
  EXPECT_FALSE(error_of(R"("\ud8)").message.empty());
  EXPECT_FALSE(error_of(R"("\ud800\u12")").message.empty());
}

TEST(Json, ObjectsKeepTheirOrderAndTheLastOfARepeatedName) {
  EXPECT_EQ(again(R"({"z":1,"a":2,"z":3})"), R"({"z":3,"a":2})");
  std::string many = "{";
  for (int i = 0; i < 100; ++i) many += "\"k" + std::to_string(i % 50) + "\":" + std::to_string(i) + ",";
  many.back() = '}';
  const json::value value = parse_json(many);
  ASSERT_EQ(value.get_object().size(), 50U);
  EXPECT_EQ(value.get_object().begin()->key(), "k0");
  EXPECT_EQ(value.at("k0").get_int64(), 50);
}

TEST(Json, NestingHasALimit) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_EQ(again(nested(128)), nested(128));
  EXPECT_TRUE(error_of(nested(129)).too_deep);
  EXPECT_FALSE(error_of("[1,]").too_deep);
  EXPECT_EQ(to_json(parse_json(nested(5), 5)), nested(5));
  EXPECT_THROW((void)parse_json(nested(6), 5), loquat::Error);
  EXPECT_EQ(again("[1]"), "[1]") << "an error must leave nothing behind";
}

TEST(Json, ErrorsTellWhere) {
  EXPECT_EQ(error_of("[1] x").offset, 4U);
  EXPECT_EQ(error_of("").offset, 0U);
  EXPECT_THROW((void)parse_json("[\xFF]"), loquat::Error);
  EXPECT_FALSE(error_of("\"\xED\xA0\x80\"").message.empty()) << "a surrogate in UTF-8";
  EXPECT_FALSE(error_of("\"\xC0\x80\"").message.empty()) << "overlong";
  EXPECT_FALSE(error_of("\"a\nb\"").message.empty()) << "a control character";
  EXPECT_FALSE(error_of(std::string_view("1\0", 2)).message.empty());
}

TEST(Json, LargeTextsAreReadToo) {
  std::string text = "[";
  for (int i = 0; i < 50'000; ++i) text += "\"0123456789\",";
  text.back() = ']';
  EXPECT_EQ(again(text), text);
  EXPECT_EQ(again("  [ ]\n"), "[]");
}

TEST(Json, MembersAreFoundWithoutFear) {
  const json::value value = parse_json(R"({"a":"x","n":null,"i":5})");
  EXPECT_EQ(loquat::string_member(value, "a"), "x");
  EXPECT_EQ(loquat::string_member(value, "i"), "");
  EXPECT_EQ(loquat::string_member(value, "none"), "");
  EXPECT_EQ(loquat::string_member(json::value(5), "a"), "");
  EXPECT_NE(loquat::find_member(value, "n"), nullptr);
  EXPECT_EQ(loquat::find_member(json::value(nullptr), "n"), nullptr);
}

TEST(JsonDiagnosis, AcceptsWhatPythonAccepts) {
  for (const auto* text : {"{}", " [1, 2.5e3, \"\\u0041\", true, null, {\"a\": {}}] ", "1e400", "\"\\ud800 \"", "-0"})
    EXPECT_EQ(loquat::diagnose_json(text).message, "") << text;
}

TEST(JsonDiagnosis, NestingIsNoDanger) {
  EXPECT_EQ(loquat::diagnose_json(std::string(5'000'000, '[')).message, "");
  EXPECT_EQ(loquat::diagnose_json(std::string(500, '[')).character, 500U);
}

}  // namespace
