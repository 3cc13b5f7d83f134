// Any bytes as text: whatever goes in, valid UTF-8 comes out, and no part is too long, blank, or lost.
#include <cstdint>
#include <cstdlib>

#include "core/clock.h"
#include "core/id.h"
#include "core/text.h"
#include "core/url.h"

namespace {

namespace text = loquat::text;

void require(bool holds) {
  if (!holds) std::abort();
}

std::string without_blanks(std::string_view value) {
  std::string out;
  for (const char c : text::to_valid_utf8(value)) {
    if (c != ' ' && !(c >= '\t' && c <= '\r')) out += c;
  }
  return out;
}

void check_split(std::string_view value, std::size_t limit) {
  std::string joined;
  for (const auto& part : text::split_at_words(value, limit)) {
    require(text::is_valid_utf8(part));
    require(text::length(part) <= limit);
    require(!part.empty());
    joined += part;
  }
  // Blanks beyond ASCII may go at the cuts, too: compare only where there are none.
  if (value.find_first_of("\xC2\xE1\xE2\xE3") == std::string_view::npos) require(without_blanks(joined) == without_blanks(value));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view value(reinterpret_cast<const char*>(data), size);
  const std::string folded = text::fold(value);
  require(text::is_valid_utf8(folded));
  require(text::fold(folded) == folded);
  require(text::is_valid_utf8(text::match_key(value)));
  check_split(value, size == 0 ? 1 : 1 + data[0] % 20U);
  require(loquat::url::percent_decode(loquat::url::percent_encode(value)) == value);
  if (const auto time = loquat::parse_iso8601(value)) require(loquat::parse_iso8601(loquat::to_iso8601(*time)) == time);
  if (const auto id = loquat::MessageId::parse(value)) require(loquat::MessageId::parse(id->to_string()) == id);
  return 0;
}
