#include "dialogue/compiled_bot.h"

#include "core/error.h"

#include <algorithm>
#include <utility>

#include "nlu/phrase_interpreter.h"

namespace loquat::dialogue {
namespace {

/// A slot without a prompt must be asked for somehow: silence would look like a dead bot.
std::string make_prompt(const bot::Parameter& parameter) { return parameter.prompt.value_or("Please enter: " + parameter.name); }

CompiledIntent compile_intent(const bot::Intent& intent, std::vector<std::string>& faults) {
  std::vector<std::string> found;
  CompiledIntent compiled{TextTemplate(intent.speech_response.value_or("")), {}, std::nullopt};
  if (!compiled.answer.fault().empty()) found.push_back("answer: " + compiled.answer.fault());
  for (const auto& parameter : intent.parameters) {
    compiled.prompts.emplace_back(make_prompt(parameter));
    const auto& fault = compiled.prompts.back().fault();
    if (!fault.empty()) found.push_back("prompt of " + parameter.name + ": " + fault);
  }
  if (intent.api_trigger && intent.api_details) compiled.call.emplace(*intent.api_details, found);
  for (const auto& fault : found) faults.push_back("Intent " + intent.intent_id + ": " + fault);
  return compiled;
}

IntentRules make_rules(const bot::Intent& intent) {
  IntentRules rules{intent.intent_id, {}};
  for (const auto& parameter : intent.parameters) rules.slots.push_back({parameter.name, parameter.type, parameter.required});
  return rules;
}

std::size_t to_offset(std::int64_t value) { return static_cast<std::size_t>(std::max<std::int64_t>(value, 0)); }

}  // namespace

nlu::TrainingData make_training_data(const bot::Definition& definition) {
  nlu::TrainingData data;
  for (const auto& intent : definition.intents) {
    for (const auto& example : intent.training_data) {
      nlu::TrainingExample out{example.text, intent.intent_id, {}};
      for (const auto& span : example.entities) out.spans.push_back({span.name, span.value, to_offset(span.begin), to_offset(span.end)});
      data.examples.push_back(std::move(out));
    }
  }
  for (const auto& entity : definition.entities) {
    nlu::EntityType type{entity.name, {}};
    for (const auto& value : entity.entity_values) type.values.push_back({value.value, value.synonyms});
    data.entities.push_back(std::move(type));
  }
  return data;
}

CompiledBot::CompiledBot(const bot::Definition& definition) : version_(definition.version) {
  std::vector<IntentRules> rules;
  rules.reserve(definition.intents.size());
  intents_.reserve(definition.intents.size());
  for (const auto& intent : definition.intents) {
    rules.push_back(make_rules(intent));
    intents_.push_back(compile_intent(intent, faults_));
  }
  rules_ = std::make_unique<const Rules>(std::move(rules), definition.config.intent_detection_threshold);
  interpreter_ = nlu::make_phrase_interpreter(make_training_data(definition));
}

std::shared_ptr<const CompiledBot> compile(const bot::Definition& definition) { return std::make_shared<const CompiledBot>(definition); }

void check(const bot::Definition& definition) {
  (void)compile(definition);
  const auto refuse = [](const bot::Intent& intent, std::string_view where, const std::string& text) {
    const TextTemplate compiled(text);
    const std::string_view fault = compiled.fault();
    // A name that this release does not know fails only where it is reached: old bots keep their other intents.
    const bool unknown_name = fault.find("No filter named") != fault.npos || fault.find("No test named") != fault.npos;
    if (!fault.empty() && !unknown_name)
      throw Error(Code::invalid, "Intent " + intent.intent_id + ": " + std::string(where) + ": " + std::string(fault));
  };
  for (const auto& intent : definition.intents) {
    refuse(intent, "answer", intent.speech_response.value_or(""));
    for (const auto& parameter : intent.parameters) refuse(intent, "prompt of " + parameter.name, parameter.prompt.value_or(""));
    if (!intent.api_trigger || !intent.api_details) continue;
    refuse(intent, "API call, URL", intent.api_details->url);
    for (const auto& header : intent.api_details->headers) refuse(intent, "API call, header " + header.header_key, header.header_value);
    if (intent.api_details->is_json) refuse(intent, "API call, JSON data", intent.api_details->json_data);
  }
}

std::int64_t version_of(const CompiledBot& bot) noexcept { return bot.version(); }

const std::vector<std::string>& faults_of(const CompiledBot& bot) noexcept { return bot.faults(); }

}  // namespace loquat::dialogue
