#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nlu/vocabulary.h"

namespace loquat::nlu {

/// The values and synonyms of all entities, found in a message by one walk over a trie. Built once, then only read.
class Gazetteer {
 public:
  /// Number of the type, made when it is new.
  [[nodiscard]] std::uint32_t add_type(std::string_view name);
  /// `spelling` means `value`. What was said first holds.
  void add(std::uint32_t type, std::string_view spelling, std::string_view value, Vocabulary& vocabulary);

  [[nodiscard]] const std::string& type_name(std::uint32_t type) const noexcept { return types_[type]; }
  [[nodiscard]] std::size_t type_count() const noexcept { return types_.size(); }

  struct Entry {
    std::uint32_t type = 0;
    std::uint32_t value = 0;
  };
  struct Hit {
    std::uint32_t end = 0;           ///< unit behind it
    std::span<const Entry> entries;  ///< one a type
  };
  /// Everything that begins at `unit`, in no particular order.
  void find_at(const Lattice& lattice, std::size_t unit, std::vector<Hit>& hits) const;
  [[nodiscard]] const std::string& value(std::uint32_t number) const noexcept { return values_[number]; }

 private:
  std::uint32_t value_number(std::string_view value);
  void walk(const Lattice& lattice, std::uint32_t unit, std::uint32_t node, std::vector<Hit>& hits) const;

  Trie trie_;
  std::vector<std::string> types_;
  boost::unordered_flat_map<std::string, std::uint32_t> type_numbers_;
  std::vector<std::string> values_;
  boost::unordered_flat_map<std::string, std::uint32_t> value_numbers_;
  boost::unordered_flat_map<std::uint32_t, std::vector<Entry>> entries_;  ///< by node
};

}  // namespace loquat::nlu
