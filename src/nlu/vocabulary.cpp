#include "nlu/vocabulary.h"

#include <algorithm>

namespace loquat::nlu {
namespace {

/// How many units glued by punctuation are tried as one word: "u.s.a" has three.
constexpr std::size_t most_glued = 6;

}  // namespace

std::uint32_t Vocabulary::add(std::string_view word) {
  const auto found = numbers_.find(word);
  if (found != numbers_.end()) return found->second;
  const auto number = static_cast<std::uint32_t>(numbers_.size());
  numbers_.emplace(std::string(word), number);
  return number;
}

std::optional<std::uint32_t> Vocabulary::find(std::string_view word) const noexcept {
  const auto found = numbers_.find(word);
  return found == numbers_.end() ? std::nullopt : std::optional(found->second);
}

Lattice::Lattice(const Words& words, const Vocabulary& vocabulary) {
  const std::size_t count = words.units.size();
  arcs_.reserve(count + 4);
  first_.reserve(count + 1);
  std::string joined;
  for (std::size_t unit = 0; unit < count; ++unit) {
    first_.push_back(static_cast<std::uint32_t>(arcs_.size()));
    if (const auto token = vocabulary.find(words.text(unit))) arcs_.push_back({*token, static_cast<std::uint32_t>(unit + 1)});
    joined.clear();
    for (std::size_t next = unit + 1; next < count && words.units[next].glued && next - unit < most_glued; ++next) {
      if (joined.empty()) joined = words.text(unit);
      joined += words.text(next);
      if (const auto token = vocabulary.find(joined)) arcs_.push_back({*token, static_cast<std::uint32_t>(next + 1)});
    }
  }
  first_.push_back(static_cast<std::uint32_t>(arcs_.size()));
}

std::uint32_t Trie::grow(std::uint32_t node, std::uint32_t token) {
  const auto [at, fresh] = edges_.try_emplace(key(node, token), count_);
  if (fresh) ++count_;
  return at->second;
}

std::optional<std::uint32_t> Trie::find(std::uint32_t node, std::uint32_t token) const noexcept {
  const auto found = edges_.find(key(node, token));
  return found == edges_.end() ? std::nullopt : std::optional(found->second);
}

std::vector<std::vector<std::string>> spellings(const Words& words, std::size_t first, std::size_t last) {
  std::vector<std::string> apart;
  std::vector<std::string> together;
  for (std::size_t unit = first; unit < last; ++unit) {
    apart.emplace_back(words.text(unit));
    if (unit > first && words.units[unit].glued) {
      together.back() += words.text(unit);
    } else {
      together.emplace_back(words.text(unit));
    }
  }
  std::vector<std::vector<std::string>> all;
  const bool differ = together.size() != apart.size();
  all.push_back(std::move(apart));
  if (differ) all.push_back(std::move(together));
  return all;
}

}  // namespace loquat::nlu
