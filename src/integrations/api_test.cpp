#include "integrations/api.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/json.h"
#include "http/errors.h"
#include "integrations/memory_store.h"
#include "testing/await.h"

namespace loquat::integrations {
namespace {

using http::Method;
using http::Response;

boost::asio::awaitable<Response> call_handler(const http::Handler& handler, http::Request& request) { co_return co_await handler(request); }

/// The routes over a store in memory, called as the server does.
class IntegrationsApi : public ::testing::Test {
 protected:
  IntegrationsApi() {
    add_routes(router_, store_);
    loquat::testing::await(store_.ensure_defaults());
  }

  using Fields = std::vector<std::pair<std::string, std::string>>;
  Response send(Method method, const std::string& path, std::string body = {}, const Fields& fields = {}, bool service = false) {
    http::Request request;
    request.method = method;
    request.path = path;
    request.body = std::move(body);
    request.principal = {service ? "service" : "admin", service};
    request.headers.set("Content-Type", "application/json");
    for (const auto& [name, value] : fields) request.headers.set(name, value);
    auto match = router_.match(method, path);
    if (match.route == nullptr) return http::make_refusal(match.allowed.empty() ? 404 : 405);
    request.path_parameters = std::move(match.path_parameters);
    request.route = match.route->pattern;
    try {
      return loquat::testing::await(call_handler(match.route->handler, request));
    } catch (...) {
      return http::make_error(std::current_exception(), "test");
    }
  }
  Response get(const std::string& path, bool service = false) { return send(Method::get, path, {}, {}, service); }
  void expect(const Response& response, unsigned status, std::string_view body) {
    EXPECT_EQ(response.status, status);
    EXPECT_EQ(response.body, body);
  }

