#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "template/objects.h"

/// The built-in filters, tests, methods and globals, by name.
namespace loquat::tmpl {

/// The methods of one name, one for each type that has it.
struct Methods {
  std::string_view name;
  Native string = nullptr;
  Native list = nullptr;
  Native tuple = nullptr;
  Native dict = nullptr;
  Native number = nullptr;  ///< int, bool
  Native real = nullptr;
  Native range = nullptr;
  Native cycler = nullptr;
  Native loop = nullptr;

  [[nodiscard]] Native find(Kind kind) const noexcept;
};

[[nodiscard]] Native find_filter(std::string_view name) noexcept;
[[nodiscard]] Native find_test(std::string_view name) noexcept;
[[nodiscard]] const Methods* find_methods(std::string_view name) noexcept;
/// A missing Value when there is none of that name.
[[nodiscard]] Value find_global(std::string_view name) noexcept;

struct NamedNative {
  std::string_view name;
  Native native;
};
using NativeTable = std::span<const NamedNative>;

// The tables, one a file.
[[nodiscard]] NativeTable text_filters() noexcept;
[[nodiscard]] NativeTable markup_filters() noexcept;
[[nodiscard]] NativeTable number_filters() noexcept;
[[nodiscard]] NativeTable sequence_filters() noexcept;
[[nodiscard]] NativeTable order_filters() noexcept;
[[nodiscard]] NativeTable select_filters() noexcept;
[[nodiscard]] NativeTable json_filters() noexcept;
[[nodiscard]] NativeTable predicates() noexcept;
[[nodiscard]] NativeTable case_methods() noexcept;
[[nodiscard]] NativeTable search_methods() noexcept;
[[nodiscard]] NativeTable split_methods() noexcept;
[[nodiscard]] NativeTable list_methods() noexcept;
[[nodiscard]] NativeTable tuple_methods() noexcept;
[[nodiscard]] NativeTable dict_methods() noexcept;
[[nodiscard]] NativeTable integer_methods() noexcept;
[[nodiscard]] NativeTable real_methods() noexcept;
[[nodiscard]] NativeTable range_methods() noexcept;
[[nodiscard]] NativeTable cycler_methods() noexcept;
[[nodiscard]] NativeTable loop_methods() noexcept;

// --- arguments

/// Sorts arguments into parameters by position and name; what is not given is null. Throws Failure as Python's TypeError.
/// Parameters whose name is "" can only be given by position.
void bind_args(std::string_view function, const Args& args, std::span<const std::string_view> names, std::size_t required,
               std::span<const Value*> out);

template <std::size_t N>
[[nodiscard]] std::array<const Value*, N> bind(std::string_view function, const Args& args, const std::array<std::string_view, N>& names,
                                               std::size_t required = 0) {
  std::array<const Value*, N> out{};
  bind_args(function, args, names, required, out);
  return out;
}
void expect_none(std::string_view function, const Args& args);

/// What an argument must be; Failure otherwise.
[[nodiscard]] std::int64_t index_of(const Value& value);  ///< int or bool
[[nodiscard]] std::string_view string_of(const Value& value);
[[nodiscard]] inline std::int64_t index_or(const Value* value, std::int64_t fallback) {
  return value == nullptr ? fallback : index_of(*value);
}
[[nodiscard]] inline bool flag_or(Runtime& rt, const Value* value, bool fallback) {
  return value == nullptr ? fallback : truthy(rt, *value);
}

/// str.replace(), with a count of -1 for all.
[[nodiscard]] Value replace_text(Runtime& rt, const Value& self, std::string_view old, std::string_view with, std::int64_t limit);
[[nodiscard]] List* split_lines(Runtime& rt, const Value& self, bool keep_ends);
/// str.strip() and its sides; without `chars`: white space.
[[nodiscard]] Value strip_text(Runtime& rt, const Value& self, const Value* chars, bool left, bool right);
/// dict.update(): from a dict, from pairs, from keywords.
void update_dict(Runtime& rt, Dict& dict, const Args& args);

[[noreturn]] void fail_type(std::string_view message, const Value& value);

}  // namespace loquat::tmpl
