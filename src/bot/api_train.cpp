#include <boost/asio/use_awaitable.hpp>
#include <chrono>

#include "bot/api.h"
#include "bot/api_parts.h"
#include "core/error.h"
#include "core/id.h"

namespace loquat::bot {
namespace {

/// A build that was begun longer ago than this was cut off with its process.
constexpr std::chrono::minutes longest_build{15};

std::string path_id(const http::Request& request) {
  auto id = parse_object_id(request.path_parameter("intent_id"));
  if (!id) throw Error(Code::not_found, "Story not found");
  return std::move(*id);
}

asio::awaitable<Document> find_story(AdminStore& admin, std::string id) {
  auto document = co_await admin.find(Kind::intent, std::move(id));
  if (!document) throw Error(Code::not_found, "Story not found");
  co_return std::move(*document);
}

asio::awaitable<http::Response> get_data(AdminStore& admin, http::Request& request) {
  const auto document = co_await find_story(admin, path_id(request));
  auto response = http::Response::json(document.body.at("trainingData"));
  response.headers.set("ETag", http::make_etag(document.version));
  co_return response;
}

asio::awaitable<http::Response> post_data(AdminStore& admin, http::Request& request) {
  schema::Issues issues;
  auto data = read_training_data(schema::parse_body(request.body, request.headers.get("Content-Type")), {"body"}, issues);
  issues.throw_if_any();
  const auto id = path_id(request);
  const auto stored = co_await find_story(admin, id);
  const auto wanted = choose_version(http::IfMatch(request.headers), stored.version);
  const std::size_t count = data.size();
  const auto document =
      co_await admin.update(Kind::intent, id, [data = std::move(data)](json::object& body) { body["trainingData"] = data; }, wanted);
  audit(request, "training data saved", id, {{"examples", count}});
  co_return make_success(document.version);
}

asio::awaitable<http::Response> build_models(Builder& builder, http::Request& request) {
  co_await builder.start({request.principal.name, request.request_id});
  audit(request, "build started", "default");
  co_return http::Response::json_text(R"({"status":"training started in the background"})");
}

struct Shown {
  std::string_view state;
  double progress = 1;
  std::string message;
};

Shown show(const BuildStatus& status) {
  switch (status.state) {
    case BuildStatus::State::failed: return {"failed", 0, status.message};
    case BuildStatus::State::training:
      if (status.changed_at && now() - *status.changed_at > longest_build) return {"failed", 0, "the build was interrupted"};
      return {"training", 0, status.message};
    case BuildStatus::State::ready: break;
  }
  return {"ready", 1, status.message};
}

asio::awaitable<http::Response> get_status(Store& store, AdminStore& admin, const Builder& builder, http::Request& /*request*/) {
  auto status = co_await admin.build_status();
  if (builder.is_building()) status = {BuildStatus::State::training, {}, now()};
  const auto shown = show(status);
  VersionSummary active;
  for (const auto& version : co_await store.versions()) {
    if (version.active) active = version;
  }
  co_return http::Response::json(
      json::object{{"version", active.version},
                   {"state", json::string_view(shown.state.data(), shown.state.size())},
                   {"built_at", active.version == 0 ? json::value(nullptr) : json::string(to_iso8601(active.built_at))},
                   {"intents", active.intents},
                   {"examples", active.examples},
                   {"progress", shown.progress},
                   {"message", shown.message}});
}

json::object status_document() {
  const json::object number{{"type", "integer"}};
  return object_schema({{"version", number},
                        {"state", {{"type", "string"}, {"enum", json::array{"ready", "training", "failed"}}}},
                        {"built_at", {{"type", json::array{"string", "null"}}}},
                        {"intents", number},
                        {"examples", number},
                        {"progress", {{"type", "number"}}},
                        {"message", {{"type", "string"}}}});
}

}  // namespace

void add_train_routes(http::Router& router, Store& store, AdminStore& admin, Builder& builder, std::size_t import_limit) {
  const auto examples = array_schema({{"type", "object"}, {"additionalProperties", true}});
  router.add(http::Method::get, "/admin/train/{intent_id}/data",
             {.doc = {.summary = "Read an intent's training data", .tag = "train", .responses = {{200, examples}, {404, {}}}}},
             [&admin](http::Request& request) { return get_data(admin, request); });
  router.add(http::Method::post, "/admin/train/{intent_id}/data",
             {.body_limit = import_limit,
              .doc = {.summary = "Replace an intent's training data",
                      .tag = "train",
                      .request_body = examples,
                      .parameters = {guard_parameter()},
                      .responses = {{200, status_schema()}, {404, {}}, {412, {}}}}},
             [&admin](http::Request& request) { return post_data(admin, request); });
  router.add(http::Method::post, "/admin/train/build_models",
             {.doc = {.summary = "Build the bot from the draft, in the background, and make it live",
                      .tag = "train",
                      .responses = {{200, status_schema()}}}},
             [&builder](http::Request& request) { return build_models(builder, request); });
  router.add(
      http::Method::get, "/admin/nlu/status",
      {.doc = {.summary = "The active version and how the last build went", .tag = "train", .responses = {{200, status_document()}}}},
      [&store, &admin, &builder](http::Request& request) { return get_status(store, admin, builder, request); });
}

}  // namespace loquat::bot
