#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "template/ast.h"
#include "template/runtime.h"
#include "template/value.h"

/// What Python's objects can do: truth, comparison, printing, items, attributes, iteration.
namespace loquat::tmpl {

[[nodiscard]] std::string_view type_name(const Value& value) noexcept;

// --- containers
[[nodiscard]] Vec<Value>& items_of(Runtime& rt, List& list);
[[nodiscard]] Vec<Entry>& entries_of(Runtime& rt, Dict& dict);
[[nodiscard]] const Value* find(Runtime& rt, Dict& dict, const Value& key);
/// As find(), by text and without converting a whole JSON object. False: not there.
[[nodiscard]] bool find_text(Runtime& rt, Dict& dict, const Str& key, Value& out);
void set(Runtime& rt, Dict& dict, const Value& key, const Value& value);
/// False: not there.
[[nodiscard]] bool erase(Runtime& rt, Dict& dict, const Value& key, Value& out);
void clear(Dict& dict) noexcept;
[[nodiscard]] std::uint64_t hash_text(std::string_view text) noexcept;
/// Throws Failure for what Python cannot hash.
[[nodiscard]] std::uint64_t hash_of(Runtime& rt, const Value& value);
[[nodiscard]] bool is_hashable(Runtime& rt, const Value& value);

/// Undefined as the old bots had it, not the plain one of an inline if.
[[nodiscard]] inline bool is_silent(const Value& value) noexcept { return value.is_undefined() && !value.undefined->plain; }

// --- truth and order
[[nodiscard]] bool truthy(Runtime& rt, const Value& value);
[[nodiscard]] bool equal(Runtime& rt, const Value& a, const Value& b);
/// The same object: `is` in Python.
[[nodiscard]] bool identical(const Value& a, const Value& b) noexcept;
/// <, <=, >, >=, ==, !=, in, not in. A comparison with something undefined gives the text "undefined".
[[nodiscard]] Value compare(Runtime& rt, Compare op, const Value& a, const Value& b);
[[nodiscard]] bool less(Runtime& rt, const Value& a, const Value& b);
[[nodiscard]] bool contains(Runtime& rt, const Value& container, const Value& item);
/// Sorts as Python does: stable, by `<` only. `keys` and `items` have the same length and are moved together.
void sort(Runtime& rt, Vec<Value>& keys, Vec<Value>& items, bool reverse);

// --- text
void print(Runtime& rt, const Value& value, Builder& out);  ///< str()
void repr(Runtime& rt, const Value& value, Builder& out);   ///< repr()
void repr_text(std::string_view text, Builder& out, bool ascii = false);
[[nodiscard]] Value to_str(Runtime& rt, const Value& value);    ///< str(): plain
[[nodiscard]] Value soft_str(Runtime& rt, const Value& value);  ///< str(), but Markup stays Markup
[[nodiscard]] std::string_view text_of(Runtime& rt, const Value& value);
[[nodiscard]] std::int64_t length_of_text(const Str& text) noexcept;  ///< in code points
[[nodiscard]] Value finish(Runtime& rt, const Builder& built, std::uint8_t flags = 0);
void escape_html(std::string_view text, Builder& out);
[[nodiscard]] Value escape_value(Runtime& rt, const Value& value);  ///< markupsafe.escape

// --- items and attributes
[[nodiscard]] std::optional<std::int64_t> length(Runtime& rt, const Value& value);  ///< nothing: has no len()
[[nodiscard]] Value get_attribute(Runtime& rt, const Value& object, const Str& name, const Methods* methods);
[[nodiscard]] Value get_attribute(Runtime& rt, const Value& object, const Str& name);
[[nodiscard]] Value get_item(Runtime& rt, const Value& object, const Value& key);
[[nodiscard]] Value get_slice(Runtime& rt, const Value& object, const Value& start, const Value& stop, const Value& step);
[[nodiscard]] Value bind_method(Runtime& rt, const Value& object, Native native, std::string_view name);
/// The text of code points [start, stop); both inside the text.
[[nodiscard]] std::string_view cut(const Str& text, std::int64_t start, std::int64_t stop) noexcept;

// --- operators
[[nodiscard]] Value binary(Runtime& rt, Expr::Kind op, const Value& a, const Value& b);
[[nodiscard]] Value negate(Runtime& rt, const Value& value);
[[nodiscard]] Value affirm(Runtime& rt, const Value& value);  ///< unary plus
[[nodiscard]] Value percent_format(Runtime& rt, const Value& format, const Value& args);
[[nodiscard]] Value format_text(Runtime& rt, const Value& format, const Args& args);      ///< str.format
void format_value(Runtime& rt, const Value& value, std::string_view spec, Builder& out);  ///< format()

// --- iteration
[[nodiscard]] bool is_iterable(const Value& value) noexcept;

/// Walks over anything iterable. Lists may change meanwhile, as in Python; a dict may not.
class Cursor {
 public:
  Cursor() = default;
  /// Throws Failure when `source` cannot be iterated.
  Cursor(Runtime& rt, const Value& source);
  [[nodiscard]] bool next(Runtime& rt, Value& out);

 private:
  Value source_;
  std::size_t at_ = 0;
  std::size_t size_ = 0;
};

/// list(value)
[[nodiscard]] List* to_list(Runtime& rt, const Value& value);

}  // namespace loquat::tmpl
