#pragma once

#include <memory>

#include "nlu/interpreter.h"

namespace loquat::nlu {

/// Understands the training phrases themselves, with confidence 1, and nothing else. A message matches a phrase when both are
/// equal after text::match_key; a phrase that marks entities also matches with any other value or synonym of these entities in
/// their places. Entities' values and synonyms are found anywhere in any message, at word boundaries, the longest first.
/// What is marked in a phrase counts as a value of its entity too. Of two intents with one phrase the first one wins.
[[nodiscard]] std::unique_ptr<const Interpreter> make_phrase_interpreter(const TrainingData& data);

}  // namespace loquat::nlu
