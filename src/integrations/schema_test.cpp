#include "integrations/schema.h"

#include <gtest/gtest.h>

#include "integrations/sql_store.h"
#include "testing/await.h"
#include "testing/postgres.h"
#include "testing/temporary.h"

namespace loquat::integrations {
namespace {

using loquat::testing::await;

constexpr std::string_view key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

struct Opened {
  explicit Opened(const std::string& url, std::string_view keys = {})
      : database(db::Database::open({.url = url})), store(*database, std::make_shared<const crypto::Keyring>(keys)) {}
  ~Opened() { database->close(); }
  std::unique_ptr<db::Database> database;
  SqlStore store;
};

std::string text(const json::object& settings) { return to_json(json::value(settings)); }

/// The table and the rows of the Python service on PostgreSQL.
TEST(Adoption, OfThePythonServicesTable) {
  LOQUAT_NEED_POSTGRES(url);
  Opened opened(url);
  opened.database->run_blocking([](db::Connection& connection) {
    connection.script(
        "CREATE TABLE integrations(id text PRIMARY KEY, name text NOT NULL, description text NOT NULL, status boolean NOT NULL DEFAULT "
        "false, settings jsonb);"
        "INSERT INTO integrations VALUES ('mine', 'M', 'd', true, '{\"b\": 1.50, \"a\": {\"x\": [1, null]}}'), ('chat_widget', 'Chat "
        "Widget', 'w', true, '{}'),"
        " ('facebook', 'F', 'f', false, '{\"secret\": \"s\", \"verify\": \"v\"}'), ('empty', 'E', '', false, NULL), ('odd', 'O', '', "
        "false, '[1]')");
  });
  db::migrate(*opened.database, migrations());
  auto all = await(opened.store.list());
  ASSERT_EQ(all.size(), 5U);
  EXPECT_EQ(all[0].id, "facebook");
  EXPECT_EQ(all[1].id, "chat_widget");
  EXPECT_EQ(all[2].id, "mine");
  EXPECT_EQ(text(all[2].settings), R"({"a":{"x":[1,null]},"b":1.5})");
  EXPECT_TRUE(all[3].settings.empty());
  EXPECT_TRUE(all[4].settings.empty());
  EXPECT_EQ(all[0].version, 1);
  EXPECT_TRUE(await(opened.store.ensure_defaults()).empty());
  await(opened.store.create({"new", "N", "", false, {{"\0x", "\0"}}}));
  EXPECT_EQ(await(opened.store.list()).back().id, "new");
  EXPECT_TRUE(db::migrate(*opened.database, migrations()).empty());
}

TEST(Adoption, OfOtherShapes) {
  LOQUAT_NEED_POSTGRES(url);
  Opened opened(url);
  opened.database->run_blocking([](db::Connection& connection) {
    connection.script(
        "CREATE TABLE integrations(number serial PRIMARY KEY, id varchar(50) NOT NULL, name varchar(80), description varchar(200), status "
        "smallint,"
        " settings json DEFAULT '{}', owner text NOT NULL);"
        "INSERT INTO integrations(id, name, status, settings, owner) VALUES ('a', 'A', 1, '{\"z\":1,\"b\":2}', 'x'), ('b', NULL, NULL, "
        "NULL, 'y')");
  });
  db::migrate(*opened.database, migrations());
  const auto all = await(opened.store.list());
  ASSERT_EQ(all.size(), 2U);
  EXPECT_TRUE(all[0].status);
  EXPECT_EQ(text(all[0].settings), R"({"z":1,"b":2})");
  EXPECT_EQ(all[1].name, "");
  EXPECT_EQ(await(opened.store.ensure_defaults()).size(), 2U);
  EXPECT_TRUE(await(opened.store.ensure_defaults()).empty());
}

TEST(Adoption, OnSqlite) {
  const loquat::testing::TemporaryDirectory directory;
  Opened opened(directory.sqlite_url());
  opened.database->run_blocking([](db::Connection& connection) {
    connection.script(
        "CREATE TABLE integrations(id VARCHAR NOT NULL, name VARCHAR NOT NULL, description VARCHAR, status BOOLEAN, settings JSON, PRIMARY "
        "KEY (id));"
        "INSERT INTO integrations VALUES ('mine', 'M', NULL, 1, '{\"b\": 1, \"a\": \"x\"}'), ('facebook', 'F', 'f', 0, 'null')");
  });
  db::migrate(*opened.database, migrations());
  const auto all = await(opened.store.list());
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].id, "facebook");
  EXPECT_TRUE(all[0].settings.empty());
  EXPECT_TRUE(all[1].status);
  EXPECT_EQ(text(all[1].settings), R"({"b":1,"a":"x"})");
  EXPECT_EQ(await(opened.store.ensure_defaults()), std::vector<std::string>{"chat_widget"});
}

