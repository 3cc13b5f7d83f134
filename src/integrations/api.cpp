#include "integrations/api.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/error.h"
#include "core/log.h"
#include "core/schema.h"
#include "core/text.h"
#include "integrations/body.h"
#include "integrations/http_store.h"
#include "integrations/secrets.h"

namespace loquat::integrations {
namespace {

using http::Method;
using http::Request;
using http::Response;

/// The versions that If-Match allows.
class Allowed {
 public:
  explicit Allowed(const http::Headers& headers) {
    const auto header = headers.find("If-Match");
    if (!header || text::trim_ascii(*header) == "*") return;
    any_ = false;
    for (const auto tag : text::split(*header, ',')) add(text::trim_ascii(tag));
  }

  [[nodiscard]] bool any() const noexcept { return any_; }
  void require(const Integration& current) const {
    if (!any_ && std::ranges::find(versions_, current.version) == versions_.end()) throw Error(Code::precondition_failed, changed_message);
  }

 private:
  // Weak tags and those that are not ours fit nothing (RFC 9110, 13.1.1).
  void add(std::string_view tag) {
    if (tag.size() < 3 || !tag.starts_with('"') || !tag.ends_with('"')) return;
    tag = tag.substr(1, tag.size() - 2);
    std::int64_t version = 0;
    const auto [end, error] = std::from_chars(tag.data(), tag.data() + tag.size(), version);
    if (error == std::errc() && end == tag.data() + tag.size()) versions_.push_back(version);
  }

  bool any_ = true;
  std::vector<std::int64_t> versions_;
};

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
  response.headers.set("ETag", '"' + std::to_string(integration.version) + '"');
  return response;
}

void audit(const Request& request, std::string_view what, std::string_view id) {
  log::info("audit", what, {{"who", request.principal.name}, {"what", what}, {"id", id}, {"request_id", request.request_id}});
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
      [change = std::move(change), allowed = Allowed(request.headers)](Integration& integration) {
        allowed.require(integration);
        change.apply(integration);
      },
      std::nullopt);
  audit(request, "integration updated", id);
  if (changed.id != id) {
    log::info("audit", "integration renamed",
              {{"who", request.principal.name},
               {"what", "integration renamed"},
               {"id", id},
               {"new_id", changed.id},
               {"request_id", request.request_id}});
  }
  co_return show(changed, request);
}

asio::awaitable<Response> remove(Store& store, Request& request) {
  const std::string id = request.path_parameter("id");
  const Allowed allowed(request.headers);
  std::optional<std::int64_t> version;
  if (!allowed.any()) {
    const auto current = co_await store.find(id);
    if (!current) throw Error(Code::not_found, not_found_message);
    allowed.require(*current);
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

json::object if_match_parameter() {
  return {{"name", "If-Match"},
          {"in", "header"},
          {"required", false},
          {"description", "An ETag of the integration: 412 when it was changed since. Without it the last write wins."},
          {"schema", {{"type", "string"}}}};
}

json::object list_schema(json::object items) { return {{"type", "array"}, {"items", std::move(items)}}; }

json::object created_schema() {
  return {{"type", "object"}, {"properties", {{"created", list_schema({{"type", "string"}})}}}, {"required", json::array{"created"}}};
}

void add_under(http::Router& router, Store& store, const std::string& root, bool hidden) {
  const std::string one = root + "/{id}";
  const auto doc = [hidden](std::string summary, std::vector<std::pair<unsigned, json::object>> responses, json::object body = {}) {
    http::Doc out;
    out.summary = std::move(summary);
    out.tag = "integrations";
    out.request_body = std::move(body);
    out.responses = std::move(responses);
    out.hidden = hidden;
    return out;
  };
  const auto guarded = [](http::Doc out) {
    out.parameters.push_back(if_match_parameter());
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
  add_under(router, store, "/integrations", false);
  add_under(router, store, "/admin/integrations", true);
}

}  // namespace loquat::integrations
