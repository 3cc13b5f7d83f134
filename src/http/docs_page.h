#pragma once

#include "http/message.h"

namespace loquat::http {

/// GET /docs: lists the operations of openapi.json, shows their schemas and sends requests. Everything is in the page
/// itself; its content security policy lets it run only its own script and talk only to its own server.
[[nodiscard]] Response make_docs_page();

/// A page with that policy around a script (may be empty) and a body.
[[nodiscard]] std::string make_page(std::string_view title, std::string_view style, std::string_view body, std::string_view script);
/// The policy that fits a page made of this script.
[[nodiscard]] std::string make_page_policy(std::string_view script);

}  // namespace loquat::http
