#pragma once

#include "http/router.h"

/// What the OpenAPI document says of the routes under /states. Inside state/ only.
namespace loquat::state::doc {

[[nodiscard]] http::Doc append();
[[nodiscard]] http::Doc put();
[[nodiscard]] http::Doc list();
[[nodiscard]] http::Doc get();
[[nodiscard]] http::Doc erase();
[[nodiscard]] http::Doc init();
[[nodiscard]] http::Doc history();
[[nodiscard]] http::Doc redact();

}  // namespace loquat::state::doc
