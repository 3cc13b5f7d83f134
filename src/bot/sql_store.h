#pragma once

#include <memory>

#include "bot/admin_store.h"
#include "bot/store.h"
#include "core/crypto.h"
#include "db/sql.h"

namespace loquat::bot {

/// Both ports over SQLite and PostgreSQL. Needs the tables of bot/schema.h.
class SqlStore final : public Store, public AdminStore {
 public:
  /// `database` must outlive the store.
  SqlStore(db::Database& database, std::shared_ptr<const crypto::Keyring> keyring);

  asio::awaitable<std::int64_t> active_version() override;
  asio::awaitable<std::optional<Definition>> load_version(std::int64_t version) override;
  asio::awaitable<std::int64_t> publish(std::string built_by, std::function<void(const Definition&)> check) override;
  asio::awaitable<std::vector<VersionSummary>> versions() override;
  asio::awaitable<void> activate(std::int64_t version) override;
  asio::awaitable<void> ensure_default() override;
  asio::awaitable<Imported> import(Definition definition) override;
  asio::awaitable<Definition> draft() override;
  asio::awaitable<void> ping() override;

  asio::awaitable<std::vector<Document>> list(Kind kind) override;
  asio::awaitable<std::optional<Document>> find(Kind kind, std::string id) override;
  asio::awaitable<Document> create(Kind kind, json::object body) override;
  asio::awaitable<Document> update(Kind kind, std::string id, Change change, std::optional<std::int64_t> if_version) override;
  asio::awaitable<bool> remove(Kind kind, std::string id, std::optional<std::int64_t> if_version) override;
  asio::awaitable<std::optional<StoredConfig>> find_config(std::string bot) override;
  asio::awaitable<std::optional<StoredConfig>> update_config(std::string bot, Change change,
                                                             std::optional<std::int64_t> if_version) override;
  asio::awaitable<Draft> load_draft() override;
  asio::awaitable<Imported> import_file(std::string text, json::array loc) override;
  asio::awaitable<BuildStatus> build_status() override;
  asio::awaitable<void> set_build_status(BuildStatus status) override;

 private:
  db::Database& database_;
  std::shared_ptr<const crypto::Keyring> keyring_;
};

}  // namespace loquat::bot
