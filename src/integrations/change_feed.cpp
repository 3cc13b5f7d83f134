#include "integrations/change_feed.h"

#include "core/error.h"
#include "core/log.h"
#include "db/mongo_collection.h"
#include "integrations/sql_store.h"

namespace loquat::integrations {
namespace {

void wait(const std::stop_token& stop, std::chrono::milliseconds time) {
  constexpr std::chrono::milliseconds slice(100);
  for (std::chrono::milliseconds waited(0); waited < time && !stop.stop_requested(); waited += slice) std::this_thread::sleep_for(slice);
}

/// False when this server has no change streams.
bool watch(db::MongoPool& pool, const std::stop_token& stop, const std::function<void()>& on_change) {
  return pool.run_blocking([&](db::MongoSession& session) {
    db::MongoCollection collection(session, "integrations");
    return collection.watch([&stop] { return !stop.stop_requested(); }, on_change, on_change);
  });
}

void watch_until_stopped(db::MongoPool& pool, const std::stop_token& stop, const std::function<void()>& on_change) {
  while (!stop.stop_requested()) {
    try {
      if (!watch(pool, stop, on_change)) {
        log::info("integrations", "this MongoDB has no change streams: changes are found by polling");
        return;
      }
    } catch (const Error& error) {
      log::debug("integrations", "the change stream ended", {{"error", error.log_detail()}});
    }
    wait(stop, std::chrono::seconds(1));
  }
}

}  // namespace

ChangeFeed::ChangeFeed(const std::string& postgres_url, std::function<void()> on_change) {
  const auto tell = std::make_shared<const std::function<void()>>(std::move(on_change));
  listener_ = std::make_unique<db::PostgresListener>(
      db::PostgresListener::Settings{.url = postgres_url, .channels = {std::string(notify_channel)}},
      [tell](const std::string& /*channel*/, const std::string& /*payload*/) { (*tell)(); }, [tell] { (*tell)(); });
}

ChangeFeed::ChangeFeed(db::MongoPool& pool, std::function<void()> on_change)
    : watcher_([&pool, on_change = std::move(on_change)](const std::stop_token& stop) { watch_until_stopped(pool, stop, on_change); }) {}

}  // namespace loquat::integrations
