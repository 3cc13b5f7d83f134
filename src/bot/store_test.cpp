#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "bot/memory_store.h"
#include "bot/schema.h"
#include "bot/sql_rows.h"
#include "bot/sql_store.h"
#include "core/error.h"
#include "testing/await.h"
#include "testing/postgres.h"
#include "testing/temporary.h"

namespace loquat::bot {
namespace {

using loquat::testing::await;
using ::testing::HasSubstr;

constexpr std::string_view key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
constexpr std::string_view other_key = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";

struct Opened {
  std::unique_ptr<loquat::testing::TemporaryDirectory> directory;
  std::unique_ptr<db::Database> database;
  std::unique_ptr<MemoryStore> memory;
  std::unique_ptr<SqlStore> sql;

  [[nodiscard]] Store& store() const { return sql ? static_cast<Store&>(*sql) : *memory; }
  [[nodiscard]] AdminStore& admin() const { return sql ? static_cast<AdminStore&>(*sql) : *memory; }
  ~Opened() {
    if (database) database->close();
  }
};

/// Which adapter; the same tests run over all of them.
class BotStore : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "memory") {
      opened_.memory = std::make_unique<MemoryStore>();
      return;
    }
    std::string url;
    if (GetParam() == "sqlite") {
      opened_.directory = std::make_unique<loquat::testing::TemporaryDirectory>();
      url = opened_.directory->sqlite_url();
    } else {
      LOQUAT_NEED_POSTGRES(made);
      url = made;
    }
    opened_.database = db::Database::open({.url = url});
    db::migrate(*opened_.database, migrations());
    opened_.sql = std::make_unique<SqlStore>(*opened_.database, std::make_shared<const crypto::Keyring>(key));
  }

  [[nodiscard]] Store& store() const { return opened_.store(); }
  [[nodiscard]] AdminStore& admin() const { return opened_.admin(); }
  Store::Imported import(std::string_view text) { return await(admin().import_file(std::string(text), {})); }

  Opened opened_;
};

json::object make_body(std::string_view name) {
  schema::Issues issues;
  auto body = read_document(
      Kind::intent, json::object{{"name", json::string(name)}, {"intentId", json::string(name)}, {"speechResponse", "r"}}, {}, issues);
  issues.throw_if_any();
  return body;
}

TEST_P(BotStore, StartsWithNothingAndPublishesTheDefaultBotOnce) {
  EXPECT_EQ(await(store().active_version()), 0);
  await(store().ensure_default());
  await(store().ensure_default());
  EXPECT_EQ(await(store().active_version()), 1);
  const auto bot = await(store().load_version(1));
  ASSERT_TRUE(bot.has_value());
  EXPECT_EQ(bot->version, 1);
  ASSERT_EQ(bot->intents.size(), 3U);
  EXPECT_EQ(bot->intents[0].intent_id, "fallback");
  EXPECT_EQ(bot->intents[0].id.size(), 24U);
  EXPECT_EQ(bot->config.intent_detection_threshold, 0.75);
  const auto versions = await(store().versions());
  ASSERT_EQ(versions.size(), 1U);
  EXPECT_EQ(versions[0].built_by, "start");
  EXPECT_TRUE(versions[0].active);
  EXPECT_EQ(versions[0].intents, 3U);
  EXPECT_GT(versions[0].examples, 5U);
  EXPECT_FALSE(await(store().load_version(7)).has_value());
}

TEST_P(BotStore, EditsTheDraftOnly) {
  await(store().ensure_default());
  const auto created = await(admin().create(Kind::intent, make_body("order")));
  EXPECT_EQ(created.id.size(), 24U);
  EXPECT_EQ(created.version, 1);
  const auto found = await(admin().find(Kind::intent, created.id));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->body, created.body);
  EXPECT_FALSE(await(admin().find(Kind::entity, created.id)).has_value());
  const auto all = await(admin().list(Kind::intent));
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(all[3].id, created.id);
  EXPECT_EQ(await(store().load_version(1))->intents.size(), 3U);
  EXPECT_EQ(await(store().draft()).intents.size(), 4U);

  const auto updated = await(admin().update(Kind::intent, created.id, [](json::object& body) { body["speechResponse"] = "new"; }, 1));
  EXPECT_EQ(updated.version, 2);
  EXPECT_EQ(await(admin().find(Kind::intent, created.id))->body.at("speechResponse"), "new");

  EXPECT_EQ(await(store().publish("ada", {})), 2);
  EXPECT_EQ(await(store().load_version(2))->intents[3].speech_response, "new");
  EXPECT_TRUE(await(admin().remove(Kind::intent, created.id, std::nullopt)));
  EXPECT_FALSE(await(admin().remove(Kind::intent, created.id, std::nullopt)));
  EXPECT_EQ(await(store().load_version(2))->intents.size(), 4U);
}

