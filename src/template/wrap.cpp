#include "template/wrap.h"

#include <algorithm>

#include "template/memory.h"
#include "template/unicode.h"

namespace loquat::tmpl {

namespace {

using Text = std::u32string;
using View = std::u32string_view;

[[nodiscard]] bool is_blank(char32_t c) noexcept { return c == ' ' || (c >= 0x09 && c <= 0x0D); }
[[nodiscard]] bool is_letter(char32_t c) noexcept { return is_word(c) && decimal_value(c) < 0; }
[[nodiscard]] bool ends_word(char32_t c) noexcept {
  return is_word(c) || c == '!' || c == '"' || c == '\'' || c == '&' || c == '.' || c == ',' || c == '?';
}

/// Cuts a text into words and white space where textwrap's wordsep_re does.
class Splitter {
 public:
  explicit Splitter(View text) : text_(text), run_end_(text.size() + 1, text.size()) {
    for (std::size_t i = text.size(); i-- > 0;) {
      run_end_[i] = text[i] == '-' ? run_end_[i + 1] : i;
    }
  }

  [[nodiscard]] std::vector<View> run() {
    std::vector<View> chunks;
    while (at_ < text_.size()) {
      const std::size_t end = chunk_end();
      chunks.push_back(text_.substr(at_, end - at_));
      at_ = end;
    }
    return chunks;
  }

 private:
  [[nodiscard]] bool letter(std::size_t i) const noexcept { return i < text_.size() && is_letter(text_[i]); }
  [[nodiscard]] bool dash(std::size_t i) const noexcept { return i < text_.size() && text_[i] == '-'; }

  /// Two dashes or more at `i` with a word after them: gives where they end, else 0.
  [[nodiscard]] std::size_t em_dash(std::size_t i) const noexcept {
    const std::size_t end = run_end_[i];
    return end >= i + 2 && end < text_.size() && is_word(text_[end]) ? end : 0;
  }

  [[nodiscard]] std::size_t chunk_end() const noexcept {
    if (is_blank(text_[at_])) {
      std::size_t end = at_;
      while (end < text_.size() && is_blank(text_[end])) {
        ++end;
      }
      return end;
    }
    if (at_ > 0 && ends_word(text_[at_ - 1])) {
      if (const std::size_t end = em_dash(at_); end != 0) {
        return end;
      }
    }
    for (std::size_t i = at_ + 1; i < text_.size(); ++i) {
      if (is_blank(text_[i]) || (ends_word(text_[i - 1]) && em_dash(i) != 0)) {
        return i;
      }
      if (hyphen_ends(i)) {
        return i + 1;
      }
    }
    return text_.size();
  }

  /// A hyphen at `i` after two letters, or after letter-hyphen-letter, and before a letter with another one behind it.
  [[nodiscard]] bool hyphen_ends(std::size_t i) const noexcept {
    if (!dash(i) || i < 2 || !letter(i - 1)) {
      return false;
    }
    const bool before = letter(i - 2) || (i >= 3 && dash(i - 2) && letter(i - 3));
    const bool after = letter(i + 1) && (letter(i + 2) || (dash(i + 2) && letter(i + 3)));
    return before && after;
  }

  View text_;
  std::vector<std::size_t> run_end_;  ///< for each place, where the dashes that start there end
  std::size_t at_ = 0;
};

[[nodiscard]] std::vector<View> split_simple(View text) {
  std::vector<View> chunks;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at;
    while (end < text.size() && is_blank(text[end]) == is_blank(text[at])) {
      ++end;
    }
    chunks.push_back(text.substr(at, end - at));
    at = end;
  }
  return chunks;
}

[[nodiscard]] bool is_all_space(View text) noexcept { return std::ranges::all_of(text, is_space); }

/// Where a word that is too long for a whole line is cut.
[[nodiscard]] std::size_t break_at(View word, std::size_t space, bool on_hyphens) noexcept {
  if (on_hyphens && word.size() > space && space > 0) {
    const std::size_t hyphen = word.rfind(U'-', space - 1);
    if (hyphen != View::npos && hyphen > 0 && word.substr(0, hyphen).find_first_not_of(U'-') != View::npos) {
      return hyphen + 1;
    }
  }
  return space;
}

}  // namespace

std::vector<std::string> wrap_line(std::string_view text, const WrapStyle& style) {
  if (style.width <= 0) {
    fail("invalid width " + std::to_string(style.width) + " (must be > 0)");
  }
  const Text all = to_chars32(text);
  std::vector<View> chunks = style.break_on_hyphens ? Splitter(all).run() : split_simple(all);
  std::ranges::reverse(chunks);
  const auto width = static_cast<std::size_t>(style.width);
  std::vector<std::string> lines;
  while (!chunks.empty()) {
    std::vector<View> line;
    std::size_t length = 0;
    if (!lines.empty() && is_all_space(chunks.back())) {
      chunks.pop_back();
    }
    while (!chunks.empty() && length + chunks.back().size() <= width) {
      length += chunks.back().size();
      line.push_back(chunks.back());
      chunks.pop_back();
    }
    if (!chunks.empty() && chunks.back().size() > width) {
      if (style.break_long_words) {
        View& word = chunks.back();
        const std::size_t end = break_at(word, width - length, style.break_on_hyphens);
        line.push_back(word.substr(0, end));
        word.remove_prefix(end);
      } else if (line.empty()) {
        line.push_back(chunks.back());
        chunks.pop_back();
      }
    }
    if (!line.empty() && is_all_space(line.back())) {
      line.pop_back();
    }
    if (!line.empty()) {
      Text joined;
      for (const View part : line) {
        joined += part;
      }
      lines.push_back(to_utf8(joined));
    }
  }
  return lines;
}

}  // namespace loquat::tmpl
