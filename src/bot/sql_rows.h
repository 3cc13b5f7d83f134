#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bot/admin_store.h"
#include "bot/draft.h"
#include "core/crypto.h"
#include "db/sql.h"

/// The bots' tables, row by row, on a connection: shared by the store and the command line. Documents are in clear on this side.
namespace loquat::bot::sql {

[[nodiscard]] std::string_view name_of(Kind kind) noexcept;

/// Takes the draft's lock until the transaction ends; the revision.
std::int64_t lock_draft(db::Connection& connection);
/// The same, and counts the revision up, for those who change something.
std::int64_t change_draft(db::Connection& connection);

/// One statement, so that it is a snapshot on every database.
[[nodiscard]] Draft load_draft(db::Connection& connection, const crypto::Keyring& keyring);
[[nodiscard]] std::vector<Document> list_documents(db::Connection& connection, Kind kind, const crypto::Keyring& keyring);
[[nodiscard]] std::optional<Document> find_document(db::Connection& connection, Kind kind, std::string_view id,
                                                    const crypto::Keyring& keyring);

[[nodiscard]] std::optional<AdminStore::StoredConfig> find_config(db::Connection& connection, std::string_view bot,
                                                                  const crypto::Keyring& keyring);

// Under change_draft().
void insert_documents(db::Connection& connection, Kind kind, const std::vector<Document>& documents, const crypto::Keyring& keyring);
void update_documents(db::Connection& connection, Kind kind, const std::vector<Document>& documents, const crypto::Keyring& keyring);
void write_changes(db::Connection& connection, const ImportChanges& changes, const crypto::Keyring& keyring);
void upsert_config(db::Connection& connection, std::string_view bot, std::int64_t version, const json::object& config,
                   const crypto::Keyring& keyring);

/// Stores `draft` as the next version, active at once, and forgets the oldest ones. Under the lock. Returns its number.
std::int64_t insert_version(db::Connection& connection, const Draft& draft, std::string_view built_by, const crypto::Keyring& keyring);
[[nodiscard]] std::optional<Definition> load_version(db::Connection& connection, std::int64_t number, const crypto::Keyring& keyring);

/// Publishes the default bot when there is no version yet.
void ensure_default(db::Connection& connection, const crypto::Keyring& keyring);

/// Seals everything with the first key again; how many rows were written.
std::size_t rotate_secrets(db::Connection& connection, const crypto::Keyring& keyring);

}  // namespace loquat::bot::sql
