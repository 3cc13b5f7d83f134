#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "core/url.h"

/// URLs of API calls; pure.
namespace loquat::dialogue {

/// The host (with port and user) as far as the template's literal text says it, when a tag follows directly: then the value could
/// go on with the host's name ("http://api.example{{ x }}/"). Empty when the text says the whole host or nothing of it.
[[nodiscard]] std::string find_open_host(std::string_view source);

/// An http or https URL fit to be sent, or what is wrong with it. Blanks and other characters that no URL has are encoded.
/// `open_host`: see above; only a port may follow it. `has_values`: values were put in, so "." and ".." segments, with which a value
/// would climb out of its place, are refused.
[[nodiscard]] std::expected<std::string, std::string> check_url(std::string_view rendered, std::string_view open_host, bool has_values);

/// Puts pairs behind what the query has already.
[[nodiscard]] std::string add_query(std::string url, const url::Pairs& pairs);

}  // namespace loquat::dialogue
