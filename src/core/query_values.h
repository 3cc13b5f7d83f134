#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/clock.h"
#include "core/schema.h"
#include "core/url.h"

namespace loquat::schema {

/// Both ends are allowed values.
struct Range {
  std::optional<std::int64_t> at_least = std::nullopt;
  std::optional<std::int64_t> at_most = std::nullopt;
};
struct RealRange {
  std::optional<double> at_least = std::nullopt;
  std::optional<double> at_most = std::nullopt;
};

/// Reads query parameters as FastAPI does: of a repeated one the last counts, an unknown one is ignored, an empty value
/// is a value. What is wrong becomes an issue with the place ["query", name] and pydantic's type and message; the
/// reader then gives nothing, or the default. Call issues.throw_if_any() behind the last one.
///
///   schema::Issues issues;
///   const schema::QueryReader query(url::parse_query(target), issues);
///   const auto page = query.integer("page", 1, {.at_least = 1});
///   const auto start = query.find_time("start_date");
///   issues.throw_if_any();
class QueryReader {
 public:
  /// `issues` must outlive the reader.
  QueryReader(url::Pairs pairs, Issues& issues) : pairs_(std::move(pairs)), issues_(issues) {}

  [[nodiscard]] std::optional<std::string> find_text(std::string_view name) const;
  /// Whole numbers; "1.0" and "1_000" count.
  [[nodiscard]] std::optional<std::int64_t> find_integer(std::string_view name, Range range = {}) const;
  [[nodiscard]] std::optional<double> find_number(std::string_view name, RealRange range = {}) const;
  [[nodiscard]] std::optional<bool> find_boolean(std::string_view name) const;
  /// ISO 8601 date with or without time, or seconds (beyond 2e10: milliseconds) since 1970. Without an offset: UTC.
  [[nodiscard]] std::optional<Time> find_time(std::string_view name) const;

  [[nodiscard]] std::int64_t integer(std::string_view name, std::int64_t fallback, Range range = {}) const {
    return find_integer(name, range).value_or(fallback);
  }
  [[nodiscard]] bool boolean(std::string_view name, bool fallback) const { return find_boolean(name).value_or(fallback); }
  /// An issue `missing` when it is not there.
  [[nodiscard]] std::string required_text(std::string_view name) const;

 private:
  [[nodiscard]] const std::string* last(std::string_view name) const noexcept;

  url::Pairs pairs_;
  Issues& issues_;
};

}  // namespace loquat::schema
