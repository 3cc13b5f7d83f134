#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

/// Finds values in a JSON text without building them, at any depth of nesting and without recursion. It is for bodies that
/// the parser refuses (too deep, bytes that are no UTF-8): the items that are fine are still to be read.
namespace loquat::messenger::scan {

/// One value (of any kind) that begins at `at`, white space before it allowed: the position behind it, or empty when there
/// is no value by RFC 8259's grammar. Bytes above 0x7F inside strings are taken as they are.
[[nodiscard]] std::optional<std::size_t> skip_value(std::string_view text, std::size_t at);

/// Whether the whole text is one JSON object.
[[nodiscard]] bool is_object(std::string_view text);

/// Members of an object as (name as written without its quotes, value without white space around it), in order. Empty when
/// `text` is no object. `text` must be one value that skip_value accepts.
[[nodiscard]] std::vector<std::pair<std::string_view, std::string_view>> members(std::string_view text);
/// Elements of an array, likewise.
[[nodiscard]] std::vector<std::string_view> elements(std::string_view text);

}  // namespace loquat::messenger::scan
