#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "nlu/gazetteer.h"
#include "nlu/vocabulary.h"

namespace loquat::nlu {

/// Training phrases with slots in them ("fly to {city}"), in one trie whose edges are words or entity types: the cost of a match
/// depends on the message, not on the number of phrases or values.
class PhraseTemplates {
 public:
  /// A slot of this type, or words.
  struct Part {
    std::optional<std::uint32_t> slot;
    std::vector<std::uint32_t> tokens = {};
  };
  /// Of equal templates the first counts.
  void add(const std::vector<Part>& parts, std::uint32_t intent);

  struct Slot {
    std::uint32_t type = 0;
    std::uint32_t value = 0;
    std::uint32_t begin = 0;  ///< units
    std::uint32_t end = 0;
  };
  struct Match {
    std::uint32_t intent = 0;
    std::vector<Slot> slots = {};
  };
  /// The template that the whole message fits; words win over slots, longer values over shorter ones.
  [[nodiscard]] std::optional<Match> match(const Lattice& lattice, const Gazetteer& gazetteer) const;
  [[nodiscard]] bool empty() const noexcept { return intents_.empty(); }

 private:
  struct SlotEdge {
    std::uint32_t type;
    std::uint32_t child;
  };
  struct Search;
  bool walk(Search& search, std::uint32_t node, std::uint32_t unit) const;
  bool walk_slots(Search& search, const std::vector<SlotEdge>& edges, std::uint32_t unit) const;

  Trie trie_;
  boost::unordered_flat_map<std::uint32_t, std::vector<SlotEdge>> slots_;  ///< by node
  boost::unordered_flat_map<std::uint32_t, std::uint32_t> intents_;        ///< by node
};

}  // namespace loquat::nlu
