#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bot/definition.h"
#include "core/clock.h"

namespace loquat::bot {

namespace asio = boost::asio;

struct VersionSummary {
  std::int64_t version = 0;
  Time built_at;
  bool active = false;
  std::string built_by;  ///< token name, "import", "start"
  std::size_t intents = 0;
  std::size_t entities = 0;
  std::size_t examples = 0;
};

/// Port of the bots' data (SQL only). Two things live here: the draft that admins edit (intents, entities, config) and the published
/// versions, immutable, of which one is active. Thread-safe. Error(unavailable) when the database is away.
class Store {
 public:
  virtual ~Store() = default;

  /// Number of the active version; 0 before the first start has published one. Cheap: every process asks once a second.
  virtual asio::awaitable<std::int64_t> active_version() = 0;
  virtual asio::awaitable<std::optional<Definition>> load_version(std::int64_t version) = 0;
  /// Stores the draft as it is now as a new version, active at once. `check` gets it first and throws to refuse. Atomic.
  virtual asio::awaitable<std::int64_t> publish(std::string built_by, std::function<void(const Definition&)> check) = 0;
  virtual asio::awaitable<std::vector<VersionSummary>> versions() = 0;
  /// Error(not_found).
  virtual asio::awaitable<void> activate(std::int64_t version) = 0;

  /// Publishes the default bot when there is no version yet. Safe from many processes at once.
  virtual asio::awaitable<void> ensure_default() = 0;
  /// Upserts into the draft by name, all or nothing; counts inserts.
  struct Imported {
    std::size_t intents_created = 0;
    std::size_t entities_created = 0;
  };
  virtual asio::awaitable<Imported> import(Definition definition) = 0;
  /// The draft.
  virtual asio::awaitable<Definition> draft() = 0;

  virtual asio::awaitable<void> ping() = 0;
  // The admin's verbs on single intents, entities and configs: bot/admin_store.h.
};

}  // namespace loquat::bot
