#include "http/entity_tag.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "core/text.h"

namespace loquat::http {
namespace {

std::optional<std::int64_t> parse_etag(std::string_view tag) {
  if (tag.size() < 3 || !tag.starts_with('"') || !tag.ends_with('"')) return std::nullopt;
  std::int64_t version = 0;
  std::from_chars(tag.data() + 1, tag.data() + tag.size() - 1, version);
  // Tags are compared by their characters: "07" is not "7".
  return version > 0 && tag == make_etag(version) ? std::optional(version) : std::nullopt;
}

}  // namespace

std::string make_etag(std::int64_t version) { return '"' + std::to_string(version) + '"'; }

IfMatch::IfMatch(const Headers& headers) {
  const auto header = headers.find("If-Match");
  if (!header) return;
  given_ = true;
  any_ = text::trim_ascii(*header) == "*";
  if (any_) return;
  for (const auto tag : text::split(*header, ',')) {
    if (const auto version = parse_etag(text::trim_ascii(tag))) versions_.push_back(*version);
  }
}

bool IfMatch::fits(std::int64_t version) const noexcept {
  return !given_ || any_ || std::ranges::find(versions_, version) != versions_.end();
}

json::object if_match_parameter(std::string_view description) {
  return {{"name", "If-Match"},
          {"in", "header"},
          {"required", false},
          {"description", json::string_view(description.data(), description.size())},
          {"schema", {{"type", "string"}}}};
}

}  // namespace loquat::http
