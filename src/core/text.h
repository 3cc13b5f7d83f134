#pragma once

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

/// Unicode over ICU. All functions take and give UTF-8; bytes that are no UTF-8 count as U+FFFD.
namespace loquat::text {

[[nodiscard]] bool is_valid_utf8(std::string_view text) noexcept;
/// Replaces what is no UTF-8 by U+FFFD.
[[nodiscard]] std::string to_valid_utf8(std::string_view text);
/// NFKC_Casefold, white space collapsed to single blanks, trimmed.
[[nodiscard]] std::string fold(std::string_view text);
/// fold(), then punctuation and symbols removed too: what training phrases are matched by. A text of nothing else
/// (an emoji) stays as fold() gives it.
[[nodiscard]] std::string match_key(std::string_view text);
/// Number of code points.
[[nodiscard]] std::size_t length(std::string_view text) noexcept;
/// Splits into parts of at most `limit` code points, between words where there is a blank, never inside a grapheme
/// cluster (unless one cluster alone is longer than the limit). Blanks at the cuts are dropped. Never an empty or blank part;
/// a text that fits and is not blank comes back as it is.
[[nodiscard]] std::vector<std::string> split_at_words(std::string_view text, std::size_t limit);

/// An ASCII letter or digit; `c` is a byte or a code point.
[[nodiscard]] constexpr bool is_ascii_alphanumeric(std::integral auto c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}
[[nodiscard]] constexpr char to_lower_ascii(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
[[nodiscard]] std::string to_lower_ascii(std::string_view text);
[[nodiscard]] bool equal_ignoring_ascii_case(std::string_view a, std::string_view b) noexcept;
[[nodiscard]] std::string_view trim_ascii(std::string_view text) noexcept;
[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);

}  // namespace loquat::text
