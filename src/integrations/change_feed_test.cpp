#include "integrations/change_feed.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "db/migrate.h"
#include "integrations/mongo_store.h"
#include "integrations/schema.h"
#include "integrations/sql_store.h"
#include "testing/await.h"
#include "testing/mongo.h"
#include "testing/postgres.h"

namespace loquat::integrations {
namespace {

using loquat::testing::await;

class Bell {
 public:
  void ring() {
    const std::lock_guard lock(mutex_);
    ++rung_;
    changed_.notify_all();
  }
  [[nodiscard]] int rung() {
    const std::lock_guard lock(mutex_);
    return rung_;
  }
  [[nodiscard]] bool wait_beyond(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return rung_ > count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int rung_ = 0;
};

void expect_a_ring_for_each_change(Store& store, Bell& bell) {
  ASSERT_TRUE(bell.wait_beyond(0)) << "when it is connected";
  auto before = bell.rung();
  await(store.create({"a", "", "", false, {}}));
  EXPECT_TRUE(bell.wait_beyond(before));
  before = bell.rung();
  await(store.update("a", [](Integration& integration) { integration.status = true; }, {}));
  EXPECT_TRUE(bell.wait_beyond(before));
  before = bell.rung();
  await(store.update("a", [](Integration& integration) { integration.id = "b"; }, {}));
  EXPECT_TRUE(bell.wait_beyond(before));
  before = bell.rung();
  await(store.remove("b", {}));
  EXPECT_TRUE(bell.wait_beyond(before));
}

TEST(ChangeFeed, OfPostgres) {
  LOQUAT_NEED_POSTGRES(url);
  const auto database = db::Database::open({.url = url});
  db::migrate(*database, migrations());
  SqlStore store(*database, std::make_shared<const crypto::Keyring>());
  Bell bell;
  {
    const ChangeFeed feed(url, [&bell] { bell.ring(); });
    expect_a_ring_for_each_change(store, bell);
  }
  database->close();
}

TEST(ChangeFeed, OfMongo) {
  const auto server = loquat::testing::MongoServer::start({.oplog = true});
  if (!server) GTEST_SKIP() << "no Java and Maven on this machine";
  db::MongoPool pool({.uri = server->make_uri()});
  MongoStore store(pool, std::make_shared<const crypto::Keyring>());
  await(store.ensure_defaults());
  Bell bell;
  const ChangeFeed feed(pool, [&bell] { bell.ring(); });
  ASSERT_TRUE(bell.wait_beyond(0)) << "when it is connected";
  // The server of the tests puts only inserts into its streams.
  const auto before = bell.rung();
  await(store.create({"a", "", "", false, {}}));
  EXPECT_TRUE(bell.wait_beyond(before));
}

TEST(ChangeFeed, OfAMongoWithoutChangeStreamsEnds) {
  LOQUAT_NEED_MONGO(uri);
  db::MongoPool pool({.uri = uri});
  const ChangeFeed feed(pool, [] {});
}

}  // namespace
}  // namespace loquat::integrations
