#pragma once

#include <string_view>

#include "core/crypto.h"
#include "core/json.h"
#include "core/schema.h"

/// The secrets among an integration's settings (core/secret.h says which those are, at any depth). Clients see the mask; the
/// database holds sealed texts when there is a key. Pure.
namespace loquat::integrations {

/// A copy with every secret that is not empty replaced by the mask.
[[nodiscard]] json::object mask_settings(const json::object& settings);

/// Puts the stored secrets where the mask alone came back. Items of the list `pages` are matched by `page_id`; those of other lists by
/// `id`, `page_id` or `name`, and where they have none of these by their place, if the list is as long as before. Where several have the
/// same one, all of them must stand where they stood and differ in nothing but secrets. A mask that stands for nothing, any other secret
/// with U+2022 in it and one that looks sealed are issues. `loc`: the place of the settings.
void restore_secrets(json::object& settings, const json::object& stored, json::array loc, schema::Issues& issues);

/// For the database: the secrets sealed, bound to table, id and place. `settings` must be in clear.
[[nodiscard]] json::object seal_settings(std::string_view id, json::object settings, const crypto::Keyring& keyring);
/// Throws Error(unavailable) when a secret cannot be opened.
[[nodiscard]] json::object open_settings(std::string_view id, json::object settings, const crypto::Keyring& keyring);
/// Whether stored settings have a secret that is not sealed with the first key.
[[nodiscard]] bool needs_rotation(const json::object& settings, const crypto::Keyring& keyring);

}  // namespace loquat::integrations
