#include "db/migrate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <thread>

#include "testing/await.h"
#include "testing/postgres.h"
#include "testing/temporary.h"

namespace loquat::db {
namespace {

using testing::await;

void complete_old_table(Connection& connection) {
  const bool sqlite = connection.dialect() == Dialect::sqlite;
  const auto* columns = sqlite ? "SELECT name FROM pragma_table_info('thing')"
                               : "SELECT column_name::text FROM information_schema.columns WHERE table_name = 'thing'";
  const auto rows = connection.query(columns);
  bool found = false;
  for (std::size_t i = 0; i < rows->size(); ++i) found = found || rows->text(i, 0) == "version";
  if (!found) connection.script("ALTER TABLE thing ADD COLUMN version bigint NOT NULL DEFAULT 1");
}

const std::array<Migration, 3> migrations = {{
    {"thing", 1, "CREATE TABLE IF NOT EXISTS thing (id bigint PRIMARY KEY, version bigint NOT NULL DEFAULT 1)", {}, complete_old_table},
    {"other", 1, "CREATE TABLE other (at timestamptz, id uuid); CREATE INDEX other_at ON other (at)",
     "CREATE TABLE other (at INTEGER, id BLOB); CREATE INDEX other_at ON other (at)"},
    {"thing", 2, "INSERT INTO thing (id) VALUES (1)"},
}};

class Migrate : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    url_ = directory_.sqlite_url();
    if (GetParam()) {
      LOQUAT_NEED_POSTGRES(url);
      url_ = url;
    }
    database_ = open();
  }
  std::unique_ptr<Database> open() {
    DatabaseSettings settings;
    settings.url = url_;
    return Database::open(settings);
  }
  std::int64_t count(std::string table) {
    return await(database_->read([table](Connection& c) { return c("SELECT count(*) FROM " + table)->integer(0, 0); }));
  }
  testing::TemporaryDirectory directory_;
  std::string url_;
  std::unique_ptr<Database> database_;
};

TEST_P(Migrate, AppliesWhatIsMissingInOrder) {
  const std::vector<std::string> all = {"thing 1", "other 1", "thing 2"};
  EXPECT_EQ(migrate(*database_, migrations, true), all);
  EXPECT_THROW(count("loquat_migrations"), Error);
  EXPECT_EQ(migrate(*database_, std::span(migrations).first(1)), std::vector<std::string>{"thing 1"});
  EXPECT_EQ(migrate(*database_, migrations), (std::vector<std::string>{"other 1", "thing 2"}));
  EXPECT_TRUE(migrate(*database_, migrations).empty());
  EXPECT_EQ(count("thing"), 1);
  EXPECT_EQ(count("other"), 0);
  EXPECT_EQ(count("loquat_migrations"), 3);
}

TEST_P(Migrate, AFailingOneLeavesNothing) {
  const std::array<Migration, 2> broken = {
      {{"bad", 1, "CREATE TABLE good (id integer)"}, {"bad", 2, "CREATE TABLE half (id integer); SELECT no"}}};
  EXPECT_THROW(migrate(*database_, broken), Error);
  EXPECT_EQ(count("good"), 0);
  EXPECT_THROW(count("half"), Error);
  EXPECT_EQ(count("loquat_migrations"), 1);
}

TEST_P(Migrate, SaysWhatIsInTheWay) {
  const std::array<Migration, 1> broken = {{{"bad", 1, "DROP TABLE nothing"}}};
  try {
    migrate(*database_, broken);
    ADD_FAILURE() << "a broken migration went through";
  } catch (const CannotPrepare& error) {
    EXPECT_EQ(error.code(), Code::unavailable);
    EXPECT_THAT(error.what(), ::testing::StartsWith("the database cannot be prepared: bad 1: "));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("nothing"));
  }
}

TEST(MigrateNothing, WithoutAConnectionIsNoRefusal) {
  const auto database = Database::open({.url = "postgresql://nobody@127.0.0.1:1/none"});
  try {
    migrate(*database, migrations);
    ADD_FAILURE() << "there is a server on port 1";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::unavailable);
    EXPECT_EQ(dynamic_cast<const CannotPrepare*>(&error), nullptr);
  }
}

TEST(MigrateNothing, IntoAFileThatIsNoDatabase) {
  const loquat::testing::TemporaryDirectory directory;
  std::ofstream(directory.file("test.db")) << std::string(4096, 'x');
  const auto database = Database::open({.url = directory.sqlite_url()});
  try {
    migrate(*database, migrations);
    ADD_FAILURE() << "a text was taken for a database";
  } catch (const CannotPrepare& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("file is not a database"));
    EXPECT_THAT(error.what(), ::testing::HasSubstr(directory.file("test.db")));
  }
}

TEST_P(Migrate, AdoptsAnOlderTable) {
  await(database_->run(
      [](Connection& c) { c.script("CREATE TABLE thing (id bigint PRIMARY KEY, name text); INSERT INTO thing VALUES (9, 'old')"); }));
  migrate(*database_, migrations);
  const auto rows = await(database_->read([](Connection& c) { return c("SELECT id, version, name FROM thing ORDER BY id"); }));
  ASSERT_EQ(rows->size(), 2U);
  EXPECT_EQ(rows->integer(1, 0), 9);
  EXPECT_EQ(rows->integer(1, 1), 1);
  EXPECT_EQ(rows->text(1, 2), "old");
}

TEST_P(Migrate, RefusesANewerSchema) {
  migrate(*database_, migrations);
  await(database_->run([](Connection& c) { c("UPDATE loquat_migrations SET oldest_release = '99.10.0' WHERE feature = 'other'"); }));
  for (const bool dry_run : {true, false}) {
    try {
      migrate(*database_, migrations, dry_run);
      ADD_FAILURE() << "a newer schema was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::conflict);
      EXPECT_STREQ(error.what(), "the database needs loquat 99.10.0 or newer");
    }
  }
}

TEST_P(Migrate, TwoAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<std::size_t> applied = 0;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      const auto own = open();
      applied += migrate(*own, migrations).size();
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(applied, 3U);
  EXPECT_EQ(count("thing"), 1);
}

INSTANTIATE_TEST_SUITE_P(Both, Migrate, ::testing::Bool(), [](const auto& entry) { return entry.param ? "Postgres" : "Sqlite"; });

}  // namespace
}  // namespace loquat::db
