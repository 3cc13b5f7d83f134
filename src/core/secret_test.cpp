#include "core/secret.h"

#include <gtest/gtest.h>

namespace {

namespace json = loquat::json;
using loquat::is_secret_header;
using loquat::is_secret_name;

std::string masked(std::string_view settings) { return loquat::to_json(loquat::mask_secrets(loquat::parse_json(settings))); }

TEST(Secret, NamesOfSettings) {
  for (const auto* name : {"secret", "Secret", "page_access_token", "PAGE_ACCESS_TOKEN", "app_secret", "password", "db_passwords",
                           "api_key", "openai_api_key_2"})
    EXPECT_TRUE(is_secret_name(name)) << name;
  for (const auto* name : {"verify", "secrets", "token", "tokens", "max_tokens", "secretary", "key", "", "page_id", "_tokenizer"})
    EXPECT_FALSE(is_secret_name(name)) << name;
}

TEST(Secret, NamesOfHeaders) {
  for (const auto* name :
       {"Authorization", "authorization", "Proxy-Authorization", "Cookie", "X-Api-Key", "X-Auth-Token", "Client-Secret", " Cookie "})
    EXPECT_TRUE(is_secret_header(name)) << name;
  for (const auto* name : {"Content-Type", "Accept", "X-Request-ID", "Cookies-Accepted", ""}) EXPECT_FALSE(is_secret_header(name)) << name;
}

TEST(Secret, IsMaskedAtAnyDepth) {
  EXPECT_EQ(masked(R"({"verify":"v","secret":"s","page_access_token":"","pages":[{"page_id":"1","page_access_token":"t"}],"n":1})"),
            R"({"verify":"v","secret":"••••••••","page_access_token":"","pages":[{"page_id":"1","page_access_token":"••••••••"}],"n":1})");
  EXPECT_EQ(masked(R"({"secret":{"a":"x","b":["y",5,""]},"password":null,"api_key":5})"),
            R"({"secret":{"a":"••••••••","b":["••••••••",5,""]},"password":null,"api_key":5})");
  EXPECT_EQ(masked(R"(["secret"])"), R"(["secret"])");
  EXPECT_EQ(masked("{}"), "{}");
}

TEST(Secret, TheMaskIsRecognized) {
  EXPECT_EQ(loquat::secret_mask.size(), 24U);
  EXPECT_TRUE(loquat::has_mask_character(loquat::secret_mask));
  EXPECT_TRUE(loquat::has_mask_character("a•"));
  EXPECT_FALSE(loquat::has_mask_character("a.é"));
}

}  // namespace
