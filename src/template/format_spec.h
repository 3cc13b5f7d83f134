#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "template/memory.h"

/// The numbers and padding that format(), str.format and % share.
namespace loquat::tmpl {

struct FormatSpec {
  char32_t fill = ' ';
  bool fill_given = false;
  char align = '\0';  ///< < > = ^, 0: the type's own
  char sign = '\0';   ///< + - blank, 0: not given
  bool no_negative_zero = false;
  bool alternate = false;
  bool zero = false;  ///< a 0 before the width: the fill unless one is given, and = unless there is an alignment
  std::int64_t width = 0;
  char grouping = '\0';
  std::int64_t precision = -1;
  char type = '\0';
};

/// Throws Failure ("Invalid format specifier").
[[nodiscard]] FormatSpec parse_format_spec(std::string_view text);

/// A double in the notation e, f or g (upper case: E, F, G), without sign; as C's printf would.
/// `short_form`: g as Python's format() without a type: exponent one digit sooner, always a ".0".
[[nodiscard]] std::string format_double(double value, char type, std::int64_t precision, bool alternate, bool short_form);

/// Fills up to spec.width; `content` has `chars` code points.
void pad(const FormatSpec& spec, std::string_view content, std::int64_t chars, char natural_align, Builder& out);

/// sign + prefix + digits (with fraction), grouped and padded. `natural_align` as for pad().
void write_number(const FormatSpec& spec, std::string_view sign, std::string_view prefix, std::string_view digits, Builder& out);

/// Sign to show before a number.
[[nodiscard]] std::string_view sign_of(bool negative, char sign) noexcept;

constexpr std::int64_t max_precision = 10'000;

}  // namespace loquat::tmpl