template <class Function>
Code code_of(Function function) {
  try {
    function();
  } catch (const Error& error) {
    return error.code();
  }
  return Code{};
}

TEST_P(BotStore, GuardsAgainstLostUpdates) {
  const auto made = await(admin().create(Kind::intent, make_body("a")));
  const auto nothing = [](json::object&) {};
  EXPECT_EQ(code_of([&] { await(admin().update(Kind::intent, made.id, nothing, 2)); }), Code::precondition_failed);
  EXPECT_EQ(code_of([&] { await(admin().remove(Kind::intent, made.id, 2)); }), Code::precondition_failed);
  EXPECT_EQ(code_of([&] { await(admin().update(Kind::intent, std::string(24, '0'), nothing, std::nullopt)); }), Code::not_found);
  EXPECT_EQ(await(admin().find(Kind::intent, made.id))->version, 1);
}

TEST_P(BotStore, ARefusedChangeChangesNothing) {
  const auto made = await(admin().create(Kind::intent, make_body("a")));
  const auto refuse = [](json::object& body) {
    body["name"] = "gone";
    throw Error(Code::invalid, "no");
  };
  EXPECT_EQ(code_of([&] { await(admin().update(Kind::intent, made.id, refuse, std::nullopt)); }), Code::invalid);
  EXPECT_EQ(await(admin().find(Kind::intent, made.id))->body.at("name"), "a");
  EXPECT_EQ(await(admin().find(Kind::intent, made.id))->version, 1);
}

TEST_P(BotStore, PublishesOnlyWhatTheCheckAccepts) {
  await(store().ensure_default());
  std::size_t seen = 0;
  const auto check = [&seen](const Definition& definition) {
    seen = definition.intents.size();
    throw Error(Code::invalid, "intent x: the template is broken");
  };
  EXPECT_EQ(code_of([&] { await(store().publish("ada", check)); }), Code::invalid);
  EXPECT_EQ(seen, 3U);
  EXPECT_EQ(await(store().active_version()), 1);
  EXPECT_EQ(await(store().versions()).size(), 1U);
}

TEST_P(BotStore, GoesBackToAnOlderVersion) {
  await(store().ensure_default());
  await(admin().create(Kind::intent, make_body("a")));
  await(store().publish("ada", {}));
  await(store().activate(1));
  EXPECT_EQ(await(store().active_version()), 1);
  const auto versions = await(store().versions());
  ASSERT_EQ(versions.size(), 2U);
  EXPECT_EQ(versions[0].version, 2);
  EXPECT_FALSE(versions[0].active);
  EXPECT_TRUE(versions[1].active);
  EXPECT_EQ(versions[0].built_by, "ada");
  EXPECT_EQ(code_of([&] { await(store().activate(3)); }), Code::not_found);
  EXPECT_EQ(await(store().publish("bob", {})), 3);
  EXPECT_EQ(await(store().active_version()), 3);
}

TEST_P(BotStore, ImportsByName) {
  await(store().ensure_default());
  const auto counts = import(R"({"intents":[{"name":"cancel","speechResponse":"gone"},
    {"name":"new","intentId":"new","speechResponse":"1","parameters":[{"name":"p"}]},
    {"name":"new","speechResponse":"2"}],"entities":[{"name":"e"}]})");
  EXPECT_EQ(counts.intents_created, 1U);
  EXPECT_EQ(counts.entities_created, 1U);
  auto all = await(admin().list(Kind::intent));
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(all[1].body.at("speechResponse"), "gone");
  EXPECT_EQ(all[1].body.at("intentId"), "cancel");
  EXPECT_FALSE(all[1].body.at("trainingData").as_array().empty());
  EXPECT_EQ(all[1].version, 2);
  EXPECT_EQ(all[3].body.at("speechResponse"), "2");
  const auto id = all[3].body.at("parameters").at(0).at("id");
  EXPECT_EQ(id.as_string().size(), 24U);

  const auto again = import(R"({"intents":[{"name":"new","parameters":[{"name":"q"},{"name":"p"}]}]})");
  EXPECT_EQ(again.intents_created, 0U);
  all = await(admin().list(Kind::intent));
  EXPECT_EQ(all[3].body.at("parameters").at(1).at("id"), id) << "parameters keep their ids";
  EXPECT_EQ(code_of([&] { import(R"({"intents":[{"name":"n1","intentId":"n","speechResponse":""},{"name":"n2"}]})"); }), Code::invalid);
  EXPECT_EQ(await(admin().list(Kind::intent)).size(), 4U) << "nothing of a bad file is taken";
}

