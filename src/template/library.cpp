#include "template/library.h"

#include <algorithm>
#include <unordered_map>

namespace loquat::tmpl {

namespace {

using Natives = std::unordered_map<std::string_view, Native>;

[[nodiscard]] Natives collect(std::initializer_list<NativeTable> tables) {
  Natives all;
  for (const NativeTable table : tables) {
    for (const NamedNative& entry : table) {
      all.emplace(entry.name, entry.native);
    }
  }
  return all;
}

[[nodiscard]] const Natives& filters() {
  static const Natives all =
      collect({text_filters(), markup_filters(), number_filters(), sequence_filters(), order_filters(), select_filters(), json_filters()});
  return all;
}

[[nodiscard]] const Natives& tests() {
  static const Natives all = collect({predicates()});
  return all;
}

[[nodiscard]] const std::unordered_map<std::string_view, Methods>& methods() {
  static const auto all = [] {
    std::unordered_map<std::string_view, Methods> made;
    const auto add = [&made](NativeTable table, Native Methods::* type) {
      for (const NamedNative& entry : table) {
        Methods& named = made[entry.name];
        named.name = entry.name;
        named.*type = entry.native;
      }
    };
    add(case_methods(), &Methods::string);
    add(search_methods(), &Methods::string);
    add(split_methods(), &Methods::string);
    add(list_methods(), &Methods::list);
    add(tuple_methods(), &Methods::tuple);
    add(dict_methods(), &Methods::dict);
    add(integer_methods(), &Methods::number);
    add(real_methods(), &Methods::real);
    add(range_methods(), &Methods::range);
    add(cycler_methods(), &Methods::cycler);
    add(loop_methods(), &Methods::loop);
    return made;
  }();
  return all;
}

}  // namespace

Native find_filter(std::string_view name) noexcept {
  const auto found = filters().find(name);
  return found == filters().end() ? nullptr : found->second;
}

Native find_test(std::string_view name) noexcept {
  const auto found = tests().find(name);
  return found == tests().end() ? nullptr : found->second;
}

const Methods* find_methods(std::string_view name) noexcept {
  const auto found = methods().find(name);
  return found == methods().end() ? nullptr : &found->second;
}

void bind_args(std::string_view function, const Args& args, std::span<const std::string_view> names, std::size_t required,
               std::span<const Value*> out) {
  if (args.positional.size() > names.size()) {
    fail(std::string(function) + "() takes at most " + std::to_string(names.size()) + " arguments (" +
         std::to_string(args.positional.size()) + " given)");
  }
  for (std::size_t i = 0; i < args.positional.size(); ++i) {
    out[i] = &args.positional[i];
  }
  for (const Keyword& keyword : args.keywords) {
    const auto found = std::ranges::find(names, keyword.name->view());
    if (found == names.end() || found->empty()) {
      fail(std::string(function) + "() got an unexpected keyword argument '" + std::string(keyword.name->view()) + "'");
    }
    const Value*& place = out[static_cast<std::size_t>(found - names.begin())];
    if (place != nullptr) {
      fail(std::string(function) + "() got multiple values for argument '" + std::string(keyword.name->view()) + "'");
    }
    place = &keyword.value;
  }
  for (std::size_t i = 0; i < required; ++i) {
    if (out[i] == nullptr) {
      fail(std::string(function) + "() missing a required argument");
    }
  }
}

void expect_none(std::string_view function, const Args& args) {
  if (args.count() != 0) {
    fail(std::string(function) + "() takes no arguments (" + std::to_string(args.count()) + " given)");
  }
}

void fail_type(std::string_view message, const Value& value) {
  fail(std::string(message) + ", not '" + std::string(type_name(value)) + "'");
}

std::int64_t index_of(const Value& value) {
  if (!value.is_index()) {
    fail_type("an integer is required", value);
  }
  return value.index();
}

std::string_view string_of(const Value& value) {
  if (!value.is_string()) {
    fail_type("a string is required", value);
  }
  return value.text();
}

}  // namespace loquat::tmpl
