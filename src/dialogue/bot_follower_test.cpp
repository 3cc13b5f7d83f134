#include "dialogue/bot_follower.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>

#include "async/task_group.h"
#include "bot/memory_store.h"
#include "core/error.h"
#include "testing/await.h"

namespace loquat::dialogue {
namespace {

using std::chrono::milliseconds;

/// A database that can be away, and versions that cannot be loaded.
class FlakyStore final : public bot::Store {
 public:
  asio::awaitable<std::int64_t> active_version() override {
    ++asked;
    if (away) throw Error(Code::unavailable, "away");
    co_return co_await store.active_version();
  }
  asio::awaitable<std::optional<bot::Definition>> load_version(std::int64_t version) override {
    ++loaded;
    if (version == broken) throw Error(Code::invalid, "version is broken");
    co_return co_await store.load_version(version);
  }
  asio::awaitable<std::int64_t> publish(std::string by, std::function<void(const bot::Definition&)> check) override {
    return store.publish(std::move(by), std::move(check));
  }
  asio::awaitable<std::vector<bot::VersionSummary>> versions() override { return store.versions(); }
  asio::awaitable<void> activate(std::int64_t version) override { return store.activate(version); }
  asio::awaitable<void> ensure_default() override {
    if (away) throw Error(Code::unavailable, "away");
    co_await store.ensure_default();
  }
  asio::awaitable<Imported> import(bot::Definition definition) override { return store.import(std::move(definition)); }
  asio::awaitable<bot::Definition> draft() override { return store.draft(); }
  asio::awaitable<void> ping() override { return store.ping(); }

  bot::MemoryStore store;
  bool away = false;
  std::int64_t broken = -1;
  int asked = 0;
  int loaded = 0;
};

class FollowerTest : public ::testing::Test {
 protected:
  std::int64_t publish(const std::string& intent) {
    (void)testing::await(store.import(
        bot::parse_export(R"({"intents":[{"name":"x","intentId":")" + intent + R"(","speechResponse":"hi"}],"entities":[]})")));
    return testing::await(store.publish("test", [](const bot::Definition&) {}));
  }
  /// The code of the error that looking gave; empty: none.
  std::optional<Code> look() {
    try {
      testing::await(follower.follow_once());
      return std::nullopt;
    } catch (const Error& error) {
      return error.code();
    }
  }
  [[nodiscard]] std::int64_t serving() const { return manager.bot() ? version_of(*manager.bot()) : 0; }

  FlakyStore store;
  Manager manager{{}, nullptr};
  BotFollower follower{store, manager, {.interval = milliseconds(5)}};
};

TEST_F(FollowerTest, makes_the_default_bot_and_follows) {
  EXPECT_FALSE(look());
  EXPECT_EQ(serving(), 1);
  EXPECT_FALSE(look());
  EXPECT_EQ(store.loaded, 1);
  EXPECT_EQ(publish("a"), 2);
  EXPECT_FALSE(look());
  EXPECT_EQ(serving(), 2);
  testing::await(store.activate(1));
  EXPECT_FALSE(look());
  EXPECT_EQ(serving(), 1);
  EXPECT_EQ(follower.status().version, 1);
}

TEST_F(FollowerTest, an_absent_database) {
  store.away = true;
  EXPECT_EQ(look(), Code::unavailable);
  EXPECT_EQ(serving(), 0);
  store.away = false;
  EXPECT_FALSE(look());
  EXPECT_EQ(serving(), 1);
  store.away = true;
  EXPECT_EQ(look(), Code::unavailable);
  EXPECT_EQ(serving(), 1);
}

TEST_F(FollowerTest, a_version_that_cannot_be_served_is_tried_once) {
  EXPECT_FALSE(look());
  store.broken = 2;
  EXPECT_EQ(publish("a"), 2);
  EXPECT_EQ(look(), Code::invalid);
  EXPECT_EQ(look(), Code::invalid);
  EXPECT_EQ(store.loaded, 2);
  EXPECT_EQ(serving(), 1);
  EXPECT_EQ(publish("b"), 3);
  EXPECT_FALSE(look());
  EXPECT_EQ(serving(), 3);
}

/// Stops the tasks once `done` is true.
asio::awaitable<void> watch(async::TaskGroup& tasks, std::function<bool()> done, bool& in_time) {
  for (int i = 0; i < 2000 && !done(); ++i) co_await async::sleep_for(milliseconds(5));
  in_time = done();
  tasks.stop();
}

TEST_F(FollowerTest, runs_until_stopped) {
  store.away = true;
  boost::asio::io_context loop;
  async::TaskGroup tasks;
  bool in_time = false;
  tasks.spawn(loop.get_executor(), "follow", follower.run(tasks));
  tasks.spawn(loop.get_executor(), "watch",
              watch(
                  tasks,
                  [this] {
                    if (store.asked > 0) return serving() == 1;
                    if (follower.status().fault.empty()) return false;
                    store.away = false;  // it has said so; now the database comes back
                    return false;
                  },
                  in_time));
  loop.run();
  EXPECT_TRUE(in_time);
  EXPECT_EQ(follower.status().fault, "");
}

TEST_F(FollowerTest, waited_for) {
  BotFollower slow(store, manager, {.interval = std::chrono::hours(1)});
  boost::asio::io_context loop;
  async::TaskGroup tasks;
  bool in_time = false;
  bool published = false;
  std::int64_t served_after_waiting = 0;
  tasks.spawn(loop.get_executor(), "follow", slow.run(tasks));
  tasks.spawn(loop.get_executor(), "watch",
              watch(
                  tasks,
                  [&] {
                    if (serving() == 1 && !published) {
                      published = true;
                      (void)publish("a");
                      tasks.spawn(loop.get_executor(), "wait",
                                  [](Manager& served_by, BotFollower& follower, std::int64_t& served) -> asio::awaitable<void> {
                                    co_await follower.wait_for(2);
                                    served = version_of(*served_by.bot());
                                  }(manager, slow, served_after_waiting));
                    }
                    return served_after_waiting != 0;
                  },
                  in_time));
  loop.run();
  EXPECT_TRUE(in_time);
  EXPECT_EQ(served_after_waiting, 2);
}

TEST_F(FollowerTest, nobody_waits_for_what_cannot_come) {
  BotFollower idle(store, manager, {});
  boost::asio::io_context loop;
  boost::asio::co_spawn(loop, idle.wait_for(7), boost::asio::detached);
  loop.poll();
  EXPECT_TRUE(loop.stopped()) << "it returns at once where the follower does not run";
}

}  // namespace
}  // namespace loquat::dialogue
