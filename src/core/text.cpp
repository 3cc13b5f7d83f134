#include "core/text.h"

#include <unicode/brkiter.h>
#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/stringpiece.h>
#include <unicode/uchar.h>
#include <unicode/utext.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>

namespace loquat::text {
namespace {

/// Calls `visit(code point or U_SENTINEL, first byte, byte behind)`; a maximal ill-formed part is one step.
template <class Visit>
void for_each_code_point(std::string_view text, Visit visit) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    UChar32 c = 0;
    U8_NEXT(bytes, at, text.size(), c);
    visit(c, start, at);
  }
}

std::size_t ascii_prefix(std::string_view text) noexcept {
  std::size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + at, 8);
    if ((word & 0x8080808080808080ULL) != 0) break;
  }
  while (at < text.size() && static_cast<unsigned char>(text[at]) < 0x80) ++at;
  return at;
}

constexpr bool is_ascii_blank(char c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool is_white_space(UChar32 c) noexcept {
  if (c < 0x80) return c >= 0 && is_ascii_blank(static_cast<char>(c));
  return u_isUWhiteSpace(c) != 0;
}

/// White space a line may be broken at, so not the no-break spaces.
bool is_breaking_space(UChar32 c) noexcept { return is_white_space(c) && c != 0xA0 && c != 0x2007 && c != 0x202F; }

bool is_noise(UChar32 c) noexcept {
  if (c >= 0 && c < 0x80) return c > ' ' && c < 0x7F && !is_ascii_alphanumeric(c);
  return (U_GET_GC_MASK(c) & (U_GC_P_MASK | U_GC_S_MASK)) != 0;
}

std::string case_fold(std::string_view text) {
  if (ascii_prefix(text) == text.size()) return to_lower_ascii(text);
  UErrorCode status = U_ZERO_ERROR;
  const auto* normalizer = icu::Normalizer2::getNFKCCasefoldInstance(status);
  std::string folded;
  if (U_SUCCESS(status)) {
    icu::StringByteSink<std::string> sink(&folded);
    normalizer->normalizeUTF8(0, icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())), sink, nullptr, status);
  }
  if (U_FAILURE(status)) throw std::runtime_error(std::string("ICU: ") + u_errorName(status));
  return folded;
}

/// Keeps what `keep` accepts; runs of white space become one blank, none at the ends.
template <class Keep>
std::string collapse(std::string_view text, Keep keep) {
  std::string out;
  out.reserve(text.size());
  bool pending = false;
  for_each_code_point(text, [&](UChar32 c, std::size_t start, std::size_t end) {
    if (is_white_space(c)) {
      pending = !out.empty();
    } else if (keep(c)) {
      if (pending) out += ' ';
      pending = false;
      out.append(text, start, end - start);
    }
  });
  return out;
}

/// What match_key makes of each ASCII character: its lower case, a blank for white space, NUL for noise. A control character stays.
constexpr auto ascii_keys = [] {
  std::array<char, 128> keys{};
  for (std::size_t c = 0; c < keys.size(); ++c) {
    const auto sign = static_cast<char>(c);
    if (is_ascii_blank(sign)) {
      keys[c] = ' ';
    } else if (is_ascii_alphanumeric(sign) || c < ' ' || c == 0x7F) {
      keys[c] = to_lower_ascii(sign);
    }
  }
  return keys;
}();

/// match_key of ASCII without NUL, empty when all of it is noise.
std::string match_key_of_ascii(std::string_view text) {
  std::string key;
  key.resize_and_overwrite(text.size(), [text](char* out, std::size_t) {
    std::size_t size = 0;
    for (const char c : text) {
      const char sign = ascii_keys[static_cast<unsigned char>(c)];
      out[size] = sign;
      // A blank counts once, and not at the beginning.
      const bool dropped = sign == '\0' || (sign == ' ' && (size == 0 || out[size - 1] == ' '));
      size += dropped ? 0 : 1;
    }
    if (size > 0 && out[size - 1] == ' ') --size;
    return size;
  });
  return key;
}

struct Cluster {
  std::size_t begin;
  std::size_t end;
  std::size_t length;  // code points
  bool blank;
};

Cluster make_cluster(std::string_view text, std::size_t begin, std::size_t end) {
  Cluster cluster{begin, end, 0, true};
  for_each_code_point(text.substr(begin, end - begin), [&cluster](UChar32 c, std::size_t, std::size_t) {
    ++cluster.length;
    cluster.blank = cluster.blank && is_breaking_space(c);
  });
  return cluster;
}

