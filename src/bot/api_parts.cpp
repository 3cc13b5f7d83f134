#include "bot/api_parts.h"

#include <algorithm>
#include <charconv>

#include "core/schema.h"
#include "core/text.h"

namespace loquat::bot {
namespace {

std::optional<std::int64_t> parse_etag(std::string_view tag) {
  if (tag.size() < 3 || !tag.starts_with('"') || !tag.ends_with('"')) return std::nullopt;
  tag = tag.substr(1, tag.size() - 2);
  std::int64_t version = 0;
  const auto [end, error] = std::from_chars(tag.data(), tag.data() + tag.size(), version);
  return error == std::errc() && end == tag.data() + tag.size() ? std::optional(version) : std::nullopt;
}

}  // namespace

std::string make_etag(std::int64_t version) { return "\"" + std::to_string(version) + "\""; }

std::optional<std::vector<std::int64_t>> read_if_match(const http::Headers& headers) {
  const auto header = headers.find("If-Match");
  if (!header || text::trim_ascii(*header) == "*") return std::nullopt;
  std::vector<std::int64_t> versions;
  for (const auto part : text::split(*header, ',')) {
    if (const auto version = parse_etag(text::trim_ascii(part))) versions.push_back(*version);
  }
  return versions;
}

std::optional<std::int64_t> choose_version(const std::optional<std::vector<std::int64_t>>& allowed, std::int64_t current) {
  if (!allowed) return std::nullopt;
  return std::ranges::find(*allowed, current) == allowed->end() ? -1 : current;
}

void audit(const http::Request& request, std::string_view what, std::string_view id, std::initializer_list<log::Field> more) {
  // The log takes a fixed list: at most two more fields are used.
  const log::Field who("who", request.principal.name);
  const log::Field request_id("request_id", request.request_id);
  const auto* extra = more.begin();
  switch (more.size()) {
    case 0: return log::info("audit", what, {who, {"what", what}, {"id", id}, request_id});
    case 1: return log::info("audit", what, {who, {"what", what}, {"id", id}, request_id, extra[0]});
    default: return log::info("audit", what, {who, {"what", what}, {"id", id}, request_id, extra[0], extra[1]});
  }
}

http::Response make_success(std::optional<std::int64_t> version) {
  auto response = http::Response::json_text(R"({"status":"success"})");
  if (version) response.headers.set("ETag", make_etag(*version));
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