TEST(Adoption, ColumnsRefuseNothingAnyMoreOnSqlite) {
  constexpr std::string_view tables[] = {
      "CREATE TABLE integrations(id VARCHAR PRIMARY KEY, name VARCHAR NOT NULL, description VARCHAR, status BOOLEAN, settings JSON NOT "
      "NULL,"
      " created_at DATETIME NOT NULL)",
      "CREATE TABLE integrations(number INTEGER PRIMARY KEY, id VARCHAR NOT NULL, name VARCHAR NOT NULL, description VARCHAR, status "
      "BOOLEAN,"
      " settings JSON, created_at DATETIME NOT NULL)",
      "CREATE TABLE integrations(id VARCHAR PRIMARY KEY, version VARCHAR NOT NULL, name VARCHAR, description VARCHAR, status BOOLEAN, "
      "settings"
      " JSON, created_at DATETIME)",
  };
  for (const auto table : tables) {
    const loquat::testing::TemporaryDirectory directory;
    Opened opened(directory.sqlite_url());
    const std::string version = table.contains("version") ? ", version" : "";
    opened.database->run_blocking([&](db::Connection& connection) {
      connection.script(std::string(table) + "; INSERT INTO integrations (id, name, status, settings, created_at" + version +
                        ") VALUES ('mine', 'M', 1, '{\"b\": 1}', '2024-01-01'" + (version.empty() ? "" : ", 'v1'") + ")");
    });
    db::migrate(*opened.database, migrations());
    EXPECT_EQ(await(opened.store.ensure_defaults()).size(), 2U) << table;
    await(opened.store.create({"new", "N", "", false, {}}));
    const auto all = await(opened.store.list());
    ASSERT_EQ(all.size(), 4U);
    EXPECT_EQ(all[0].id, "mine");
    EXPECT_TRUE(all[0].status);
    EXPECT_EQ(all[0].version, 1);
    EXPECT_EQ(text(all[0].settings), R"({"b":1})");
    opened.database->run_blocking([](db::Connection& connection) {
      EXPECT_EQ(connection("SELECT created_at FROM integrations WHERE id = 'mine'")->text(0, 0), "2024-01-01");
    });
  }
}

TEST(Rotation, SealsWhatWasInClearAndWhatAnOlderKeySealed) {
  const loquat::testing::TemporaryDirectory directory;
  constexpr std::string_view next = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";
  const json::object settings = {{"secret", "clear"}, {"verify", "v"}};
  {
    Opened opened(directory.sqlite_url());
    db::migrate(*opened.database, migrations());
    await(opened.store.create({"a", "", "", false, settings}));
    EXPECT_EQ(rotate_secrets(*opened.database, crypto::Keyring(key)), 1U);
    EXPECT_EQ(rotate_secrets(*opened.database, crypto::Keyring(key)), 0U);
  }
  {
    Opened opened(directory.sqlite_url(), key);
    EXPECT_EQ(await(opened.store.find("a"))->settings, settings);
    opened.database->run_blocking([](db::Connection& connection) {
      EXPECT_EQ(connection("SELECT settings FROM integrations")->text(0, 0).find("clear"), std::string::npos);
    });
    EXPECT_EQ(rotate_secrets(*opened.database, crypto::Keyring(std::string(next) + "," + std::string(key))), 1U);
  }
  Opened opened(directory.sqlite_url(), next);
  EXPECT_EQ(await(opened.store.find("a"))->settings, settings);
}

}  // namespace
}  // namespace loquat::integrations
