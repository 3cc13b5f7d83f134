#include "state/mongo_store.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "db/mongo_collection.h"
#include "testing/await.h"
#include "testing/mongo.h"
#include "testing/temporary.h"

// What the contract suite cannot say: the old store's documents, and faults.
namespace loquat::state {
namespace {

using db::Bson;
using db::MongoCollection;
using db::MongoSession;
using testing::await;

void insert_old(db::MongoPool& pool, std::string_view thread, std::string_view text, Time date) {
  pool.run_blocking([&](MongoSession& session) {
    Bson document;
    document.add_object_id("_id").add("thread_id", thread);
    document.add("user_message",
                 json::object{{"thread_id", thread}, {"text", text}, {"channel", "facebook"}, {"context", {{"page_id", 77}}}});
    document.add("bot_message", json::array{json::object{{"text", "answer"}}});
    document.add_null("nlu").add_null("parameters").add("complete", true).add("current_node", "n").add("date", date);
    MongoCollection(session, "state").insert(document);
  });
}

std::string text_of(const State& state) { return std::string(string_member(state.user_message, "text")); }

TEST(MongoOldStates, ComeBeforeOursAndAreNumbered) {
  LOQUAT_NEED_MONGO(uri);
  db::MongoPool pool({.uri = uri});
  MongoStore store(pool);
  for (int i = 1; i <= 3; ++i) insert_old(pool, "t", "old " + std::to_string(i), from_microseconds(i * 1'000'000));
  const auto latest = await(store.find_latest(ThreadQuery{"t", {}, {}})).value();
  EXPECT_EQ(text_of(latest), "old 3");
  EXPECT_EQ(latest.version, 3);
  EXPECT_EQ(latest.conversation, (chat::ConversationId{"facebook", "77", "t"}));
  EXPECT_EQ(latest.date, from_microseconds(3'000'000));
  EXPECT_TRUE(latest.nlu.is_null());
  EXPECT_EQ(to_json(latest.parameters), "[]");
  EXPECT_EQ(await(store.find_latest(chat::ConversationId{"rest", "", "t"})).value().version, 3) << "they belong to every conversation";

  State next = latest;
  next.conversation = {"rest", "", "t"};
  next.user_message = json::object{{"text", "ours"}};
  EXPECT_EQ(await(store.append(next, 3)).state.version, 4);
  EXPECT_EQ(text_of(await(store.find_latest(ThreadQuery{"t", {}, {}})).value()), "ours");
  std::string seen;
  std::optional<std::string> cursor;
  do {
    const auto page = await(store.history({"t", {}, {}}, 1, cursor));
    for (const auto& state : page.items) seen += text_of(state) + " " + std::to_string(state.version) + ", ";
    cursor = page.next;
  } while (cursor);
  EXPECT_EQ(seen, "ours 4, old 3 3, old 2 2, old 1 1, ");
  const auto threads = await(store.threads(1, 10, {}, {}));
  EXPECT_EQ(threads.total, 1);
  EXPECT_EQ(threads.items.at(0).version, 4);
  EXPECT_EQ(await(store.search({})).items.size(), 4U);
}

TEST(MongoOldStates, AreErasedAndAge) {
  LOQUAT_NEED_MONGO(uri);
  db::MongoPool pool({.uri = uri});
  MongoStore store(pool);
  const auto old = now() - std::chrono::days(100);
  for (int i = 1; i <= 3; ++i) insert_old(pool, "t", "old", old);
  insert_old(pool, "u", "old", old);
  const std::chrono::hours day(24);
  EXPECT_EQ(await(store.delete_older(day * 30, day * 8, 10)), 2U);
  EXPECT_TRUE(await(store.find_latest(ThreadQuery{"t", {}, {}})).has_value());
  EXPECT_TRUE(await(store.erase({"t", {}, {}})));
  EXPECT_FALSE(await(store.find_latest(ThreadQuery{"t", {}, {}})).has_value());
  EXPECT_FALSE(await(store.erase({"t", {}, {}})));
  EXPECT_TRUE(await(store.find_latest(ThreadQuery{"u", {}, {}})).has_value());
}

TEST(MongoOldStates, DatesThatAreTextsCount) {
  LOQUAT_NEED_MONGO(uri);
  db::MongoPool pool({.uri = uri});
  MongoStore store(pool);
  const auto add = [&](std::string_view thread, std::string_view date) {
    pool.run_blocking([&](MongoSession& session) {
      Bson document;
      document.add_object_id("_id").add("thread_id", thread).add("user_message", json::object{{"text", "x"}}).add("date", date);
      MongoCollection(session, "state").insert(document);
    });
  };
  for (int i = 0; i < 3; ++i) add("a", "2024-03-04T05:06:07.123456+02:00");
  add("b", "some day");
  insert_old(pool, "c", "a real date", parse_iso8601("2023-01-01").value());
  EXPECT_EQ(await(store.adopt_dates()), 4U);
  EXPECT_EQ(await(store.adopt_dates()), 0U);
  const auto threads = await(store.threads(1, 10, parse_iso8601("2022-01-01"), parse_iso8601("2024-12-31")));
  ASSERT_EQ(threads.items.size(), 2U);
  EXPECT_EQ(threads.items[0].thread_id, "a");
  EXPECT_EQ(to_iso8601(threads.items[0].date), "2024-03-04T03:06:07.123456+00:00");
  EXPECT_EQ(threads.items[1].thread_id, "c");
  EXPECT_LT(now() - await(store.find_latest(ThreadQuery{"b", {}, {}})).value().date, std::chrono::hours(1)) << "when its id was made";
  add("a", "2020-01-01T00:00:00+00:00");
  add("a", "2020-01-01T00:00:00+00:00");
  EXPECT_EQ(await(store.delete_older(std::chrono::hours(24), std::chrono::hours(24), 100)), 4U) << "all of a but its newest";
}

TEST(MongoStates, NamesThatMongoCannotHoldAreRefused) {
  LOQUAT_NEED_MONGO(uri);
  db::MongoPool pool({.uri = uri});
  MongoStore store(pool);
  State state;
  state.conversation = {"rest", "", "t"};
  state.context = parse_json(R"({"a\u0000b": 1})");
  try {
    await(store.append(state, {}));
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::invalid);
  }
  state.context = parse_json(R"({"": 1, "a.b": 2, "$c": {"$d": 3}})");
  await(store.append(state, {}));
  EXPECT_EQ(await(store.find_latest(state.conversation)).value().context, state.context);
}

TEST(MongoStates, SurviveAKill) {
  const testing::TemporaryDirectory directory;
  const auto server = testing::MongoServer::start({.file = directory.file("states.h2")});
  if (!server) GTEST_SKIP() << "no Java and Maven on this machine";
  db::MongoPool pool({.uri = server->make_uri(), .server_timeout = std::chrono::milliseconds(1'000)});
  MongoStore store(pool);
  State state;
  state.conversation = {"rest", "", "t"};
  state.message_id = MessageId::random();
  await(store.append(state, {}));
  server->stop();
  EXPECT_THROW(await(store.append(state, {})), Error);
  server->resume();
  EXPECT_TRUE(await(store.append(state, {})).existed);
  EXPECT_EQ(await(store.find_latest(state.conversation)).value().version, 1);
}

}  // namespace
}  // namespace loquat::state
