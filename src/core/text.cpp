#include "core/text.h"

#include <unicode/brkiter.h>
#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/stringpiece.h>
#include <unicode/uchar.h>
#include <unicode/utext.h>
#include <unicode/utf8.h>

#include <algorithm>
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

bool is_ascii_blank(char c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// White space a line may be broken at, so not the no-break spaces.
bool is_breaking_space(UChar32 c) noexcept {
  return c >= 0 && u_isUWhiteSpace(c) != 0 && c != 0xA0 && c != 0x2007 && c != 0x202F;
}

bool is_noise(UChar32 c) noexcept { return (U_GET_GC_MASK(c) & (U_GC_P_MASK | U_GC_S_MASK)) != 0; }

std::string case_fold(std::string_view text) {
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
    if (c >= 0 && u_isUWhiteSpace(c) != 0) {
      pending = !out.empty();
    } else if (keep(c)) {
      if (pending) out += ' ';
      pending = false;
      out.append(text, start, end - start);
    }
  });
  return out;
}

/// The grapheme clusters of one text, as byte offsets.
class Clusters {
 public:
  explicit Clusters(std::string_view text) {
    UErrorCode status = U_ZERO_ERROR;
    text_ = utext_openUTF8(text_, text.data(), static_cast<std::int64_t>(text.size()), &status);
    thread_local const std::unique_ptr<icu::BreakIterator> shared(
        icu::BreakIterator::createCharacterInstance(icu::Locale::getRoot(), status));
    if (U_SUCCESS(status)) shared->setText(text_, status);
    if (U_FAILURE(status)) throw std::runtime_error(std::string("ICU: ") + u_errorName(status));
    breaks_ = shared.get();
    breaks_->first();
  }
  ~Clusters() { utext_close(text_); }
  Clusters(const Clusters&) = delete;
  Clusters& operator=(const Clusters&) = delete;

  /// The end of the next cluster.
  [[nodiscard]] std::size_t next() { return static_cast<std::size_t>(breaks_->next()); }

 private:
  UText* text_ = nullptr;
  icu::BreakIterator* breaks_ = nullptr;
};

/// Collects clusters into parts, cut at the last blank when there is one.
class Splitter {
 public:
  Splitter(std::string_view text, std::size_t limit) : text_(text), limit_(limit) {}

  void add(std::size_t end) {
    const std::size_t size = length(text_.substr(end_, end - end_));
    const bool blank = is_blank(end_, end);
    if (blank && empty()) {
      start_ = end_ = end;
      return;
    }
    if (blank) {
      // Blanks at the end of a part are dropped, so they may stand beyond the limit; what follows them may not.
      if (end_ != after_blank_) word_end_ = end_, word_length_ = length_;
      end_ = after_blank_ = end;
      length_ += size;
      after_blank_length_ = length_;
      return;
    }
    if (length_ + size > limit_) cut();
    if (length_ + size > limit_) cut_by_force();
    if (size > limit_) {
      start_ = end_;
      cut_inside(end);
      return;
    }
    end_ = end;
    length_ += size;
  }

  std::vector<std::string> finish() {
    emit(end_ == after_blank_ ? word_end_ : end_);
    return std::move(parts_);
  }

 private:
  [[nodiscard]] bool empty() const noexcept { return start_ == end_; }

  [[nodiscard]] bool is_blank(std::size_t begin, std::size_t end) const {
    bool blank = true;
    for_each_code_point(text_.substr(begin, end - begin),
                        [&](UChar32 c, std::size_t, std::size_t) { blank = blank && is_breaking_space(c); });
    return blank;
  }

  void emit(std::size_t end) {
    if (end > start_) parts_.emplace_back(text_.substr(start_, end - start_));
  }

  /// Ends the part at its last blank; what stands behind that begins the next one.
  void cut() {
    if (after_blank_ <= start_) return;
    emit(word_end_);
    start_ = after_blank_;
    length_ -= after_blank_length_;
    after_blank_ = 0;
  }

  void cut_by_force() {
    emit(end_);
    start_ = end_;
    length_ = 0;
  }

  /// A cluster longer than the limit: code points are the best that is left.
  void cut_inside(std::size_t end) {
    for_each_code_point(text_.substr(start_, end - start_), [&, base = start_](UChar32, std::size_t, std::size_t behind) {
      if (length_ == limit_) cut_by_force();
      end_ = base + behind;
      ++length_;
    });
  }

  std::string_view text_;
  std::size_t limit_;
  std::vector<std::string> parts_;
  std::size_t start_ = 0;
  std::size_t end_ = 0;
  std::size_t length_ = 0;              // code points from start_ to end_
  std::size_t word_end_ = 0;            // where the last blanks begin
  std::size_t word_length_ = 0;
  std::size_t after_blank_ = 0;         // where they end; 0: none in this part
  std::size_t after_blank_length_ = 0;
};

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
  return collapse(case_fold(to_valid_utf8(text)), [](UChar32 c) { return !is_noise(c); });
}

std::size_t length(std::string_view text) noexcept {
  std::size_t count = ascii_prefix(text);
  for_each_code_point(text.substr(count), [&count](UChar32, std::size_t, std::size_t) { ++count; });
  return count;
}

std::vector<std::string> split_at_words(std::string_view text, std::size_t limit) {
  const std::string valid = to_valid_utf8(text);
  if (limit == 0) limit = 1;
  Splitter splitter(valid, limit);
  Clusters clusters(valid);
  for (std::size_t end = 0; end < valid.size();) {
    end = clusters.next();
    splitter.add(end);
  }
  auto parts = splitter.finish();
  if (parts.size() == 1 && length(valid) <= limit) parts.front() = valid;
  return parts;
}

std::string to_lower_ascii(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool equal_ignoring_ascii_case(std::string_view a, std::string_view b) noexcept {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
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
