#include "integrations/api.h"

#include <array>

#include "core/error.h"
#include "core/schema.h"
#include "http/audit.h"
#include "http/entity_tag.h"
#include "integrations/body.h"
#include "integrations/http_store.h"
#include "integrations/secrets.h"

namespace loquat::integrations {
namespace {

using http::audit;
using http::Method;
using http::Request;
using http::Response;

/// The caller's If-Match, if there is one, holds.
void require_match(const http::IfMatch& allowed, const Integration& current) {
  if (!allowed.fits(current.version)) throw Error(Code::precondition_failed, changed_message);
}

void append_integration(std::string& out, const Integration& integration, const Request& request) {
  out += R"({"id":)";
  append_json_string(out, integration.id);
  out += R"(,"name":)";
  append_json_string(out, integration.name);
  out += R"(,"description":)";
  append_json_string(out, integration.description);
  out += integration.status ? R"(,"status":true,"settings":)" : R"(,"status":false,"settings":)";
  append_json(out, json::value(request.principal.is_service ? integration.settings : mask_settings(integration.settings)));
  out += '}';
}

Response show(const Integration& integration, const Request& request, unsigned status = 200) {
  std::string text;
  append_integration(text, integration, request);
  auto response = Response::json_text(std::move(text), status);
  response.headers.set("ETag", http::make_etag(integration.version));
  return response;
}

asio::awaitable<Response> list(Store& store, Request& request) {
  const auto all = co_await store.list();
  std::string text = "[";
  std::string versions;
  for (const auto& integration : all) {
    if (text.size() > 1) text += ',';
    append_integration(text, integration, request);
    versions += (versions.empty() ? "" : ",") + std::to_string(integration.version);
  }
  text += ']';
  auto response = Response::json_text(std::move(text));
  if (request.principal.is_service && !versions.empty()) response.headers.set(versions_header, versions);
  co_return response;
}

asio::awaitable<Response> get(Store& store, Request& request) {
  const auto integration = co_await store.find(request.path_parameter("id"));
  if (!integration) throw Error(Code::not_found, not_found_message);
  co_return show(*integration, request);
}

asio::awaitable<Response> create(Store& store, Request& request) {
  const auto made = co_await store.create(read_new(request.body, request.headers.get("Content-Type")));
  audit(request, "integration created", made.id);
  co_return show(made, request, 201);
}

/// PUT and PATCH: they differ in what must be sent.
asio::awaitable<Response> update(Store& store, Request& request) {
  const auto type = request.headers.get("Content-Type");
  auto change = request.method == Method::put ? read_put(request.body, type) : read_patch(request.body, type);
  const std::string id = request.path_parameter("id");
  const auto changed = co_await store.update(
      id,
      [change = std::move(change), allowed = http::IfMatch(request.headers)](Integration& integration) {
        require_match(allowed, integration);
        change.apply(integration);
      },
      std::nullopt);
  if (changed.id == id) {
    audit(request, "integration updated", id);
  } else {
    audit(request, "integration renamed", id, {{"new_id", changed.id}});
  }
  co_return show(changed, request);
}

asio::awaitable<Response> remove(Store& store, Request& request) {
  const std::string id = request.path_parameter("id");
  const http::IfMatch allowed(request.headers);
  std::optional<std::int64_t> version;
  if (allowed.is_given() && !allowed.is_any()) {
    const auto current = co_await store.find(id);
    if (!current) throw Error(Code::not_found, not_found_message);
    require_match(allowed, *current);
    version = current->version;
  }
  co_await store.remove(id, version);
  audit(request, "integration deleted", id);
  co_return Response::empty();
}

asio::awaitable<Response> ensure_defaults(Store& store, Request& request) {
  json::array created;
  for (const auto& id : co_await store.ensure_defaults()) {
    audit(request, "integration created", id);
    created.emplace_back(json::string(id));
  }
  co_return Response::json(json::object{{"created", std::move(created)}});
}

json::object list_schema(json::object items) { return {{"type", "array"}, {"items", std::move(items)}}; }

json::object created_schema() {
  return {{"type", "object"}, {"properties", {{"created", list_schema({{"type", "string"}})}}}, {"required", json::array{"created"}}};
}

void add_under(http::Router& router, Store& store, const std::string& root) {
  const std::string one = root + "/{id}";
  const auto doc = [](std::string summary, std::vector<std::pair<unsigned, json::object>> responses, json::object body = {}) {
    http::Doc out;
    out.summary = std::move(summary);
    out.tag = "integrations";
    out.request_body = std::move(body);
    out.responses = std::move(responses);
    return out;
  };
  const auto guarded = [](http::Doc out) {
    out.parameters.push_back(
        http::if_match_parameter("An ETag of the integration: 412 when it was changed since. Without it the last write wins."));
    return out;
  };
  const auto shown = integration_schema();
  router.add(Method::get, root, {.doc = doc("List the integrations in order of creation", {{200, list_schema(shown)}})},
             [&store](Request& request) { return list(store, request); });
  router.add(Method::post, root, {.doc = doc("Create an integration", {{201, shown}, {409, {}}}, new_schema())},
             [&store](Request& request) { return create(store, request); });
  router.add(Method::post, root + "/" + std::string(reserved_id),
             {.doc = doc("Create those of the default integrations that are missing", {{200, created_schema()}})},
             [&store](Request& request) { return ensure_defaults(store, request); });
  router.add(Method::get, one, {.doc = doc("Read an integration", {{200, shown}, {404, {}}})},
             [&store](Request& request) { return get(store, request); });
  router.add(Method::put, one,
             {.doc = guarded(doc("Update an integration; id, name and description are required, settings are replaced whole",
                                 {{200, shown}, {404, {}}, {409, {}}, {412, {}}}, put_schema()))},
             [&store](Request& request) { return update(store, request); });
  router.add(Method::patch, one,
             {.doc = guarded(doc("Update the members sent; as application/merge-patch+json settings merge by RFC 7396",
                                 {{200, shown}, {404, {}}, {409, {}}, {412, {}}}, patch_schema()))},
             [&store](Request& request) { return update(store, request); });
  router.add(Method::delete_, one, {.doc = guarded(doc("Delete an integration", {{204, {}}, {404, {}}, {412, {}}}))},
             [&store](Request& request) { return remove(store, request); });
}

}  // namespace

void add_routes(http::Router& router, Store& store) {
  add_under(router, store, "/integrations");
  add_under(router, store, "/admin/integrations");
}

}  // namespace loquat::integrations
