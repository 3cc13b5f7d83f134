#pragma once

// The template half of core/schema.h; include that one. What a struct may add to its list of members, all found by
// ADL and all optional:
//   constexpr auto required_members(const T*)   names that must be sent
//   constexpr auto renamed_members(const T*)    array of Rename
//   constexpr auto min_lengths(const T*)        array of MinLength, for strings
//   constexpr auto bounds(const T*)             array of Bounds, for numbers (both ends are allowed values)
// Structs must not contain themselves.

#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "core/schema.h"

namespace loquat::schema {

struct MinLength {
  std::string_view member;
  std::size_t characters;
};
struct Bounds {
  std::string_view member;
  std::optional<double> at_least;
  std::optional<double> at_most = std::nullopt;
};

/// The names (in C++) of the members that a client sent, for PATCH: pydantic's exclude_unset.
using Present = std::set<std::string, std::less<>>;

/// Reads `value` as a T. `loc` stands before every issue's place, e.g. {"body"}. When issues were added the result is
/// incomplete: call issues.throw_if_any().
template <class T>
[[nodiscard]] T read(const json::value& value, json::array loc, Issues& issues);
/// The same for a described struct, with the names of the members that were sent.
template <class T>
[[nodiscard]] T read_present(const json::value& value, json::array loc, Issues& issues, Present& present);
/// parse_body, read with the place ["body"], throw_if_any. T: a described struct, std::vector of them, json::object...
template <class T>
[[nodiscard]] T read_body(std::string_view body, std::string_view content_type);
template <class T>
[[nodiscard]] T read_body(std::string_view body, std::string_view content_type, Present& present);

/// The members in declared order under their names on the wire; an empty optional is null.
template <class T>
[[nodiscard]] json::object write(const T& described);
/// The same for any member type (vectors, optionals, maps...).
template <class T>
[[nodiscard]] json::value write_value(const T& value);

/// The JSON Schema of T for OpenAPI 3.1, nested structs inline, with defaults. Of a struct it is an object schema.
template <class T>
[[nodiscard]] json::object describe();

/// Pydantic's answer when a validator of ours refuses: type value_error, msg "Value error, <reason>".
[[nodiscard]] Issue value_error(json::array loc, std::string_view reason, json::value input);

namespace detail {

/// Where a reader stands; a list on the stack, so that a body without issues costs no allocation.
struct Path {
  const Path* parent = nullptr;
  const json::array* base = nullptr;
  std::string_view name = {};
  std::size_t index = 0;

