#include "http/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/json.h"
#include "http/server_fixture.h"

namespace loquat::http::test {
namespace {

using testing::HasSubstr;
using testing::Not;

asio::awaitable<Response> describe(Request& request) {
  json::object seen{{"path", request.path},
                    {"route", request.route},
                    {"client", request.client_address},
                    {"who", request.principal.name},
                    {"id", request.request_id}};
  for (const auto& [name, value] : request.path_parameters) seen["p_" + name] = value;
  for (const auto& [name, value] : request.query) seen["q_" + name] = value;
  co_return Response::json(seen);
}
asio::awaitable<Response> fail_known(Request&) {
  throw Error(Code::not_found, "Integration not found");
  co_return Response();
}
asio::awaitable<Response> fail_unknown(Request&) {
  throw std::runtime_error("secret detail");
  co_return Response();
}

class Server1 : public ServerTest {
 protected:
  void SetUp() override {
    add(Method::get, "/describe/{id}", Access::open, describe);
    add(Method::get, "/text", Access::open, fixed("hello"));
    add(Method::post, "/echo", Access::open, echo, 100'000);
    add(Method::get, "/known", Access::open, fail_known);
    add(Method::get, "/unknown", Access::open, fail_unknown);
  }
};

TEST_F(Server1, AnswersWithTheHeadersOfEveryService) {
  start();
  const auto answer = get("/text", "X-Request-ID: abc-1.Z_\r\n");
  EXPECT_EQ(answer.status, 200U);
  EXPECT_EQ(answer.body, "hello");
  EXPECT_EQ(answer.header("X-Request-ID"), "abc-1.Z_");
  EXPECT_EQ(answer.header("X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(answer.header("Content-Type"), "text/plain; charset=utf-8");
  EXPECT_THAT(answer.header("Date"), HasSubstr(" GMT"));
}

TEST_F(Server1, MakesAnIdWhenTheOneSentIsNone) {
  start();
  for (const auto* sent : {"X-Request-ID: a b\r\n", "X-Request-ID: a;b\r\n", "X-Request-ID: \r\n", ""}) {
    EXPECT_THAT(get("/text", sent).header("X-Request-ID"), testing::MatchesRegex("[0-9a-f]+")) << sent;
  }
  EXPECT_EQ(get("/text", "X-Request-ID: " + std::string(65, 'a') + "\r\n").header("X-Request-ID").size(), 16U);
}

TEST_F(Server1, ShapesErrorsAsFastApiDoes) {
  start();
  EXPECT_EQ(get("/known").body, R"({"detail":"Integration not found"})");
  EXPECT_EQ(get("/known").status, 404U);
  EXPECT_EQ(get("/unknown").status, 500U);
  EXPECT_EQ(get("/unknown").body, R"({"detail":"Internal Server Error"})");
  EXPECT_EQ(get("/nothing").body, R"({"detail":"Not Found"})");
  const auto refused = ask(make("DELETE", "/echo"));
  EXPECT_EQ(refused.status, 405U);
  EXPECT_EQ(refused.body, R"({"detail":"Method Not Allowed"})");
  EXPECT_EQ(refused.header("Allow"), "POST");
}

TEST_F(Server1, PassesPathAndQueryDecoded) {
  start();
  const auto seen = parse_json(get("/describe/a%20b/?x=1%2B&y").body);
  EXPECT_EQ(seen.at("p_id"), "a b");
  EXPECT_EQ(seen.at("q_x"), "1+");
  EXPECT_EQ(seen.at("q_y"), "");
  EXPECT_EQ(seen.at("route"), "/describe/{id}");
  EXPECT_EQ(seen.at("client"), "127.0.0.1");
}

}  // namespace
}  // namespace loquat::http::test
