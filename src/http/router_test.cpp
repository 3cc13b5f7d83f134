#include "http/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace loquat::http {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

Handler nothing() {
  return [](Request&) -> asio::awaitable<Response> { co_return Response(); };
}

class RouterTest : public testing::Test {
 protected:
  RouterTest() {
    for (const auto& [method, pattern] : std::vector<std::pair<Method, std::string>>{{Method::get, "/"},
                                                                                     {Method::get, "/integrations"},
                                                                                     {Method::post, "/integrations"},
                                                                                     {Method::get, "/integrations/{id}"},
                                                                                     {Method::put, "/integrations/{id}"},
                                                                                     {Method::post, "/integrations/ensure-defaults"},
                                                                                     {Method::get, "/states/{thread}/history"},
                                                                                     {Method::get, "/states/{thread_id}"},
                                                                                     {Method::get, "/admin/intents/"},
                                                                                     {Method::get, "/static/{path*}"},
                                                                                     {Method::get, "/a/{x}/c"},
                                                                                     {Method::get, "/a/b/{y}"}}) {
      router.add(method, pattern, {}, nothing());
    }
  }
  std::string pattern(const std::string& path, Method method = Method::get) const {
    const auto match = router.match(method, path);
    return match.route == nullptr ? "none" : match.route->pattern;
  }
  Router router;
};

TEST_F(RouterTest, FindsPatternsWithAndWithoutTheLastSlash) {
  EXPECT_EQ(pattern("/"), "/");
  EXPECT_EQ(pattern("/integrations"), "/integrations");
  EXPECT_EQ(pattern("/integrations/"), "/integrations");
  EXPECT_EQ(pattern("/admin/intents"), "/admin/intents/");
  EXPECT_EQ(pattern("/admin/intents/"), "/admin/intents/");
  EXPECT_EQ(pattern("/states/t/history/"), "/states/{thread}/history");
  for (const auto* path :
       {"", "x", "/nothing", "//", "/integrations//", "//integrations", "/states//history", "/integrations/a/b", "/admin"}) {
    EXPECT_EQ(pattern(path), "none") << path;
  }
}

TEST_F(RouterTest, PrefersLiteralsButTriesTheRest) {
  EXPECT_EQ(pattern("/integrations/ensure-defaults", Method::post), "/integrations/ensure-defaults");
  EXPECT_EQ(pattern("/integrations/ensure-defaults"), "/integrations/{id}");
  EXPECT_EQ(pattern("/a/b/c"), "/a/b/{y}");
  EXPECT_EQ(pattern("/a/z/c"), "/a/{x}/c");
  EXPECT_EQ(pattern("/a/z/d"), "none");
}

TEST_F(RouterTest, GivesParametersDecodedUnderTheRoutesOwnNames) {
  EXPECT_THAT(router.match(Method::get, "/states/a%2Fb%20c+d/history").path_parameters, ElementsAre(Pair("thread", "a/b c+d")));
  EXPECT_THAT(router.match(Method::get, "/states/x").path_parameters, ElementsAre(Pair("thread_id", "x")));
  EXPECT_THAT(router.match(Method::get, "/static/js/app.js").path_parameters, ElementsAre(Pair("path", "js/app.js")));
  EXPECT_THAT(router.match(Method::get, "/integrations/100%").path_parameters, ElementsAre(Pair("id", "100%")));
  EXPECT_THAT(router.match(Method::get, "/integrations/%zz").path_parameters, ElementsAre(Pair("id", "%zz")));
  EXPECT_EQ(pattern("/%69ntegrations"), "/integrations");
  EXPECT_EQ(pattern("/static"), "none");
}

TEST_F(RouterTest, KnowsNoNamesWithNulOrBrokenUtf8) {
  EXPECT_EQ(pattern("/integrations/a%00b"), "none");
  EXPECT_EQ(pattern("/integrations/%ff"), "none");
  EXPECT_EQ(pattern("/integrations/%C3%A4"), "/integrations/{id}");
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += "/a";
  EXPECT_EQ(pattern(deep), "none");
}

TEST_F(RouterTest, NamesTheMethodsAPathHas) {
  EXPECT_THAT(router.match(Method::trace, "/integrations").allowed, ElementsAre(Method::get, Method::post));
  EXPECT_THAT(router.match(Method::patch, "/integrations/ensure-defaults").allowed, ElementsAre(Method::post))
      << "the most specific pattern";
  EXPECT_THAT(router.match(Method::other, "/").allowed, ElementsAre(Method::get));
  EXPECT_THAT(router.match(Method::get, "/nothing").allowed, IsEmpty());
}

TEST_F(RouterTest, RefusesWiringMistakes) {
  EXPECT_THROW(router.add(Method::get, "/integrations/", {}, nothing()), std::logic_error);
  EXPECT_THROW(router.add(Method::get, "/x/{rest*}/y", {}, nothing()), std::logic_error);
  EXPECT_THROW(router.add(Method::get, "x", {}, nothing()), std::logic_error);
}

TEST(MakeOpenapi, DescribesRoutesAndTheirErrors) {
  Router router;
  Doc doc{.summary = "Read one", .tag = "integrations"};
  doc.responses = {{200, {{"type", "object"}}}};
  router.add(Method::get, "/integrations/{id}", {.doc = doc}, nothing());
  Doc create{.summary = "Create", .request_body = {{"type", "object"}}};
  create.responses = {{201, {}}};
  router.add(Method::post, "/integrations", {.doc = create}, nothing());
  router.add(Method::get, "/hidden", {.doc = {.hidden = true}}, nothing());
  router.add(Method::get, "/static/{path*}", {.access = Access::open}, nothing());
  const json::object document = make_openapi(router, "Loquat", "1.2.3", "/api");
  EXPECT_EQ(document.at("openapi"), "3.1.0");
  EXPECT_EQ(document.at("servers").as_array().at(0).at("url"), "/api");
  const auto& paths = document.at("paths").as_object();
  EXPECT_FALSE(paths.contains("/hidden"));
  const auto& read = paths.at("/integrations/{id}").at("get").as_object();
  EXPECT_EQ(read.at("operationId"), "get_integrations_id");
  EXPECT_EQ(read.at("parameters").at(0).at("name"), "id");
  EXPECT_EQ(read.at("security").at(0).as_object().count("bearer"), 1U);
  for (const auto* status : {"200", "401", "403", "404", "422", "503"})
    EXPECT_TRUE(read.at("responses").as_object().contains(status)) << status;
  const auto& post = paths.at("/integrations").at("post").as_object();
  EXPECT_EQ(post.at("responses").at("422").at("content").at("application/json").at("schema").at("$ref"),
            "#/components/schemas/HTTPValidationError");
  EXPECT_EQ(post.at("responses").at("413").at("content").at("application/json").at("schema").at("$ref"), "#/components/schemas/Error");
  EXPECT_FALSE(post.at("responses").at("201").as_object().contains("content"));
  EXPECT_TRUE(paths.contains("/static/{path}"));
  EXPECT_FALSE(paths.at("/static/{path}").at("get").as_object().contains("security"));
}

}  // namespace
}  // namespace loquat::http
