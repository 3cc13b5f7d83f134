#pragma once

#include <array>
#include <boost/describe.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bot/definition.h"
#include "core/json.h"
#include "core/schema.h"

/// Intents, entities and configs as JSON: what clients send, see and export, and what is stored. A body has all members of
/// the old API in its order, without `id`. Pure.
namespace loquat::bot {

enum class Kind : std::uint8_t { intent, entity };

/// One intent or entity of the draft. The secrets in `body` are in clear.
struct Document {
  std::string id;            ///< 24 hex digits
  std::int64_t version = 0;  ///< counts changes; the ETag. 0: not stored yet
  json::object body;
};

struct ApiDetailsBody {
  std::string url;
  std::string request_type;
  std::vector<std::map<std::string, std::string>> headers;
  bool is_json = false;
  std::string json_data = "{}";
};
BOOST_DESCRIBE_STRUCT(ApiDetailsBody, (), (url, request_type, headers, is_json, json_data))

struct LabeledSentenceBody {
  std::optional<std::string> id;
  std::vector<std::string> data;
};
BOOST_DESCRIBE_STRUCT(LabeledSentenceBody, (), (id, data))

struct IntentBody {
  std::string name;
  bool user_defined = true;
  std::string intent_id;
  bool api_trigger = false;
  std::optional<ApiDetailsBody> api_details;
  std::string speech_response;
  std::vector<Parameter> parameters;
  std::vector<LabeledSentenceBody> labeled_sentences;
  std::vector<json::object> training_data;
};
BOOST_DESCRIBE_STRUCT(IntentBody, (),
                      (name, user_defined, intent_id, api_trigger, api_details, speech_response, parameters, labeled_sentences,
                       training_data))

struct EntityBody {
  std::string name;
  std::vector<EntityValue> entity_values;
};
BOOST_DESCRIBE_STRUCT(EntityBody, (), (name, entity_values))

struct TraditionalSettings {
  double intent_detection_threshold = 0.75;
  double entity_detection_threshold = 0.65;
  bool use_spacy = true;
};
BOOST_DESCRIBE_STRUCT(TraditionalSettings, (), (intent_detection_threshold, entity_detection_threshold, use_spacy))

struct LlmSettings {
  std::string base_url = "http://127.0.0.1:11434/v1";
  std::string api_key = "ollama";
  std::string model_name = "llama2:13b-chat";
  std::int64_t max_tokens = 4096;
  double temperature = 0.7;
};
BOOST_DESCRIBE_STRUCT(LlmSettings, (), (base_url, api_key, model_name, max_tokens, temperature))

struct ConfigBody {
  std::string pipeline_type = "traditional";
  TraditionalSettings traditional_settings;
  LlmSettings llm_settings;
};
BOOST_DESCRIBE_STRUCT(ConfigBody, (), (pipeline_type, traditional_settings, llm_settings))

constexpr auto required_members(const Parameter* /*unused*/) { return std::array<std::string_view, 1>{"name"}; }
constexpr auto required_members(const ApiDetailsBody* /*unused*/) { return std::array<std::string_view, 2>{"url", "request_type"}; }
constexpr auto renamed_members(const ApiDetailsBody* /*unused*/) {
  return std::array{schema::Rename{"request_type", "requestType"}, schema::Rename{"is_json", "isJson"},
                    schema::Rename{"json_data", "jsonData"}};
}
constexpr auto required_members(const IntentBody* /*unused*/) {
  return std::array<std::string_view, 3>{"name", "intent_id", "speech_response"};
}
constexpr auto renamed_members(const IntentBody* /*unused*/) {
  return std::array{schema::Rename{"user_defined", "userDefined"},       schema::Rename{"intent_id", "intentId"},
                    schema::Rename{"api_trigger", "apiTrigger"},         schema::Rename{"api_details", "apiDetails"},
                    schema::Rename{"speech_response", "speechResponse"}, schema::Rename{"labeled_sentences", "labeledSentences"},
                    schema::Rename{"training_data", "trainingData"}};
}
constexpr auto required_members(const EntityValue* /*unused*/) { return std::array<std::string_view, 1>{"value"}; }
constexpr auto required_members(const EntityBody* /*unused*/) { return std::array<std::string_view, 1>{"name"}; }

/// Reads what a client sends for an intent or entity into a body: unknown members dropped, missing optional ones defaulted, ids
/// of parameters and labeled sentences checked and lower-cased (null or left out: null, see give_ids). After issues were added
/// the result is incomplete. Secrets are as sent: see restore_secrets.
[[nodiscard]] json::object read_document(Kind kind, const json::value& value, const json::array& loc, schema::Issues& issues);

/// Gives an id to every parameter and labeled sentence that has none: that of the parameter of that name in `previous`,
/// else a new one.
void give_ids(json::object& body, const json::object* previous);

/// The training data of an intent: a list of objects.
[[nodiscard]] json::array read_training_data(const json::value& value, const json::array& loc, schema::Issues& issues);

/// Checks the known members of a bot's config; the object itself is stored as it came.
void check_config(const json::object& config, const json::array& loc, schema::Issues& issues);
/// The config as clients see it: the known members, what is missing or of another type defaulted.
[[nodiscard]] ConfigBody read_config_body(const json::object& stored);

/// `id` in front of the body's members.
[[nodiscard]] json::object with_id(const Document& document);
/// A body without the parameters' ids, as the export has it.
[[nodiscard]] json::object without_parameter_ids(json::object body);

/// The value types a running bot works from. Training examples that are none (no text) are left out.
[[nodiscard]] Intent to_intent(const Document& document);
[[nodiscard]] Entity to_entity(const Document& document);
[[nodiscard]] Document to_document(const Intent& intent);
[[nodiscard]] Document to_document(const Entity& entity);

/// How many training examples a body has.
[[nodiscard]] std::size_t count_examples(const json::object& body) noexcept;

}  // namespace loquat::bot