/// The grapheme clusters of valid UTF-8.
std::vector<Cluster> find_clusters(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  thread_local const std::unique_ptr<icu::BreakIterator> breaks(
      icu::BreakIterator::createCharacterInstance(icu::Locale::getRoot(), status));
  const std::unique_ptr<UText, decltype(&utext_close)> opened(
      utext_openUTF8(nullptr, text.data(), static_cast<std::int64_t>(text.size()), &status), &utext_close);
  if (U_SUCCESS(status)) breaks->setText(opened.get(), status);
  if (U_FAILURE(status)) throw std::runtime_error(std::string("ICU: ") + u_errorName(status));
  std::vector<Cluster> clusters;
  std::size_t begin = 0;
  for (auto end = breaks->next(); end != icu::BreakIterator::DONE; end = breaks->next()) {
    clusters.push_back(make_cluster(text, begin, static_cast<std::size_t>(end)));
    begin = static_cast<std::size_t>(end);
  }
  return clusters;
}

/// A cluster longer than the limit is cut between code points: better than losing it.
void append_pieces(std::vector<std::string>& parts, std::string_view cluster, std::size_t limit) {
  std::size_t used = limit;
  for_each_code_point(cluster, [&](UChar32, std::size_t start, std::size_t end) {
    if (used == limit) {
      parts.emplace_back();
      used = 0;
    }
    parts.back().append(cluster, start, end - start);
    ++used;
  });
}

/// The cluster behind the part that begins at `first`: behind its last blank when the next word does not fit.
std::size_t find_cut(const std::vector<Cluster>& clusters, std::size_t first, std::size_t limit) {
  std::size_t last = first;
  for (std::size_t used = 0; last < clusters.size() && used + clusters[last].length <= limit; ++last) used += clusters[last].length;
  if (last == clusters.size() || clusters[last].blank) return last;
  std::size_t cut = last;
  while (cut > first && !clusters[cut - 1].blank) --cut;
  return cut > first ? cut : last;
}

std::vector<std::string> pack(std::string_view text, const std::vector<Cluster>& clusters, std::size_t limit) {
  std::vector<std::string> parts;
  for (std::size_t first = 0; first < clusters.size();) {
    if (clusters[first].blank) {
      ++first;
      continue;
    }
    const std::size_t cut = find_cut(clusters, first, limit);
    if (cut == first) {
      append_pieces(parts, text.substr(clusters[first].begin, clusters[first].end - clusters[first].begin), limit);
      ++first;
      continue;
    }
    std::size_t last = cut;
    while (clusters[last - 1].blank) --last;
    parts.emplace_back(text.substr(clusters[first].begin, clusters[last - 1].end - clusters[first].begin));
    first = cut;
  }
  return parts;
}

}  // namespace

bool is_valid_utf8(std::string_view text) noexcept {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  std::size_t at = 0;
  while (true) {
    at += ascii_prefix(text.substr(at));
    if (at == text.size()) return true;
    UChar32 c = 0;
    U8_NEXT(bytes, at, text.size(), c);
    if (c < 0) return false;
  }
}

std::string to_valid_utf8(std::string_view text) {
  if (is_valid_utf8(text)) return std::string(text);
  std::string out;
  out.reserve(text.size() + 16);
  for_each_code_point(text, [&](UChar32 c, std::size_t start, std::size_t end) {
    if (c < 0) {
      out += "\uFFFD";
    } else {
      out.append(text, start, end - start);
    }
  });
  return out;
}

std::string fold(std::string_view text) {
  return collapse(case_fold(to_valid_utf8(text)), [](UChar32) { return true; });
}

std::string match_key(std::string_view text) {
  if (ascii_prefix(text) == text.size() && text.find('\0') == std::string_view::npos) {
    if (auto key = match_key_of_ascii(text); !key.empty()) return key;
  }
  const std::string folded = case_fold(to_valid_utf8(text));
  std::string key = collapse(folded, [](UChar32 c) { return !is_noise(c); });
  return key.empty() ? collapse(folded, [](UChar32) { return true; }) : key;
}

std::size_t length(std::string_view text) noexcept {
  std::size_t count = ascii_prefix(text);
  for_each_code_point(text.substr(count), [&count](UChar32, std::size_t, std::size_t) { ++count; });
  return count;
}

std::vector<std::string> split_at_words(std::string_view text, std::size_t limit) {
  if (text.size() <= limit && ascii_prefix(text) == text.size() && !trim_ascii(text).empty()) return {std::string(text)};
  const std::string valid = to_valid_utf8(text);
  auto parts = pack(valid, find_clusters(valid), std::max<std::size_t>(limit, 1));
  // A text that fits stays as it is: only blanks at cuts are dropped.
  if (parts.size() == 1 && length(valid) <= limit) parts.front() = valid;
  return parts;
}

std::string to_lower_ascii(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = to_lower_ascii(c);
  return out;
}

bool equal_ignoring_ascii_case(std::string_view a, std::string_view b) noexcept {
  return std::ranges::equal(a, b, [](char x, char y) { return to_lower_ascii(x) == to_lower_ascii(y); });
}

std::string_view trim_ascii(std::string_view text) noexcept {
  while (!text.empty() && is_ascii_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_ascii_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t at = 0;;) {
    const std::size_t end = text.find(separator, at);
    parts.push_back(text.substr(at, end == std::string_view::npos ? end : end - at));
    if (end == std::string_view::npos) return parts;
    at = end + 1;
  }
}

}  // namespace loquat::text