TEST_P(BotStore, ImportsADefinition) {
  const auto counts = await(store().import(parse_export(R"({"intents":[{"name":"a","intentId":"a","speechResponse":"hi",
    "apiTrigger":true,"apiDetails":{"url":"u","requestType":"POST","headers":[{"headerKey":"A","headerValue":"b"}]}}]})")));
  EXPECT_EQ(counts.intents_created, 1U);
  const auto draft = await(store().draft());
  ASSERT_EQ(draft.intents.size(), 1U);
  EXPECT_EQ(draft.intents[0].api_details->headers[0].header_value, "b");
}

TEST_P(BotStore, KeepsTheConfigOfKnownBots) {
  EXPECT_FALSE(await(admin().find_config("default")).has_value());
  await(store().ensure_default());
  const auto stored = await(admin().find_config("default"));
  ASSERT_TRUE(stored.has_value());
  EXPECT_EQ(stored->config.at("pipeline_type"), "traditional");
  const auto replace = [](json::object& config) { config = {{"more", json::array{1, nullptr}}, {"pipeline_type", "llm"}}; };
  EXPECT_FALSE(await(admin().update_config("other", replace, std::nullopt)).has_value());
  EXPECT_EQ(code_of([&] { await(admin().update_config("default", replace, stored->version + 1)); }), Code::precondition_failed);
  const auto next = await(admin().update_config("default", replace, stored->version));
  ASSERT_TRUE(next.has_value());
  EXPECT_EQ(next->version, stored->version + 1);
  EXPECT_EQ(to_json(json::value(await(admin().find_config("default"))->config)), R"({"more":[1,null],"pipeline_type":"llm"})");
}

TEST_P(BotStore, RemembersHowTheBuildWent) {
  EXPECT_EQ(await(admin().build_status()).state, BuildStatus::State::ready);
  await(admin().set_build_status({BuildStatus::State::failed, "intent x: broken", std::nullopt}));
  const auto status = await(admin().build_status());
  EXPECT_EQ(status.state, BuildStatus::State::failed);
  EXPECT_EQ(status.message, "intent x: broken");
  EXPECT_TRUE(status.changed_at.has_value());
}

TEST_P(BotStore, KeepsTextsOfAllKinds) {
  auto body = make_body("n");
  body["speechResponse"] = json::string("\0 \" \xF0\x9F\x98\x80 \xEF\xBB\xBF", 12);
  const auto made = await(admin().create(Kind::intent, body));
  EXPECT_EQ(await(admin().find(Kind::intent, made.id))->body, body);
  EXPECT_FALSE(await(admin().find(Kind::intent, "nonsense")).has_value());
}

INSTANTIATE_TEST_SUITE_P(Stores, BotStore, ::testing::Values("memory", "sqlite", "postgres"), [](const auto& info) { return info.param; });

/// Only where there is a database.
class SqlBotStore : public BotStore {};

TEST_P(SqlBotStore, ForgetsTheOldestVersions) {
  await(store().ensure_default());
  for (int i = 0; i < kept_versions + 5; ++i) await(store().publish("x", {}));
  const auto versions = await(store().versions());
  EXPECT_EQ(versions.size(), static_cast<std::size_t>(kept_versions));
  EXPECT_EQ(versions.front().version, kept_versions + 6);
}

constexpr std::string_view with_secret =
    R"({"intents":[{"name":"s","intentId":"s","speechResponse":"","apiDetails":{"url":"u","requestType":"GET",
  "headers":[{"headerKey":"Authorization","headerValue":"Bearer top"},{"headerKey":"X-Plain","headerValue":"plain"}]}}]})";

TEST_P(SqlBotStore, KeepsSecretsEncrypted) {
  await(store().ensure_default());
  import(with_secret);
  await(store().publish("x", {}));
  const auto dump = await(opened_.database->read([](db::Connection& connection) {
    std::string all;
    for (const auto* sql :
         {"SELECT body FROM bot_documents", "SELECT body FROM bot_versions WHERE number = 2", "SELECT body FROM bot_configs"}) {
      const auto rows = connection.query(sql);
      for (std::size_t i = 0; i < rows->size(); ++i) all += rows->text(i, 0);
    }
    return all;
  }));
  EXPECT_THAT(dump, Not(HasSubstr("Bearer top")));
  EXPECT_THAT(dump, Not(HasSubstr("ollama")));
  EXPECT_THAT(dump, HasSubstr("enc:v1:"));
  EXPECT_THAT(dump, HasSubstr("plain"));
  EXPECT_EQ(await(store().load_version(2))->intents[3].api_details->headers[0].header_value, "Bearer top");
  EXPECT_EQ(await(admin().list(Kind::intent))[3].body.at("apiDetails").at("headers").at(0).at("headerValue"), "Bearer top");

  SqlStore without(*opened_.database, std::make_shared<const crypto::Keyring>());
  EXPECT_EQ(code_of([&] { await(without.draft()); }), Code::unavailable);
}

