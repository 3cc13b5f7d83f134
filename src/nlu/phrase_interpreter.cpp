#include "nlu/phrase_interpreter.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/text.h"
#include "nlu/gazetteer.h"
#include "nlu/phrase_templates.h"
#include "nlu/span_offsets.h"
#include "nlu/words.h"

namespace loquat::nlu {
namespace {

/// Entities taken from one message; nobody fills more slots.
constexpr std::size_t most_entities = 100;
/// A longer phrase only matches as it stands.
constexpr std::size_t most_phrase_units = 256;

class PhraseInterpreter final : public Interpreter {
 public:
  explicit PhraseInterpreter(const TrainingData& data) {
    add_entities(data);
    for (const auto& example : data.examples) add_example(example);
  }

  asio::awaitable<Meaning> interpret(std::string_view text) const override { co_return understand(text); }

  std::vector<EntityMatch> find_entities(std::string_view text) const override {
    const auto words = split_words(text);
    return collect(words, Lattice(words, vocabulary_), {});
  }

 private:
  void add_entities(const TrainingData& data) {
    for (const auto& entity : data.entities) {
      const auto type = gazetteer_.add_type(entity.name);
      // A value's own name means the value, whatever lists it as a synonym.
      for (const auto& value : entity.values) gazetteer_.add(type, value.value, value.value, vocabulary_);
    }
    for (const auto& entity : data.entities) {
      const auto type = gazetteer_.add_type(entity.name);
      for (const auto& value : entity.values) {
        for (const auto& synonym : value.synonyms) gazetteer_.add(type, synonym, value.value, vocabulary_);
      }
    }
    for (const auto& example : data.examples) {
      for (const auto& span : example.spans) {
        if (!span.type.empty()) gazetteer_.add(gazetteer_.add_type(span.type), span.value, span.value, vocabulary_);
      }
    }
  }

  void add_example(const TrainingExample& example) {
    const auto intent = intent_number(example.intent);
    auto key = text::match_key(example.text);
    if (key.empty()) return;
    const bool is_template = !example.spans.empty() && add_template(example, intent);
    (is_template ? marked_ : phrases_).try_emplace(std::move(key), intent);
  }

  /// False when no span of the phrase stands on whole words.
  bool add_template(const TrainingExample& example, std::uint32_t intent) {
    const auto words = split_words(example.text);
    if (words.units.size() > most_phrase_units) return false;
    struct Place {
      std::size_t first;
      std::size_t last;
      std::uint32_t type;
    };
    std::vector<Place> places;
    for (const auto& span : example.spans) {
      const auto found = span.type.empty() ? std::nullopt : find_span(example.text, words, span);
      if (!found) continue;
      const auto type = gazetteer_.add_type(span.type);
      std::string written;
      for (auto unit = found->first; unit < found->second; ++unit) written.append(words.text(unit)).append(1, ' ');
      gazetteer_.add(type, written, span.value.empty() ? written.substr(0, written.size() - 1) : span.value, vocabulary_);
      places.push_back({found->first, found->second, type});
    }
    std::ranges::sort(places, {}, &Place::first);
    if (places.empty()) return false;
    // Both spellings of words that punctuation glues together, everywhere or nowhere: "don't ask {name}", "dont ask {name}".
    for (const bool together : {false, true}) {
      std::vector<PhraseTemplates::Part> parts;
      std::size_t at = 0;
      for (const auto& place : places) {
        if (place.first < at) continue;  // overlaps the one before
        append_words(parts, words, at, place.first, together);
        parts.push_back({.slot = place.type});
        at = place.last;
      }
      append_words(parts, words, at, words.units.size(), together);
      templates_.add(parts, intent);
    }
    return true;
  }

  void append_words(std::vector<PhraseTemplates::Part>& parts, const Words& words, std::size_t first, std::size_t last, bool together) {
    if (first == last) return;
    const auto written = spellings(words, first, last);
    PhraseTemplates::Part part;
    for (const auto& word : together ? written.back() : written.front()) part.tokens.push_back(vocabulary_.add(word));
    parts.push_back(std::move(part));
  }

  std::uint32_t intent_number(const std::string& name) {
    const auto [at, fresh] = intent_numbers_.try_emplace(name, static_cast<std::uint32_t>(intents_.size()));
    if (fresh) intents_.push_back(name);
    return at->second;
  }

  Meaning understand(std::string_view text) const {
    Meaning meaning;
    const auto words = split_words(text);
    const Lattice lattice(words, vocabulary_);
    std::optional<PhraseTemplates::Match> match;
    const auto key = text::match_key(text);
    if (const auto phrase = phrases_.find(key); phrase != phrases_.end()) {
      meaning.intent = intents_[phrase->second];
    } else if ((match = templates_.match(lattice, gazetteer_))) {
      // Several intents may share a template; the one that was shown this very value means it.
      const auto own = marked_.find(key);
      meaning.intent = intents_[own == marked_.end() ? match->intent : own->second];
    }
    meaning.confidence = meaning.intent ? 1.0 : 0.0;
    meaning.entities = collect(words, lattice, match ? match->slots : std::vector<PhraseTemplates::Slot>());
    return meaning;
  }

  EntityMatch make_match(const Words& words, std::uint32_t type, std::uint32_t value, std::size_t first, std::size_t last) const {
    return {gazetteer_.type_name(type), gazetteer_.value(value), words.units[first].begin, words.units[last - 1].end};
  }

  /// The slots of the template, and what stands between them. One span with values of several types gives each of them.
  std::vector<EntityMatch> collect(const Words& words, const Lattice& lattice, const std::vector<PhraseTemplates::Slot>& slots) const {
    std::vector<EntityMatch> found;
    std::vector<Gazetteer::Hit> hits;
    auto slot = slots.begin();
    for (std::size_t unit = 0; unit < lattice.size() && found.size() < most_entities;) {
      if (slot != slots.end() && slot->begin == unit) {
        found.push_back(make_match(words, slot->type, slot->value, unit, slot->end));
        unit = slot->end;
        ++slot;
        continue;
      }
      gazetteer_.find_at(lattice, unit, hits);
      const std::size_t border = slot == slots.end() ? lattice.size() : slot->begin;
      const Gazetteer::Hit* longest = nullptr;
      for (const auto& hit : hits) {
        if (hit.end <= border && (longest == nullptr || hit.end > longest->end)) longest = &hit;
      }
      if (longest == nullptr) {
        ++unit;
        continue;
      }
      for (const auto& entry : longest->entries) found.push_back(make_match(words, entry.type, entry.value, unit, longest->end));
      unit = longest->end;
    }
    return found;
  }

  struct Hash {
    using is_transparent = void;  // NOLINT(readability-identifier-naming)
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
  };

  Vocabulary vocabulary_;
  Gazetteer gazetteer_;
  PhraseTemplates templates_;
  using Phrases = boost::unordered_flat_map<std::string, std::uint32_t, Hash, std::equal_to<>>;  ///< match_key -> intent
  Phrases phrases_;
  Phrases marked_;  ///< those that are templates, as they were written
  boost::unordered_flat_map<std::string, std::uint32_t> intent_numbers_;
  std::vector<std::string> intents_;
};

}  // namespace

std::unique_ptr<const Interpreter> make_phrase_interpreter(const TrainingData& data) {
  return std::make_unique<const PhraseInterpreter>(data);
}

}  // namespace loquat::nlu
