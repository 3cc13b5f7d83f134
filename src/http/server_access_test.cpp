#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/json.h"
#include "http/server_fixture.h"
#include "http/standard_routes.h"

namespace loquat::http::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

asio::awaitable<Response> describe(Request& request) {
  co_return Response::json({{"client", request.client_address},
                            {"who", request.principal.name},
                            {"service", request.principal.is_service},
                            {"https", request.is_https},
                            {"path", request.path}});
}

class ServerAccess : public ServerTest {
 protected:
  void SetUp() override {
    add(Method::get, "/", Access::open, describe);
    add(Method::get, "/admin/x", Access::admin, describe);
    add(Method::post, "/admin/x", Access::admin, describe);
    add(Method::get, "/states", Access::admin, describe);
    add(Method::get, "/sandbox", Access::loopback, describe);
  }
  void start_standard(std::size_t loops = 1) {
    add_standard_routes(router, {.has_metrics = true, .version = "1.2.3", .root_path = settings.root_path});
    add_login_routes(router, settings);
    start(loops);
  }
};

TEST_F(ServerAccess, AsksForATokenOnAdminPaths) {
  settings.auth.admin_tokens = {{"ann", "t1"}};
  settings.auth.service_token = "s1";
  start();
  const auto refused = get("/admin/x");
  EXPECT_EQ(refused.status, 401U);
  EXPECT_EQ(refused.header("WWW-Authenticate"), "Bearer");
  EXPECT_EQ(refused.body, R"({"detail":"Not authenticated"})");
  EXPECT_EQ(get("/admin/x", "Authorization: Bearer wrong\r\n").status, 401U);
  EXPECT_EQ(parse_json(get("/admin/x", "Authorization: Bearer t1\r\n").body).at("who"), "ann");
  EXPECT_EQ(get("/admin/x", "Authorization: Bearer s1\r\n").status, 403U);
  EXPECT_EQ(parse_json(get("/states", "Authorization: Bearer s1\r\n").body).at("service"), true);
  EXPECT_EQ(get("/").status, 200U);
}

TEST_F(ServerAccess, HasOtherMethodsRefused) {
  settings.cors_origins = {"https://panel.example"};
  start();
  for (const auto* method : {"HEAD", "OPTIONS", "TRACE", "PUT", "BREW", "CONNECT"}) {
    RawClient client(server->port());
    client.send(make(method, "/"));
    const auto answer = client.receive(false);
    EXPECT_EQ(answer.status, 405U) << method;
    EXPECT_EQ(answer.header("Allow"), "GET") << method;
  }
  RawClient client(server->port());
  client.send(make("HEAD", "/"));
  EXPECT_EQ(client.receive(false).status, 405U);
  EXPECT_EQ(client.ask(make("GET", "/")).status, 200U) << "no body behind the answer to HEAD";
}

TEST_F(ServerAccess, SpeaksCors) {
  settings.cors_origins = {"https://panel.example"};
  settings.auth.admin_tokens = {{"ann", "t1"}};
  start();
  const auto preflight = ask(make("OPTIONS", "/admin/x", "Origin: https://panel.example\r\nAccess-Control-Request-Method: PUT\r\n"));
  EXPECT_EQ(preflight.status, 200U);
  EXPECT_EQ(preflight.header("Access-Control-Allow-Origin"), "https://panel.example");
  EXPECT_EQ(preflight.header("Access-Control-Allow-Credentials"), "true");
  EXPECT_EQ(preflight.header("Vary"), "Origin");
  const auto refused = get("/admin/x", "Origin: https://panel.example\r\n");
  EXPECT_EQ(refused.status, 401U);
  EXPECT_EQ(refused.header("Access-Control-Allow-Origin"), "https://panel.example") << "the page must see the error";
  EXPECT_EQ(get("/", "Origin: https://evil.example\r\n").header("Access-Control-Allow-Origin"), "none");
  EXPECT_EQ(ask(make("OPTIONS", "/", "Origin: https://evil.example\r\nAccess-Control-Request-Method: PUT\r\n")).status, 400U);
}

