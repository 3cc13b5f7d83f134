#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bot/document.h"
#include "http/audit.h"
#include "http/entity_tag.h"
#include "http/message.h"
#include "http/router.h"

/// What the files of the api share. Internal to it.
namespace loquat::bot {

using http::audit;

/// For the store: of several allowed versions the current one, else one that never fits. Empty: any.
[[nodiscard]] std::optional<std::int64_t> choose_version(const http::IfMatch& allowed, std::int64_t current);

/// {"status":"success"}
[[nodiscard]] http::Response make_success(std::optional<std::int64_t> version = std::nullopt);

/// A path parameter that is a whole number; Error(invalid) as FastAPI says it.
[[nodiscard]] std::int64_t read_path_integer(const http::Request& request, std::string_view name);

// Pieces of the OpenAPI document.
[[nodiscard]] json::object status_schema();
[[nodiscard]] json::object query_parameter(std::string_view name, json::object schema, std::string_view description = {});
/// If-Match of a route that a lost update is guarded against by.
[[nodiscard]] json::object guard_parameter();
[[nodiscard]] json::object integer_path_parameter(std::string_view name);
[[nodiscard]] json::object array_schema(json::object items);
[[nodiscard]] json::object object_schema(std::initializer_list<std::pair<std::string_view, json::object>> properties);

}  // namespace loquat::bot
