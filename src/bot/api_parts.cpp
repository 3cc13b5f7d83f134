#include "bot/api_parts.h"

#include "core/schema.h"

namespace loquat::bot {
std::optional<std::int64_t> choose_version(const http::IfMatch& allowed, std::int64_t current) {
  if (!allowed.is_given() || allowed.is_any()) return std::nullopt;
  return allowed.fits(current) ? current : -1;
}

http::Response make_success(std::optional<std::int64_t> version) {
  auto response = http::Response::json_text(R"({"status":"success"})");
  if (version) response.headers.set("ETag", http::make_etag(*version));
  return response;
}

std::int64_t read_path_integer(const http::Request& request, std::string_view name) {
  schema::Issues issues;
  const auto number = schema::read<std::int64_t>(json::string(request.path_parameter(name)),
                                                 json::array{"path", json::string_view(name.data(), name.size())}, issues);
  issues.throw_if_any();
  return number;
}

json::object status_schema() { return object_schema({{"status", {{"type", "string"}}}}); }

json::object query_parameter(std::string_view name, json::object schema, std::string_view description) {
  json::object out{
      {"name", json::string_view(name.data(), name.size())}, {"in", "query"}, {"required", false}, {"schema", std::move(schema)}};
  if (!description.empty()) out.emplace("description", json::string_view(description.data(), description.size()));
  return out;
}

json::object guard_parameter() {
  return http::if_match_parameter("An ETag of what is stored: 412 when it was changed since. Without it the last write wins.");
}

json::object integer_path_parameter(std::string_view name) {
  return {{"name", json::string_view(name.data(), name.size())}, {"in", "path"}, {"required", true}, {"schema", {{"type", "integer"}}}};
}

json::object array_schema(json::object items) { return {{"type", "array"}, {"items", std::move(items)}}; }

json::object object_schema(std::initializer_list<std::pair<std::string_view, json::object>> properties) {
  json::object members;
  json::array required;
  for (const auto& [name, schema] : properties) {
    members.emplace(json::string_view(name.data(), name.size()), schema);
    required.emplace_back(json::string_view(name.data(), name.size()));
  }
  return {{"type", "object"}, {"properties", std::move(members)}, {"required", std::move(required)}};
}

}  // namespace loquat::bot
