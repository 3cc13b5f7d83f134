#include "app/import_mongodb.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <ranges>
#include <span>
#include <sstream>

#include "app/import_checkpoint.h"
#include "bot/schema.h"
#include "bot/sql_store.h"
#include "core/error.h"
#include "db/migrate.h"
#include "db/mongo_collection.h"
#include "integrations/schema.h"
#include "integrations/sql_store.h"
#include "state/schema.h"
#include "state/sql_store.h"
#include "testing/await.h"
#include "testing/mongo.h"
#include "testing/temporary.h"

namespace loquat::app {
namespace {

using db::Bson;
using db::MongoCollection;
using db::MongoSession;
using loquat::testing::await;
using ::testing::HasSubstr;

class ImportMongodb : public ::testing::Test {
 protected:
  void SetUp() override {
    LOQUAT_NEED_MONGO(uri);
    uri_ = uri;
    pool_ = std::make_unique<db::MongoPool>(db::MongoSettings{.uri = uri_});
    config_.database_url = config_.states_url = config_.integrations_url = directory_.sqlite_url();
  }
  void TearDown() override {
    if (database_) database_->close();
  }

  void insert(std::string_view collection, std::string_view text, const char* id = nullptr) {
    pool_->run_blocking([&](MongoSession& session) {
      Bson document;
      if (id != nullptr)
        document.add("_id", db::ObjectId{id});
      else
        document.add_object_id("_id");
      for (const auto& member : parse_json(text).get_object()) document.add({member.key().data(), member.key().size()}, member.value());
      MongoCollection(session, collection).insert(document);
    });
  }
  void insert_state(std::string_view thread, int number, std::string_view channel = "rest") {
    insert(
        "state",
        R"({"thread_id":")" + std::string(thread) + R"(","user_message":{"thread_id":"x","text":"n)" + std::to_string(number) +
            R"(","channel":")" + std::string(channel) +
            R"(","context":{"page_id":"9"}},"bot_message":[{"text":"a"}],"nlu":null,"context":{"b":1,"a":2.0},"intent":null,"date":"2024-01-02T03:04:)" +
            std::to_string(10 + number % 50) + R"(.123000"})");
  }

  /// Inserts a state whose _id is what `id` has under that name.
  void insert_state_with(Bson id, std::string_view thread) {
    id.add("thread_id", thread).add("user_message", parse_json(R"({"text":"x","channel":"rest"})"));
    pool_->run_blocking([&](MongoSession& session) { MongoCollection(session, "state").insert(id); });
  }
  /// One state for each type of _id, in their order; some look alike as text.
  std::vector<Bson> insert_ids_of_all_types() {
    std::vector<Bson> ids(11);
    ids[0].add_null("_id");
    ids[1].add("_id", 7);
    ids[2].add("_id", json::value(7.5));
    ids[3].add("_id", "64b000000000000000000001");
    ids[4].add("_id", "7");
    ids[5].add("_id", "AAE=");
    ids[6].add("_id", Bson().add("c", "rest").add("n", 1));
    const std::uint8_t bytes[] = {0, 1};
    ids[7] = of_binary(bytes);
    ids[8].add("_id", db::ObjectId{"64b000000000000000000001"});
    ids[9].add("_id", db::ObjectId{"64b000000000000000000002"});
    ids[10].add("_id", true);
    for (const auto& id : ids) insert_state_with(id, "t");
    return ids;
  }
  static Bson of_binary(std::span<const std::uint8_t> bytes) {
    bson_t document = BSON_INITIALIZER;
    bson_append_binary(&document, "_id", 3, BSON_SUBTYPE_BINARY, bytes.data(), static_cast<std::uint32_t>(bytes.size()));
    Bson copy(&document);
    bson_destroy(&document);
    return copy;
  }
  ImportCheckpoint checkpoint() { return {&database(), uri_ + " " + pool_->database()}; }

  int run(std::vector<std::string> only = {}) {
    out_.str({});
    errors_.str({});
    return run_import_mongodb({uri_, std::move(only)}, config_, out_, errors_);
  }
  db::Database& database() {
    if (!database_) database_ = db::Database::open({.url = config_.database_url});
    return *database_;
  }

  loquat::testing::TemporaryDirectory directory_;
  std::string uri_;
  std::unique_ptr<db::MongoPool> pool_;
  std::unique_ptr<db::Database> database_;
  Config config_;
  std::ostringstream out_;
  std::ostringstream errors_;
};

