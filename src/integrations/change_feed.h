#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "db/mongo.h"
#include "db/postgres_listener.h"

namespace loquat::integrations {

/// Tells within moments that an integration may have changed, in whatever process: PostgreSQL's notifications, or MongoDB's change streams
/// where the server has them. An improvement over polling, which stays: it may tell too often, and not at all while the database is away.
class ChangeFeed {
 public:
  /// `on_change` runs on a thread of the feed and must be quick. `postgres_url` as DatabaseSettings::url.
  ChangeFeed(const std::string& postgres_url, std::function<void()> on_change);
  /// `pool` must outlive the feed.
  ChangeFeed(db::MongoPool& pool, std::function<void()> on_change);
  /// Ends within a second.
  ~ChangeFeed() = default;
  ChangeFeed(const ChangeFeed&) = delete;
  ChangeFeed& operator=(const ChangeFeed&) = delete;

 private:
  std::unique_ptr<db::PostgresListener> listener_;
  std::jthread watcher_;
};

}  // namespace loquat::integrations
