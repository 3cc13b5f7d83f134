#include "bot/document.h"

#include <limits>

#include "core/id.h"

namespace loquat::bot {
namespace {

json::array at(const json::array& loc, std::initializer_list<json::value> rest) {
  json::array out = loc;
  for (const auto& part : rest) out.push_back(part);
  return out;
}

/// Lower-cases the id at `item`, or says that it is none.
void check_id(json::value& item, const json::array& loc, const json::value& sent, schema::Issues& issues) {
  if (item.is_null()) return;
  const auto id = parse_object_id(as_view(item.as_string()));
  if (!id) {
    issues.add(schema::value_error(loc, "an id has 24 hexadecimal digits", sent));
    return;
  }
  item = json::string(*id);
}

/// The ids in a list of the body, at the same places in what was sent.
void check_ids(json::object& body, std::string_view list, const json::array& loc, schema::Issues& issues) {
  auto& items = body.at(json::string_view(list.data(), list.size())).as_array();
  for (std::size_t i = 0; i < items.size(); ++i) {
    auto& id = items[i].as_object().at("id");
    check_id(id, at(loc, {json::string_view(list.data(), list.size()), i, "id"}), json::value(id), issues);
  }
}

/// Clients of the old API could send `_id`, its name in the database: checked, otherwise ignored.
void check_database_id(const json::value& value, const json::array& loc, schema::Issues& issues) {
  const auto* id = find_member(value, "_id");
  if (id == nullptr || id->is_null()) return;
  if (id->is_string() && parse_object_id(as_view(id->get_string()))) return;
  issues.add(schema::value_error(at(loc, {"_id"}), "an id has 24 hexadecimal digits", *id));
}

json::object read_intent(const json::value& value, const json::array& loc, schema::Issues& issues) {
  const std::size_t before = issues.all().size();
  const auto intent = schema::read<IntentBody>(value, loc, issues);
  check_database_id(value, loc, issues);
  json::object body = schema::write(intent);
  if (issues.all().size() != before) return body;
  check_ids(body, "parameters", loc, issues);
  check_ids(body, "labeledSentences", loc, issues);
  // A header's members in the order sent, which the map above has lost.
  if (intent.api_details && find_member(value.at("apiDetails"), "headers") != nullptr) {
    body.at("apiDetails").as_object()["headers"] = value.at("apiDetails").at("headers");
  }
  return body;
}

json::object read_entity(const json::value& value, const json::array& loc, schema::Issues& issues) {
  const auto entity = schema::read<EntityBody>(value, loc, issues);
  check_database_id(value, loc, issues);
  return schema::write(entity);
}

const json::value* find_named(const json::object* previous, std::string_view list, std::string_view name) {
  const auto* items = previous == nullptr ? nullptr : previous->if_contains(json::string_view(list.data(), list.size()));
  if (items == nullptr || !items->is_array()) return nullptr;
  for (const auto& item : items->get_array()) {
    if (string_member(item, "name") == name) return &item;
  }
  return nullptr;
}

bool has_id(const json::array& items, std::string_view id) {
  for (const auto& item : items) {
    if (string_member(item, "id") == id) return true;
  }
  return false;
}

std::int64_t integer_member(const json::value& object, std::string_view name) {
  const auto* member = find_member(object, name);
  if (member == nullptr) return 0;
  if (const auto* number = member->if_int64()) return *number;
  const auto* real = member->if_double();
  return real != nullptr && *real >= 0 && *real < 1e9 ? static_cast<std::int64_t>(*real) : 0;
}

std::optional<Example> to_example(const json::value& value) {
  const auto* text = find_member(value, "text");
  if (text == nullptr || !text->is_string()) return std::nullopt;
  Example example{std::string(as_view(text->get_string())), {}};
  const auto* spans = find_member(value, "entities");
  if (spans == nullptr || !spans->is_array()) return example;
  for (const auto& span : spans->get_array()) {
    const auto name = string_member(span, "name");
    if (name.empty()) continue;
    example.entities.push_back(
        {std::string(string_member(span, "value")), integer_member(span, "begin"), integer_member(span, "end"), std::string(name)});
  }
  return example;
}

ApiDetails to_api_details(const ApiDetailsBody& body, const json::value& stored) {
  ApiDetails details{body.url, body.request_type, {}, body.is_json, body.json_data};
  const auto* headers = find_member(stored, "headers");
  if (headers == nullptr || !headers->is_array()) return details;
  for (const auto& header : headers->get_array()) {
    details.headers.push_back({std::string(string_member(header, "headerKey")), std::string(string_member(header, "headerValue"))});
  }
  return details;
}

json::object write_api_details(const ApiDetails& details) {
  json::array headers;
  for (const auto& header : details.headers) {
    headers.push_back(json::object{{"headerKey", header.header_key}, {"headerValue", header.header_value}});
  }
  return {{"url", details.url},
          {"requestType", details.request_type},
          {"headers", std::move(headers)},
          {"isJson", details.is_json},
          {"jsonData", details.json_data}};
}

}  // namespace

json::object read_document(Kind kind, const json::value& value, const json::array& loc, schema::Issues& issues) {
  return kind == Kind::intent ? read_intent(value, loc, issues) : read_entity(value, loc, issues);
}

void give_ids(json::object& body, const json::object* previous) {
  for (const std::string_view list : {"parameters", "labeledSentences"}) {
    auto* found = body.if_contains(json::string_view(list.data(), list.size()));
    if (found == nullptr) continue;
    auto& items = found->as_array();
    for (auto& item : items) {
      auto& id = item.as_object()["id"];
      if (!id.is_null()) continue;
      const auto name = string_member(item, "name");
      const auto* same = name.empty() ? nullptr : find_named(previous, list, name);
      const auto kept = same == nullptr ? std::string_view() : string_member(*same, "id");
      id = json::string(kept.empty() || has_id(items, kept) ? make_object_id() : std::string(kept));
    }
  }
}

json::array read_training_data(const json::value& value, const json::array& loc, schema::Issues& issues) {
  return schema::write_value(schema::read<std::vector<json::object>>(value, loc, issues)).as_array();
}

void check_config(const json::object& config, const json::array& loc, schema::Issues& issues) {
  static_cast<void>(schema::read<ConfigBody>(json::value(config), loc, issues));
}

ConfigBody read_config_body(const json::object& stored) {
  schema::Issues ignored;
  return schema::read<ConfigBody>(json::value(stored), {}, ignored);
}

json::object with_id(const Document& document) {
  json::object out;
  out.reserve(document.body.size() + 1);
  out.emplace("id", document.id);
  for (const auto& member : document.body) out.emplace(member.key(), member.value());
  return out;
}

json::object without_parameter_ids(json::object body) {
  auto* parameters = body.if_contains("parameters");
  if (parameters == nullptr) return body;
  for (auto& parameter : parameters->as_array()) {
    json::object rest;
    for (const auto& member : parameter.as_object()) {
      if (member.key() != "id") rest.emplace(member.key(), member.value());
    }
    parameter = std::move(rest);
  }
  return body;
}

Intent to_intent(const Document& document) {
  schema::Issues ignored;
  const json::value value = document.body;
  auto body = schema::read<IntentBody>(value, {}, ignored);
  Intent intent;
  intent.id = document.id;
  intent.name = std::move(body.name);
  intent.user_defined = body.user_defined;
  intent.intent_id = std::move(body.intent_id);
  intent.api_trigger = body.api_trigger;
  if (body.api_details) intent.api_details = to_api_details(*body.api_details, value.at("apiDetails"));
  intent.speech_response = std::move(body.speech_response);
  intent.parameters = std::move(body.parameters);
  for (auto& sentence : body.labeled_sentences) {
    intent.labeled_sentences.push_back({std::move(sentence.id), schema::write_value(sentence.data)});
  }
  for (const auto& example : body.training_data) {
    if (auto read = to_example(example)) intent.training_data.push_back(std::move(*read));
  }
  return intent;
}

Entity to_entity(const Document& document) {
  schema::Issues ignored;
  auto body = schema::read<EntityBody>(json::value(document.body), {}, ignored);
  return {document.id, std::move(body.name), std::move(body.entity_values)};
}

Document to_document(const Intent& intent) {
  json::array sentences;
  for (const auto& sentence : intent.labeled_sentences) {
    sentences.push_back(
        json::object{{"id", schema::write_value(sentence.id)}, {"data", sentence.data.is_array() ? sentence.data : json::array()}});
  }
  Document document{intent.id, 0, {}};
  document.body = {{"name", intent.name},
                   {"userDefined", intent.user_defined},
                   {"intentId", intent.intent_id},
                   {"apiTrigger", intent.api_trigger},
                   {"apiDetails", nullptr},
                   {"speechResponse", intent.speech_response.value_or("")},
                   {"parameters", schema::write_value(intent.parameters)},
                   {"labeledSentences", std::move(sentences)},
                   {"trainingData", schema::write_value(intent.training_data)}};
  if (intent.api_details) document.body["apiDetails"] = write_api_details(*intent.api_details);
  give_ids(document.body, nullptr);
  return document;
}

Document to_document(const Entity& entity) {
  return {entity.id, 0, {{"name", entity.name}, {"entity_values", schema::write_value(entity.entity_values)}}};
}

std::size_t count_examples(const json::object& body) noexcept {
  const auto* data = body.if_contains("trainingData");
  const auto* items = data == nullptr ? nullptr : data->if_array();
  return items == nullptr ? 0 : items->size();
}

}  // namespace loquat::bot
