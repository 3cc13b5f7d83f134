#pragma once

#include <mutex>

#include "integrations/store.h"

namespace loquat::integrations {

/// Keeps integrations in memory: they are gone when the process ends (`DATABASE_URL=memory://`, and tests).
class MemoryStore final : public Store {
 public:
  asio::awaitable<std::vector<Integration>> list() override;
  asio::awaitable<std::optional<Integration>> find(std::string_view id) override;
  asio::awaitable<Integration> create(Integration integration) override;
  asio::awaitable<Integration> update(std::string_view id, std::function<void(Integration&)> change,
                                      std::optional<std::int64_t> if_version) override;
  asio::awaitable<void> remove(std::string_view id, std::optional<std::int64_t> if_version) override;
  asio::awaitable<std::vector<std::string>> ensure_defaults() override;
  asio::awaitable<void> ping() override;

 private:
  using Items = std::vector<Integration>;
  [[nodiscard]] Items::iterator find_place(std::string_view id);

  std::mutex mutex_;
  Items items_;
};

}  // namespace loquat::integrations
