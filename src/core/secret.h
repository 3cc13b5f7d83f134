#pragma once

#include <string>
#include <string_view>

#include "core/json.h"

namespace loquat {

/// What stands for a secret in answers and logs: eight times U+2022.
inline constexpr std::string_view secret_mask = "\u2022\u2022\u2022\u2022\u2022\u2022\u2022\u2022";

/// Whether a setting of this name is a secret: `secret`, `*_token`, `*_secret`, `*password*`, `*api_key*`, any case.
/// ("verify" of the Facebook integration is none: the admin reads it back to copy it into Meta's form.)
[[nodiscard]] bool is_secret_name(std::string_view name);
/// Whether an HTTP header's value is a secret: Authorization, Cookie, *key*, *token*, *secret*, any case.
[[nodiscard]] bool is_secret_header(std::string_view name);
/// Whether a text has a U+2022 in it and so may not be stored as a secret.
[[nodiscard]] bool has_mask_character(std::string_view text);

/// A copy with every secret string at any depth replaced by the mask; "" stays "".
[[nodiscard]] json::value mask_secrets(const json::value& settings);

}  // namespace loquat
