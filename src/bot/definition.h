#pragma once

#include <array>
#include <boost/describe.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/schema.h"

/// What an admin writes: intents, entities, settings. Values and rules only; pure. Names on the wire are those of the old
/// API (bot-api: "Intent").
namespace loquat::bot {

struct Parameter {
  std::optional<std::string> id;
  std::string name;
  bool required = false;
  std::optional<std::string> type;
  std::optional<std::string> prompt;
};
BOOST_DESCRIBE_STRUCT(Parameter, (), (id, name, required, type, prompt))

struct ApiHeader {
  std::string header_key;
  std::string header_value;
};
BOOST_DESCRIBE_STRUCT(ApiHeader, (), (header_key, header_value))

struct ApiDetails {
  std::string url;
  std::string request_type;
  std::vector<ApiHeader> headers;
  bool is_json = false;
  std::string json_data = "{}";
};
BOOST_DESCRIBE_STRUCT(ApiDetails, (), (url, request_type, headers, is_json, json_data))

struct LabeledSentence {
  std::optional<std::string> id;
  json::value data;
};
BOOST_DESCRIBE_STRUCT(LabeledSentence, (), (id, data))

struct EntitySpan {
  std::string value;
  std::int64_t begin = 0;  ///< code points
  std::int64_t end = 0;
  std::string name;
};
BOOST_DESCRIBE_STRUCT(EntitySpan, (), (value, begin, end, name))

struct Example {
  std::string text;
  std::vector<EntitySpan> entities;
};
BOOST_DESCRIBE_STRUCT(Example, (), (text, entities))

struct Intent {
  std::string id;  ///< 24 hex digits; empty in the export format
  std::string name;
  bool user_defined = true;
  std::string intent_id;
  bool api_trigger = false;
  std::optional<ApiDetails> api_details;
  std::optional<std::string> speech_response;
  std::vector<Parameter> parameters;
  std::vector<LabeledSentence> labeled_sentences;
  std::vector<Example> training_data;
};

struct EntityValue {
  std::string value;
  std::vector<std::string> synonyms;
};
BOOST_DESCRIBE_STRUCT(EntityValue, (), (value, synonyms))

struct Entity {
  std::string id;
  std::string name;
  std::vector<EntityValue> entity_values;
};

/// The bot's config as stored: the old API takes any object; what is missing or of another type has the default.
struct Config {
  double intent_detection_threshold = 0.75;
  double entity_detection_threshold = 0.65;
  json::object raw;  ///< as stored
};
[[nodiscard]] Config read_config(const json::object& raw);

/// One version of a bot, whole: what a running process works from. Immutable once published.
struct Definition {
  std::int64_t version = 0;
  std::vector<Intent> intents;
  std::vector<Entity> entities;
  Config config;
};

/// The intents cancel, fallback and init_conversation, no entities, and the config of a first start.
[[nodiscard]] Definition default_definition();

/// Reads the old export format {"intents": [...], "entities": [...]}: unknown members ignored, null and missing optional ones
/// defaulted, a byte order mark is fine, of two with one name the later wins. Throws Error(invalid) with issues that name the element.
[[nodiscard]] Definition parse_export(std::string_view text);

}  // namespace loquat::bot
