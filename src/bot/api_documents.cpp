#include "bot/api.h"
#include "bot/api_parts.h"
#include "bot/secrets.h"
#include "core/error.h"
#include "core/id.h"

// Intents and entities have the same five verbs.

namespace loquat::bot {
namespace {

std::string_view word(Kind kind) { return kind == Kind::intent ? "intent" : "entity"; }

/// The id in the path; a malformed one is one that nothing has.
std::string path_id(const http::Request& request, Kind kind) {
  auto id = parse_object_id(request.path_parameter("id"));
  if (!id) throw Error(Code::not_found, not_found_message(kind));
  return std::move(*id);
}

json::object show(Kind kind, Document document) {
  document.body = mask_document(kind, std::move(document.body));
  return with_id(document);
}

http::Response show_one(Kind kind, Document document) {
  const auto version = document.version;
  auto response = http::Response::json(show(kind, std::move(document)));
  response.headers.set("ETag", http::make_etag(version));
  return response;
}

struct Body {
  json::object members;
  bool has_training_data = false;
};

Body read_request(const http::Request& request, Kind kind) {
  const auto value = schema::parse_body(request.body, request.headers.get("Content-Type"));
  schema::Issues issues;
  Body body{read_document(kind, value, {"body"}, issues), find_member(value, "trainingData") != nullptr};
  issues.throw_if_any();
  return body;
}

/// What a PUT makes of the stored body. The training data stays when the body leaves it out: the admin page saves an intent's form
/// without it.
void replace(Kind kind, Body next, json::object& stored) {
  schema::Issues issues;
  if (kind == Kind::intent) {
    restore_secrets(next.members, &stored, LostSecret::refuse, {"body"}, issues);
    issues.throw_if_any();
    if (!next.has_training_data) next.members["trainingData"] = stored["trainingData"];
    give_ids(next.members, &stored);
  }
  stored = std::move(next.members);
}

asio::awaitable<std::optional<std::int64_t>> find_wanted_version(AdminStore& admin, Kind kind, const std::string& id,
                                                                 const http::Request& request) {
  const http::IfMatch allowed(request.headers);
  if (!allowed.is_given() || allowed.is_any()) co_return std::nullopt;
  if (allowed.versions().size() == 1) co_return allowed.versions().front();
  const auto document = co_await admin.find(kind, id);
  co_return choose_version(allowed, document ? document->version : 0);
}

asio::awaitable<http::Response> list(AdminStore& admin, Kind kind, http::Request& request) {
  auto documents = co_await admin.list(kind);
  json::array out;
  out.reserve(documents.size());
  for (auto& document : documents) out.push_back(show(kind, std::move(document)));
  co_return http::Response::json(std::move(out));
}

asio::awaitable<http::Response> create(AdminStore& admin, Kind kind, http::Request& request) {
  auto body = read_request(request, kind);
  schema::Issues issues;
  if (kind == Kind::intent) restore_secrets(body.members, nullptr, LostSecret::refuse, {"body"}, issues);
  issues.throw_if_any();
  give_ids(body.members, nullptr);
  auto document = co_await admin.create(kind, std::move(body.members));
  audit(request, std::string(word(kind)) + " created", document.id);
  co_return show_one(kind, std::move(document));
}

asio::awaitable<http::Response> get(AdminStore& admin, Kind kind, http::Request& request) {
  auto document = co_await admin.find(kind, path_id(request, kind));
  if (!document) throw Error(Code::not_found, not_found_message(kind));
  co_return show_one(kind, std::move(*document));
}

asio::awaitable<http::Response> put(AdminStore& admin, Kind kind, http::Request& request) {
  auto body = read_request(request, kind);
  const auto id = path_id(request, kind);
  const auto wanted = co_await find_wanted_version(admin, kind, id, request);
  const auto document =
      co_await admin.update(kind, id, [kind, body = std::move(body)](json::object& stored) { replace(kind, body, stored); }, wanted);
  audit(request, std::string(word(kind)) + " updated", id);
  co_return make_success(document.version);
}

asio::awaitable<http::Response> remove(AdminStore& admin, Kind kind, http::Request& request) {
  const auto id = path_id(request, kind);
  const auto wanted = co_await find_wanted_version(admin, kind, id, request);
  if (co_await admin.remove(kind, id, wanted)) audit(request, std::string(word(kind)) + " deleted", id);
  co_return make_success();
}

void describe_ids(json::object& schema, std::string_view list) {
  auto& members = schema.at("properties").at(json::string_view(list.data(), list.size())).at("items").at("properties").as_object();
  members["id"] = json::object{
      {"anyOf", json::array{json::object{{"type", "string"}, {"pattern", "^[0-9a-fA-F]{24}$"}}, json::object{{"type", "null"}}}}};
}

json::object body_schema(Kind kind) {
  if (kind == Kind::entity) return schema::describe<EntityBody>();
  auto schema = schema::describe<IntentBody>();
  describe_ids(schema, "parameters");
  describe_ids(schema, "labeledSentences");
  return schema;
}

json::object document_schema(Kind kind) {
  auto schema = body_schema(kind);
  schema.at("properties").as_object().emplace("id", json::object{{"type", "string"}});
  return schema;
}

void add_kind(http::Router& router, AdminStore& admin, Kind kind, const std::string& path) {
  const std::string tag = kind == Kind::intent ? "intents" : "entities";
  const auto body = body_schema(kind);
  const auto shown = document_schema(kind);
  const std::string name(word(kind));
  router.add(http::Method::get, path, {.doc = {.summary = "List the " + tag, .tag = tag, .responses = {{200, array_schema(shown)}}}},
             [&admin, kind](http::Request& request) { return list(admin, kind, request); });
  router.add(http::Method::post, path,
             {.doc = {.summary = "Create an " + name, .tag = tag, .request_body = body, .responses = {{200, shown}}}},
             [&admin, kind](http::Request& request) { return create(admin, kind, request); });
  router.add(http::Method::get, path + "/{id}", {.doc = {.summary = "Read an " + name, .tag = tag, .responses = {{200, shown}, {404, {}}}}},
             [&admin, kind](http::Request& request) { return get(admin, kind, request); });
  router.add(http::Method::put, path + "/{id}",
             {.doc = {.summary = "Replace an " + name,
                      .tag = tag,
                      .request_body = body,
                      .parameters = {guard_parameter()},
                      .responses = {{200, status_schema()}, {404, {}}, {412, {}}}}},
             [&admin, kind](http::Request& request) { return put(admin, kind, request); });
  router.add(http::Method::delete_, path + "/{id}",
             {.doc = {.summary = "Delete an " + name,
                      .tag = tag,
                      .parameters = {guard_parameter()},
                      .responses = {{200, status_schema()}, {404, {}}, {412, {}}}}},
             [&admin, kind](http::Request& request) { return remove(admin, kind, request); });
}

}  // namespace

void add_document_routes(http::Router& router, AdminStore& admin) {
  add_kind(router, admin, Kind::intent, "/admin/intents");
  add_kind(router, admin, Kind::entity, "/admin/entities");
}

}  // namespace loquat::bot
