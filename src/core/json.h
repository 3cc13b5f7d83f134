#pragma once

#include <boost/json.hpp>
#include <cstddef>
#include <string>
#include <string_view>

namespace loquat {

namespace json = boost::json;

/// Reads one JSON text. Lone surrogate escapes become U+FFFD (Boost.JSON refuses them); nesting up to `max_depth`;
/// integers beyond 64 bits become doubles; NaN and Infinity are refused. Objects keep their members' order; of a
/// repeated name the last wins.
/// Doubles are read exactly; those that no double holds (1e400) are refused.
/// Throws Error(malformed) whose message ends in the byte offset, see JsonError.
/// `storage`: where the value's memory comes from; a json::monotonic_resource saves a third of the time for a document
/// that is read, used and dropped, but must outlive it.
[[nodiscard]] json::value parse_json(std::string_view text, std::size_t max_depth = 128, json::storage_ptr storage = {});

/// As parse_json, without an exception: false, and where (bytes) and why it failed. The value's memory comes from
/// out.storage().
struct JsonError {
  std::size_t offset = 0;
  std::string message;
  bool too_deep = false;
};
[[nodiscard]] bool try_parse_json(std::string_view text, json::value& out, JsonError& error, std::size_t max_depth = 128);

/// How to_json prints; the defaults are those of Starlette's JSONResponse.
struct JsonStyle {
  bool ascii = false;   ///< escape everything beyond ASCII, as Python's json.dumps does by default
  bool spaced = false;  ///< ", " and ": " as separators, as Python's json.dumps does by default
};

/// Writes JSON the way Python's json module does: doubles by repr (1.0, 1e-05, 1e+16), no escaped slashes.
[[nodiscard]] std::string to_json(const json::value& value, JsonStyle style = {});
void append_json(std::string& out, const json::value& value, JsonStyle style = {});
void append_json_string(std::string& out, std::string_view text, bool ascii = false);

/// repr(float) of Python: the shortest digits that give the same double.
void append_python_float(std::string& out, double value);

/// Member access that expects nothing: null, or nullptr, when the value is no object or lacks the member.
[[nodiscard]] const json::value* find_member(const json::value& object, std::string_view name) noexcept;
/// The member's text, or empty when it is absent or not a string.
[[nodiscard]] std::string_view string_member(const json::value& object, std::string_view name) noexcept;
// For an object itself: without these it would be copied into a temporary value, and the result would dangle.
[[nodiscard]] inline const json::value* find_member(const json::object& object, std::string_view name) noexcept {
  return object.if_contains(json::string_view(name.data(), name.size()));
}
[[nodiscard]] inline std::string_view string_member(const json::object& object, std::string_view name) noexcept {
  const auto* member = find_member(object, name);
  const auto* text = member == nullptr ? nullptr : member->if_string();
  return text == nullptr ? std::string_view() : std::string_view(text->data(), text->size());
}
[[nodiscard]] inline std::string_view as_view(const json::string& text) noexcept { return {text.data(), text.size()}; }

}  // namespace loquat
