#include "http/auth.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "http/proxies.h"
#include "http/response_head.h"

namespace loquat::http {
namespace {

using Lines = std::vector<std::pair<std::string, std::string>>;

Request make_request(const Lines& lines) {
  Request request;
  for (const auto& [name, value] : lines) request.headers.add(name, value);
  return request;
}

ServerSettings with_tokens() {
  ServerSettings settings;
  settings.host = "0.0.0.0";
  settings.auth.admin_tokens = {{"admin", "first token"}, {"ann", "second token"}};
  settings.auth.service_token = "service token";
  settings.cors_origins = {"https://Panel.example:443/"};
  return settings;
}

/// "name", "name (service)", or the error's code as a number.
std::string who(const Authenticator& authenticator, const Lines& lines, std::string_view pattern = "/admin/intents",
                Method method = Method::get) {
  try {
    auto request = make_request(lines);
    request.method = method;
    const auto principal = authenticator.authenticate(request, pattern);
    return principal.name + (principal.is_service ? " (service)" : "");
  } catch (const Error& error) {
    return error.code() == Code::unauthenticated ? "401" : error.code() == Code::forbidden ? "403" : "?";
  }
}

TEST(Authenticator, KnowsBearerTokens) {
  const Authenticator authenticator(with_tokens());
  EXPECT_EQ(who(authenticator, {{"Authorization", "Bearer first token"}}), "admin");
  EXPECT_EQ(who(authenticator, {{"Authorization", "bearer  second token "}}), "ann");
  EXPECT_EQ(who(authenticator, {{"Authorization", "Bearer service token"}}, "/states/{thread_id}"), "service (service)");
  EXPECT_EQ(who(authenticator, {{"Authorization", "Bearer service token"}}, "/integrations"), "service (service)");
  EXPECT_EQ(who(authenticator, {{"Authorization", "Bearer service token"}}, "/integrations-of-others"), "403");
  EXPECT_EQ(who(authenticator, {{"Authorization", "Bearer service token"}}), "403");
  EXPECT_EQ(who(authenticator, {}), "401");
  for (const auto* wrong :
       {"Bearer", "Bearer ", "Bearer first", "Bearer first token2", "Basic first token", "first token", "Bearer FIRST TOKEN"}) {
    EXPECT_EQ(who(authenticator, {{"Authorization", wrong}}), "401") << wrong;
  }
}

TEST(Authenticator, KnowsItsSessionsUntilTheyEndOrTheTokenChanges) {
  const Authenticator authenticator(with_tokens());
  const Time start = now();
  const auto session = authenticator.make_session("second token", start);
  ASSERT_TRUE(session);
  EXPECT_EQ(session->name, "ann");
  EXPECT_FALSE(authenticator.make_session("service token", start));
  EXPECT_FALSE(authenticator.make_session("", start));
  EXPECT_EQ(authenticator.check_session(session->cookie, start), "ann");
  EXPECT_EQ(authenticator.check_session(session->cookie, start + Authenticator::session_time + std::chrono::seconds(1)), std::nullopt);
  EXPECT_EQ(Authenticator(with_tokens()).check_session(session->cookie, start), "ann") << "another process";
  auto changed = with_tokens();
  changed.auth.admin_tokens.at(1).second = "third token";
  EXPECT_EQ(Authenticator(changed).check_session(session->cookie, start), std::nullopt);
  auto renamed = with_tokens();
  renamed.auth.admin_tokens.at(1).first = "bob";
  EXPECT_EQ(Authenticator(renamed).check_session(session->cookie, start), std::nullopt);
  for (std::size_t i = 0; i < session->cookie.size(); ++i) {
    auto forged = session->cookie;
    forged[i] = forged[i] == '1' ? '2' : '1';
    EXPECT_EQ(authenticator.check_session(forged, start), std::nullopt) << i;
  }
  for (const auto* nothing : {"", ".", "..", "a.b.c", "616e6e.99999999999."})
    EXPECT_EQ(authenticator.check_session(nothing, start), std::nullopt);
}

TEST(Authenticator, TakesSessionsFromOwnPagesOnly) {
  const Authenticator authenticator(with_tokens());
  const std::string cookie = "x=y; loquat_session=" + authenticator.make_session("first token", now())->cookie;
  const auto with = [&](Lines lines) {
    lines.insert(lines.begin(), {{"Host", "bot.example"}, {"Cookie", cookie}});
    return who(authenticator, lines);
  };
  EXPECT_EQ(with({}), "admin");
  EXPECT_EQ(with({{"Origin", "https://bot.example"}}), "admin");
  EXPECT_EQ(with({{"Origin", "https://panel.example"}, {"Sec-Fetch-Site", "cross-site"}}), "admin");
  EXPECT_EQ(with({{"Sec-Fetch-Site", "same-origin"}}), "admin");
  EXPECT_EQ(with({{"Sec-Fetch-Site", "none"}}), "admin");
  EXPECT_EQ(with({{"Origin", "https://evil.example"}}), "403");
  EXPECT_EQ(with({{"Origin", "null"}}), "403");
  EXPECT_EQ(with({{"Origin", "https://bot.example.evil"}}), "403");
  EXPECT_EQ(with({{"Origin", "https://bot.example:8443"}}), "403");
  EXPECT_EQ(with({{"Sec-Fetch-Site", "same-site"}}), "403");
  EXPECT_EQ(with({{"Sec-Fetch-Site", "cross-site"}}), "403");
}

TEST(Authenticator, ALinkToADownloadCountsByThePageItIsOn) {
  const Authenticator authenticator(with_tokens());
  const std::string cookie = "loquat_session=" + authenticator.make_session("first token", now())->cookie;
  const auto with = [&](Lines lines, Method method = Method::get) {
    lines.insert(lines.begin(), {{"Host", "bot.example"}, {"Cookie", cookie}, {"Sec-Fetch-Site", "cross-site"}});
    return who(authenticator, lines, "/admin/bots/default/export", method);
  };
  EXPECT_EQ(with({{"Referer", "https://panel.example/admin/settings?tab=data"}}), "admin");
  EXPECT_EQ(with({{"Referer", "https://panel.example"}}, Method::head), "admin");
  EXPECT_EQ(with({{"Referer", "https://panel.example/"}}, Method::post), "403") << "a form posts with an Origin";
  EXPECT_EQ(with({{"Referer", "https://panel.example/"}, {"Origin", "null"}}), "403");
  for (const auto* page : {"https://evil.example/", "https://panel.example.evil/", "https://evil.example/https://panel.example/",
                           "panel.example/", "", "https://panel.example@evil.example/", "http://panel.example/"})
    EXPECT_EQ(with({{"Referer", page}}), "403") << page;
}

TEST(Authenticator, OpenOnLoopbackMeansThisMachineOnly) {
  ServerSettings settings;
  settings.auth.open = true;
  const Authenticator authenticator(settings);
  for (const auto* host : {"localhost", "LOCALHOST:8000", "127.0.0.1:8000", "127.1.2.3", "[::1]:8000"})
    EXPECT_EQ(who(authenticator, {{"Host", host}}), "anonymous") << host;
  for (const auto* host : {"evil.example", "localhost.evil.example", "192.168.1.5", "", "[::2]", "[::1", "0.0.0.0"}) {
    EXPECT_EQ(who(authenticator, {{"Host", host}}), "403") << host;
  }
  EXPECT_EQ(who(authenticator, {}), "403");
  for (const auto* name : {"Forwarded", "X-Forwarded-For", "x-forwarded-host", "X-Forwarded-Proto", "X-Real-IP", "Via"}) {
    EXPECT_EQ(who(authenticator, {{"Host", "localhost"}, {name, "127.0.0.1"}}), "403") << name;
  }
  EXPECT_EQ(who(authenticator, {{"Host", "localhost:8000"}, {"Origin", "http://localhost:8000"}}), "anonymous");
  EXPECT_EQ(who(authenticator, {{"Host", "localhost:8000"}, {"Origin", "http://localhost:3000"}}), "anonymous") << "a loopback origin";
  EXPECT_EQ(who(authenticator, {{"Host", "localhost:8000"}, {"Origin", "http://evil.example"}}), "403");
  EXPECT_EQ(who(authenticator, {{"Host", "localhost:8000"}, {"Origin", "http://localhost:3000@evil.example"}}), "403");
  EXPECT_EQ(who(authenticator, {{"Host", "localhost:8000"}, {"Sec-Fetch-Site", "cross-site"}}), "403");
  EXPECT_EQ(who(authenticator, {{"Host", "localhost:8000"}, {"Sec-Fetch-Site", "cross-site"}, {"Referer", "http://127.0.0.1:3000/admin"}}),
            "anonymous");
  EXPECT_EQ(who(authenticator, {{"Host", "localhost"}, {"Authorization", "Bearer from before"}}), "anonymous");
}

TEST(Authenticator, OpenElsewhereAnswersToNamesThatNoSiteCanHave) {
  ServerSettings settings;
  settings.host = "0.0.0.0";
  settings.auth.open = true;
  settings.auth.service_token = "service token";
  settings.cors_origins = {"*", "https://bot.lan:8443"};
  const Authenticator authenticator(settings);
  for (const auto* host : {"bot.lan", "Bot.lan:8000", "localhost:8000", "10.1.2.3:80", "[fd00::1]:80", "loquat:8000", "loquat.chat.svc",
                           "x.y.svc.cluster.local", "bot.internal"}) {
    EXPECT_EQ(who(authenticator, {{"Host", host}}), "anonymous") << host;
  }
  for (const auto* host :
       {"evil.example", "bot.lan.evil.example", "local.evil.example", "10.1.2.3.evil.example", "evil.example.", "", "[fd00::1"}) {
    EXPECT_EQ(who(authenticator, {{"Host", host}}), "403") << host;
    EXPECT_EQ(who(authenticator, {{"Host", host}, {"Origin", "http://" + std::string(host)}, {"Sec-Fetch-Site", "same-origin"}}), "403")
        << host;
  }
  EXPECT_EQ(who(authenticator, {{"Host", "bot.lan"}, {"X-Forwarded-For", "1.2.3.4"}}), "403");
  EXPECT_EQ(who(authenticator, {{"Host", "bot.lan"}, {"Origin", "http://evil.example"}}), "403") << "* opens nothing";
  EXPECT_EQ(who(authenticator, {{"Host", "bot.lan"}, {"Authorization", "Bearer wrong"}}, "/states"), "401");
  EXPECT_EQ(who(authenticator, {{"Host", "bot.lan"}, {"Authorization", "Bearer service token"}}, "/states"), "service (service)");
}

TEST(Authenticator, TellsThisMachine) {
  const Authenticator authenticator(with_tokens());
  const auto here = *IpAddress::parse("127.0.0.1");
  EXPECT_TRUE(authenticator.is_from_this_machine(make_request({{"Host", "localhost"}}), here));
  EXPECT_TRUE(authenticator.is_from_this_machine(make_request({{"Host", "[::1]"}}), *IpAddress::parse("::1")));
  EXPECT_FALSE(authenticator.is_from_this_machine(make_request({{"Host", "localhost"}}), *IpAddress::parse("10.0.0.1")));
  EXPECT_FALSE(authenticator.is_from_this_machine(make_request({{"Host", "evil.example"}}), here));
  EXPECT_FALSE(authenticator.is_from_this_machine(make_request({{"Host", "localhost"}, {"X-Real-IP", "1.2.3.4"}}), here));
  EXPECT_FALSE(authenticator.is_from_this_machine(make_request({{"Host", "localhost"}, {"Origin", "http://evil.example"}}), here));
}

TEST(TrustedProxies, TakesTheRightMostAddressThatIsNotTheirs) {
  const std::vector<std::string> networks{"10.0.0.0/8", "fd00::/8"};
  const TrustedProxies proxies(networks);
  const auto client = [&](const std::string& peer, const Lines& lines) {
    return proxies.find_client(*IpAddress::parse(peer), make_request(lines).headers);
  };
  EXPECT_EQ(client("10.0.0.1", {}), "10.0.0.1");
  EXPECT_EQ(client("10.0.0.1", {{"X-Forwarded-For", "1.2.3.4"}}), "1.2.3.4");
  EXPECT_EQ(client("10.0.0.1", {{"X-Forwarded-For", "6.6.6.6, 1.2.3.4, 10.0.0.2"}}), "1.2.3.4");
  EXPECT_EQ(client("10.0.0.1", {{"X-Forwarded-For", "6.6.6.6"}, {"x-forwarded-for", "1.2.3.4 ,10.1.1.1"}}), "1.2.3.4");
  EXPECT_EQ(client("192.0.2.1", {{"X-Forwarded-For", "1.2.3.4"}}), "192.0.2.1");
  EXPECT_EQ(client("10.0.0.1", {{"X-Forwarded-For", "10.0.0.9, 10.0.0.8"}}), "10.0.0.9");
  EXPECT_EQ(client("10.0.0.1", {{"X-Forwarded-For", "1.2.3.4, unknown, 10.0.0.2"}}), "10.0.0.2");
  EXPECT_EQ(client("fd00::1", {{"X-Forwarded-For", "[2001:db8::7]:443"}}), "2001:db8::7");
  EXPECT_EQ(client("fd00::1", {{"X-Forwarded-For", "2001:db8::7, ::ffff:10.0.0.1"}}), "2001:db8::7");
  EXPECT_EQ(client("10.0.0.1", {{"X-Forwarded-For", "1.2.3.4:5678"}}), "1.2.3.4");
}

TEST(Cors, AnswersPreflightsOfNamedOrigins) {
  const std::vector<std::string> listed{"https://panel.example"};
  const Origins origins(listed, false);
  auto request = make_request(
      {{"Origin", "https://panel.example"}, {"Access-Control-Request-Method", "PUT"}, {"Access-Control-Request-Headers", "x-a, If-Match"}});
  request.method = Method::options;
  auto answer = answer_preflight(request, origins);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200U);
  EXPECT_EQ(answer->headers.get("Access-Control-Allow-Headers"), "x-a, If-Match");
  add_cors_headers(*answer, request.headers, origins);
  EXPECT_EQ(answer->headers.get("Access-Control-Allow-Origin"), "https://panel.example");
  EXPECT_EQ(answer->headers.get("Access-Control-Allow-Credentials"), "true");
  EXPECT_EQ(answer->headers.get("Vary"), "Origin");

