#include "http/standard_routes.h"

#include <mutex>

#include "core/metrics.h"
#include "http/docs_page.h"

namespace loquat::http {
namespace {

json::object text_schema(std::string_view word) { return {{"type", "string"}, {"const", word}}; }

json::object status_schema(std::string_view word) {
  return {{"type", "object"}, {"required", json::array{"status"}}, {"properties", json::object{{"status", text_schema(word)}}}};
}

json::object readiness_schema(json::array words) {
  json::object check{{"type", "string"}, {"enum", json::array{"ok", "unavailable", "timeout"}}};
  json::object checks{{"type", "object"}, {"additionalProperties", std::move(check)}};
  json::object status{{"type", "string"}, {"enum", std::move(words)}};
  return {{"type", "object"},
          {"required", json::array{"status"}},
          {"properties",
           json::object{{"status", std::move(status)}, {"checks", std::move(checks)}, {"details", json::object{{"type", "object"}}}}}};
}

Options make_options(std::string summary, std::vector<std::pair<unsigned, json::object>> responses) {
  Doc doc;
  doc.summary = std::move(summary);
  doc.tag = "service";
  doc.responses = std::move(responses);
  return {.access = Access::open, .body_limit = std::size_t{64} * 1024, .doc = std::move(doc)};
}

asio::awaitable<Response> answer_health(Request& /*request*/) { co_return Response::json_text(R"({"status":"ok"})"); }

asio::awaitable<Response> answer_metrics(Request& /*request*/) {
  Response response;
  response.headers.add("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  response.body = metrics::serialize();
  co_return response;
}

asio::awaitable<Response> answer_docs(Request& /*request*/) { co_return make_docs_page(); }

asio::awaitable<Response> answer_text(std::shared_ptr<const std::string> json_text) { co_return Response::json_text(*json_text); }

/// The document, made when it is first asked for: then the router is complete.
struct Document {
  Document(const Router& r, StandardRoutes s) : router(r), settings(std::move(s)) {}

  std::shared_ptr<const std::string> get() {
    std::call_once(made, [this] {
      text = std::make_shared<const std::string>(to_json(make_openapi(router, settings.title, settings.version, settings.root_path)));
    });
    return text;
  }

  const Router& router;
  const StandardRoutes settings;
  std::once_flag made;
  std::shared_ptr<const std::string> text;
};

}  // namespace

void add_standard_routes(Router& router, StandardRoutes settings) {
  router.add(Method::get, "/health", make_options("Whether the process is alive; touches nothing", {{200, status_schema("ok")}}),
             answer_health);
  router.add(Method::get, "/ready", make_options("The same under its old path", {{200, status_schema("ok")}}), answer_health);
  auto readiness = settings.readiness ? settings.readiness : std::make_shared<Readiness>(Readiness::Settings());
  router.add(Method::get, "/readiness",
             make_options("Whether the process can serve: every store answers",
                          {{200, readiness_schema({"ready"})}, {503, readiness_schema({"unavailable", "draining"})}}),
             [readiness](Request&) { return readiness->answer(); });
  if (settings.has_metrics) {
    Options metrics = make_options("Metrics in Prometheus' text format", {{200, {}}});
    metrics.doc.response_type = "text/plain";
    router.add(Method::get, "/metrics", std::move(metrics), answer_metrics);
  }
  auto document = std::make_shared<Document>(router, std::move(settings));
  router.add(Method::get, "/openapi.json", make_options("This description", {{200, {{"type", "object"}}}}),
             [document](Request&) { return answer_text(document->get()); });
  Options docs = make_options("A page to read and try this description", {{200, {}}});
  docs.doc.hidden = true;
  router.add(Method::get, "/docs", std::move(docs), answer_docs);
}

}  // namespace loquat::http
