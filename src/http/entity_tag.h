#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "http/message.h"

/// Entity tags of things that count their changes: the version in quotes (RFC 9110, 8.8.3), and preconditions on them.
namespace loquat::http {

[[nodiscard]] std::string make_etag(std::int64_t version);

/// What If-Match asks of the current version. Pure.
class IfMatch {
 public:
  explicit IfMatch(const Headers& headers);

  /// The header is there.
  [[nodiscard]] bool is_given() const noexcept { return given_; }
  /// It is "*": any version that exists.
  [[nodiscard]] bool is_any() const noexcept { return any_; }
  /// The versions of its tags. Weak tags and those that are not ours are none of them: they fit nothing (13.1.1).
  [[nodiscard]] const std::vector<std::int64_t>& versions() const noexcept { return versions_; }
  /// `version`: of what is there now.
  [[nodiscard]] bool fits(std::int64_t version) const noexcept;

 private:
  bool given_ = false;
  bool any_ = false;
  std::vector<std::int64_t> versions_;
};

/// The header's parameter in the OpenAPI document.
[[nodiscard]] json::object if_match_parameter(std::string_view description);

}  // namespace loquat::http
