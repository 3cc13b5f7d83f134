#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

#include "nlu/interpreter.h"
#include "nlu/words.h"

namespace loquat::nlu {

/// The units that a marked span covers: [first, last). The span's value decides where its offsets do not fit it: old front ends count
/// UTF-16 units, and texts were edited after marking; then the nearest place where the value stands is taken. Empty when there is
/// none, or when the span cuts a word.
[[nodiscard]] std::optional<std::pair<std::size_t, std::size_t>> find_span(std::string_view text, const Words& words,
                                                                           const TrainingSpan& span);

}  // namespace loquat::nlu
