#include "integrations/mongo_store.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "db/mongo_collection.h"
#include "testing/await.h"
#include "testing/mongo.h"

namespace loquat::integrations {
namespace {

using db::Bson;
using db::MongoCollection;
using db::MongoSession;
using loquat::testing::await;

constexpr std::string_view key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

std::shared_ptr<const crypto::Keyring> keys(std::string_view text = {}) { return std::make_shared<const crypto::Keyring>(text); }

void insert(db::MongoPool& pool, std::string_view text) {
  pool.run_blocking([text](MongoSession& session) {
    Bson document;
    document.add_object_id("_id");
    for (const auto& member : parse_json(text).get_object()) document.add({member.key().data(), member.key().size()}, member.value());
    MongoCollection(session, "integrations").insert(document);
  });
}

std::string text(const json::object& settings) { return to_json(json::value(settings)); }

TEST(OldDocuments, AreReadAsTheyAre) {
  LOQUAT_NEED_MONGO(uri);
  db::MongoPool pool({.uri = uri});
  insert(pool, R"({"id":"facebook","name":"Facebook","description":"d","status":true,"settings":{"verify":"v","secret":"s"}})");
  insert(pool, R"({"id":"chat_widget","name":"W","description":"","status":false,"settings":null})");
  insert(pool, R"({"id":"bare"})");
  MongoStore store(pool, keys());
  const auto all = await(store.list());
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0], (Integration{"facebook", "Facebook", "d", true, {{"verify", "v"}, {"secret", "s"}}, 1}));
  EXPECT_TRUE(all[1].settings.empty());
  EXPECT_EQ(all[2], (Integration{"bare", "", "", false, {}, 1}));
  EXPECT_TRUE(await(store.ensure_defaults()).empty());
  EXPECT_EQ(await(store.update("facebook", [](Integration& integration) { integration.name = "x"; }, 1)).version, 2);
  EXPECT_THROW(await(store.update("facebook", [](Integration&) {}, 1)), Error);
  await(store.remove("chat_widget", 1));
  EXPECT_EQ(await(store.list()).size(), 2U);
}

TEST(OldDocuments, TwoWithOneIdDoNotStopTheService) {
  LOQUAT_NEED_MONGO(uri);
  db::MongoPool pool({.uri = uri});
  insert(pool, R"({"id":"a","name":"first","description":""})");
  insert(pool, R"({"id":"a","name":"second","description":""})");
  MongoStore store(pool, keys());
  EXPECT_EQ(await(store.ensure_defaults()).size(), 2U);
  EXPECT_EQ(await(store.find("a"))->name, "first");
  EXPECT_THROW(await(store.create({"a", "", "", false, {}})), Error);
  await(store.remove("a", {}));
  EXPECT_EQ(await(store.find("a"))->name, "second");
}

TEST(MongoSecrets, AreSealedAndRotated) {
  LOQUAT_NEED_MONGO(uri);
  db::MongoPool pool({.uri = uri});
  insert(pool, R"({"id":"a","name":"","description":"","settings":{"secret":"clear","verify":"v"}})");
  EXPECT_EQ(rotate_secrets(pool, *keys(key)), 1U);
  EXPECT_EQ(rotate_secrets(pool, *keys(key)), 0U);
  pool.run_blocking([](MongoSession& session) {
    const auto document = MongoCollection(session, "integrations").find_one(Bson());
    ASSERT_TRUE(document.has_value());
    EXPECT_EQ(text(document->to_json()).find("clear"), std::string::npos);
  });
  MongoStore store(pool, keys(key));
  EXPECT_EQ(text(await(store.find("a"))->settings), R"({"secret":"clear","verify":"v"})");
}

Code code_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.code();
  }
  return Code{};
}

TEST(MongoFaults, AnOutageIsUnavailableAndHeals) {
  const auto server = loquat::testing::MongoServer::start();
  if (!server) {
    if (loquat::testing::in_ci()) FAIL() << "no Java and Maven for the MongoDB server";
    GTEST_SKIP() << "no Java and Maven on this machine";
  }
  db::MongoPool pool(
      {.uri = server->make_uri(), .server_timeout = std::chrono::milliseconds(1'000), .socket_timeout = std::chrono::milliseconds(500)});
  MongoStore store(pool, keys());
  await(store.create({"a", "", "", false, {}}));
  server->freeze();
  EXPECT_EQ(code_of([&] { await(store.find("a")); }), Code::unavailable) << "a server that hangs";
  EXPECT_EQ(code_of([&] { await(store.ping()); }), Code::unavailable);
  server->thaw();
  EXPECT_TRUE(await(store.find("a")).has_value());
  server->stop();
  EXPECT_EQ(code_of([&] { await(store.list()); }), Code::unavailable) << "a server that is gone";
  server->resume();
  EXPECT_TRUE(await(store.list()).empty());
  EXPECT_EQ(await(store.ensure_defaults()).size(), 2U);
}

TEST(MongoFaults, WrongCredentialsAndUris) {
  EXPECT_EQ(code_of([] { const db::MongoPool pool({.uri = "mongodb://"}); }), Code::invalid);
  const auto server = loquat::testing::MongoServer::start({.user = "u", .password = "p"});
  if (!server) GTEST_SKIP() << "no Java and Maven on this machine";
  const auto with = [&](const std::string& user) { return "mongodb://" + user + server->address().substr(10) + "/x?authSource=admin"; };
  db::MongoPool right({.uri = with("u:p@")});
  EXPECT_EQ(await(MongoStore(right, keys()).ensure_defaults()).size(), 2U);
  db::MongoPool wrong({.uri = with("u:q@")});
  EXPECT_EQ(code_of([&] { await(MongoStore(wrong, keys()).list()); }), Code::unavailable);
  await(MongoStore(right, keys()).ping());
  EXPECT_THROW(await(MongoStore(wrong, keys()).ping()), db::CredentialsRefused);
  db::MongoPool none({.uri = server->address() + "/x"});
  EXPECT_THROW(await(MongoStore(none, keys()).ping()), db::CredentialsRefused);
}

TEST(MongoSettings, NameTheDatabase) {
  EXPECT_EQ(db::MongoPool({.uri = "mongodb://localhost"}).database(), "chatbot");
  EXPECT_EQ(db::MongoPool({.uri = "mongodb://localhost/mine"}).database(), "mine");
  EXPECT_EQ(db::MongoPool({.uri = "mongodb://localhost/mine", .database = "said"}).database(), "said");
}

}  // namespace
}  // namespace loquat::integrations