std::string text_of(const state::State& state) { return std::string(string_member(state.user_message, "text")); }

TEST_F(ImportMongodb, MovesStatesInOrderAndTakesNoneTwice) {
  for (int i = 0; i < 12; ++i) insert_state("t" + std::to_string(i % 3), i, i % 3 == 0 ? "facebook" : "rest");
  EXPECT_EQ(run({"states"}), 0) << errors_.str();
  EXPECT_THAT(out_.str(), HasSubstr("states: 12 imported, 0 were there already, 0 left out, of 12"));
  const auto store = state::make_sql_store(database());
  const auto latest = await(store->find_latest(chat::ConversationId{"facebook", "9", "t0"}));
  ASSERT_TRUE(latest.has_value());
  EXPECT_EQ(latest->version, 4);
  EXPECT_EQ(text_of(*latest), "n9");
  EXPECT_EQ(to_json(latest->context), R"({"b":1,"a":2.0})");
  EXPECT_EQ(to_iso8601(latest->date), "2024-01-02T03:04:19.123000+00:00");
  const auto page = await(store->history({"t1", {}, {}}, 10, {}));
  ASSERT_EQ(page.items.size(), 4U);
  EXPECT_EQ(text_of(page.items.back()), "n1");

  insert_state("t1", 20);
  EXPECT_EQ(run({"states"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("states: 1 imported, 12 were there already, 0 left out, of 13"));
  EXPECT_EQ(run({"states"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("states: 0 imported, 13 were there already"));
  EXPECT_EQ(await(store->history({"t1", {}, {}}, 10, {})).items.size(), 5U);
}

TEST_F(ImportMongodb, LeavesOutWhatDoesNotFit) {
  insert_state("t", 1);
  insert("state", R"({"user_message":null})", "64b000000000000000000001");
  insert("state", R"({"thread_id":"","user_message":null})", "64b000000000000000000002");
  insert("state", R"({"thread_id":{"a":1}})", "64b000000000000000000003");
  insert("state", R"({"thread_id":"bare"})", "64b000000000000000000004");
  EXPECT_EQ(run({"states"}), 3);
  EXPECT_THAT(errors_.str(), HasSubstr("states: left out _id 64b000000000000000000001: thread_id is not a text"));
  EXPECT_THAT(errors_.str(), HasSubstr("64b000000000000000000002: thread_id is empty"));
  EXPECT_THAT(out_.str(), HasSubstr("states: 2 imported, 0 were there already, 3 left out, of 5"));
  const auto store = state::make_sql_store(database());
  const auto bare = await(store->find_latest(state::ThreadQuery{"bare", {}, {}}));
  ASSERT_TRUE(bare.has_value());
  EXPECT_EQ(to_iso8601(bare->date), "2023-07-13T13:45:36+00:00") << "when its _id was made";
  EXPECT_EQ(to_json(bare->parameters), "[]");
}

TEST_F(ImportMongodb, TakesIdsOfAllTypesAndTellsThemApart) {
  insert_ids_of_all_types();
  EXPECT_EQ(run({"states"}), 0) << errors_.str();
  EXPECT_THAT(out_.str(), HasSubstr("states: 11 imported, 0 were there already, 0 left out, of 11"));
  EXPECT_EQ(run({"states"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("states: 0 imported, 11 were there already, 0 left out, of 11"));
}

TEST_F(ImportMongodb, GoesOnBehindAnIdOfAnyType) {
  const auto ids = insert_ids_of_all_types();
  std::map<int, int> seen;
  int databases = 0;
  for (const auto& id : ids | std::views::drop(1)) {  // servers differ about what is below null
    config_.database_url = config_.states_url = directory_.sqlite_url(std::to_string(databases++) + ".db");
    if (database_) database_->close();
    database_.reset();
    const int before = ++seen[id.kind("_id")];
    checkpoint().save({id, before, 0});
    EXPECT_EQ(run({"states"}), 0) << errors_.str();
    EXPECT_THAT(out_.str(), HasSubstr("going on behind the first " + std::to_string(before)));
    EXPECT_THAT(out_.str(), HasSubstr("states: " + std::to_string(11 - before) + " imported")) << id.describe("_id");
    EXPECT_FALSE(checkpoint().load().has_value()) << "it has finished";
    EXPECT_EQ(run({"states"}), 0) << errors_.str();
    EXPECT_THAT(out_.str(), HasSubstr("states: " + std::to_string(before) + " imported, " + std::to_string(11 - before) + " were there"));
  }
}

TEST_F(ImportMongodb, TakesWhatCameBelowAnEarlierImport) {
  insert("state", R"({"thread_id":"t"})", "64b000000000000000000005");
  EXPECT_EQ(run({"states"}), 0);
  insert("state", R"({"thread_id":"u"})", "64b000000000000000000003");
  EXPECT_EQ(run({"states"}), 0) << errors_.str();
  EXPECT_THAT(out_.str(), HasSubstr("states: 1 imported, 1 were there already, 0 left out, of 2"));
  // And when the earlier one was cut off behind it.
  insert("state", R"({"thread_id":"v"})", "64b000000000000000000004");
  checkpoint().save({std::move(Bson().add("_id", db::ObjectId{"64b000000000000000000005"})), 2, 0});
  EXPECT_EQ(run({"states"}), 0) << errors_.str();
  EXPECT_THAT(out_.str(), HasSubstr("starts anew"));
  EXPECT_THAT(out_.str(), HasSubstr("states: 1 imported, 2 were there already, 0 left out, of 3"));
}

TEST_F(ImportMongodb, TakesAnImportedStateForNoNewTurn) {
  const auto with = [](const char* id, const char* date) { return std::move(Bson().add("_id", id).add("date", date)); };
  insert_state_with(with("b", "2024-01-02T03:04:05"), "t");
  EXPECT_EQ(run({"states"}), 0);
  insert_state_with(with("a", "2023-01-02T03:04:05"), "t");
  EXPECT_EQ(run({"states"}), 0) << errors_.str();
  EXPECT_THAT(out_.str(), HasSubstr("states: 1 imported, 1 were there already"));
}

TEST_F(ImportMongodb, NamesWhatDoesNotFitEveryTime) {
  insert("state", R"({"thread_id":"t"})", "64b000000000000000000001");
  insert("state", R"({"thread_id":""})", "64b000000000000000000002");
  insert("state", R"({"thread_id":"t"})", "64b000000000000000000003");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(run({"states"}), 3);
    EXPECT_THAT(errors_.str(), HasSubstr("states: left out _id 64b000000000000000000002: thread_id is empty"));
  }
  checkpoint().save({std::move(Bson().add("_id", db::ObjectId{"64b000000000000000000002"})), 2, 1});
  EXPECT_EQ(run({"states"}), 3) << "before it was cut off";
  EXPECT_THAT(errors_.str(), HasSubstr("left out before the import was cut off: 1;"));
}

TEST_F(ImportMongodb, NamesVersionsThatAreNone) {
  insert("state", R"({"thread_id":"t","version":"3"})", "64b000000000000000000001");
  insert("state", R"({"thread_id":"t","version":0})", "64b000000000000000000002");
  insert("state", R"({"thread_id":"t","version":null,"user_message":{"channel":"rest"}})", "64b000000000000000000003");
  EXPECT_EQ(run({"states"}), 3);
  EXPECT_THAT(errors_.str(), HasSubstr("states: left out _id 64b000000000000000000001: version is not a number above 0"));
  EXPECT_THAT(errors_.str(), HasSubstr("64b000000000000000000002: version"));
  EXPECT_THAT(out_.str(), HasSubstr("states: 1 imported, 0 were there already, 2 left out, of 3"));
  const auto store = state::make_sql_store(database());
  EXPECT_TRUE(await(store->find_latest(chat::ConversationId{"rest", "", "t"})).has_value()) << "without a version it is an old one";
}

TEST_F(ImportMongodb, NeverPutsOldStatesBehindNewOnes) {
  db::migrate(database(), state::migrations());
  const auto store = state::make_sql_store(database());
  state::State fresh;
  fresh.conversation = {"rest", "", "t"};
  await(store->append(fresh, {}));
  insert_state("t", 1);
  insert_state("u", 1);
  EXPECT_EQ(run({"states"}), 3);
  EXPECT_THAT(errors_.str(), HasSubstr("newer states"));
  EXPECT_THAT(out_.str(), HasSubstr("1 imported, 0 were there already, 1 left out"));
  EXPECT_EQ(await(store->find_latest(chat::ConversationId{"rest", "", "t"}))->version, 1);
}

TEST_F(ImportMongodb, MovesIntegrations) {
  insert("integrations", R"({"id":"facebook","name":"F","description":"d","status":true,"settings":{"secret":"s","verify":"v"}})");
  insert("integrations", R"({"id":"mine","name":"M","description":"d","status":false,"settings":null})");
  insert("integrations", R"({"name":"no id"})", "64b000000000000000000001");
  db::migrate(database(), integrations::migrations());
  integrations::SqlStore store(database(), std::make_shared<const crypto::Keyring>());
  await(store.ensure_defaults());
  EXPECT_EQ(run({"integrations"}), 3);
  EXPECT_THAT(errors_.str(), HasSubstr("integrations: left out _id "));
  EXPECT_THAT(out_.str(), HasSubstr("integrations: 2 imported, 0 were there already, 1 left out, of 3"));
  const auto facebook = await(store.find("facebook"));
  EXPECT_EQ(facebook->settings.at("secret"), "s");
  EXPECT_TRUE(facebook->status);
  EXPECT_EQ(run({"integrations"}), 3);
  EXPECT_THAT(out_.str(), HasSubstr("integrations: 0 imported, 2 were there already"));
  await(store.update("facebook", [](integrations::Integration& integration) { integration.name = "changed here"; }, {}));
  run({"integrations"});
  EXPECT_THAT(errors_.str(), HasSubstr("was changed here"));
  EXPECT_EQ(await(store.find("facebook"))->name, "changed here");
}

TEST_F(ImportMongodb, LeavesOutIntegrationsThatDoNotFit) {
  insert("integrations", R"({"id":"sealed","name":"S","description":"d","status":true,"settings":{"secret":"enc:v1:00000000:AAAA"}})",
         "64b000000000000000000001");
  insert("integrations", R"({"name":"N"})", "64b000000000000000000002");
  insert("integrations", R"({"id":null})", "64b000000000000000000003");
  insert("integrations", R"({"id":5})", "64b000000000000000000004");
  insert("integrations", R"({"id":""})", "64b000000000000000000005");
  insert("integrations", R"({"id":"twice","name":"T","description":"d","status":true,"settings":{}})", "64b000000000000000000006");
  insert("integrations", R"({"id":"twice","name":"U","description":"d","status":true,"settings":{}})", "64b000000000000000000007");
  insert_state("t", 1);
  EXPECT_EQ(run({"integrations", "states"}), 3);
  EXPECT_THAT(errors_.str(), HasSubstr("left out _id 64b000000000000000000001: \"sealed\": "));
  EXPECT_THAT(errors_.str(), HasSubstr("left out _id 64b000000000000000000002: it has no id"));
  EXPECT_THAT(errors_.str(), HasSubstr("left out _id 64b000000000000000000003: it has no id"));
  EXPECT_THAT(errors_.str(), HasSubstr("left out _id 64b000000000000000000004: id 5 is not a text"));
  EXPECT_THAT(errors_.str(), HasSubstr("left out _id 64b000000000000000000005: id is empty"));
  EXPECT_THAT(errors_.str(), HasSubstr("left out _id 64b000000000000000000007: another document has the same id \"twice\""));
  EXPECT_THAT(out_.str(), HasSubstr("integrations: 1 imported, 0 were there already, 6 left out, of 7"));
  EXPECT_THAT(out_.str(), HasSubstr("states: 1 imported"));
}

TEST_F(ImportMongodb, MovesTheBot) {
  insert(
      "intent",
      R"({"name":"greet","userDefined":true,"intentId":"greet","apiTrigger":false,"apiDetails":null,"speechResponse":"Hello","parameters":[],"labeledSentences":[],"trainingData":[{"text":"hi there","entities":[]}]})",
      "64b000000000000000000007");
  insert("intent", R"({"name":"broken","speechResponse":5})", "64b000000000000000000008");
  insert("entity", R"({"name":"city","entity_values":[{"value":"Rome","synonyms":["roma"]}]})", "64b000000000000000000009");
  insert("bot",
         R"({"name":"default","nlu_config":{"pipeline_type":"traditional","traditional_settings":{"intent_detection_threshold":0.5}}})");
  EXPECT_EQ(run({"bot"}), 3);
  EXPECT_THAT(errors_.str(), HasSubstr("bot: left out _id 64b000000000000000000008"));
  EXPECT_THAT(out_.str(), HasSubstr("bot: 3 imported, 0 were there already, 1 left out, of 4"));
  bot::SqlStore store(database(), std::make_shared<const crypto::Keyring>());
  const auto greet = await(store.find(bot::Kind::intent, "64b000000000000000000007"));
  ASSERT_TRUE(greet.has_value());
  EXPECT_EQ(greet->body.at("speechResponse"), "Hello");
  EXPECT_TRUE(await(store.find(bot::Kind::entity, "64b000000000000000000009")).has_value());
  const auto version = await(store.active_version());
  const auto live = await(store.load_version(version));
  EXPECT_EQ(live->intents.size(), 4U) << "the three of a first start, and ours";
  EXPECT_EQ(live->config.intent_detection_threshold, 0.5);
  EXPECT_EQ(run({"bot"}), 3);
  EXPECT_THAT(out_.str(), HasSubstr("bot: 0 imported, 3 were there already, 1 left out"));
  EXPECT_EQ(await(store.active_version()), version);
}

TEST_F(ImportMongodb, SaysWhatIsWrong) {
  EXPECT_EQ(run({"status"}), 2);
  EXPECT_THAT(errors_.str(), HasSubstr("--only takes states, integrations, bot"));
  EXPECT_EQ(run_import_mongodb({"postgresql://x/y", {}}, config_, out_, errors_), 2);
  EXPECT_EQ(run_import_mongodb({"mongodb://127.0.0.1:1/x?serverSelectionTimeoutMS=200", {"states"}}, config_, out_, errors_), 1);
  EXPECT_THAT(errors_.str(), HasSubstr("run it again"));
  EXPECT_EQ(run(), 0) << "an empty database";
}

TEST_F(ImportMongodb, RotatesAllSecrets) {
  insert("integrations", R"({"id":"facebook","name":"F","description":"d","status":true,"settings":{"secret":"clear"}})");
  EXPECT_EQ(run({"integrations"}), 0);
  config_.secrets_key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
  EXPECT_EQ(rotate_all_secrets(config_, out_, errors_), 0);
  EXPECT_THAT(out_.str(), HasSubstr("integrations: 1 changed"));
  config_.secrets_key = "";
  EXPECT_EQ(rotate_all_secrets(config_, out_, errors_), 2);
}

TEST_F(ImportMongodb, RotatesSecretsWhereTheyAre) {
  insert("integrations", R"({"id":"facebook","name":"F","description":"d","status":true,"settings":{"secret":"clear"}})");
  config_.secrets_key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
  config_.database_url = config_.integrations_url = uri_;
  EXPECT_EQ(rotate_all_secrets(config_, out_, errors_), 0) << errors_.str();
  EXPECT_THAT(out_.str(), HasSubstr("integrations: 1 changed"));
  for (const auto* url : {"memory://", "http://127.0.0.1:1", "mysql://h/d"}) {
    config_.database_url = config_.integrations_url = url;
    EXPECT_EQ(rotate_all_secrets(config_, out_, errors_), 2) << url;
  }
}

TEST_F(ImportMongodb, EndsInPlainWordsWhereABotCannotBe) {
  for (const auto* url : {"mongodb://127.0.0.1:1/x", "memory://", "http://127.0.0.1:1"}) {
    config_.database_url = url;
    EXPECT_EQ(run({"bot"}), 1) << url;
    EXPECT_THAT(errors_.str(), ::testing::Not(HasSubstr("run it again"))) << url;
  }
}

}  // namespace
}  // namespace loquat::app
