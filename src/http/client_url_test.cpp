#include "http/client_url.h"

#include <gtest/gtest.h>

#include "http/address_policy.h"

namespace loquat::http {
namespace {

TEST(HostKey, IsSchemeHostAndPort) {
  EXPECT_EQ(host_key("HTTP://User:pw@Example.ORG:8080/Path?x=@y"), "http://example.org:8080");
  EXPECT_EQ(host_key("https://example.org?x"), "https://example.org");
  EXPECT_EQ(host_key("http://[::1]:80/"), "http://[::1]:80");
  for (const auto* none : {"", "example.org", "ftp://example.org/", "http:///x", "http://user@/", "javascript:alert(1)"})
    EXPECT_EQ(host_key(none), "") << none;
}

TEST(LoopbackUrl, IsThisMachineByName) {
  for (const auto* url :
       {"http://localhost/", "http://LOCALHOST:80", "https://127.0.0.1:8000/x", "http://u:p@127.9.9.9/", "http://[::1]:1/"}) {
    EXPECT_TRUE(is_loopback_url(url)) << url;
  }
  for (const auto* url :
       {"http://localhost.example.org/", "http://127.example.org/", "http://128.0.0.1/", "http://[2001:db8::1]/", "nonsense", ""}) {
    EXPECT_FALSE(is_loopback_url(url)) << url;
  }
}

ClientRequest make_post(std::string url) {
  ClientRequest request;
  request.method = "POST";
  request.url = std::move(url);
  request.body = "{}";
  request.headers.add("Authorization", "Bearer x");
  request.headers.add("Content-Type", "application/json");
  request.headers.add("X-Key", "1");
  return request;
}

ClientResponse make_answer(unsigned status, std::string location) {
  ClientResponse response;
  response.status = status;
  if (!location.empty()) response.headers.add("Location", std::move(location));
  return response;
}

struct RedirectCase {
  const char* from;
  unsigned status;
  const char* location;
  const char* url;  ///< empty: no redirect
  const char* method;
  std::size_t headers;
};

TEST(Redirect, FollowsTheTable) {
  const std::vector<RedirectCase> cases{
      {"http://a/x/y?z=1", 302, "w", "http://a/x/w", "GET", 2},
      {"http://a/x/y", 301, "/w?q=1#f", "http://a/w?q=1", "GET", 2},
      {"http://a/x", 303, "?q", "http://a/x?q", "GET", 2},
      {"http://a/x", 307, "/w", "http://a/w", "POST", 3},
      {"http://a/x", 308, "http://a:80/w", "http://a:80/w", "POST", 3},
      {"http://a/x", 307, "HTTP://A/w", "http://A/w", "POST", 3},
      {"http://a/x", 307, "http://b/w", "http://b/w", "POST", 1},
      {"http://a/x", 307, "//b/w", "http://b/w", "POST", 1},
      {"http://a/x", 307, "https://a/w", "https://a/w", "POST", 1},
      {"http://a/x", 307, "http://a:8080/w", "http://a:8080/w", "POST", 1},
      {"http://a/x", 302, "http://b/w", "http://b/w", "GET", 0},
      {"http://u:p@a/x", 307, "/w", "http://u:p@a/w", "POST", 3},
      {"http://u:p@a/x", 307, "http://v:q@a/w", "http://u:p@a/w", "POST", 3},
      {"http://u:p@a/x", 307, "http://b/w", "http://b/w", "POST", 1},
      {"http://a/x", 307, "http://v:q@b/w", "http://b/w", "POST", 1},
      {"http://a/x", 302, "/with blank", "http://a/with%20blank", "GET", 2},
      {"http://a/x", 302, "", "", "", 0},
      {"http://a/x", 302, "file:///etc/passwd", "", "", 0},
      {"http://a/x", 302, "ftp://a/", "", "", 0},
      {"http://a/x", 304, "/w", "", "", 0},
      {"http://a/x", 200, "/w", "", "", 0},
      {"http://a/x", 300, "/w", "", "", 0},
  };
  for (const auto& c : cases) {
    const auto next = make_redirect(make_post(c.from), make_answer(c.status, c.location));
    ASSERT_EQ(next.has_value(), *c.url != '\0') << c.from << " " << c.status << " " << c.location;
    if (!next) continue;
    EXPECT_EQ(next->url, c.url);
    EXPECT_EQ(next->method, c.method) << c.location;
    EXPECT_EQ(next->headers.all().size(), c.headers) << c.from << " " << c.status << " " << c.location;
    EXPECT_EQ(next->body, next->method == "GET" ? "" : "{}");
  }
}

TEST(Redirect, TakesToAnotherOriginWhatNamesNobody) {
  for (const unsigned status : {301U, 302U, 303U, 307U, 308U}) {
    auto request = make_post("http://a/x");
    for (const auto* name : {"Cookie", "Proxy-Authorization", "User-Agent", "X-Idempotency-Key", "idempotency-key", "ACCEPT"}) {
      request.headers.add(name, "v");
    }
    const bool stays = status >= 307;
    for (const auto* location : {"https://a/x", "http://b/x", "http://a:81/x"}) {
      const auto next = make_redirect(request, make_answer(status, location));
      ASSERT_TRUE(next);
      EXPECT_EQ(next->method, stays ? "POST" : "GET");
      EXPECT_EQ(next->headers.get("Idempotency-Key"), "v");
      EXPECT_EQ(next->headers.get("Accept"), "v");
      EXPECT_EQ(next->headers.find("Content-Type").has_value(), stays);
      EXPECT_EQ(next->headers.all().size(), stays ? 3U : 2U) << status << " " << location;
    }
  }
}

TEST(Redirect, KeepsTheMethodsThatStay) {
  ClientRequest request;
  request.url = "http://a/";
  for (const auto* method : {"GET", "HEAD"}) {
    request.method = method;
    EXPECT_EQ(make_redirect(request, make_answer(303, "/w"))->method, method);
  }
  request.method = "DELETE";
  EXPECT_EQ(make_redirect(request, make_answer(302, "/w"))->method, "DELETE");
  EXPECT_EQ(make_redirect(request, make_answer(303, "/w"))->method, "GET");
}

TEST(LiteralAddress, IsFoundInEverySpelling) {
  EXPECT_EQ(find_literal_address("http://127.1/")->to_string(), "127.0.0.1");
  EXPECT_EQ(find_literal_address("http://0x7f000001:80/")->to_string(), "127.0.0.1");
  EXPECT_EQ(find_literal_address("http://[fe80::1]/")->to_string(), "fe80::1");
  EXPECT_FALSE(find_literal_address("http://example.org/"));
  EXPECT_FALSE(find_literal_address("nonsense"));
}

TEST(KeepAlive, IsReadFromTheHeader) {
  Headers headers;
  EXPECT_FALSE(find_keep_alive(headers));
  headers.set("Keep-Alive", "max=100, timeout=5");
  EXPECT_EQ(find_keep_alive(headers), std::chrono::seconds(5));
  headers.set("Keep-Alive", "timeout=x");
  EXPECT_FALSE(find_keep_alive(headers));
}

TEST(AddressPolicy, AllowsPublicAddressesAndTheExceptions) {
  const AddressPolicy policy{.public_only = true, .allowed = {"10.1.0.0/16", "nonsense"}};
  EXPECT_TRUE(is_allowed(policy, *IpAddress::parse("8.8.8.8")));
  EXPECT_TRUE(is_allowed(policy, *IpAddress::parse("10.1.2.3")));
  EXPECT_TRUE(is_allowed(policy, *IpAddress::parse("::ffff:10.1.2.3")));
  EXPECT_FALSE(is_allowed(policy, *IpAddress::parse("10.2.0.1")));
  EXPECT_FALSE(is_allowed(policy, *IpAddress::parse("64:ff9b::10.1.2.3")));
  EXPECT_TRUE(is_allowed({}, *IpAddress::parse("127.0.0.1")));
}

}  // namespace
}  // namespace loquat::http
