#pragma once

#include <memory>

#include "async/batcher.h"
#include "core/crypto.h"
#include "db/sql.h"
#include "integrations/store.h"

namespace loquat::integrations {

/// Integrations in SQLite and PostgreSQL. Needs the table of integrations/schema.h. Concurrent reads share one statement, concurrent
/// changes one transaction.
class SqlStore final : public Store {
 public:
  /// `database` must outlive the store.
  SqlStore(db::Database& database, std::shared_ptr<const crypto::Keyring> keyring);

  asio::awaitable<std::vector<Integration>> list() override;
  asio::awaitable<std::optional<Integration>> find(std::string_view id) override;
  asio::awaitable<Integration> create(Integration integration) override;
  asio::awaitable<Integration> update(std::string_view id, std::function<void(Integration&)> change,
                                      std::optional<std::int64_t> if_version) override;
  asio::awaitable<void> remove(std::string_view id, std::optional<std::int64_t> if_version) override;
  asio::awaitable<std::vector<std::string>> ensure_defaults() override;
  asio::awaitable<void> ping() override;

 private:
  struct Update {
    std::string id;
    std::function<void(Integration&)> change;
    std::optional<std::int64_t> if_version;
  };
  /// Empty: the change renames, which a transaction of its own does.
  using Updated = std::optional<Integration>;
  using Listed = std::shared_ptr<const std::vector<Integration>>;

  static std::vector<async::Outcome<Updated>> update_all(db::Connection& connection, const std::vector<Update>& updates,
                                                         const crypto::Keyring& keyring);
  static Integration update_one(db::Connection& connection, const Update& update, const crypto::Keyring& keyring);

  db::Database& database_;
  std::shared_ptr<const crypto::Keyring> keyring_;
  async::Batcher<async::Nothing, Listed> lists_;
  async::Batcher<std::string, std::optional<Integration>> finds_;
  async::Batcher<Update, Updated> updates_;
};

/// PostgreSQL tells listeners of this channel about every change.
inline constexpr std::string_view notify_channel = "loquat_integrations";

/// Seals every secret with the first key; returns how many integrations it changed. Blocking.
std::size_t rotate_secrets(db::Database& database, const crypto::Keyring& keyring);

}  // namespace loquat::integrations
