#include "nlu/span_offsets.h"

#include "core/text.h"

namespace loquat::nlu {
namespace {

using Range = std::pair<std::size_t, std::size_t>;

/// The units within [begin, end) when both ends stand between words.
std::optional<Range> cover(const Words& words, std::size_t begin, std::size_t end) {
  std::size_t first = 0;
  while (first < words.units.size() && words.units[first].end <= begin) ++first;
  std::size_t last = first;
  while (last < words.units.size() && words.units[last].begin < end) ++last;
  if (first == last || words.units[first].begin < begin || words.units[last - 1].end > end) return std::nullopt;
  return Range(first, last);
}

bool says(const Words& words, Range range, const Words& value) {
  if (range.second - range.first != value.units.size()) return false;
  for (std::size_t i = 0; i < value.units.size(); ++i) {
    if (words.text(range.first + i) != value.text(i)) return false;
  }
  return true;
}

}  // namespace

std::optional<std::pair<std::size_t, std::size_t>> find_span(std::string_view text, const Words& words, const TrainingSpan& span) {
  const auto marked = span.begin < span.end ? cover(words, span.begin, span.end) : std::nullopt;
  const auto value = split_words(span.value);
  if (value.units.empty()) return marked;
  if (marked && says(words, *marked, value)) return marked;
  std::optional<Range> nearest;
  std::size_t distance = text::length(text) + 1;
  for (std::size_t first = 0; first + value.units.size() <= words.units.size(); ++first) {
    const Range range(first, first + value.units.size());
    if (!says(words, range, value)) continue;
    const std::size_t begin = words.units[first].begin;
    const std::size_t away = begin > span.begin ? begin - span.begin : span.begin - begin;
    if (away < distance) {
      nearest = range;
      distance = away;
    }
  }
  return nearest ? nearest : marked;
}

}  // namespace loquat::nlu
