#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "integrations/integration.h"

namespace loquat::integrations {

namespace asio = boost::asio;

/// Port of the integrations. Thread-safe. Settings are in clear here: encryption at rest is inside the adapters, masking in
/// the api. All functions throw Error(unavailable) when the database is away.
class Store {
 public:
  virtual ~Store() = default;
  /// In order of creation.
  virtual asio::awaitable<std::vector<Integration>> list() = 0;
  virtual asio::awaitable<std::optional<Integration>> find(std::string_view id) = 0;
  /// Error(conflict) when the id is taken. Returns it as stored.
  virtual asio::awaitable<Integration> create(Integration integration) = 0;
  /// Reads the integration, lets `change` alter a copy (it may run more than once, and throws to refuse), stores the result as the
  /// next version; atomic against other changes. `if_version`: Error(precondition_failed) when it is not the current one.
  /// A changed id renames; Error(conflict) when that is taken. Error(not_found) "Integration not found".
  virtual asio::awaitable<Integration> update(std::string_view id, std::function<void(Integration&)> change,
                                              std::optional<std::int64_t> if_version) = 0;
  /// Error(not_found); `if_version` as above.
  virtual asio::awaitable<void> remove(std::string_view id, std::optional<std::int64_t> if_version) = 0;
  /// Inserts those defaults that are missing; returns their ids. Safe from many processes at once.
  virtual asio::awaitable<std::vector<std::string>> ensure_defaults() = 0;
  virtual asio::awaitable<void> ping() = 0;
};

}  // namespace loquat::integrations