  [[nodiscard]] Path member(std::string_view member_name) const { return {this, nullptr, member_name, 0}; }
  [[nodiscard]] Path item(std::size_t at) const { return {this, nullptr, {}, at}; }
  [[nodiscard]] json::array loc() const;
};

// One overload a type; false when an issue was added.
bool read_value(const json::value& value, std::string& out, const Path& path, Issues& issues);
bool read_value(const json::value& value, bool& out, const Path& path, Issues& issues);
bool read_value(const json::value& value, std::int64_t& out, const Path& path, Issues& issues);
bool read_value(const json::value& value, double& out, const Path& path, Issues& issues);
bool read_value(const json::value& value, json::object& out, const Path& path, Issues& issues);
bool read_value(const json::value& value, json::array& out, const Path& path, Issues& issues);
bool read_value(const json::value& value, json::value& out, const Path& path, Issues& issues);

void add_missing(const Path& path, const json::value& object, Issues& issues);
bool require_list(const json::value& value, const Path& path, Issues& issues);
bool require_dict(const json::value& value, const Path& path, Issues& issues);
bool require_model(const json::value& value, const Path& path, Issues& issues);
bool check_min_length(std::string_view text, std::size_t characters, const json::value& input, const Path& path, Issues& issues);
bool check_bounds(std::int64_t number, const Bounds& bounds, const json::value& input, const Path& path, Issues& issues);
bool check_bounds(double number, const Bounds& bounds, const json::value& input, const Path& path, Issues& issues);

template <class T>
concept Described = boost::describe::has_describe_members<T>::value && std::is_class_v<T>;
template <class T>
concept Integer = std::is_integral_v<T> && (!std::is_same_v<T, bool>);

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;
template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;
template <class T>
inline constexpr bool is_map = false;
template <class T, class Less>
inline constexpr bool is_map<std::map<std::string, T, Less>> = true;

template <class T>
constexpr bool is_required(std::string_view member) {
  if constexpr (requires { required_members(static_cast<const T*>(nullptr)); }) {
    for (const std::string_view name : required_members(static_cast<const T*>(nullptr))) {
      if (name == member) return true;
    }
  }
  return false;
}

template <class T>
constexpr std::string_view wire_name(std::string_view member) {
  if constexpr (requires { renamed_members(static_cast<const T*>(nullptr)); }) {
    for (const Rename& rename : renamed_members(static_cast<const T*>(nullptr))) {
      if (rename.member == member) return rename.json;
    }
  }
  return member;
}

template <class T>
constexpr std::size_t min_length_of(std::string_view member) {
  if constexpr (requires { min_lengths(static_cast<const T*>(nullptr)); }) {
    for (const MinLength& rule : min_lengths(static_cast<const T*>(nullptr))) {
      if (rule.member == member) return rule.characters;
    }
  }
  return 0;
}

template <class T>
constexpr Bounds bounds_of(std::string_view member) {
  if constexpr (requires { bounds(static_cast<const T*>(nullptr)); }) {
    for (const Bounds& rule : bounds(static_cast<const T*>(nullptr))) {
      if (rule.member == member) return rule;
    }
  }
  return {member, std::nullopt, std::nullopt};
}

template <class T, class Visit>
void for_each_member(Visit visit) {
  using Members = boost::describe::describe_members<T, boost::describe::mod_public | boost::describe::mod_inherited>;
  boost::mp11::mp_for_each<Members>(visit);
}

template <Integer T>
bool check_range(std::int64_t number, const json::value& input, const Path& path, Issues& issues) {
  constexpr auto lowest = static_cast<double>(std::numeric_limits<T>::min());
  constexpr auto highest = static_cast<double>(std::numeric_limits<T>::max());
  return std::in_range<T>(number) || check_bounds(number, {{}, lowest, highest}, input, path, issues);
}

template <Integer T>
  requires(!std::is_same_v<T, std::int64_t>)
bool read_value(const json::value& value, T& out, const Path& path, Issues& issues) {
  std::int64_t number = 0;
  if (!read_value(value, number, path, issues) || !check_range<T>(number, value, path, issues)) return false;
  out = static_cast<T>(number);
  return true;
}

template <class T>
bool read_value(const json::value& value, std::vector<T>& out, const Path& path, Issues& issues);
template <class T, class Less>
bool read_value(const json::value& value, std::map<std::string, T, Less>& out, const Path& path, Issues& issues);
template <class T>
bool read_value(const json::value& value, std::optional<T>& out, const Path& path, Issues& issues);
template <Described T>
bool read_value(const json::value& value, T& out, const Path& path, Issues& issues, Present* present = nullptr);

template <class T>
bool read_value(const json::value& value, std::vector<T>& out, const Path& path, Issues& issues) {
  if (!require_list(value, path, issues)) return false;
  const auto& items = value.get_array();
  std::vector<T> read;
  read.reserve(items.size());
  bool good = true;
  for (std::size_t i = 0; i < items.size(); ++i) {
    T item{};
    good = read_value(items[i], item, path.item(i), issues) && good;
    read.push_back(std::move(item));
  }
  if (good) out = std::move(read);
  return good;
}

template <class T, class Less>
bool read_value(const json::value& value, std::map<std::string, T, Less>& out, const Path& path, Issues& issues) {
  if (!require_dict(value, path, issues)) return false;
  std::map<std::string, T, Less> read;
  bool good = true;
  for (const auto& member : value.get_object()) {
    const std::string_view name(member.key().data(), member.key().size());
    good = read_value(member.value(), read[std::string(name)], path.member(name), issues) && good;
  }
  if (good) out = std::move(read);
  return good;
}

template <class T>
bool read_value(const json::value& value, std::optional<T>& out, const Path& path, Issues& issues) {
  if (value.is_null()) {
    out.reset();
    return true;
  }
  T read{};
  if (!read_value(value, read, path, issues)) return false;
  out = std::move(read);
  return true;
}

/// Reads a member of T with the rules beyond its type; `member` stays as it is when one is broken.
template <class T, class Member>
bool read_member(const json::value& value, Member& member, std::string_view name, const Path& path, Issues& issues) {
  if constexpr (is_optional<Member>) {
    typename Member::value_type inner{};
    if (!value.is_null() && !read_member<T>(value, inner, name, path, issues)) return false;
    member = value.is_null() ? std::nullopt : Member(std::move(inner));
    return true;
  } else if constexpr (Integer<Member>) {
    std::int64_t number = 0;
    if (!read_value(value, number, path, issues) || !check_bounds(number, bounds_of<T>(name), value, path, issues) ||
        !check_range<Member>(number, value, path, issues)) {
      return false;
    }
    member = static_cast<Member>(number);
    return true;
  } else if constexpr (std::is_same_v<Member, double>) {
    double number = 0;
    if (!read_value(value, number, path, issues) || !check_bounds(number, bounds_of<T>(name), value, path, issues)) return false;
    member = number;
    return true;
  } else if constexpr (std::is_same_v<Member, std::string>) {
    std::string text;
    if (!read_value(value, text, path, issues) || !check_min_length(text, min_length_of<T>(name), value, path, issues)) return false;
    member = std::move(text);
    return true;
  } else {
    return read_value(value, member, path, issues);
  }
}

template <Described T>
bool read_value(const json::value& value, T& out, const Path& path, Issues& issues, Present* present) {
  if (!require_model(value, path, issues)) return false;
  bool good = true;
  for_each_member<T>([&](auto descriptor) {
    constexpr std::string_view name = decltype(descriptor)::name;
    const Path here = path.member(wire_name<T>(name));
    const json::value* sent = find_member(value, here.name);
    if (sent == nullptr) {
      if (is_required<T>(name)) {
        add_missing(here, value, issues);
        good = false;
      }
      return;
    }
    if (present != nullptr) present->emplace(name);
    good = read_member<T>(*sent, out.*decltype(descriptor)::pointer, name, here, issues) && good;
  });
  return good;
}

template <class T>
json::object describe_type() {
  if constexpr (std::is_same_v<T, std::string>) {
    return {{"type", "string"}};
  } else if constexpr (std::is_same_v<T, bool>) {
    return {{"type", "boolean"}};
  } else if constexpr (Integer<T>) {
    return {{"type", "integer"}};
  } else if constexpr (std::is_floating_point_v<T>) {
    return {{"type", "number"}};
  } else if constexpr (std::is_same_v<T, json::object>) {
    return {{"type", "object"}, {"additionalProperties", true}};
  } else if constexpr (std::is_same_v<T, json::array>) {
    return {{"type", "array"}, {"items", json::object()}};
  } else if constexpr (std::is_same_v<T, json::value>) {
    return {};
  } else if constexpr (is_optional<T>) {
    json::array choices;
    choices.emplace_back(describe_type<typename T::value_type>());
    choices.emplace_back(json::object{{"type", "null"}});
    return {{"anyOf", std::move(choices)}};
  } else if constexpr (is_vector<T>) {
    return {{"type", "array"}, {"items", describe_type<typename T::value_type>()}};
  } else if constexpr (is_map<T>) {
    return {{"type", "object"}, {"additionalProperties", describe_type<typename T::mapped_type>()}};
  } else {
    return schema::describe<T>();
  }
}

void add_limits(json::object& schema, std::size_t min_length, const Bounds& bounds);

}  // namespace detail

template <class T>
T read(const json::value& value, json::array loc, Issues& issues) {
  T out{};
  detail::read_value(value, out, detail::Path{nullptr, &loc}, issues);
  return out;
}

template <class T>
T read_present(const json::value& value, json::array loc, Issues& issues, Present& present) {
  T out{};
  detail::read_value(value, out, detail::Path{nullptr, &loc}, issues, &present);
  return out;
}

template <class T>
T read_body(std::string_view body, std::string_view content_type) {
  Issues issues;
  T out = read<T>(parse_body(body, content_type), json::array{"body"}, issues);
  issues.throw_if_any();
  return out;
}

template <class T>
T read_body(std::string_view body, std::string_view content_type, Present& present) {
  Issues issues;
  T out = read_present<T>(parse_body(body, content_type), json::array{"body"}, issues, present);
  issues.throw_if_any();
  return out;
}

template <class T>
json::value write_value(const T& value) {
  if constexpr (detail::is_optional<T>) {
    return value.has_value() ? write_value(*value) : json::value(nullptr);
  } else if constexpr (detail::is_vector<T>) {
    json::array items;
    items.reserve(value.size());
    for (const auto& item : value) items.push_back(write_value(item));
    return items;
  } else if constexpr (detail::is_map<T>) {
    json::object members;
    for (const auto& [name, member] : value) members.emplace(name, write_value(member));
    return members;
  } else if constexpr (detail::Described<T>) {
    return write(value);
  } else {
    return json::value(value);
  }
}

template <class T>
json::object write(const T& described) {
  json::object out;
  detail::for_each_member<T>([&](auto descriptor) {
    const auto name = detail::wire_name<T>(decltype(descriptor)::name);
    out.emplace(json::string_view(name.data(), name.size()), write_value(described.*decltype(descriptor)::pointer));
  });
  return out;
}

template <class T>
json::object describe() {
  if constexpr (!detail::Described<T>) {
    return detail::describe_type<T>();
  } else {
    json::object properties;
    json::array required;
    const T defaults{};
    detail::for_each_member<T>([&](auto descriptor) {
      using Member = std::remove_cvref_t<decltype(defaults.*decltype(descriptor)::pointer)>;
      constexpr std::string_view member = decltype(descriptor)::name;
      const auto name = detail::wire_name<T>(member);
      json::object schema = detail::describe_type<Member>();
      detail::add_limits(schema, detail::min_length_of<T>(member), detail::bounds_of<T>(member));
      if (detail::is_required<T>(member)) {
        required.emplace_back(json::string_view(name.data(), name.size()));
      } else if constexpr (!detail::Described<Member>) {
        schema.emplace("default", write_value(defaults.*decltype(descriptor)::pointer));
      }
      properties.emplace(json::string_view(name.data(), name.size()), std::move(schema));
    });
    json::object out{{"type", "object"}, {"properties", std::move(properties)}};
    if (!required.empty()) out.emplace("required", std::move(required));
    return out;
  }
}

}  // namespace loquat::schema
