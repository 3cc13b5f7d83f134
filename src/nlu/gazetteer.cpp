#include "nlu/gazetteer.h"

#include <algorithm>

namespace loquat::nlu {

std::uint32_t Gazetteer::add_type(std::string_view name) {
  const auto [at, fresh] = type_numbers_.try_emplace(std::string(name), static_cast<std::uint32_t>(types_.size()));
  if (fresh) types_.emplace_back(name);
  return at->second;
}

std::uint32_t Gazetteer::value_number(std::string_view value) {
  const auto [at, fresh] = value_numbers_.try_emplace(std::string(value), static_cast<std::uint32_t>(values_.size()));
  if (fresh) values_.emplace_back(value);
  return at->second;
}

void Gazetteer::add(std::uint32_t type, std::string_view spelling, std::string_view value, Vocabulary& vocabulary) {
  const auto words = split_words(spelling);
  if (words.units.empty()) return;
  for (const auto& tokens : spellings(words, 0, words.units.size())) {
    std::uint32_t node = 0;
    for (const auto& token : tokens) node = trie_.grow(node, vocabulary.add(token));
    auto& entries = entries_[node];
    if (std::ranges::find(entries, type, &Entry::type) != entries.end()) continue;
    entries.push_back({type, value_number(value)});
  }
}

void Gazetteer::find_at(const Lattice& lattice, std::size_t unit, std::vector<Hit>& hits) const {
  hits.clear();
  walk(lattice, static_cast<std::uint32_t>(unit), 0, hits);
}

void Gazetteer::walk(const Lattice& lattice, std::uint32_t unit, std::uint32_t node, std::vector<Hit>& hits) const {
  if (unit >= lattice.size()) return;
  for (const auto* arc = lattice.begin(unit); arc != lattice.end(unit); ++arc) {
    const auto child = trie_.find(node, arc->token);
    if (!child) continue;
    const auto found = entries_.find(*child);
    if (found != entries_.end()) hits.push_back({arc->next, found->second});
    walk(lattice, arc->next, *child, hits);
  }
}

}  // namespace loquat::nlu