  auto other = make_request({{"Origin", "https://evil.example"}, {"Access-Control-Request-Method", "PUT"}});
  other.method = Method::options;
  answer = answer_preflight(other, origins);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 400U);
  add_cors_headers(*answer, other.headers, origins);
  EXPECT_FALSE(answer->headers.find("Access-Control-Allow-Origin"));
  request.method = Method::get;
  EXPECT_FALSE(answer_preflight(request, origins));
  EXPECT_FALSE(answer_preflight(other, Origins({}, false))) << "no CORS at all: 405 by the router";
}

TEST(Cors, NeverGivesCredentialsToAnybody) {
  const std::vector<std::string> listed{"*", "https://panel.example"};
  const Origins origins(listed, false);
  Response response;
  add_cors_headers(response, make_request({{"Origin", "https://evil.example"}}).headers, origins);
  EXPECT_EQ(response.headers.get("Access-Control-Allow-Origin"), "*");
  EXPECT_FALSE(response.headers.find("Access-Control-Allow-Credentials"));
  Response named;
  add_cors_headers(named, make_request({{"Origin", "https://panel.example"}}).headers, origins);
  EXPECT_EQ(named.headers.get("Access-Control-Allow-Origin"), "https://panel.example");
  EXPECT_EQ(named.headers.get("Vary"), "Origin");
}

TEST(ResponseHead, CannotBeSplitByAValue) {
  Response response = Response::text("x");
  response.headers.add("Location", "/a\r\nSet-Cookie: b");
  response.headers.add("content-length", "99");
  response.headers.add("Connection", "upgrade");
  std::string out;
  append_head(out, response, {.date = "D", .request_id = "r"});
  EXPECT_EQ(out,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nLocation: /a  Set-Cookie: b\r\nContent-Length: 1\r\n"
            "X-Content-Type-Options: nosniff\r\nX-Request-ID: r\r\nDate: D\r\n\r\n");
  EXPECT_EQ(make_http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(make_http_date(1'798'761'599), "Thu, 31 Dec 2026 23:59:59 GMT");
}

}  // namespace
}  // namespace loquat::http
