#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"

/// The words both dialects fail with, and the conversions their rows share. Inside db/ only.
namespace loquat::db {

[[nodiscard]] inline Error away(std::string detail) {
  return {Code::unavailable, "the database is not available, try again later", std::move(detail)};
}
[[nodiscard]] inline Error wrong_schema(const std::string& detail) {
  return {Code::unavailable, "the database is not available, try again later", "a column is not what this release expects: " + detail};
}

[[nodiscard]] std::int64_t integer_of(std::string_view text);
[[nodiscard]] double real_of(std::string_view text);
[[nodiscard]] bool boolean_of(std::string_view text);

}  // namespace loquat::db