TEST_P(SqlBotStore, RotatesSecrets) {
  await(store().ensure_default());
  import(with_secret);
  await(store().publish("x", {}));
  const auto both = std::make_shared<const crypto::Keyring>(std::string(other_key) + "," + std::string(key));
  const auto rotate = [both](db::Connection& connection) { return sql::rotate_secrets(connection, *both); };
  EXPECT_EQ(await(opened_.database->write(rotate)), 4U) << "one intent, one config, two versions";
  EXPECT_EQ(await(opened_.database->write(rotate)), 0U);
  SqlStore next(*opened_.database, std::make_shared<const crypto::Keyring>(other_key));
  EXPECT_EQ(await(next.load_version(2))->intents[3].api_details->headers[0].header_value, "Bearer top");
  EXPECT_EQ(await(next.draft()).config.raw.at("llm_settings").at("api_key"), "ollama");
}

TEST_P(SqlBotStore, ManyEditorsAndBuildersLoseNothing) {
  await(store().ensure_default());
  const auto made = await(admin().create(Kind::intent, make_body("n0")));
  constexpr int editors = 6;
  constexpr int edits = 15;
  std::vector<std::thread> threads;
  std::atomic<int> applied = 0;
  for (int t = 0; t < editors; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < edits; ++i) {
        for (;;) {
          const auto now_there = await(admin().find(Kind::intent, made.id));
          const auto next = std::stoi(now_there->body.at("name").as_string().c_str() + 1) + 1;
          const auto change = [next](json::object& body) { body["name"] = "n" + std::to_string(next); };
          if (code_of([&] { await(admin().update(Kind::intent, made.id, change, now_there->version)); }) == Code{}) break;
        }
        ++applied;
      }
    });
  }
  threads.emplace_back([&] {
    for (int i = 0; i < 5; ++i) await(store().publish("builder", [](const Definition&) {}));
  });
  threads.emplace_back([&] {
    for (int i = 0; i < 5; ++i) {
      // Both or none of a file are in every snapshot.
      const auto n = std::to_string(i);
      import(R"({"intents":[{"name":"i)" + n + R"(","intentId":"i","speechResponse":""}],"entities":[{"name":"i)" + n + R"("}]})");
      const auto draft = await(admin().load_draft());
      EXPECT_EQ(draft.intents.size(), draft.entities.size() + 4);
    }
  });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(applied.load(), editors * edits);
  EXPECT_EQ(await(admin().find(Kind::intent, made.id))->body.at("name").as_string().c_str(), "n" + std::to_string(editors * edits));
  EXPECT_EQ(await(store().active_version()), 6);
  for (const auto& version : await(store().versions())) EXPECT_EQ(version.intents, version.version == 1 ? 3 : version.entities + 4);
}

TEST_P(SqlBotStore, ImportsTenThousandIntents) {
  await(store().ensure_default());
  std::string text = "{\"intents\":[";
  for (int i = 0; i < 10'000; ++i) {
    const auto n = std::to_string(i);
    text += (i > 0 ? "," : "") + std::string(R"({"name":"n)") + n + R"(","intentId":"i)" + n + R"(","speechResponse":"r"})";
  }
  EXPECT_EQ(import(text + "]}").intents_created, 10'000U);
  EXPECT_EQ(import(text + "]}").intents_created, 0U);
  EXPECT_EQ(await(store().publish("x", {})), 2);
  EXPECT_EQ(await(store().load_version(2))->intents.size(), 10'003U);
}

TEST_P(SqlBotStore, FirstStartsDoNotCollide) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { await(store().ensure_default()); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(await(store().versions()).size(), 1U);
  EXPECT_EQ(await(admin().list(Kind::intent)).size(), 3U);
}

INSTANTIATE_TEST_SUITE_P(Databases, SqlBotStore, ::testing::Values("sqlite", "postgres"), [](const auto& info) { return info.param; });

}  // namespace
}  // namespace loquat::bot
