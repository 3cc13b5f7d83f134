#include "bot/definition.h"

#include "bot/document.h"
#include "bot/draft.h"

namespace loquat::bot {
namespace {

/// The names and ids are those of the old first start, so that a file exported there updates these intents instead of adding
/// a second fallback.
constexpr std::string_view first_bot = R"json({
  "intents": [
    {
      "name": "Default Fallback intent", "userDefined": false, "intentId": "fallback",
      "speechResponse": "{{ \n\n[\n    \"Sorry ### I did not get that.\",\n    \"Hmm ### I do not know how to help with that yet.\",\n    \"Could you say that in other words?\"\n] | random \n\n}}\ufeff\n\n"
    },
    {
      "name": "cancel", "userDefined": false, "intentId": "cancel",
      "speechResponse": "Okay, canceled.",
      "trainingData": [
        {"text": "cancel", "entities": []}, {"text": "cancel it", "entities": []}, {"text": "cancel that", "entities": []},
        {"text": "please cancel", "entities": []}, {"text": "i want to cancel", "entities": []}, {"text": "never mind", "entities": []},
        {"text": "forget it", "entities": []}
      ]
    },
    {
      "name": "Welcome message", "userDefined": false, "intentId": "init_conversation",
      "speechResponse": "Hello {{ context[\"username\"] | default(\"there\") }}! ### How can I help you?",
      "trainingData": [
        {"text": "hi", "entities": []}, {"text": "hello", "entities": []}, {"text": "hey", "entities": []},
        {"text": "hello there", "entities": []}, {"text": "hi there", "entities": []}, {"text": "hey there", "entities": []},
        {"text": "good morning", "entities": []}, {"text": "good evening", "entities": []}
      ]
    }
  ],
  "entities": []
})json";

double threshold(const json::object& raw, std::string_view name, double fallback) {
  const auto* settings = raw.if_contains("traditional_settings");
  const auto* found = settings == nullptr ? nullptr : find_member(*settings, name);
  if (found == nullptr) return fallback;
  schema::Issues issues;
  const auto number = schema::read<double>(*found, {}, issues);
  return issues.empty() ? number : fallback;
}

}  // namespace

Config read_config(const json::object& raw) {
  Config config;
  config.intent_detection_threshold = threshold(raw, "intent_detection_threshold", config.intent_detection_threshold);
  config.entity_detection_threshold = threshold(raw, "entity_detection_threshold", config.entity_detection_threshold);
  config.raw = raw;
  return config;
}

Definition default_definition() {
  auto definition = parse_export(first_bot);
  definition.config = read_config(schema::write(ConfigBody()));
  return definition;
}

Definition parse_export(std::string_view text) {
  const Draft empty;
  const auto changes = apply_export(empty, parse_export_file(text, {}), {});
  auto definition = to_definition(merge(empty, changes));
  for (auto& intent : definition.intents) intent.id.clear();
  for (auto& entity : definition.entities) entity.id.clear();
  return definition;
}

}  // namespace loquat::bot
