#include "integrations/body.h"

#include <array>
#include <boost/describe.hpp>

#include "core/error.h"
#include "core/text.h"
#include "integrations/secrets.h"

namespace loquat::integrations {

using namespace std::string_view_literals;

BOOST_DESCRIBE_STRUCT(Body, (), (id, name, description, status, settings))
constexpr auto min_lengths(const Body* /*type*/) { return std::array{schema::MinLength{"id", 1}}; }

namespace {

/// The same members, the first three required.
struct WholeBody : Body {};
BOOST_DESCRIBE_STRUCT(WholeBody, (Body), ())
constexpr auto required_members(const WholeBody* /*type*/) { return std::array{"id"sv, "name"sv, "description"sv}; }
constexpr auto min_lengths(const WholeBody* /*type*/) { return std::array{schema::MinLength{"id", 1}}; }

void check_text(const std::string& text, std::string_view name, schema::Issues& issues) {
  // PostgreSQL cannot hold it; the same rule everywhere.
  if (text.contains('\0'))
    issues.add(schema::value_error({"body", json::string(name)}, "the character U+0000 is not allowed", json::string(text)));
}

schema::Issue too_deep() {
  return schema::value_error({"body", "settings"},
                             "settings must not be nested deeper than " + std::to_string(max_settings_depth) + " levels", nullptr);
}

/// The parser has a limit of its own, far above ours; the answer is the same.
json::value parse(std::string_view text, std::string_view content_type) {
  try {
    return schema::parse_body(text, content_type);
  } catch (const Error& error) {
    if (error.log_detail() != "nested too deeply") throw;
  }
  schema::fail(too_deep());
}

void check(const Body& body, const schema::Present& present, schema::Issues& issues) {
  if (present.contains("id")) {
    check_text(body.id, "id", issues);
    if (body.id == reserved_id) issues.add(schema::value_error({"body", "id"}, "this id is reserved", json::string(body.id)));
    if (text::length(body.id) > max_id_characters) {
      issues.add({"string_too_long",
                  {"body", "id"},
                  "String should have at most " + std::to_string(max_id_characters) + " characters",
                  json::string(body.id),
                  json::object{{"max_length", max_id_characters}}});
    }
  }
  check_text(body.name, "name", issues);
  check_text(body.description, "description", issues);
  if (body.settings && depth_of(json::value(*body.settings)) > max_settings_depth) {
    issues.add(schema::value_error({"body", "settings"},
                                   "settings must not be nested deeper than " + std::to_string(max_settings_depth) + " levels", nullptr));
  }
}

template <class T>
Change read_change(std::string_view text, std::string_view content_type, bool merge) {
  schema::Issues issues;
  schema::Present present;
  T body = schema::read_present<T>(parse(text, content_type), json::array{"body"}, issues, present);
  check(body, present, issues);
  issues.throw_if_any();
  return {std::move(body), std::move(present), merge};
}

bool is_merge_patch(std::string_view content_type) {
  return text::equal_ignoring_ascii_case(text::trim_ascii(content_type.substr(0, content_type.find(';'))), "application/merge-patch+json");
}

void describe_id(json::object& schema) {
  auto& id = schema.at("properties").at("id").as_object();
  id["maxLength"] = max_id_characters;
  id["not"] = json::object{{"const", json::string(reserved_id)}};
  for (const std::string_view name : {"id", "name", "description"}) {
    schema.at("properties").at(name).as_object()["pattern"] = "^[^\\u0000]*$";
  }
}

/// What an update leaves out stays as it is.
json::object without_defaults(json::object schema) {
  for (auto& property : schema.at("properties").as_object()) property.value().as_object().stable_erase("default");
  return schema;
}

}  // namespace

void Change::apply(Integration& integration) const {
  if (present_.contains("id")) integration.id = body_.id;
  if (present_.contains("name")) integration.name = body_.name;
  if (present_.contains("description")) integration.description = body_.description;
  if (present_.contains("status")) integration.status = body_.status;
  if (!present_.contains("settings")) return;
  json::object next;
  if (body_.settings) next = merge_ ? std::move(merge_patch(integration.settings, *body_.settings).get_object()) : *body_.settings;
  schema::Issues issues;
  restore_secrets(next, integration.settings, {"body", "settings"}, issues);
  issues.throw_if_any();
  integration.settings = std::move(next);
}

Integration read_new(std::string_view text, std::string_view content_type) {
  schema::Issues issues;
  schema::Present present;
  auto body = schema::read_present<WholeBody>(parse(text, content_type), json::array{"body"}, issues, present);
  check(body, present, issues);
  Integration out{std::move(body.id), std::move(body.name), std::move(body.description), body.status,
                  std::move(body.settings).value_or(json::object())};
  restore_secrets(out.settings, {}, {"body", "settings"}, issues);
  issues.throw_if_any();
  return out;
}

Change read_put(std::string_view text, std::string_view content_type) { return read_change<WholeBody>(text, content_type, false); }

Change read_patch(std::string_view text, std::string_view content_type) {
  return read_change<Body>(text, content_type, is_merge_patch(content_type));
}

json::object new_schema() {
  auto schema = schema::describe<WholeBody>();
  describe_id(schema);
  return schema;
}

json::object put_schema() { return without_defaults(new_schema()); }

json::object patch_schema() {
  auto schema = schema::describe<Body>();
  describe_id(schema);
  return without_defaults(std::move(schema));
}

json::object integration_schema() {
  const auto string = json::object{{"type", "string"}};
  return {{"type", "object"},
          {"properties",
           {{"id", string},
            {"name", string},
            {"description", string},
            {"status", {{"type", "boolean"}}},
            {"settings", {{"type", "object"}, {"additionalProperties", true}}}}},
          {"required", json::array{"id", "name", "description", "status", "settings"}}};
}

}  // namespace loquat::integrations
