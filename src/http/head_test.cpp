#include "http/head.h"

#include <gtest/gtest.h>

#include <string>

namespace loquat::http {
namespace {

using namespace std::string_literals;

unsigned status_of(const std::string& raw) {
  const auto fault = check_head(raw);
  return fault ? fault->status : 0;
}
/// The head of a good request with more lines.
unsigned with(const std::string& lines) { return status_of("GET /x HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n"); }

TEST(CheckHead, TakesWhatClientsSend) {
  EXPECT_EQ(with(""), 0U);
  EXPECT_EQ(with("Content-Length: 12\r\nX-Empty:\r\nX-Blanks: \t a b \t\r\n"), 0U);
  EXPECT_EQ(with("Transfer-Encoding: Chunked\r\n"), 0U);
  EXPECT_EQ(with("X-Name: na\xC3\xAFve\r\n"), 0U);
  EXPECT_EQ(status_of("OPTIONS * HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n"), 0U);
  EXPECT_EQ(status_of("GET http://a/x?y=%20&z=\xC3\xA4 HTTP/1.1\r\nhost: a\r\n\r\n"), 0U);
  EXPECT_EQ(status_of("GET / HTTP/1.0\r\n\r\n"), 0U);
  EXPECT_EQ(status_of("M-SEARCH /x HTTP/1.1\r\nHost:\r\n\r\n"), 0U);
}

TEST(CheckHead, WantsOneHost) {
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\n\r\n"), 400U);
  EXPECT_EQ(with("Host: a\r\n"), 400U);
  EXPECT_EQ(with("hOsT: b\r\n"), 400U);
  EXPECT_EQ(status_of("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"), 400U);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 400U);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"), 400U);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400U);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"), 400U);
}

TEST(CheckHead, RefusesWhatHidesWhereABodyEnds) {
  for (const auto* lines :
       {"Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: identity\r\n", "Transfer-Encoding:\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: \x0b"
        "chunked\r\n",
        "Transfer-Encoding : chunked\r\n", "Transfer-Encoding: \"chunked\"\r\n", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n", "Content-Length: 5, 5\r\n", "Content-Length: +5\r\n", "Content-Length: -1\r\n",
        "Content-Length: 0x5\r\n", "Content-Length: 5 5\r\n", "Content-Length:\r\n", "Content-Length: 18446744073709551621\r\n"}) {
    EXPECT_EQ(with(lines), 400U) << lines;
  }
  EXPECT_EQ(status_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400U);
}

TEST(CheckHead, RefusesFoldedLinesAndBlanksInNames) {
  for (const auto* lines :
       {"X: a\r\n b\r\n", "X: a\r\n\tb\r\n", " X: a\r\n", "X : a\r\n", "X\r\n", ": a\r\n", "X(y): a\r\n", "X\xC3\xA4: a\r\n"}) {
    EXPECT_EQ(with(lines), 400U) << lines;
  }
}

TEST(CheckHead, RefusesControlCharactersAndBareLineEnds) {
  EXPECT_EQ(with("X: a\0b\r\n"s), 400U);
  EXPECT_EQ(with("X: a\x7F\r\n"), 400U);
  EXPECT_EQ(with("X: a\nY: b\r\n"), 400U);
  EXPECT_EQ(with("X: a\rY: b\r\n"), 400U);
  EXPECT_EQ(with("X: a\r\r\n"), 400U);
  EXPECT_EQ(status_of("GET / HTTP/1.1\nHost: a\r\n\r\n"), 400U);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\n\n"), 400U);
  EXPECT_EQ(status_of(""), 400U);
  EXPECT_EQ(status_of("\r\n\r\n"), 400U);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\n\r\nX: y\r\n\r\n"), 400U);
}

TEST(CheckHead, ChecksTheRequestLine) {
  const auto line = [](const std::string& text) { return status_of(text + "\r\nHost: a\r\n\r\n"); };
  for (const auto* text : {"GET /", "GET  HTTP/1.1", "GET / x HTTP/1.1", " GET / HTTP/1.1", "GET / HTTP/1.1 ", "G(T / HTTP/1.1",
                           "GET /\t HTTP/1.1", "GET /a#b HTTP/1.1", "GET / http/1.1", "GET / FTP/1.1", "GET\t/ HTTP/1.1"}) {
    EXPECT_EQ(line(text), 400U) << text;
  }
  EXPECT_EQ(line("GET / HTTP/2.0"), 505U);
  EXPECT_EQ(line("PRI * HTTP/2.0"), 505U);
  EXPECT_EQ(line("GET / HTTP/1.2"), 505U);
  EXPECT_EQ(line("GET / HTTP/1.10"), 505U);
}

}  // namespace
}  // namespace loquat::http
