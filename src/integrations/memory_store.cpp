#include "integrations/memory_store.h"

#include <algorithm>

#include "core/error.h"

namespace loquat::integrations {

MemoryStore::Items::iterator MemoryStore::find_place(std::string_view id) { return std::ranges::find(items_, id, &Integration::id); }

asio::awaitable<std::vector<Integration>> MemoryStore::list() {
  const std::lock_guard lock(mutex_);
  co_return items_;
}

asio::awaitable<std::optional<Integration>> MemoryStore::find(std::string_view id) {
  const std::lock_guard lock(mutex_);
  const auto place = find_place(id);
  co_return place == items_.end() ? std::nullopt : std::optional(*place);
}

asio::awaitable<Integration> MemoryStore::create(Integration integration) {
  const std::lock_guard lock(mutex_);
  if (find_place(integration.id) != items_.end()) throw Error(Code::conflict, taken_message);
  integration.version = 1;
  items_.push_back(integration);
  co_return integration;
}

asio::awaitable<Integration> MemoryStore::update(std::string_view id, std::function<void(Integration&)> change,
                                                 std::optional<std::int64_t> if_version) {
  const std::lock_guard lock(mutex_);
  const auto place = find_place(id);
  if (place == items_.end()) throw Error(Code::not_found, not_found_message);
  require_version(place->version, if_version);
  Integration next = *place;
  change(next);
  if (next.id != place->id && find_place(next.id) != items_.end()) throw Error(Code::conflict, taken_message);
  next.version = place->version + 1;
  *place = next;
  co_return next;
}

asio::awaitable<void> MemoryStore::remove(std::string_view id, std::optional<std::int64_t> if_version) {
  const std::lock_guard lock(mutex_);
  const auto place = find_place(id);
  if (place == items_.end()) throw Error(Code::not_found, not_found_message);
  require_version(place->version, if_version);
  items_.erase(place);
  co_return;
}

asio::awaitable<std::vector<std::string>> MemoryStore::ensure_defaults() {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> created;
  for (const auto& integration : defaults()) {
    if (find_place(integration.id) != items_.end()) continue;
    items_.push_back(integration);
    created.push_back(integration.id);
  }
  co_return created;
}

asio::awaitable<void> MemoryStore::ping() { co_return; }

}  // namespace loquat::integrations
