#include "integrations/secrets.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace loquat::integrations {
namespace {

constexpr std::string_view key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
constexpr std::string_view other_key = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";

json::object object(std::string_view text) { return parse_json(text).get_object(); }
std::string text(const json::object& settings) { return to_json(json::value(settings)); }

constexpr std::string_view settings =
    R"({"verify":"v","secret":"s","empty_token":"","pages":[{"page_id":"1","page_access_token":"t1"},{"page_id":2,"page_access_token":"t2"}],)"
    R"("api_keys":{"a":"k","n":5},"deep":[{"my_password_x":["p",""]}]})";

std::string restored(std::string_view sent, std::string_view stored) {
  auto out = object(sent);
  schema::Issues issues;
  restore_secrets(out, object(stored), {"body", "settings"}, issues);
  return issues.empty() ? text(out) : to_json(issues.all().front().loc);
}

TEST(Secrets, AreMaskedAtAnyDepth) {
  EXPECT_EQ(
      text(mask_settings(object(settings))),
      R"({"verify":"v","secret":"••••••••","empty_token":"","pages":[{"page_id":"1","page_access_token":"••••••••"},)"
      R"({"page_id":2,"page_access_token":"••••••••"}],"api_keys":{"a":"••••••••","n":5},"deep":[{"my_password_x":["••••••••",""]}]})");
}

TEST(Secrets, AMaskAloneMeansUnchanged) {
  EXPECT_EQ(restored(text(mask_settings(object(settings))), settings), settings);
  EXPECT_EQ(restored(R"({"secret":"new"})", settings), R"({"secret":"new"})");
  EXPECT_EQ(restored(R"({"secret":""})", settings), R"({"secret":""})");
  EXPECT_EQ(restored(R"({"empty_token":"••••••••"})", settings), R"({"empty_token":""})");
}

TEST(Secrets, ItemsThatCannotBeToldApartStayWhereTheyStood) {
  const auto same = [](std::string_view stored) { EXPECT_EQ(restored(text(mask_settings(object(stored))), stored), stored); };
  constexpr std::string_view names = R"({"x":[{"name":"n","api_key":"1"},{"name":"n","api_key":"2"}]})";
  same(names);
  same(R"({"pages":[{"page_id":"1","page_access_token":"a"},{"page_id":"1","page_access_token":"b"}]})");
  same(R"({"pages":[{"page_id":"1","page_access_token":"a"},{"page_id":1,"page_access_token":"b"}]})");
  same(R"({"api_keys":[{"name":"a","value":"1"},{"name":"b","value":"2"}]})");
  same(R"({"api_keys":[{"name":"a","value":"1"}]})");
  same(R"({"my_secret":{"pages":[{"page_id":"1"},{"page_id":"2"}]}})");
  EXPECT_EQ(restored(R"({"x":[{"name":"n","api_key":"new"},{"name":"n","api_key":"••••••••"}]})", names),
            R"({"x":[{"name":"n","api_key":"new"},{"name":"n","api_key":"2"}]})");
  for (const auto* sent :
       {R"({"x":[{"name":"n","api_key":"••••••••"}]})", R"({"x":[{"name":"n","api_key":"••••••••","more":1},{"name":"n","api_key":"3"}]})",
        R"({"x":[{"name":"n","api_key":"••••••••"},{"name":"m","api_key":"3"}]})",
        R"({"x":[{"name":"n","api_key":"••••••••"},{"name":"n","api_key":"3"},{"name":"n","api_key":"4"}]})"}) {
    EXPECT_EQ(restored(sent, names), R"(["body","settings","x",0,"api_key"])") << sent;
  }
  EXPECT_EQ(restored(R"({"pages":[{"page_id":"1","page_access_token":"••••••••"},{"page_id":"1","page_access_token":"c"}]})",
                     R"({"pages":[{"page_id":"1","page_access_token":"a"}]})"),
            R"(["body","settings","pages",0,"page_access_token"])");
}

TEST(Secrets, PagesAreMatchedByTheirIds) {
  EXPECT_EQ(
      restored(
          R"({"pages":[{"page_id":"2","page_access_token":"••••••••"},{"page_id":"3","page_access_token":"x"},{"page_id":1,"page_access_token":"••••••••"}]})",
          settings),
      R"({"pages":[{"page_id":"2","page_access_token":"t2"},{"page_id":"3","page_access_token":"x"},{"page_id":1,"page_access_token":"t1"}]})");
  EXPECT_EQ(restored(R"({"pages":[{"page_id":"3","page_access_token":"••••••••"}]})", settings),
            R"(["body","settings","pages",0,"page_access_token"])");
  EXPECT_EQ(restored(R"({"pages":[{"page_access_token":"••••••••"}]})", settings), R"(["body","settings","pages",0,"page_access_token"])");
}

TEST(Secrets, ItemsOfOtherListsAreMatchedByNameOrPlace) {
  constexpr auto stored = R"({"l":[{"name":"a","api_key":"1"},{"name":"b","api_key":"2"}],"tokens_secret":["x","y"]})";
  EXPECT_EQ(restored(R"({"l":[{"name":"b","api_key":"••••••••"}]})", stored), R"({"l":[{"name":"b","api_key":"2"}]})");
  EXPECT_EQ(restored(R"({"tokens_secret":["••••••••","z"]})", stored), R"({"tokens_secret":["x","z"]})");
  EXPECT_EQ(restored(R"({"tokens_secret":["••••••••"]})", stored), R"(["body","settings","tokens_secret",0])");
}

TEST(Secrets, EverythingElseWithAMaskCharacterIsRefused) {
  for (const auto* sent : {R"({"secret":"••••••••x"})", R"({"secret":"•"})", R"({"secret":"•••••••••"})", R"({"secret":"a•b"})"}) {
    EXPECT_EQ(restored(sent, settings), R"(["body","settings","secret"])") << sent;
  }
  EXPECT_EQ(restored(R"({"new_token":"••••••••"})", settings), R"(["body","settings","new_token"])");
  EXPECT_EQ(restored(R"({"secret":"enc:v1:0123abcd:AAAA"})", settings), R"(["body","settings","secret"])");
  EXPECT_EQ(restored(R"({"greeting":"• hello"})", settings), R"({"greeting":"• hello"})");
}

TEST(Secrets, AreSealedForTheirPlaceOnly) {
  const crypto::Keyring keys(key);
  const auto sealed = seal_settings("facebook", object(settings), keys);
  EXPECT_TRUE(crypto::Keyring::is_sealed(as_view(sealed.at("secret").as_string())));
  EXPECT_EQ(sealed.at("verify"), "v");
  EXPECT_EQ(sealed.at("empty_token"), "");
  EXPECT_EQ(text(sealed).find("t1"), std::string::npos);
  EXPECT_EQ(text(open_settings("facebook", sealed, keys)), settings);
  EXPECT_THROW(std::ignore = open_settings("other", sealed, keys), Error);
  EXPECT_THROW(std::ignore = open_settings("facebook", sealed, crypto::Keyring(other_key)), Error);
  EXPECT_THROW(std::ignore = open_settings("facebook", sealed, crypto::Keyring()), Error);
  auto moved = sealed;
  moved["other_secret"] = moved["secret"];
  EXPECT_THROW(std::ignore = open_settings("facebook", moved, keys), Error);
  EXPECT_EQ(text(open_settings("facebook", object(settings), keys)), settings) << "what was stored before there was a key";
}

TEST(Secrets, RotateToTheFirstKey) {
  const crypto::Keyring old(key);
  const crypto::Keyring both(std::string(other_key) + "," + std::string(key));
  const auto sealed = seal_settings("a", object(settings), old);
  EXPECT_FALSE(needs_rotation(sealed, old));
  EXPECT_TRUE(needs_rotation(sealed, both));
  EXPECT_TRUE(needs_rotation(object(settings), old));
  EXPECT_FALSE(needs_rotation(object(settings), crypto::Keyring()));
  const auto again = seal_settings("a", open_settings("a", sealed, both), both);
  EXPECT_EQ(text(open_settings("a", again, crypto::Keyring(other_key))), settings);
}

}  // namespace
}  // namespace loquat::integrations
