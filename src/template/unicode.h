#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// UTF-8 and what Python's str knows about characters, over ICU. Bytes that are no UTF-8 count as one U+FFFD each.
namespace loquat::tmpl {

/// Reads one code point and moves `at` past it; `at` must be inside `text`.
[[nodiscard]] char32_t next_char(std::string_view text, std::size_t& at) noexcept;
/// Start of the code point that ends before `at`; `at` must not be 0.
[[nodiscard]] std::size_t previous_char(std::string_view text, std::size_t at) noexcept;
[[nodiscard]] std::int64_t count_chars(std::string_view text) noexcept;
/// Writes UTF-8 into `out`, gives the number of bytes; surrogates and what is beyond Unicode become U+FFFD.
std::size_t encode_char(char32_t c, char* out) noexcept;
void append_char(std::string& out, char32_t c);
[[nodiscard]] bool is_ascii(std::string_view text) noexcept;
[[nodiscard]] std::u32string to_chars32(std::string_view text);
[[nodiscard]] std::string to_utf8(std::u32string_view text);

[[nodiscard]] bool is_space(char32_t c) noexcept;      ///< str.isspace
[[nodiscard]] bool is_alpha(char32_t c) noexcept;      ///< str.isalpha
[[nodiscard]] bool is_decimal(char32_t c) noexcept;    ///< str.isdecimal
[[nodiscard]] bool is_digit(char32_t c) noexcept;      ///< str.isdigit
[[nodiscard]] bool is_numeric(char32_t c) noexcept;    ///< str.isnumeric
[[nodiscard]] bool is_printable(char32_t c) noexcept;  ///< str.isprintable
[[nodiscard]] bool is_lower(char32_t c) noexcept;
[[nodiscard]] bool is_upper(char32_t c) noexcept;
[[nodiscard]] bool is_title(char32_t c) noexcept;
[[nodiscard]] bool is_cased(char32_t c) noexcept;
[[nodiscard]] bool is_case_ignorable(char32_t c) noexcept;
[[nodiscard]] bool is_word(char32_t c) noexcept;  ///< \w of Python's re
[[nodiscard]] bool is_id_start(char32_t c) noexcept;
[[nodiscard]] bool is_id_part(char32_t c) noexcept;
[[nodiscard]] bool is_line_break(char32_t c) noexcept;  ///< where str.splitlines splits
[[nodiscard]] int decimal_value(char32_t c) noexcept;   ///< -1: no decimal digit

[[nodiscard]] std::string to_upper(std::string_view text);
[[nodiscard]] std::string to_lower(std::string_view text);
[[nodiscard]] std::string to_folded(std::string_view text);
[[nodiscard]] std::string to_title_char(std::string_view one_char);
/// The character with that Unicode name, or 0.
[[nodiscard]] char32_t char_by_name(const std::string& name) noexcept;

/// Length in bytes of leading and trailing white space.
[[nodiscard]] std::size_t leading_space(std::string_view text) noexcept;
[[nodiscard]] std::size_t trailing_space(std::string_view text) noexcept;
[[nodiscard]] std::string_view strip_space(std::string_view text) noexcept;

}  // namespace loquat::tmpl
