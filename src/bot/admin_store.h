#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bot/document.h"
#include "bot/draft.h"
#include "core/clock.h"

namespace loquat::bot {

namespace asio = boost::asio;

/// How the last build went; shared by all processes on one database.
struct BuildStatus {
  enum class State : std::uint8_t { ready, training, failed };
  State state = State::ready;
  std::string message;
  std::optional<Time> changed_at;
};

/// Port of the admin's verbs on the draft. Secrets are in clear here: encryption at rest is inside the adapters, masking in the api.
/// Thread-safe. All functions throw Error(unavailable) when the database is away. Functions given to the store may run more
/// than once, on another thread, and throw to refuse: they own what they need.
class AdminStore {
 public:
  using Change = std::function<void(json::object& body)>;

  virtual ~AdminStore() = default;
  /// In order of creation.
  virtual asio::awaitable<std::vector<Document>> list(Kind kind) = 0;
  virtual asio::awaitable<std::optional<Document>> find(Kind kind, std::string id) = 0;
  /// Returns it with its new id and version 1.
  virtual asio::awaitable<Document> create(Kind kind, json::object body) = 0;
  /// Reads the body, lets `change` alter it, stores it as the next version; atomic against other changes. Error(not_found);
  /// Error(precondition_failed) when `if_version` is not the current one.
  virtual asio::awaitable<Document> update(Kind kind, std::string id, Change change, std::optional<std::int64_t> if_version) = 0;
  /// False when there is none. `if_version` as above.
  virtual asio::awaitable<bool> remove(Kind kind, std::string id, std::optional<std::int64_t> if_version) = 0;

  struct StoredConfig {
    std::int64_t version = 0;
    json::object config;
  };
  virtual asio::awaitable<std::optional<StoredConfig>> find_config(std::string bot) = 0;
  /// Empty when there is no such bot.
  virtual asio::awaitable<std::optional<StoredConfig>> update_config(std::string bot, Change change,
                                                                     std::optional<std::int64_t> if_version) = 0;

  /// All of it, as it was at one moment.
  virtual asio::awaitable<Draft> load_draft() = 0;
  /// parse_export_file and apply_export, all or nothing. `loc` is the place of the issues.
  virtual asio::awaitable<Store::Imported> import_file(std::string text, json::array loc) = 0;

  virtual asio::awaitable<BuildStatus> build_status() = 0;
  virtual asio::awaitable<void> set_build_status(BuildStatus status) = 0;
};

/// The messages of Error(not_found).
[[nodiscard]] inline std::string not_found_message(Kind kind) { return kind == Kind::intent ? "Intent not found" : "Entity not found"; }
/// How many published versions are kept beside the active one.
inline constexpr std::int64_t kept_versions = 50;

}  // namespace loquat::bot
