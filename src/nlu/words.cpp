#include "nlu/words.h"

#include <unicode/uchar.h>
#include <unicode/uscript.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <span>

#include "core/text.h"

namespace loquat::nlu {
namespace {

enum class Sort : std::uint8_t { blank, punctuation, symbol, word, single, ignorable };

/// Characters of scripts whose words are not separated by blanks.
bool is_unspaced(UChar32 c) noexcept {
  if (c < 0x0E00) return false;
  UErrorCode status = U_ZERO_ERROR;
  switch (uscript_getScript(c, &status)) {
    case USCRIPT_HAN:
    case USCRIPT_HIRAGANA:
    case USCRIPT_KATAKANA:
    case USCRIPT_THAI:
    case USCRIPT_LAO:
    case USCRIPT_KHMER:
    case USCRIPT_MYANMAR: return true;
    default: return false;
  }
}

/// Signs that tell names apart ("C#", "AT&T", "50%") and so are no mere punctuation.
bool is_meaningful_sign(UChar32 c) noexcept {
  switch (c) {
    case '&':
    case '#':
    case '@':
    case '%': return true;
    default: return (U_GET_GC_MASK(c) & U_GC_S_MASK) != 0;
  }
}

Sort sort_of(UChar32 c) noexcept {
  if (c < 0) return Sort::symbol;
  if (c < 0x80) {
    if (text::is_ascii_alphanumeric(c)) return Sort::word;
    if (c == ' ' || (c >= '\t' && c <= '\r')) return Sort::blank;
    if (is_meaningful_sign(c)) return Sort::symbol;
    return c < 0x20 || c == 0x7F ? Sort::ignorable : Sort::punctuation;
  }
  if (u_isUWhiteSpace(c) != 0) return Sort::blank;
  if (u_hasBinaryProperty(c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT) != 0) return Sort::ignorable;
  const auto mask = U_GET_GC_MASK(c);
  if ((mask & (U_GC_L_MASK | U_GC_M_MASK | U_GC_N_MASK)) != 0) {
    return (mask & U_GC_M_MASK) == 0 && is_unspaced(c) ? Sort::single : Sort::word;
  }
  if (is_meaningful_sign(c)) return Sort::symbol;
  if ((mask & U_GC_P_MASK) != 0) return Sort::punctuation;
  return Sort::word;
}

bool is_mark(UChar32 c) noexcept { return c >= 0x300 && (U_GET_GC_MASK(c) & U_GC_M_MASK) != 0; }

class Splitter {
 public:
  Splitter(std::string_view text, std::size_t limit, bool keep_punctuation)
      : text_(text), limit_(limit), keep_punctuation_(keep_punctuation) {
    words_.folded.reserve(text.size());
  }

  Words run() {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(text_.data());
    for (std::size_t at = 0; at < text_.size() && words_.units.size() < limit_;) {
      at = extend_plainly(at);
      if (at == text_.size()) break;
      const std::size_t start = at;
      UChar32 c = 0;
      U8_NEXT(bytes, at, text_.size(), c);
      take(c, start, at);
      ++position_;
    }
    close();
    return std::move(words_);
  }

 private:
  /// Takes ASCII letters and digits inside a word, the bulk of most texts, at once. Returns the byte behind them.
  std::size_t extend_plainly(std::size_t at) {
    if (!open_ || single_) return at;
    const std::size_t start = at;
    while (at < text_.size() && text::is_ascii_alphanumeric(text_[at])) ++at;
    if (at > start) {
      position_ += static_cast<std::uint32_t>(at - start);
      end_ = at;
      last_ = position_;
    }
    return at;
  }

  void take(UChar32 c, std::size_t start, std::size_t end) {
    auto sort = sort_of(c);
    if (keep_punctuation_ && sort == Sort::punctuation) sort = Sort::symbol;
    // A mark belongs to what it stands on.
    if (is_mark(c) && open_) sort = Sort::word;
    switch (sort) {
      case Sort::ignorable:
        if (open_) extend(c, end);
        return;
      case Sort::blank:
      case Sort::punctuation:
        close();
        gap_ = gap_ == Gap::blank || sort == Sort::blank ? Gap::blank : Gap::punctuation;
        return;
      case Sort::symbol:
      case Sort::single:
        close();
        gap_ = Gap::blank;
        open(c, start, end);
        single_ = true;
        return;
      case Sort::word:
        if (open_ && (!single_ || is_mark(c))) {
          extend(c, end);
          return;
        }
        if (open_) gap_ = Gap::blank;
        close();
        open(c, start, end);
        return;
    }
  }

  void open(UChar32 c, std::size_t start, std::size_t end) {
    open_ = true;
    single_ = false;
    start_ = start;
    begin_ = position_;
    ascii_ = true;
    extend(c, end);
  }
  void extend(UChar32 c, std::size_t end) {
    end_ = end;
    last_ = position_ + 1;
    ascii_ = ascii_ && c >= 0 && c < 0x80;
  }

  void close() {
    if (!open_) return;
    open_ = false;
    const auto piece = text_.substr(start_, end_ - start_);
    Unit unit;
    unit.offset = static_cast<std::uint32_t>(words_.folded.size());
    if (ascii_) {
      words_.folded.append(piece);
      for (char& ch : std::span(words_.folded).subspan(unit.offset)) ch = text::to_lower_ascii(ch);
    } else {
      words_.folded += text::fold(piece);
    }
    unit.size = static_cast<std::uint32_t>(words_.folded.size()) - unit.offset;
    unit.begin = begin_;
    unit.end = last_;
    unit.glued = gap_ == Gap::punctuation && !words_.units.empty();
    gap_ = single_ ? Gap::blank : Gap::none;
    if (unit.size > 0) words_.units.push_back(unit);
  }

  enum class Gap : std::uint8_t { none, punctuation, blank };

  std::string_view text_;
  std::size_t limit_;
  bool keep_punctuation_;
  Words words_;
  std::uint32_t position_ = 0;
  bool open_ = false;
  bool single_ = false;
  bool ascii_ = true;
  std::size_t start_ = 0;
  std::size_t end_ = 0;
  std::uint32_t begin_ = 0;
  std::uint32_t last_ = 0;
  Gap gap_ = Gap::blank;
};

}  // namespace

Words split_words(std::string_view text, std::size_t limit) {
  auto words = Splitter(text, limit, false).run();
  if (words.units.empty()) words = Splitter(text, limit, true).run();
  return words;
}

}  // namespace loquat::nlu
