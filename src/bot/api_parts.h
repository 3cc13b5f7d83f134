#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bot/document.h"
#include "core/log.h"
#include "http/message.h"
#include "http/router.h"

/// What the files of the api share. Internal to it.
namespace loquat::bot {

/// "3" in quotes.
[[nodiscard]] std::string make_etag(std::int64_t version);
/// The versions that If-Match allows: empty when the header is missing or "*"; a list without any for tags that are not ours.
[[nodiscard]] std::optional<std::vector<std::int64_t>> read_if_match(const http::Headers& headers);
/// For the store: of several allowed versions the current one, else one that never fits. Empty: any.
[[nodiscard]] std::optional<std::int64_t> choose_version(const std::optional<std::vector<std::int64_t>>& allowed, std::int64_t current);

/// One line of the audit log. Never with a secret.
void audit(const http::Request& request, std::string_view what, std::string_view id, std::initializer_list<log::Field> more = {});

/// {"status":"success"}
[[nodiscard]] http::Response make_success(std::optional<std::int64_t> version = std::nullopt);

/// A path parameter that is a whole number; Error(invalid) as FastAPI says it.
[[nodiscard]] std::int64_t read_path_integer(const http::Request& request, std::string_view name);

// Pieces of the OpenAPI document.
[[nodiscard]] json::object status_schema();
[[nodiscard]] json::object query_parameter(std::string_view name, json::object schema, std::string_view description = {});
/// Said of a route instead of declared as a parameter: no made-up tag can be a right one, and tools that try the document
/// would have to be answered 412.
inline constexpr std::string_view guarded = " (If-Match with the ETag guards against lost updates: 412)";
[[nodiscard]] json::object integer_path_parameter(std::string_view name);
[[nodiscard]] json::object array_schema(json::object items);
[[nodiscard]] json::object object_schema(std::initializer_list<std::pair<std::string_view, json::object>> properties);

}  // namespace loquat::bot
