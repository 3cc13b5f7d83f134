#include "bot/api.h"
#include "bot/api_parts.h"
#include "bot/draft.h"
#include "bot/multipart.h"
#include "bot/secrets.h"
#include "core/error.h"
#include "core/query_values.h"
#include "core/text.h"
#include "core/url.h"

namespace loquat::bot {
namespace {

constexpr std::string_view default_bot = "default";

[[noreturn]] void refuse_bot() { throw Error(Code::not_found, "Bot not found"); }

asio::awaitable<http::Response> get_config(AdminStore& admin, http::Request& request) {
  const auto stored = co_await admin.find_config(request.path_parameter("name"));
  if (!stored) refuse_bot();
  auto response = http::Response::json(mask_config(schema::write(read_config_body(stored->config))));
  response.headers.set("ETag", http::make_etag(stored->version));
  co_return response;
}

void replace_config(json::object next, json::object& stored) {
  schema::Issues issues;
  restore_config_secrets(next, stored, {"body"}, issues);
  issues.throw_if_any();
  stored = std::move(next);
}

asio::awaitable<http::Response> put_config(AdminStore& admin, http::Request& request) {
  auto config = schema::read_body<json::object>(request.body, request.headers.get("Content-Type"));
  schema::Issues issues;
  check_config(config, {"body"}, issues);
  issues.throw_if_any();
  const auto& name = request.path_parameter("name");
  const http::IfMatch allowed(request.headers);
  std::optional<std::int64_t> wanted;
  if (allowed.is_given()) {
    const auto stored = co_await admin.find_config(name);
    wanted = choose_version(allowed, stored ? stored->version : 0);
  }
  const auto stored =
      co_await admin.update_config(name, [config = std::move(config)](json::object& current) { replace_config(config, current); }, wanted);
  auto response = http::Response::json_text(R"({"message":"Config updated successfully"})");
  if (stored) {
    audit(request, "config updated", name);
    response.headers.set("ETag", http::make_etag(stored->version));
  }
  co_return response;
}

asio::awaitable<http::Response> export_bot(AdminStore& admin, http::Request& request) {
  schema::Issues issues;
  const bool with_secrets = schema::QueryReader(request.query, issues).boolean("secrets", false);
  issues.throw_if_any();
  const auto draft = co_await admin.load_draft();
  if (with_secrets) audit(request, "bot exported with secrets", request.path_parameter("name"));
  auto response = http::Response::json_text(to_json(json::value(make_export(draft, with_secrets)), {.ascii = true, .spaced = true}));
  response.headers.set("Content-Disposition", "attachment;filename=chatbot_data.json");
  co_return response;
}

/// The form's last part `file`, as FastAPI takes it.
/// The last field of this name in a form that is no multipart.
std::optional<std::string> find_form_field(const http::Request& request, std::string_view name) {
  const auto type = request.headers.get("Content-Type");
  if (!text::equal_ignoring_ascii_case(text::trim_ascii(type.substr(0, type.find(';'))), "application/x-www-form-urlencoded"))
    return std::nullopt;
  std::optional<std::string> found;
  for (auto& [key, value] : url::parse_query(request.body)) {
    if (key == name) found = std::move(value);
  }
  return found;
}

std::string take_file(const http::Request& request) {
  const FormPart* file = nullptr;
  const json::array place{"body", "file"};
  const auto refuse_text = [&place](std::string_view text) {
    schema::fail(
        schema::value_error(place, "Expected UploadFile, received: <class 'str'>", json::string(std::string(text.substr(0, 1'000)))));
  };
  if (const auto text = find_form_field(request, "file")) refuse_text(*text);
  const auto parts = parse_multipart(request.headers.get("Content-Type"), request.body);
  for (const auto& part : parts) {
    if (part.name == "file") file = &part;
  }
  if (file == nullptr) schema::fail({"missing", place, "Field required", nullptr});
  if (!file->filename) refuse_text(file->content);
  return std::string(file->content);
}

asio::awaitable<http::Response> import_bot(AdminStore& admin, http::Request& request) {
  auto text = take_file(request);
  request.body.clear();
  const auto counts = co_await admin.import_file(std::move(text), {"body", "file"});
  audit(request, "bot imported", request.path_parameter("name"),
        {{"intents_created", counts.intents_created}, {"entities_created", counts.entities_created}});
  co_return http::Response::json(
      json::object{{"num_intents_created", counts.intents_created}, {"num_entities_created", counts.entities_created}});
}

asio::awaitable<http::Response> list_versions(Store& store, http::Request& request) {
  if (request.path_parameter("name") != default_bot) refuse_bot();
  json::array out;
  for (const auto& version : co_await store.versions()) {
    out.push_back(json::object{{"version", version.version},
                               {"built_at", to_iso8601(version.built_at)},
                               {"active", version.active},
                               {"built_by", version.built_by},
                               {"intents", version.intents},
                               {"entities", version.entities},
                               {"examples", version.examples}});
  }
  co_return http::Response::json(out);
}

asio::awaitable<http::Response> activate(Store& store, const Builder& builder, http::Request& request) {
  const auto number = read_path_integer(request, "n");
  if (request.path_parameter("name") != default_bot) refuse_bot();
  co_await store.activate(number);
  co_await builder.wait_until_served(number);
  audit(request, "bot version activated", std::to_string(number));
  co_return make_success();
}

json::object file_schema() {
  return {{"type", "object"}, {"properties", {{"file", {{"type", "string"}, {"format", "binary"}}}}}, {"required", json::array{"file"}}};
}

json::object version_schema() {
  const json::object number{{"type", "integer"}};
  const json::object text{{"type", "string"}};
  return object_schema({{"version", number},
                        {"built_at", text},
                        {"active", {{"type", "boolean"}}},
                        {"built_by", text},
                        {"intents", number},
                        {"entities", number},
                        {"examples", number}});
}

void add_config_routes(http::Router& router, AdminStore& admin) {
  router.add(http::Method::get, "/admin/bots/{name}/config",
             {.doc = {.summary = "Read a bot's config", .tag = "bots", .responses = {{200, schema::describe<ConfigBody>()}, {404, {}}}}},
             [&admin](http::Request& request) { return get_config(admin, request); });
  router.add(http::Method::put, "/admin/bots/{name}/config",
             {.doc = {.summary = "Replace a bot's config; live with the next build",
                      .tag = "bots",
                      .request_body = schema::describe<ConfigBody>(),
                      .parameters = {guard_parameter()},
                      .responses = {{200, object_schema({{"message", {{"type", "string"}}}})}, {412, {}}}}},
             [&admin](http::Request& request) { return put_config(admin, request); });
}

}  // namespace

void add_bot_routes(http::Router& router, Store& store, AdminStore& admin, const Builder& builder, std::size_t import_limit) {
  add_config_routes(router, admin);
  const json::object number{{"type", "integer"}};
  router.add(http::Method::get, "/admin/bots/{name}/export",
             {.doc = {.summary = "Export all intents and entities as a file",
                      .tag = "bots",
                      .parameters = {query_parameter("secrets", {{"type", "boolean"}}, "Secrets in clear instead of masked")},
                      .responses = {{200, {{"type", "object"}}}}}},
             [&admin](http::Request& request) { return export_bot(admin, request); });
  router.add(http::Method::post, "/admin/bots/{name}/import",
             {.body_limit = import_limit,
              .doc = {.summary = "Import intents and entities, by name, from an exported file",
                      .tag = "bots",
                      .request_body = file_schema(),
                      .request_type = "multipart/form-data",
                      .responses = {{200, object_schema({{"num_intents_created", number}, {"num_entities_created", number}})}, {400, {}}}}},
             [&admin](http::Request& request) { return import_bot(admin, request); });
  router.add(http::Method::get, "/admin/bots/{name}/versions",
             {.doc = {.summary = "List the published versions, newest first",
                      .tag = "bots",
                      .responses = {{200, array_schema(version_schema())}, {404, {}}}}},
             [&store](http::Request& request) { return list_versions(store, request); });
  router.add(http::Method::post, "/admin/bots/{name}/versions/{n}/activate",
             {.doc = {.summary = "Go back, or forward, to a version",
                      .tag = "bots",
                      .parameters = {integer_path_parameter("n")},
                      .responses = {{200, status_schema()}, {404, {}}}}},
             [&store, &builder](http::Request& request) { return activate(store, builder, request); });
}

}  // namespace loquat::bot
