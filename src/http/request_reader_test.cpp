#include "http/request_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

namespace loquat::http {
namespace {

using testing::ElementsAre;
using Step = RequestReader::Step;

/// What a reader makes of bytes that come in pieces of `piece`; one line a request, the last step's name when it is refused.
std::vector<std::string> read(const std::string& bytes, std::size_t piece, std::size_t limit = 1000, std::size_t max_head = 16'384) {
  RequestReader reader(max_head);
  Request request;
  std::vector<std::string> seen;
  std::size_t at = 0;
  reader.start(request);
  for (;;) {
    switch (reader.advance()) {
      case Step::need_more: {
        const std::size_t count = std::min(piece, bytes.size() - at);
        if (count == 0) return seen;
        const auto buffer = reader.prepare();
        std::memcpy(buffer.data(), bytes.data() + at, std::min(count, buffer.size()));
        reader.commit(std::min(count, buffer.size()));
        at += std::min(count, buffer.size());
        break;
      }
      case Step::head: reader.limit_body(limit); break;
      case Step::done:
        seen.push_back(std::string(to_string(request.method)) + " " + request.path + " " + request.body);
        reader.start(request);
        break;
      case Step::bad: seen.push_back("bad " + std::to_string(reader.fault().status)); return seen;
      case Step::head_too_large: seen.emplace_back("head too large"); return seen;
      case Step::body_too_large: seen.emplace_back("body too large"); return seen;
    }
  }
}

class Pieces : public testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(Sizes, Pieces, testing::Values(1, 2, 3, 7, 64, 100'000));

TEST_P(Pieces, ReadsRequestsThatFollowEachOther) {
  const std::string bytes =
      "GET /a?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"
      "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
      "\r\n\r\nPOST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n"
      "DELETE /d HTTP/1.0\r\n\r\nGET /unfinished HTTP/1.1\r\n";
  EXPECT_THAT(read(bytes, GetParam()), ElementsAre("GET /a ", "POST /b hello", "POST /c abc0123456789", "DELETE /d "));
}

TEST_P(Pieces, RefusesBodiesBeyondTheLimit) {
  const std::string head = "POST /b HTTP/1.1\r\nHost: a\r\n";
  EXPECT_THAT(read(head + "Content-Length: 5\r\n\r\nhello", GetParam(), 5), ElementsAre("POST /b hello"));
  EXPECT_THAT(read(head + "Content-Length: 6\r\n\r\nhello!", GetParam(), 5), ElementsAre("body too large"));
  EXPECT_THAT(read(head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", GetParam(), 5),
              ElementsAre("POST /b abcde"));
  EXPECT_THAT(read(head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n", GetParam(), 5),
              ElementsAre("body too large"));
  EXPECT_THAT(read(head + "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n", GetParam(), 5), ElementsAre("body too large"));
}

TEST_P(Pieces, ReadsAnEmptyChunkedBody) {
  const std::string head = "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_THAT(read(head + "0\r\n\r\n" + head + "1\r\nx\r\n0\r\n\r\n", GetParam()), ElementsAre("POST /b ", "POST /b x"));
}

TEST_P(Pieces, RefusesMalformedChunks) {
  const std::string head = "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const auto* body : {"x\r\nabc\r\n", "3\r\nabcd\r\n0\r\n\r\n", "-3\r\nabc\r\n", "0x3\r\nabc\r\n0\r\n\r\n", "3\r\nabc0\r\n\r\n",
                           "FFFFFFFFFFFFFFFFF\r\n", "\r\n\r\n\r\n"}) {
    EXPECT_THAT(read(head + body, GetParam()), ElementsAre("bad 400")) << body;
  }
}

TEST_P(Pieces, RefusesHeadsThatAreTooLongOrEndInLineFeeds) {
  const std::string head = "GET /a HTTP/1.1\r\nHost: a\r\nX: ";
  EXPECT_THAT(read(head + std::string(200 - head.size() - 4, 'x') + "\r\n\r\n", GetParam(), 0, 200), ElementsAre("GET /a "));
  EXPECT_THAT(read(head + std::string(201 - head.size() - 4, 'x') + "\r\n\r\n", GetParam(), 0, 200), ElementsAre("head too large"));
  EXPECT_THAT(read(head + std::string(500, 'x'), GetParam(), 0, 200), ElementsAre("head too large"));
  EXPECT_THAT(read("GET /a HTTP/1.1\nHost: a\n\n", GetParam()), ElementsAre("bad 400"));
}

TEST(RequestReader, KeepsTrailersOutOfTheHeaders) {
  RequestReader reader(16'384);
  Request request;
  reader.start(request);
  const std::string bytes =
      "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nAuthorization: Bearer t\r\nX-Forwarded-For: "
      "1.2.3.4\r\n\r\n";
  const auto buffer = reader.prepare();
  std::memcpy(buffer.data(), bytes.data(), bytes.size());
  reader.commit(bytes.size());
  ASSERT_EQ(reader.advance(), Step::head);
  reader.limit_body(10);
  ASSERT_EQ(reader.advance(), Step::done);
  EXPECT_EQ(request.headers.all().size(), 2U);
  EXPECT_FALSE(request.headers.find("Authorization"));
}

TEST(RequestReader, RefusesAnEndlessChunkHead) {
  const std::string head = "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_THAT(read(head + "1;" + std::string(40'000, 'x'), 1000), ElementsAre("bad 400"));
  EXPECT_THAT(read(head + "0\r\nX: " + std::string(40'000, 'x'), 1000), ElementsAre("bad 400"));
}

TEST(RequestReader, ForgetsTheRequestBefore) {
  RequestReader reader(16'384);
  Request request;
  request.body = "old";
  request.headers.add("X", "y");
  request.query = {{"a", "b"}};
  request.principal = {"admin", true};
  reader.start(request);
  EXPECT_EQ(request.body, "");
  EXPECT_TRUE(request.headers.all().empty());
  EXPECT_TRUE(request.query.empty());
  EXPECT_EQ(request.principal.name, "");
  EXPECT_FALSE(request.principal.is_service);
}

}  // namespace
}  // namespace loquat::http
