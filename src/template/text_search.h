#pragma once

#include <string_view>

#include "template/objects.h"

namespace loquat::tmpl {

constexpr std::size_t npos = std::string_view::npos;

/// Place of `wanted` at or after `from`, or npos. Linear whatever the texts are, unlike std::string_view::find.
[[nodiscard]] std::size_t find_in(std::string_view text, std::string_view wanted, std::size_t from = 0) noexcept;

/// The last place, or npos. Charges steps for comparing where both ends of `wanted` fit.
[[nodiscard]] std::size_t rfind_in(Runtime& rt, std::string_view text, std::string_view wanted);

/// A part of `whole`, Markup when that is.
[[nodiscard]] inline Value part_of(Runtime& rt, const Value& whole, std::string_view text) {
  return rt.keep(text, whole.string->flags & Str::markup);
}

}  // namespace loquat::tmpl