TEST_F(ServerAccess, AllowsLoopbackOriginsOnLoopbackByDefault) {
  start();
  EXPECT_EQ(get("/", "Origin: http://localhost:3000\r\n").header("Access-Control-Allow-Origin"), "http://localhost:3000");
  EXPECT_EQ(get("/", "Origin: http://evil.example\r\n").header("Access-Control-Allow-Origin"), "none");
}

TEST_F(ServerAccess, OpensAdminPathsToThisMachine) {
  settings.auth.open = true;
  start();
  EXPECT_EQ(parse_json(get("/admin/x").body).at("who"), "anonymous");
  EXPECT_EQ(get("/admin/x", "Host: evil.example\r\n").status, 403U);
  EXPECT_EQ(get("/admin/x", "X-Forwarded-For: 1.2.3.4\r\n").status, 403U);
  EXPECT_EQ(get("/admin/x", "Origin: http://evil.example\r\n").status, 403U);
}

TEST_F(ServerAccess, HidesLoopbackRoutesFromOthers) {
  start();
  EXPECT_EQ(get("/sandbox").status, 200U);
  EXPECT_EQ(get("/sandbox", "Host: evil.example\r\n").status, 404U);
  EXPECT_EQ(get("/sandbox", "X-Real-IP: 1.2.3.4\r\n").status, 404U);
  EXPECT_EQ(get("/sandbox", "Forwarded: for=1.2.3.4\r\n").body, R"({"detail":"Not Found"})");
}

TEST_F(ServerAccess, KnowsTheClientBehindTrustedProxies) {
  settings.trusted_proxies = {"127.0.0.0/8"};
  start();
  const auto seen = parse_json(get("/", "X-Forwarded-For: 6.6.6.6, 192.0.2.7\r\nX-Forwarded-Proto: https\r\n").body);
  EXPECT_EQ(seen.at("client"), "192.0.2.7");
  EXPECT_EQ(seen.at("https"), true);
}

TEST_F(ServerAccess, BelievesNobodyElse) {
  start();
  const auto seen = parse_json(get("/", "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n").body);
  EXPECT_EQ(seen.at("client"), "127.0.0.1");
  EXPECT_EQ(seen.at("https"), false);
}

TEST_F(ServerAccess, TakesTheRootPathOff) {
  settings.root_path = "/api";
  start();
  EXPECT_EQ(parse_json(get("/api/").body).at("path"), "/");
  EXPECT_EQ(parse_json(get("/api").body).at("path"), "/");
  EXPECT_EQ(get("/").status, 200U);
  EXPECT_EQ(get("/apix").status, 404U);
}

