#pragma once

#include <boost/describe.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/json.h"

/// Reads JSON bodies into described structs with pydantic v2's rules and messages, writes them back, and describes
/// them for the OpenAPI document, all from one list of members:
///
///   struct Parameter { std::string name; bool required = false; std::optional<std::string> type; };
///   BOOST_DESCRIBE_STRUCT(Parameter, (), (name, required, type))
///   constexpr auto required_members(const Parameter*) { return std::array{"name"sv}; }   // found by ADL; default: none
///   constexpr auto renamed_members(const Intent*) { return std::array{schema::Rename{"intent_id", "intentId"}}; }
///
/// Member types: std::string, bool, integers, double, std::vector<T>, std::optional<T> (null or left out),
/// json::object, json::array, json::value, and described structs. A member that is left out keeps the struct's
/// initializer; null is refused unless the type is optional or json::value. Unknown members are ignored.
/// Pydantic's lax mode: booleans also from 0/1 and "true"/"yes"/"on"..., numbers from numeric strings, never
/// strings from numbers.
namespace loquat::schema {

/// One entry of FastAPI's 422 answer.
struct Issue {
  std::string type;   ///< "missing", "string_type", ...
  json::array loc;    ///< ["body", "name"]
  std::string msg;    ///< "Field required"
  json::value input;  ///< what was sent
  std::optional<json::object> ctx = std::nullopt;
};

/// Collects issues; a reader goes on after the first, so that a client sees all of them.
class Issues {
 public:
  void add(Issue issue) { issues_.push_back(std::move(issue)); }
  [[nodiscard]] bool empty() const noexcept { return issues_.empty(); }
  [[nodiscard]] const std::vector<Issue>& all() const noexcept { return issues_; }
  [[nodiscard]] json::array to_json() const;
  /// Throws Error(invalid) with the issues when there are any.
  void throw_if_any() const;

 private:
  std::vector<Issue> issues_;
};

/// Throws Error(invalid) with this one issue.
[[noreturn]] void fail(Issue issue);

struct Rename {
  std::string_view member;  ///< in C++
  std::string_view json;    ///< on the wire
};

/// Parses a request's body as FastAPI does: Error(invalid) with `json_invalid` for what is no JSON,
/// Error(malformed) "There was an error parsing the body" for what is no UTF-8, `missing` for an empty body.
/// `content_type`: none, application/json and application/*+json are JSON; with any other the raw text is the value
/// (and then fails as a type error, as in FastAPI).
[[nodiscard]] json::value parse_body(std::string_view body, std::string_view content_type);

}  // namespace loquat::schema

#include "core/schema_impl.h"  // read<T>(value, loc, issues), read_body<T>(value), write(struct), describe<T>()
