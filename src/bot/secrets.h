#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bot/document.h"
#include "core/crypto.h"
#include "core/json.h"
#include "core/schema.h"

/// The secrets in a bot: values of API headers whose name says so, and members of the config like `api_key`. Clients see the mask;
/// the database holds sealed texts when there is a key. Pure.
namespace loquat::bot {

/// A copy with every secret that is not empty replaced by the mask.
[[nodiscard]] json::object mask_document(Kind kind, json::object body);
[[nodiscard]] json::object mask_config(const json::object& config);

/// What a mask means where nothing is stored that it could stand for.
enum class LostSecret : std::uint8_t {
  refuse,  ///< an issue
  clear,   ///< "": the import of a masked export
};

/// Puts the stored secrets where the mask alone came back (headers are matched by name). Any other secret with U+2022 in it is an
/// issue, and so is one that looks sealed. `previous` may be null.
void restore_secrets(json::object& body, const json::object* previous, LostSecret lost, const json::array& loc, schema::Issues& issues);
void restore_config_secrets(json::object& config, const json::object& previous, const json::array& loc, schema::Issues& issues);

/// For the database: the secrets sealed, bound to the table, the id and their place. Sealed ones stay as they are.
[[nodiscard]] json::object seal_document(Kind kind, std::string_view id, json::object body, const crypto::Keyring& keyring);
[[nodiscard]] json::object seal_config(std::string_view name, json::object config, const crypto::Keyring& keyring);
/// Throws Error(unavailable) when a secret cannot be opened.
[[nodiscard]] json::object open_document(Kind kind, std::string_view id, json::object body, const crypto::Keyring& keyring);
[[nodiscard]] json::object open_config(std::string_view name, json::object config, const crypto::Keyring& keyring);
/// Whether a stored body has a secret that is not sealed with the first key.
[[nodiscard]] bool needs_rotation(Kind kind, const json::object& body, const crypto::Keyring& keyring);
[[nodiscard]] bool config_needs_rotation(const json::object& config, const crypto::Keyring& keyring);

}  // namespace loquat::bot
