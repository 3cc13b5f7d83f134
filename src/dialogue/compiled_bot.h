#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bot/definition.h"
#include "dialogue/api_call.h"
#include "dialogue/manager.h"
#include "dialogue/policy.h"
#include "dialogue/text_template.h"
#include "nlu/interpreter.h"

namespace loquat::dialogue {

/// What an intent says and does; its rules have the same number in CompiledBot::rules.
struct CompiledIntent {
  TextTemplate answer;
  std::vector<TextTemplate> prompts;  ///< one a slot
  std::optional<ApiCall> call;
};

class CompiledBot {
 public:
  explicit CompiledBot(const bot::Definition& definition);

  [[nodiscard]] std::int64_t version() const noexcept { return version_; }
  [[nodiscard]] const Rules& rules() const noexcept { return *rules_; }
  [[nodiscard]] const CompiledIntent& intent(std::size_t number) const noexcept { return intents_[number]; }
  [[nodiscard]] const nlu::Interpreter& interpreter() const noexcept { return *interpreter_; }
  [[nodiscard]] const std::vector<std::string>& faults() const noexcept { return faults_; }

 private:
  std::int64_t version_;
  std::unique_ptr<const Rules> rules_;
  std::vector<CompiledIntent> intents_;
  std::unique_ptr<const nlu::Interpreter> interpreter_;
  std::vector<std::string> faults_;
};

/// What an interpreter learns from this bot: its examples with their marks, its entities.
[[nodiscard]] nlu::TrainingData make_training_data(const bot::Definition& definition);

}  // namespace loquat::dialogue
