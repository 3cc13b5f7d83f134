#include "nlu/phrase_templates.h"

#include <algorithm>
#include <boost/unordered/unordered_flat_set.hpp>

namespace loquat::nlu {
namespace {

/// No message costs more than this, however the bot's phrases overlap.
constexpr std::size_t most_steps = 50'000;

}  // namespace

struct PhraseTemplates::Search {
  const Lattice& lattice;
  const Gazetteer& gazetteer;
  Match found;
  boost::unordered_flat_set<std::uint64_t> failed;  ///< node and unit from which no way leads to the end
  std::size_t steps = 0;
};

void PhraseTemplates::add(const std::vector<Part>& parts, std::uint32_t intent) {
  std::uint32_t node = 0;
  for (const auto& part : parts) {
    if (!part.slot) {
      for (const auto token : part.tokens) node = trie_.grow(node, token);
      continue;
    }
    auto& edges = slots_[node];
    const auto edge = std::ranges::find(edges, *part.slot, &SlotEdge::type);
    if (edge == edges.end()) {
      const auto child = trie_.make_node();
      edges.push_back({*part.slot, child});
      node = child;
    } else {
      node = edge->child;
    }
  }
  if (node != 0) intents_.try_emplace(node, intent);
}

std::optional<PhraseTemplates::Match> PhraseTemplates::match(const Lattice& lattice, const Gazetteer& gazetteer) const {
  if (empty()) return std::nullopt;
  Search search{lattice, gazetteer, {}, {}};
  if (!walk(search, 0, 0)) return std::nullopt;
  return std::move(search.found);
}

bool PhraseTemplates::walk(Search& search, std::uint32_t node, std::uint32_t unit) const {
  if (unit == search.lattice.size()) {
    const auto intent = intents_.find(node);
    if (intent == intents_.end()) return false;
    search.found.intent = intent->second;
    return true;
  }
  if (++search.steps > most_steps) return false;
  const std::uint64_t place = std::uint64_t{node} << 32U | unit;
  if (search.failed.contains(place)) return false;
  for (const auto* arc = search.lattice.begin(unit); arc != search.lattice.end(unit); ++arc) {
    const auto child = trie_.find(node, arc->token);
    if (child && walk(search, *child, arc->next)) return true;
  }
  const auto edges = slots_.find(node);
  if (edges != slots_.end() && walk_slots(search, edges->second, unit)) return true;
  search.failed.insert(place);
  return false;
}

bool PhraseTemplates::walk_slots(Search& search, const std::vector<SlotEdge>& edges, std::uint32_t unit) const {
  std::vector<Gazetteer::Hit> hits;
  search.gazetteer.find_at(search.lattice, unit, hits);
  std::ranges::sort(hits, std::greater<>(), &Gazetteer::Hit::end);
  for (const auto& hit : hits) {
    for (const auto& edge : edges) {
      const auto entry = std::ranges::find(hit.entries, edge.type, &Gazetteer::Entry::type);
      if (entry == hit.entries.end()) continue;
      search.found.slots.push_back({edge.type, entry->value, unit, hit.end});
      if (walk(search, edge.child, hit.end)) return true;
      search.found.slots.pop_back();
    }
  }
  return false;
}

}  // namespace loquat::nlu
