#include "dialogue/api_url.h"

#include <gtest/gtest.h>

namespace loquat::dialogue {
namespace {

std::string check(std::string_view url, std::string_view open_host = {}, bool has_values = false) {
  const auto checked = check_url(url, open_host, has_values);
  return checked ? *checked : "! " + checked.error();
}

TEST(ApiUrl, the_host_stays_the_authors) {
  EXPECT_EQ(find_open_host("http://api.test/{{x}}"), "");
  EXPECT_EQ(find_open_host("http://api.test?q={{x}}"), "");
  EXPECT_EQ(find_open_host("http://api.test/plain"), "");
  EXPECT_EQ(find_open_host("http://api.test"), "");
  EXPECT_EQ(find_open_host(" http://api.test{{x}}/a"), "api.test");
  EXPECT_EQ(find_open_host("http://api.test:{% if x %}80{% endif %}"), "api.test:");
  EXPECT_EQ(find_open_host("http://{{x}}/a"), "");
  EXPECT_EQ(find_open_host("{{x}}"), "");
  EXPECT_EQ(check("http://api.test.evil.com/a", "api.test", true), "! a value would change the URL's host");
  EXPECT_EQ(check("http://api.test%40evil.com/a", "api.test", true), "! a value would change the URL's host");
  EXPECT_EQ(check("http://api.test/a", "api.test", true), "http://api.test/a");
  EXPECT_EQ(check("http://api.test:8080/a", "api.test:", true), "http://api.test:8080/a");
  EXPECT_EQ(check("http://api.test:80.evil/a", "api.test:", true), "! a value would change the URL's host");
}

TEST(ApiUrl, no_climbing_out) {
  EXPECT_EQ(check("http://a/users/../admin", "", true), "! a value would change the URL's path");
  EXPECT_EQ(check("http://a/users/..", "", true), "! a value would change the URL's path");
  EXPECT_EQ(check("http://a/users/.?x", "", true), "! a value would change the URL's path");
  EXPECT_EQ(check("http://a/users/..a/?x=..", "", true), "http://a/users/..a/?x=..");
  EXPECT_EQ(check("http://a/users/../b", "", false), "http://a/users/../b");
}

TEST(ApiUrl, what_no_url_has_is_encoded) {
  EXPECT_EQ(check("  HTTPS://a/b c?d=é|\"{}\n"), "HTTPS://a/b%20c?d=%C3%A9%7C%22%7B%7D");
  EXPECT_EQ(check("http://a/%20"), "http://a/%20");
}

TEST(ApiUrl, refused) {
  EXPECT_EQ(check(""), "! the URL is empty");
  EXPECT_EQ(check(" \n"), "! the URL is empty");
  EXPECT_EQ(check("api.test/x"), "! the URL is no http or https URL");
  EXPECT_EQ(check("file:///etc/passwd"), "! the URL is no http or https URL");
  EXPECT_EQ(check("gopher://a/"), "! the URL is no http or https URL");
  EXPECT_EQ(check("http:///x"), "! the URL has no proper host");
  EXPECT_EQ(check("http://a b/"), "! the URL has no proper host");
  EXPECT_EQ(check("http://a/\r\nHost: b"), "! the URL has a control character");
}

TEST(ApiUrl, query) {
  EXPECT_EQ(add_query("http://a", {}), "http://a");
  EXPECT_EQ(add_query("http://a", {{"q", "1 &é"}}), "http://a?q=1%20%26%C3%A9");
  EXPECT_EQ(add_query("http://a?x=1#frag", {{"q", "2"}, {"", "3"}}), "http://a?x=1&q=2&=3");
  EXPECT_EQ(add_query("http://a?", {{"q", ""}}), "http://a?q=");
}

}  // namespace
}  // namespace loquat::dialogue
