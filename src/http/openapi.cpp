#include <algorithm>
#include <set>

#include "core/text.h"
#include "http/auth.h"
#include "http/errors.h"
#include "http/router.h"

namespace loquat::http {
namespace {

json::object reference(std::string_view schema) { return {{"$ref", "#/components/schemas/" + std::string(schema)}}; }

json::object json_content(json::object schema) { return {{"application/json", json::object{{"schema", std::move(schema)}}}}; }

json::object make_components() {
  json::object place{{"anyOf", json::array{json::object{{"type", "string"}}, json::object{{"type", "integer"}}}}};
  json::object validation_error{
      {"title", "ValidationError"},
      {"type", "object"},
      {"required", json::array{"loc", "msg", "type"}},
      {"properties", json::object{{"loc", json::object{{"title", "Location"}, {"type", "array"}, {"items", std::move(place)}}},
                                  {"msg", json::object{{"title", "Message"}, {"type", "string"}}},
                                  {"type", json::object{{"title", "Error Type"}, {"type", "string"}}},
                                  {"input", json::object{{"title", "Input"}}},
                                  {"ctx", json::object{{"title", "Context"}, {"type", "object"}}}}}};
  // A rule that is not of one member is told in a text.
  json::object issues{{"type", "array"}, {"items", reference("ValidationError")}};
  json::object detail{{"title", "Detail"}, {"anyOf", json::array{std::move(issues), json::object{{"type", "string"}}}}};
  return {{"schemas", json::object{{"Error", json::object{{"title", "Error"},
                                                          {"type", "object"},
                                                          {"required", json::array{"detail"}},
                                                          {"properties", json::object{{"detail", json::object{{"type", "string"}}}}}}},
                                   {"HTTPValidationError", json::object{{"title", "HTTPValidationError"},
                                                                        {"type", "object"},
                                                                        {"properties", json::object{{"detail", std::move(detail)}}}}},
                                   {"ValidationError", std::move(validation_error)}}},
          {"securitySchemes",
           json::object{
               {"bearer", json::object{{"type", "http"}, {"scheme", "bearer"}, {"description", "ADMIN_TOKEN, or one of ADMIN_TOKENS"}}},
               {"session", json::object{{"type", "apiKey"},
                                        {"in", "cookie"},
                                        {"name", std::string(session_cookie)},
                                        {"description", "what POST /login sets in a browser"}}}}}};
}

/// The pattern as OpenAPI writes it, and the names in it.
std::string plain_pattern(std::string_view pattern, std::vector<std::string>& names) {
  std::string path;
  for (std::size_t at = 0; at < pattern.size(); ++at) {
    if (pattern[at] != '{') {
      path += pattern[at];
      continue;
    }
    const auto end = pattern.find('}', at);
    auto name = pattern.substr(at + 1, end - at - 1);
    if (name.ends_with('*')) name.remove_suffix(1);
    names.emplace_back(name);
    path += "{" + names.back() + "}";
    at = end;
  }
  return path;
}

bool has_parameter(const std::vector<json::object>& parameters, std::string_view name) {
  return std::ranges::any_of(parameters, [name](const json::object& parameter) { return string_member(parameter, "name") == name; });
}

json::array make_parameters(const Doc& doc, const std::vector<std::string>& path_names) {
  json::array parameters;
  for (const auto& name : path_names) {
    if (has_parameter(doc.parameters, name)) continue;
    parameters.push_back(
        json::object{{"name", name},
                     {"in", "path"},
                     {"required", true},
                     {"schema", json::object{{"type", "string"}, {"minLength", 1}, {"pattern", "^[^\\u0000-\\u001f]*$"}}}});
  }
  for (const auto& parameter : doc.parameters) parameters.push_back(parameter);
  return parameters;
}

void add_error(json::object& responses, unsigned status, std::string_view schema) {
  const std::string key = std::to_string(status);
  if (responses.contains(key)) return;
  const auto phrase = status == 422 ? std::string_view("Validation Error") : reason_phrase(status);
  responses.emplace(key, json::object{{"description", phrase}, {"content", json_content(reference(schema))}});
}

json::object make_responses(const Router::Route& route, bool has_path_names, bool has_parameters) {
  json::object responses;
  const Doc& doc = route.options.doc;
  for (const auto& [status, schema] : doc.responses) {
    const auto phrase = reason_phrase(status);
    json::object response{{"description", phrase.empty() ? std::string_view("Response") : phrase}};
    if (status < 300 && doc.response_type != "application/json") {
      response.emplace("content", json::object{{doc.response_type, json::object{{"schema", json::object{{"type", "string"}}}}}});
    } else if (!schema.empty()) {
      response.emplace("content", json_content(schema));
    } else if (status == 422) {
      response.emplace("content", json_content(reference("HTTPValidationError")));
    } else if (status >= 400) {
      response.emplace("content", json_content(reference("Error")));
    }
    responses.insert_or_assign(std::to_string(status), std::move(response));
  }
  if (doc.responses.empty()) responses.emplace("200", json::object{{"description", "Successful Response"}});
  const bool has_body = !doc.request_body.empty();
  if (has_body) add_error(responses, 400, "Error");
  if (route.options.access == Access::admin) {
    add_error(responses, 401, "Error");
    add_error(responses, 403, "Error");
  }
  if (has_path_names) add_error(responses, 404, "Error");
  if (has_body) add_error(responses, 413, "Error");
  if (has_body) add_error(responses, 415, "Error");
  if (has_body || has_parameters) add_error(responses, 422, "HTTPValidationError");
  add_error(responses, 503, "Error");
  return responses;
}

std::string make_operation_id(Method method, std::string_view path) {
  std::string id = text::to_lower_ascii(to_string(method));
  for (const char c : path) {
    const bool plain = text::is_ascii_alphanumeric(c);
    if (plain) {
      id += c;
    } else if (!id.ends_with('_')) {
      id += '_';
    }
  }
  while (id.ends_with('_')) id.pop_back();
  return id;
}

json::object make_operation(const Router::Route& route, std::string_view path, const std::vector<std::string>& names) {
  const Doc& doc = route.options.doc;
  json::object operation;
  if (!doc.tag.empty()) operation.emplace("tags", json::array{json::value(doc.tag)});
  if (!doc.summary.empty()) operation.emplace("summary", doc.summary);
  operation.emplace("operationId", make_operation_id(route.method, path));
  if (doc.deprecated) operation.emplace("deprecated", true);
  json::array parameters = make_parameters(doc, names);
  const bool has_parameters = !parameters.empty();
  if (has_parameters) operation.emplace("parameters", std::move(parameters));
  if (!doc.request_body.empty()) {
    json::object content{{doc.request_type, json::object{{"schema", doc.request_body}}}};
    operation.emplace("requestBody", json::object{{"required", true}, {"content", std::move(content)}});
  }
  operation.emplace("responses", make_responses(route, !names.empty(), has_parameters));
  if (route.options.access == Access::admin) {
    operation.emplace("security", json::array{json::object{{"bearer", json::array{}}}, json::object{{"session", json::array{}}}});
  }
  return operation;
}

}  // namespace

json::object make_openapi(const Router& router, std::string_view title, std::string_view version, std::string_view root_path) {
  json::object paths;
  std::set<std::string> ids;
  for (const auto& route : router.routes()) {
    if (route->options.doc.hidden || route->method == Method::other) continue;
    std::vector<std::string> names;
    const std::string path = plain_pattern(route->pattern, names);
    json::object operation = make_operation(*route, path, names);
    // "/a/b" and "/a_b" would share an id.
    std::string id(string_member(operation, "operationId"));
    for (int n = 2; !ids.insert(id).second; ++n) id = std::string(string_member(operation, "operationId")) + "_" + std::to_string(n);
    operation["operationId"] = id;
    auto& item = paths[path];
    if (!item.is_object()) item.emplace_object();
    item.as_object().emplace(text::to_lower_ascii(to_string(route->method)), std::move(operation));
  }
  json::object document{{"openapi", "3.1.0"}, {"info", json::object{{"title", title}, {"version", version}}}};
  if (!root_path.empty()) document.emplace("servers", json::array{json::value(json::object{{"url", root_path}})});
  document.emplace("paths", std::move(paths));
  document.emplace("components", make_components());
  return document;
}

}  // namespace loquat::http
