#include "bot/api.h"
#include "core/crypto.h"

namespace loquat::bot {
namespace {

asio::awaitable<http::Response> welcome() { co_return http::Response::json_text(R"({"message":"Welcome to AI Chatbot Framework API"})"); }

asio::awaitable<http::Response> serve_widget(const std::string& etag, http::Request& request) {
  http::Response response;
  if (request.headers.get("If-None-Match") == etag) {
    response = http::Response::empty(304);
  } else {
    response = http::Response::text(std::string(widget_script()));
    response.headers.set("Content-Type", "text/javascript; charset=utf-8");
  }
  response.headers.set("ETag", etag);
  response.headers.set("Cache-Control", "public, max-age=300");
  // Pages that ask for isolation load scripts of other origins only when these say so.
  response.headers.set("Cross-Origin-Resource-Policy", "cross-origin");
  co_return response;
}

std::string make_script_etag() {
  const auto digest = crypto::sha256(widget_script());
  return "\"" + crypto::to_hex({reinterpret_cast<const char*>(digest.data()), 12}) + "\"";
}

}  // namespace

void add_public_routes(http::Router& router) {
  router.add(
      http::Method::get, "/",
      {.access = http::Access::open, .doc = {.summary = "A word of welcome", .tag = "bot", .responses = {{200, {{"type", "object"}}}}}},
      [](http::Request& /*request*/) { return welcome(); });
  // A file, so HEAD is for it too.
  for (const auto method : {http::Method::get, http::Method::head}) {
    router.add(method, "/static/widget/script.js",
               {.access = http::Access::open,
                .doc = {.summary = "The web widget", .tag = "bot", .responses = {{200, {}}}, .response_type = "text/javascript"}},
               [etag = make_script_etag()](http::Request& request) { return serve_widget(etag, request); });
  }
}

}  // namespace loquat::bot