  MemoryStore store_;
  http::Router router_;
};

constexpr auto not_found = R"({"detail":"Integration not found"})";
constexpr auto facebook = R"({"id":"facebook","name":"Facebook Messenger","description":"Connect with Facebook Messenger","status":false,)"
                          R"("settings":{"verify":"ai-chatbot-framework","secret":"","page_access_token":""}})";
constexpr auto chat_widget =
    R"({"id":"chat_widget","name":"Chat Widget","description":"Add a chat widget to your website","status":true,"settings":{}})";

TEST_F(IntegrationsApi, ListsAndReads) {
  for (const auto* root : {"/integrations", "/admin/integrations", "/integrations/", "/admin/integrations/"}) {
    expect(get(root), 200, "[" + std::string(facebook) + "," + chat_widget + "]");
  }
  const auto response = get("/admin/integrations/facebook");
  expect(response, 200, facebook);
  EXPECT_EQ(response.headers.get("ETag"), "\"1\"");
  expect(get("/integrations/chat_widget/"), 200, chat_widget);
  expect(get("/integrations/nothing"), 404, not_found);
  EXPECT_EQ(get("/integrations/%FF").status, 404U);
  EXPECT_EQ(get("/integrations/%00").status, 404U);
  EXPECT_FALSE(get("/integrations").headers.find("X-Integration-Versions"));
  EXPECT_EQ(get("/integrations", true).headers.get("X-Integration-Versions"), "1,1");
}

TEST_F(IntegrationsApi, CreatesAndDeletes) {
  constexpr auto made = R"({"id":"a b","name":"n","description":"d","status":false,"settings":{}})";
  const auto response = send(Method::post, "/integrations", R"({"id":"a b","name":"n","description":"d"})");
  expect(response, 201, made);
  EXPECT_EQ(response.headers.get("ETag"), "\"1\"");
  expect(send(Method::post, "/integrations/", made), 409, R"({"detail":"Integration already exists"})");
  expect(get("/integrations/a%20b"), 200, made);
  expect(send(Method::delete_, "/integrations/a%20b", {}, {{"If-Match", "\"2\""}}), 412,
         R"({"detail":"Integration was changed in the meantime"})");
  expect(send(Method::delete_, "/integrations/a%20b", {}, {{"If-Match", "\"7\", \"1\""}}), 204, "");
  expect(send(Method::delete_, "/integrations/a%20b"), 404, not_found);
  expect(send(Method::delete_, "/integrations/a%20b", {}, {{"If-Match", "\"1\""}}), 404, not_found);
}

TEST_F(IntegrationsApi, RefusesBodiesAsFastApiDoes) {
  EXPECT_EQ(send(Method::post, "/integrations", "{}").status, 422);
  EXPECT_EQ(send(Method::post, "/integrations").status, 422);
  EXPECT_EQ(send(Method::post, "/integrations", "{").status, 422);
  EXPECT_EQ(send(Method::post, "/integrations", R"({"id":"ensure-defaults","name":"","description":""})").status, 422);
  EXPECT_EQ(send(Method::patch, "/integrations/facebook", R"({"id":"ensure-defaults"})").status, 422);
  EXPECT_EQ(send(Method::put, "/integrations/facebook", R"({"name":"x"})").status, 422);
  EXPECT_EQ(send(Method::put, "/integrations/nothing", R"({"name":"x"})").status, 422) << "the body is read first";
  expect(send(Method::put, "/integrations/nothing", R"({"id":"x","name":"x","description":""})"), 404, not_found);
  expect(send(Method::patch, "/integrations/nothing", "{}"), 404, not_found);
  EXPECT_EQ(send(Method::patch, "/integrations/facebook", R"({"status":null})").status, 422);
  expect(get("/integrations/facebook"), 200, facebook);
  EXPECT_EQ(send(Method::delete_, "/integrations").status, 405);
}

TEST_F(IntegrationsApi, UpdatesAndGuards) {
  auto response = send(Method::patch, "/integrations/facebook", R"({"status":true})", {{"If-Match", "\"1\""}});
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.get("ETag"), "\"2\"");
  for (const auto* tag : {"\"1\"", "W/\"2\"", "2", "\"\"", "\"x\", \"1\""}) {
    EXPECT_EQ(send(Method::put, "/integrations/facebook", chat_widget, {{"If-Match", tag}}).status, 412) << tag;
  }
  EXPECT_EQ(send(Method::patch, "/integrations/facebook", "{}", {{"If-Match", "*"}}).status, 200);
  expect(send(Method::patch, "/integrations/facebook", R"({"id":"chat_widget"})"), 409, R"({"detail":"Integration already exists"})");
  response = send(Method::put, "/admin/integrations/facebook", R"({"id":"fb","name":"n","description":"","settings":null})");
  expect(response, 200, R"({"id":"fb","name":"n","description":"","status":true,"settings":{}})");
  expect(get("/integrations/facebook"), 404, not_found);
  expect(send(Method::post, "/integrations/ensure-defaults"), 200, R"({"created":["facebook"]})");
  expect(send(Method::post, "/admin/integrations/ensure-defaults/"), 200, R"({"created":[]})");
}

TEST_F(IntegrationsApi, MasksSecretsForAllButOurOwnProcesses) {
  const auto shown = send(Method::patch, "/integrations/facebook",
                          R"({"settings":{"secret":"s","verify":"v","pages":[{"page_id":"1","page_access_token":"t"}]}})");
  constexpr auto masked = R"("settings":{"secret":"••••••••","verify":"v","pages":[{"page_id":"1","page_access_token":"••••••••"}]}})";
  constexpr auto clear = R"("settings":{"secret":"s","verify":"v","pages":[{"page_id":"1","page_access_token":"t"}]}})";
  EXPECT_TRUE(shown.body.ends_with(masked)) << shown.body;
  EXPECT_TRUE(get("/integrations/facebook").body.ends_with(masked));
  EXPECT_TRUE(get("/integrations").body.contains(masked));
  EXPECT_FALSE(get("/integrations").body.contains(clear));
  EXPECT_TRUE(get("/integrations/facebook", true).body.ends_with(clear));
  EXPECT_TRUE(get("/integrations", true).body.contains(clear));
  // What the old front end does at every keystroke.
  EXPECT_EQ(send(Method::put, "/integrations/facebook", get("/integrations/facebook").body).status, 200);
  EXPECT_TRUE(get("/integrations/facebook", true).body.ends_with(clear));
  EXPECT_EQ(send(Method::put, "/integrations/facebook",
                 R"({"id":"facebook","name":"changed","description":"","settings":{"secret":"••••••••x"}})")
                .status,
            422);
  EXPECT_EQ(
      send(Method::put, "/integrations/facebook", R"({"id":"facebook","name":"changed","description":"","settings":{"secret":"•••••••"}})")
          .status,
      422);
  EXPECT_FALSE(get("/integrations/facebook").body.contains("changed")) << "nothing is stored";
  EXPECT_EQ(
      send(Method::patch, "/integrations/facebook", R"({"settings":{"secret":""}})", {{"Content-Type", "application/merge-patch+json"}})
          .status,
      200);
  EXPECT_TRUE(get("/integrations/facebook").body.contains(R"("secret":"","verify":"v")"));
  EXPECT_EQ(send(Method::post, "/integrations", R"({"id":"n","name":"","description":"","settings":{"secret":"••••••••"}})").status, 422);
}

TEST_F(IntegrationsApi, IsDescribed) {
  const auto document = http::make_openapi(router_, "Loquat", "1", "");
  const auto& paths = document.at("paths").as_object();
  EXPECT_EQ(paths.size(), 6U) << "each under both its paths";
  EXPECT_TRUE(paths.at("/integrations/{id}").as_object().contains("patch"));
}

}  // namespace
}  // namespace loquat::integrations
