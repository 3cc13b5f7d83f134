#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "core/crypto.h"
#include "db/mongo.h"
#include "integrations/store.h"

namespace loquat::integrations {

/// Integrations in MongoDB's collection `integrations`. Documents of the old store, which have no version, are read as they are and get
/// one with their first change.
class MongoStore final : public Store {
 public:
  /// `pool` must outlive the store.
  MongoStore(db::MongoPool& pool, std::shared_ptr<const crypto::Keyring> keyring);

  asio::awaitable<std::vector<Integration>> list() override;
  asio::awaitable<std::optional<Integration>> find(std::string_view id) override;
  asio::awaitable<Integration> create(Integration integration) override;
  asio::awaitable<Integration> update(std::string_view id, std::function<void(Integration&)> change,
                                      std::optional<std::int64_t> if_version) override;
  asio::awaitable<void> remove(std::string_view id, std::optional<std::int64_t> if_version) override;
  asio::awaitable<std::vector<std::string>> ensure_defaults() override;
  asio::awaitable<void> ping() override;

 private:
  db::MongoPool& pool_;
  std::shared_ptr<const crypto::Keyring> keyring_;
  /// One change at a time in this process: otherwise those of a busy integration would keep overtaking each other.
  std::shared_ptr<std::timed_mutex> changing_ = std::make_shared<std::timed_mutex>();
  std::shared_ptr<std::atomic<bool>> indexed_ = std::make_shared<std::atomic<bool>>(false);
};

/// A document as an import meets it.
struct ReadDocument {
  std::string document_id;  ///< its _id, as text
  Integration integration;
  std::string problem;  ///< why it is none; empty: it is one
};
/// All of them, in the order of _id; one that cannot be read does not stop the others. Blocking.
std::vector<ReadDocument> read_documents(db::MongoPool& pool, const crypto::Keyring& keyring);

/// Seals every secret with the first key; returns how many integrations it changed. Blocking.
std::size_t rotate_secrets(db::MongoPool& pool, const crypto::Keyring& keyring);

}  // namespace loquat::integrations
