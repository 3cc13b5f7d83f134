#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nlu/words.h"

namespace loquat::nlu {

/// Numbers for the words that values and phrases are made of, and the edges of the tries over them.
class Vocabulary {
 public:
  [[nodiscard]] std::uint32_t add(std::string_view word);
  [[nodiscard]] std::optional<std::uint32_t> find(std::string_view word) const noexcept;

 private:
  struct Hash {
    using is_transparent = void;  // NOLINT(readability-identifier-naming)
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
  };
  boost::unordered_flat_map<std::string, std::uint32_t, Hash, std::equal_to<>> numbers_;
};

/// The known words of a message and where each leads to: from a unit to the unit behind the word. "wi-fi" gives wi, fi and wifi.
class Lattice {
 public:
  struct Arc {
    std::uint32_t token = 0;
    std::uint32_t next = 0;
  };
  Lattice(const Words& words, const Vocabulary& vocabulary);

  [[nodiscard]] std::size_t size() const noexcept { return first_.size() - 1; }
  [[nodiscard]] const Arc* begin(std::size_t unit) const noexcept { return arcs_.data() + first_[unit]; }
  [[nodiscard]] const Arc* end(std::size_t unit) const noexcept { return arcs_.data() + first_[unit + 1]; }

 private:
  std::vector<Arc> arcs_;
  std::vector<std::uint32_t> first_;
};

/// A trie over word numbers: node 0 is the root.
class Trie {
 public:
  /// The child, made when it is missing.
  [[nodiscard]] std::uint32_t grow(std::uint32_t node, std::uint32_t token);
  [[nodiscard]] std::optional<std::uint32_t> find(std::uint32_t node, std::uint32_t token) const noexcept;
  [[nodiscard]] std::uint32_t size() const noexcept { return count_; }
  [[nodiscard]] std::uint32_t make_node() noexcept { return count_++; }

 private:
  static std::uint64_t key(std::uint32_t node, std::uint32_t token) noexcept { return std::uint64_t{node} << 32U | token; }
  boost::unordered_flat_map<std::uint64_t, std::uint32_t> edges_;
  std::uint32_t count_ = 1;
};

/// The units from `first` to `last`, written apart, and, when some are glued, also together: what is put into a trie.
[[nodiscard]] std::vector<std::vector<std::string>> spellings(const Words& words, std::size_t first, std::size_t last);

}  // namespace loquat::nlu
