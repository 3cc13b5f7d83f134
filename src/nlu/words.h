#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace loquat::nlu {

/// A piece of a message that is compared as a whole: a word, a number, a symbol, or one character of a script that is
/// written without blanks (Han, Kana, Thai, ...).
struct Unit {
  std::uint32_t offset = 0;  ///< in Words::folded, bytes
  std::uint32_t size = 0;
  std::uint32_t begin = 0;  ///< in the message, code points
  std::uint32_t end = 0;
  bool glued = false;  ///< only punctuation stands between it and the word before: "wi-fi" may also be read "wifi"
};

/// A message cut into units: case, width and composition folded (NFKC_Casefold), punctuation dropped unless there is nothing
/// else. Symbols stay, so "C++" is not "C".
struct Words {
  std::string folded;
  std::vector<Unit> units;

  [[nodiscard]] std::string_view text(std::size_t unit) const noexcept {
    return std::string_view(folded).substr(units[unit].offset, units[unit].size);
  }
};

/// `text` is UTF-8; what is none counts as U+FFFD. At most `limit` units, the rest of the text is left out.
[[nodiscard]] Words split_words(std::string_view text, std::size_t limit = 4096);

}  // namespace loquat::nlu