TEST_F(ServerAccess, TakesAbsoluteTargets) {
  start();
  EXPECT_EQ(ask("GET http://localhost/?x=1 HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 200U);
  EXPECT_EQ(ask("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 404U);
}

TEST_F(ServerAccess, ServesTheStandardRoutes) {
  start_standard();
  EXPECT_EQ(get("/health").body, R"({"status":"ok"})");
  EXPECT_EQ(get("/ready").body, R"({"status":"ok"})");
  EXPECT_EQ(get("/readiness").body, R"({"status":"ready","checks":{}})");
  const auto metrics = get("/metrics");
  EXPECT_EQ(metrics.header("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_THAT(metrics.body, HasSubstr("loquat_http_requests_total{method=\"GET\",route=\"/health\",status=\"200\"}"));
  const auto document = parse_json(get("/openapi.json").body);
  EXPECT_EQ(document.at("info").at("version"), "1.2.3");
  EXPECT_TRUE(document.at("paths").as_object().contains("/admin/x"));
  const auto docs = get("/docs");
  EXPECT_THAT(docs.body, StartsWith("<!doctype html>"));
  EXPECT_THAT(docs.header("Content-Security-Policy"), HasSubstr("script-src 'sha256-"));
  EXPECT_EQ(docs.body.find("https://"), std::string::npos) << "nothing from elsewhere";
}

TEST_F(ServerAccess, HasNoMetricsWhenSwitchedOff) {
  add_standard_routes(router, {.has_metrics = false});
  start();
  EXPECT_EQ(get("/metrics").status, 404U);
}

TEST_F(ServerAccess, LogsInAndOut) {
  settings.auth.admin_tokens = {{"ann", "t1 &+"}};
  start_standard();
  EXPECT_THAT(get("/login?next=/a%22b").body, HasSubstr("value=\"%2Fa%22b\""));
  const auto entered =
      ask(make("POST", "/login", "Content-Type: application/x-www-form-urlencoded\r\n", "token=t1+%26%2B&next=%252Fadmin%253Fx"));
  EXPECT_EQ(entered.status, 303U);
  EXPECT_EQ(entered.header("Location"), "/admin?x");
  const std::string set = entered.header("Set-Cookie");
  EXPECT_THAT(set, HasSubstr("; HttpOnly; SameSite=Strict"));
  EXPECT_EQ(set.find("Secure"), std::string::npos);
  const std::string cookie = "Cookie: " + set.substr(0, set.find(';')) + "\r\n";
  EXPECT_EQ(parse_json(get("/admin/x", cookie).body).at("who"), "ann");
  EXPECT_EQ(ask(make("POST", "/admin/x", cookie + "Origin: http://evil.example\r\n")).status, 403U);
  EXPECT_EQ(ask(make("POST", "/admin/x", cookie + "Origin: http://localhost\r\n")).status, 200U);
  const auto as_json = ask(make("POST", "/login", "Content-Type: application/json\r\n", R"({"token":"t1 &+"})"));
  EXPECT_EQ(as_json.body, R"({"name":"ann"})");
  EXPECT_EQ(ask(make("POST", "/login", "Content-Type: application/json\r\n", R"({"token":"no"})")).status, 401U);
  EXPECT_EQ(ask(make("POST", "/login", "Origin: http://evil.example\r\n", R"({"token":"t1 &+"})")).status, 403U);
  EXPECT_THAT(ask(make("POST", "/logout", cookie)).header("Set-Cookie"), HasSubstr("Max-Age=0"));
}

TEST_F(ServerAccess, MarksTheCookieSecureBehindTls) {
  settings.auth.admin_tokens = {{"ann", "t1"}};
  settings.trusted_proxies = {"127.0.0.1"};
  start_standard();
  const auto entered = ask(make("POST", "/login", "X-Forwarded-Proto: https\r\n", R"({"token":"t1"})"));
  EXPECT_THAT(entered.header("Set-Cookie"), testing::EndsWith("; Secure"));
}

TEST_F(ServerAccess, SendsNobodyElsewhereAfterTheLogin) {
  settings.auth.admin_tokens = {{"ann", "t1"}};
  start_standard();
  for (const auto* next : {"%2F%2Fevil.example", "https%3A%2F%2Fevil.example", "%2F%5Cevil.example", "%2F%09%2Fevil.example", "", "x"}) {
    const auto entered =
        ask(make("POST", "/login", "Content-Type: application/x-www-form-urlencoded\r\n", std::string("token=t1&next=") + next));
    EXPECT_EQ(entered.header("Location"), "/") << next;
  }
}

TEST_F(ServerAccess, LimitsGuesses) {
  settings.auth.admin_tokens = {{"ann", "t1"}};
  start_standard();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(ask(make("POST", "/login", {}, R"({"token":"no"})")).status, 401U);
  const auto refused = ask(make("POST", "/login", {}, R"({"token":"t1"})"));
  EXPECT_EQ(refused.status, 429U);
  EXPECT_EQ(refused.header("Retry-After"), "1");
}

TEST_F(ServerAccess, KeepsAdminPathsOnTheirOwnPort) {
  settings.auth.open = true;
  // A port of the dynamic range that is free right now.
  boost::asio::io_context io;
  settings.admin_port = tcp::acceptor(io, {boost::asio::ip::make_address("127.0.0.1"), 0}).local_endpoint().port();
  start_standard();
  for (const auto* path : {"/admin/x", "/docs", "/metrics", "/openapi.json", "/login", "/%61dmin/x"}) {
    EXPECT_EQ(get(path).status, 404U) << path;
    EXPECT_EQ(RawClient(server->admin_port()).ask(make("GET", path)).status, 200U) << path;
  }
  EXPECT_EQ(ask(make("DELETE", "/admin/x")).status, 404U);
  for (const auto* path : {"/", "/health", "/readiness", "/states"}) EXPECT_EQ(get(path).status, 200U) << path;
}

}  // namespace
}  // namespace loquat::http::test
