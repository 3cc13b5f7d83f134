#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "http/client_fixture.h"
#include "http/client_test_server.h"

namespace loquat::http {
namespace {

using test::ClientTest;
using test::make_answer;
using test::make_request;
using test::Server;
using testing::HasSubstr;
using testing::Not;

TEST_F(ClientTest, FollowsRedirectsOnlyWhenAsked) {
  Server server(Server::answering([](const std::string& request) {
    if (request.starts_with("GET /end")) return make_answer("end");
    return make_answer("moved", "Location: end?x=1#y\r\n", "302 Found");
  }));
  EXPECT_EQ(get(server.url("/a/b")).status, 302U);
  auto request = make_request("GET", server.url("/b"));
  request.max_redirects = 1;
  EXPECT_EQ(send(request).body, "end");
  Server circle(Server::answering([](const std::string&) { return make_answer("", "Location: /\r\n", "307 Temporary Redirect"); }));
  request.url = circle.url();
  request.max_redirects = 5;
  EXPECT_EQ(send(request).status, 307U);
}

TEST_F(ClientTest, DropsTheHeadersAcrossOrigins) {
  Server other(Server::answering([](const std::string& request) { return make_answer(request); }));
  Server server(Server::answering([&other](const std::string& request) {
    if (request.find(" /same ") != std::string::npos) return make_answer("", "Location: /there\r\n", "308 Permanent Redirect");
    if (request.find(" /there ") != std::string::npos) return make_answer(request);
    return make_answer("", "Location: http://user:password@127.0.0.1:" + std::to_string(other.port()) + "/x\r\n", "307 Temporary Redirect");
  }));
  auto request = make_request("POST", "http://me:mine@127.0.0.1:" + std::to_string(server.port()) + "/same", "{}");
  request.headers.add("Authorization", "Bearer secret");
  request.headers.add("Content-Type", "application/json");
  request.max_redirects = 5;
  const auto same = send(request).body;
  EXPECT_THAT(same, HasSubstr("Bearer secret"));
  request.url = "http://me:mine@127.0.0.1:" + std::to_string(server.port()) + "/other";
  const auto crossed = send(request).body;
  EXPECT_THAT(crossed, testing::StartsWith("POST /x HTTP/1.1\r\n"));
  EXPECT_THAT(crossed, HasSubstr("Content-Type: application/json"));
  EXPECT_THAT(crossed, testing::EndsWith("{}"));
  EXPECT_THAT(crossed, Not(HasSubstr("Authorization")));
}

TEST_F(ClientTest, ChecksTheAddressAtConnect) {
  Server server(Server::answering([](const std::string&) { return make_answer("ok"); }));
  AddressPolicy policy{.public_only = true, .allowed = {}};
  auto request = make_request("GET", server.url());
  request.addresses = &policy;
  for (const auto& host : {"127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.0.0.1", "0", "[::ffff:127.0.0.1]", "[::1]"}) {
    request.url = server.url("/", host);
    const auto response = send(request);
    EXPECT_EQ(response.failure, Failure::not_sent) << host;
    EXPECT_EQ(response.error, "the address is not allowed") << host;
  }
  EXPECT_EQ(server.connections(), 0);
  // A kept connection of a request that may go anywhere is not for one that may not.
  EXPECT_EQ(get(server.url()).body, "ok");
  request.url = server.url();
  EXPECT_EQ(send(request).error, "the address is not allowed");
  policy.allowed = {"127.0.0.0/8"};
  EXPECT_EQ(send(request).body, "ok");
}

TEST_F(ClientTest, ChecksTheAddressOfEveryRedirect) {
  Server inside(Server::answering([](const std::string&) { return make_answer("secret"); }), "127.0.0.2");
  Server server(Server::answering([&inside](const std::string&) {
    return make_answer("", "Location: http://127.0.0.2:" + std::to_string(inside.port()) + "/\r\n", "302 Found");
  }));
  const AddressPolicy policy{.public_only = true, .allowed = {"127.0.0.1/32"}};
  auto request = make_request("GET", server.url());
  request.addresses = &policy;
  request.max_redirects = 5;
  EXPECT_EQ(send(request).error, "the address is not allowed");
  EXPECT_EQ(inside.connections(), 0);
}

TEST_F(ClientTest, GoesThroughTheGivenProxy) {
  Server proxy(Server::answering([](const std::string& request) { return make_answer(request); }));
  const AddressPolicy policy{.public_only = true, .allowed = {}};
  auto request = make_request("GET", "http://example.test/path");
  request.proxy = proxy.url();
  request.addresses = &policy;
  EXPECT_THAT(send(request).body, testing::StartsWith("GET http://example.test/path HTTP/1.1\r\n"));
  request.url = "http://10.0.0.1/";
  EXPECT_EQ(send(request).error, "the address is not allowed");
  request.url = "https://example.test/";
  EXPECT_EQ(send(request).failure, Failure::not_sent);  // the proxy answers CONNECT, but not in TLS
}

TEST_F(ClientTest, TakesTheProxyOfTheEnvironment) {
  Server proxy(Server::answering([](const std::string& request) { return make_answer(request); }));
  Server server(Server::answering([](const std::string&) { return make_answer("direct"); }));
  ::setenv("http_proxy", proxy.url().c_str(), 1);
  EXPECT_THAT(get("http://example.test/path").body, testing::StartsWith("GET http://example.test/path HTTP/1.1\r\n"));
  EXPECT_EQ(get(server.url()).body, "direct");
  auto request = make_request("GET", "http://no-such-host.invalid/");
  request.use_environment_proxy = false;
  EXPECT_EQ(send(request).failure, Failure::not_sent);
  const AddressPolicy policy{.public_only = true, .allowed = {}};
  request.use_environment_proxy = true;
  request.addresses = &policy;
  EXPECT_EQ(send(request).failure, Failure::not_sent);
  ::unsetenv("http_proxy");
}

}  // namespace
}  // namespace loquat::http
