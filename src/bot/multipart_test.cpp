#include "bot/multipart.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace loquat::bot {
namespace {

constexpr std::string_view type = "multipart/form-data; boundary=x";

std::string refusal(std::string_view content_type, std::string_view body) {
  try {
    static_cast<void>(parse_multipart(content_type, body));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::malformed);
    return error.what();
  }
  return "accepted";
}

TEST(Multipart, ReadsWhatCurlSends) {
  const std::string body =
      "--------------------------abc\r\nContent-Disposition: form-data; name=\"file\"; filename=\"bot.json\"\r\n"
      "Content-Type: application/json\r\n\r\n{\"a\":\"\r\n--b\"}\r\n--------------------------abc--\r\n";
  const auto parts = parse_multipart("multipart/form-data; boundary=------------------------abc", body);
  ASSERT_EQ(parts.size(), 1U);
  EXPECT_EQ(parts[0].name, "file");
  EXPECT_EQ(parts[0].filename, "bot.json");
  EXPECT_EQ(parts[0].content, "{\"a\":\"\r\n--b\"}");
}

TEST(Multipart, ReadsSeveralPartsAndOddHeads) {
  const auto parts =
      parse_multipart("Multipart/Form-Data; charset=utf-8; BOUNDARY=\"x\"",
                      "\r\n--x\r\ncontent-disposition: form-data;name=a\r\n\r\n1\r\n"
                      "--x\r\nX-More: 1\r\nContent-Disposition: form-data; filename=\"q\\\"\\\\;x.json\"; name=\"b\"\r\n\r\n\r\n--x\r\n"
                      "Content-Disposition: form-data; name=c; filename*=UTF-8''%e2%82%ac.json\r\n\r\n--xy\r\n--x--ignored");
  ASSERT_EQ(parts.size(), 3U);
  EXPECT_EQ(parts[0].name, "a");
  EXPECT_FALSE(parts[0].filename.has_value());
  EXPECT_EQ(parts[0].content, "1");
  EXPECT_EQ(parts[1].name, "b");
  EXPECT_EQ(parts[1].filename, "q\"\\;x.json");
  EXPECT_EQ(parts[1].content, "");
  EXPECT_EQ(parts[2].filename, "\u20ac.json");
  EXPECT_EQ(parts[2].content, "--xy");
}

TEST(Multipart, LeavesOutWhatIsBrokenOff) {
  EXPECT_TRUE(parse_multipart(type, "").empty());
  EXPECT_TRUE(parse_multipart(type, "--x").empty());
  EXPECT_TRUE(parse_multipart(type, "--x\r\nContent-Disposition: form-data; name=a").empty());
  EXPECT_TRUE(parse_multipart(type, "--x\r\nContent-Disposition: form-data; name=a\r\n\r\nabc").empty());
  EXPECT_EQ(parse_multipart(type, "--x\r\nContent-Disposition: form-data; name=a\r\n\r\nabc\r\n--x").size(), 0U);
  EXPECT_TRUE(parse_multipart(type, "--x--").empty());
}

TEST(Multipart, IsEmptyForOtherTypes) {
  EXPECT_TRUE(parse_multipart("application/json", "{}").empty());
  EXPECT_TRUE(parse_multipart("", "--x\r\n").empty());
}

TEST(Multipart, RefusesWhatTheOldServerRefused) {
  EXPECT_EQ(refusal("multipart/form-data", "abc"), "Missing boundary in multipart.");
  EXPECT_EQ(refusal("multipart/form-data; boundary=", "abc"), "Missing boundary in multipart.");
  EXPECT_EQ(refusal(type, "abc"), "Invalid multipart data.");
  EXPECT_EQ(refusal(type, "--x\nContent-Disposition: form-data; name=a\n\nabc\n--x--\n"), "Invalid multipart data.");
  EXPECT_EQ(refusal(type, "--x\r\nnonsense\r\n\r\nabc\r\n--x--\r\n"), "Invalid multipart data.");
  for (const char* line : {"X-A b", "X-A : b", " X-A: b"}) {
    EXPECT_EQ(refusal(type, "--x\r\nContent-Disposition: form-data; name=a\r\n" + std::string(line) + "\r\n\r\nabc\r\n--x--\r\n"),
              "Invalid multipart data.")
        << line;
  }
  EXPECT_EQ(refusal(type, "--x\r\nContent-Type: text/plain\r\n\r\nabc\r\n--x--\r\n"),
            "The Content-Disposition header field \"name\" must be provided.");
  EXPECT_EQ(refusal(type, "--x\r\nA: " + std::string(9000, 'a') + "\r\n\r\nabc\r\n--x--"), "Invalid multipart data.");
  std::string many;
  for (int i = 0; i < 1001; ++i) many += "--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n";
  EXPECT_EQ(refusal(type, many + "--x--"), "Too many fields. Maximum number of fields is 1000.");
}

}  // namespace
}  // namespace loquat::bot
