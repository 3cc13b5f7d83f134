#include "state/adopt.h"

#include <gtest/gtest.h>

#include <cstring>

#include "db/migrate.h"
#include "state/schema.h"
#include "state/sql_store.h"
#include "testing/await.h"
#include "testing/postgres.h"
#include "testing/temporary.h"

// Tables `states` as older services made them.
namespace loquat::state {
namespace {

using testing::await;

struct OldTable {
  const char* name;
  bool postgres;
  const char* create;
};

void PrintTo(const OldTable& table, std::ostream* out) { *out << table.name; }

constexpr OldTable asyncpg_table = {
    "PostgresJsonb", true,
    "CREATE TABLE states (id bigserial PRIMARY KEY, thread_id text NOT NULL, user_message jsonb, bot_message jsonb, nlu jsonb, context "
    "jsonb,"
    " intent jsonb, parameters jsonb, extracted_parameters jsonb, missing_parameters jsonb, complete boolean NOT NULL DEFAULT false,"
    " current_node text, date timestamptz NOT NULL DEFAULT now()); CREATE INDEX ix_states_thread_id_id ON states (thread_id, id)"};
constexpr OldTable sqlalchemy_postgres_table = {
    "PostgresSqlAlchemy", true,
    "CREATE TABLE states (id SERIAL NOT NULL, thread_id VARCHAR(255) NOT NULL, user_message JSON, bot_message JSON, nlu JSON, context JSON,"
    " intent JSON, parameters JSON, extracted_parameters JSON, missing_parameters JSON, complete BOOLEAN, current_node VARCHAR(255),"
    " date TIMESTAMP WITHOUT TIME ZONE, PRIMARY KEY (id)); CREATE INDEX ix_states_thread_id_id ON states (thread_id, id)"};
constexpr OldTable text_postgres_table = {
    "PostgresText", true,
    "CREATE TABLE states (id SERIAL PRIMARY KEY, thread_id VARCHAR NOT NULL, user_message TEXT, bot_message TEXT, nlu TEXT, context TEXT,"
    " intent TEXT, parameters TEXT, extracted_parameters TEXT, missing_parameters TEXT, complete INTEGER DEFAULT 0, current_node VARCHAR,"
    " date VARCHAR(40), owner text NOT NULL)"};
constexpr OldTable uuid_sqlite_table = {
    "SqliteUuid", false,
    "CREATE TABLE states (id VARCHAR(36) NOT NULL DEFAULT (hex(randomblob(16))), thread_id VARCHAR(255) NOT NULL, user_message JSON,"
    " bot_message JSON, nlu JSON, context JSON, intent JSON, parameters JSON, extracted_parameters JSON, missing_parameters JSON,"
    " complete BOOLEAN, current_node VARCHAR(255), date DATETIME, PRIMARY KEY (id))"};
constexpr OldTable uuid_postgres_table = {
    "PostgresUuid", true,
    "CREATE TABLE states (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), thread_id text NOT NULL, user_message json, bot_message json, nlu "
    "json,"
    " context json, intent json, parameters json, extracted_parameters json, missing_parameters json, complete boolean, current_node text,"
    " date timestamptz)"};
constexpr OldTable sqlalchemy_sqlite_table = {
    "SqliteSqlAlchemy", false,
    "CREATE TABLE states (id INTEGER NOT NULL, thread_id VARCHAR(255) NOT NULL, user_message JSON, bot_message JSON, nlu JSON, context "
    "JSON,"
    " intent JSON, parameters JSON, extracted_parameters JSON, missing_parameters JSON, complete BOOLEAN, current_node VARCHAR(255),"
    " date DATETIME, PRIMARY KEY (id)); CREATE INDEX ix_states_thread_id_id ON states (thread_id, id)"};

constexpr const char* old_rows =
    "INSERT INTO states (thread_id, user_message, bot_message, nlu, context, intent, parameters, extracted_parameters, missing_parameters,"
    " complete, current_node, date) VALUES "
    "('t', NULL, NULL, '{}', '{}', '{}', '[]', '{}', '[]', false, '', '2026-01-01 10:00:00'),"
    "('u', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),"
    "('t', '{\"thread_id\": \"t\", \"text\": \"say \\\"channel\\\": \\\"x\\\"\", \"channel\": \"facebook\", \"context\": {\"page_id\": "
    "\"77\"}}',"
    " '[{\"text\": \"hello\"}]', '{\"intent\": {\"intent\": \"greet\", \"confidence\": 0.5}}', '{\"page_id\": \"77\"}', '{\"id\": "
    "\"greet\"}',"
    " '[{\"name\": \"p\"}]', '{\"p\": 1.5}', '[\"p\"]', true, 'p', '2026-01-01 10:00:01.25'),"
    "('t', '{\"text\": \"more\", \"channel\": \"facebook\", \"context\": {}}', '[]', '{}', '{}', '{}', '[]', '{}', '[]', false, '', "
    "'2026-01-01 10:00:02'),"
    "('w', '{\"text\": \"web\", \"channel\": \"rest\", \"context\": {\"page_id\": 9}}', '[]', '{}', '{}', '{}', '[]', '{}', '[]', false, "
    "'', '2026-01-01 10:00:03')";

class Adoption : public ::testing::TestWithParam<OldTable> {
 protected:
  void SetUp() override {
    std::string url = directory_.sqlite_url();
    if (GetParam().postgres) {
      LOQUAT_NEED_POSTGRES(postgres);
      url = postgres;
    }
    db::DatabaseSettings settings;
    settings.url = url;
    database_ = db::Database::open(settings);
    std::string rows = old_rows;
    if (std::string_view(GetParam().name) == "PostgresJsonb") {
      constexpr std::string_view nulls = "NULL, NULL, NULL),";
      rows.replace(rows.find(nulls), nulls.size(), "false, NULL, now()),");
    }
    if (std::string_view(GetParam().name) == "PostgresText") {
      for (const auto& [from, to] :
           {std::pair{"false, ", "0, "}, {"true, ", "1, "}, {"current_node, date)", "current_node, date, owner)"}}) {
        for (std::size_t at = rows.find(from); at != std::string::npos; at = rows.find(from, at + 1))
          rows.replace(at, std::strlen(from), to);
      }
      for (std::size_t at = rows.find("'),"); at != std::string::npos; at = rows.find("'),", at + 7)) rows.replace(at, 3, "', ''),");
      rows.replace(rows.find("NULL),"), 6, "NULL, ''),");
      rows.replace(rows.size() - 2, 2, "', '')");
    }
    await(database_->run([&](db::Connection& c) { c.script(std::string(GetParam().create) + ";" + rows); }));
    // As a service would have made it: without the default.
    if (std::string_view(GetParam().name) == "PostgresUuid") {
      await(database_->run([](db::Connection& c) { c.script("ALTER TABLE states ALTER COLUMN id DROP DEFAULT"); }));
    }
    db::migrate(*database_, migrations());
    store_ = make_sql_store(*database_);
  }
  std::optional<State> latest(std::string thread, std::optional<std::string> channel = {}) {
    return await(store_->find_latest(ThreadQuery{std::move(thread), std::move(channel), {}}));
  }

  testing::TemporaryDirectory directory_;
  std::unique_ptr<db::Database> database_;
  std::unique_ptr<Store> store_;
};

TEST_P(Adoption, RowsStayReadable) {
  const auto page = await(store_->history({"t", {}, {}}, 10, {}));
  ASSERT_EQ(page.items.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(page.items[i].version, static_cast<std::int64_t>(3 - i));
    EXPECT_EQ(page.items[i].conversation, (chat::ConversationId{"facebook", "77", "t"}));
  }
  const auto& full = page.items[1];
  EXPECT_EQ(string_member(full.user_message, "text"), "say \"channel\": \"x\"");
  EXPECT_EQ(to_json(full.bot_message), R"([{"text":"hello"}])");
  EXPECT_EQ(to_json(full.nlu), R"({"intent":{"intent":"greet","confidence":0.5}})");
  EXPECT_EQ(to_json(full.parameters) + to_json(full.extracted_parameters) + to_json(full.missing_parameters),
            R"([{"name":"p"}]{"p":1.5}["p"])");
  EXPECT_TRUE(full.complete);
  EXPECT_EQ(full.current_node, json::value("p"));
  EXPECT_EQ(to_iso8601(full.date), "2026-01-01T10:00:01.250000+00:00");
  EXPECT_EQ(latest("w").value().conversation, (chat::ConversationId{"rest", "", "w"}));
}

TEST_P(Adoption, NullsBecomeDefaults) {
  const auto state = latest("u").value();
  EXPECT_EQ(state.version, 1);
  EXPECT_EQ(state.conversation, (chat::ConversationId{"", "", "u"}));
  EXPECT_TRUE(state.user_message.is_null());
  EXPECT_EQ(to_json(state.context) + to_json(state.parameters), "{}[]");
  EXPECT_FALSE(state.complete);
  EXPECT_LT(std::chrono::abs(now() - state.date), std::chrono::minutes(5));
}

TEST_P(Adoption, NewRowsFollow) {
  State state;
  state.conversation = {"facebook", "77", "t"};
  state.message_id = MessageId::random();
  state.user_message = parse_json(R"({"text": "\u0000", "b": 1.0, "a": 2})");
  const auto appended = await(store_->append(state, 3));
  EXPECT_EQ(appended.state.version, 4);
  EXPECT_EQ(to_json(latest("t").value().user_message), to_json(state.user_message));
  EXPECT_TRUE(await(store_->append(state, {})).existed);
  State long_thread;
  long_thread.conversation = {"rest", "", std::string(500, 'x')};
  long_thread.current_node = std::string(500, 'n');
  EXPECT_EQ(await(store_->append(long_thread, 0)).state.version, 1);
  EXPECT_EQ(await(store_->threads(1, 10, {}, {})).total, 4);
}

TEST_P(Adoption, OnlyOnce) {
  await(database_->run([](db::Connection& c) { adopt_states(c); }));
  EXPECT_EQ(latest("t").value().version, 3);
  EXPECT_TRUE(db::migrate(*database_, migrations()).empty());
}

INSTANTIATE_TEST_SUITE_P(Tables, Adoption,
                         ::testing::Values(asyncpg_table, sqlalchemy_postgres_table, text_postgres_table, uuid_postgres_table,
                                           sqlalchemy_sqlite_table, uuid_sqlite_table),
                         [](const auto& entry) { return entry.param.name; });

/// A table of other shapes, and its store.
class Adopted {
 public:
  Adopted(const std::string& url, std::string sql) : database_(db::Database::open({.url = url})) {
    await(database_->run([sql = std::move(sql)](db::Connection& c) { c.script(sql); }));
    db::migrate(*database_, migrations());
    store_ = make_sql_store(*database_);
  }
  State latest(std::string thread) { return await(store_->find_latest(ThreadQuery{std::move(thread), {}, {}})).value(); }
  std::int64_t append(std::string thread) {
    State state;
    state.conversation.thread_id = std::move(thread);
    return await(store_->append(state, {})).state.version;
  }
  std::string text(std::string sql) {
    return await(database_->read([sql = std::move(sql)](db::Connection& c) { return c.query(sql)->text(0, 0); }));
  }
  Store& store() { return *store_; }

 private:
  std::unique_ptr<db::Database> database_;
  std::unique_ptr<Store> store_;
};

TEST(OldRows, KeepTextsThatPostgresCannotTakeApart) {
  LOQUAT_NEED_POSTGRES(url);
  Adopted adopted(url,
                  R"(CREATE TABLE states (id serial PRIMARY KEY, thread_id varchar(255) NOT NULL, user_message json, date timestamptz);)"
                  R"(INSERT INTO states (thread_id, user_message) VALUES)"
                  R"( ('zero', '{"channel": "rest", "text": "a\u0000b"}'), ('lone', '{"channel":"rest","text":"\uD83D"}'),)"
                  R"( ('low', '{"channel":"rest","text":"\\\ude00\ud83d\ude00"}'), ('scalar', '"\u0000"'),)"
                  R"( ('pair', '{"channel":"\ud83d\ude00","text":"\\u0000\\ud83d","n":1e200000}'),)"
                  R"( ('page', '{"channel":"facebook","text":"\u0000","context":{"page_id":77}}'))");
  for (const auto* thread : {"zero", "lone", "low"})
    EXPECT_EQ(adopted.latest(thread).conversation, (chat::ConversationId{"rest", "", thread}));
  EXPECT_EQ(string_member(adopted.latest("zero").user_message, "text"), std::string_view("a\0b", 3));
  EXPECT_EQ(string_member(adopted.latest("lone").user_message, "text"), "\uFFFD");
  EXPECT_EQ(string_member(adopted.latest("low").user_message, "text"), "\\\uFFFD\U0001F600");
  EXPECT_EQ(adopted.latest("pair").conversation.channel, "\U0001F600");
  EXPECT_EQ(adopted.latest("page").conversation, (chat::ConversationId{"facebook", "77", "page"}));
  EXPECT_EQ(adopted.latest("scalar").conversation.channel, "");
  EXPECT_EQ(adopted.text("SELECT user_message FROM states WHERE thread_id = 'zero'"), R"({"channel": "rest", "text": "a\u0000b"})");
}

class OldColumns : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    url_ = directory_.sqlite_url();
    if (!GetParam()) return;
    LOQUAT_NEED_POSTGRES(url);
    url_ = url;
  }
  testing::TemporaryDirectory directory_;
  std::string url_;
};

TEST_P(OldColumns, RefuseNothingAnyMore) {
  Adopted adopted(
      url_,
      "CREATE TABLE states (id integer PRIMARY KEY, thread_id varchar(255) NOT NULL, user_message json NOT NULL, bot_message json"
      " NOT NULL DEFAULT '[]', nlu json NOT NULL, current_node varchar(255) NOT NULL, complete boolean NOT NULL, date timestamp"
      " NOT NULL, owner varchar(20) NOT NULL);"
      "INSERT INTO states VALUES (5, 'a', '{\"text\": \"x\"}', '[]', '{}', 'n', true, '2024-01-02 03:04:06', 'me'),"
      " (6, 'a', '{}', '[]', '{}', 'n', true, '2024-01-02 03:04:05', 'me')");
  EXPECT_EQ(to_iso8601(adopted.latest("a").date), "2024-01-02T03:04:05+00:00");
  EXPECT_EQ(adopted.append("a"), 3);
  EXPECT_TRUE(adopted.latest("a").user_message.is_null());
  EXPECT_EQ(adopted.text("SELECT owner FROM states WHERE id = 6"), "me");
  await(adopted.store().erase({"a", {}, {}}));
  EXPECT_TRUE(await(adopted.store().history({"a", {}, {}}, 10, {})).items.empty());
}

TEST_P(OldColumns, OfOurNamesStayAside) {
  Adopted adopted(url_,
                  "CREATE TABLE states (thread_id varchar(255) NOT NULL, version integer NOT NULL DEFAULT 1, message_id varchar(9) NOT NULL"
                  " DEFAULT 'x', origin varchar(9), context json, date timestamp, UNIQUE (thread_id, version, message_id));"
                  "INSERT INTO states (thread_id, version, message_id, origin, context, date) VALUES"
                  " ('a', 7, 'm1', 'web', '{\"n\": 2}', '2024-01-02 10:00:00'), ('a', 9, 'm2', 'web', '{\"n\": 1}', '2024-01-01 10:00:00'),"
                  " ('b', 7, 'm1', NULL, '{}', '2024-01-03 10:00:00')");
  const auto items = await(adopted.store().history({"a", {}, {}}, 10, {})).items;
  ASSERT_EQ(items.size(), 2U);
  EXPECT_EQ(items[0].version, 2);
  EXPECT_EQ(to_json(items[0].context) + to_json(items[1].context), R"({"n":2}{"n":1})");
  EXPECT_EQ(adopted.append("a"), 3);
  EXPECT_EQ(adopted.append("a"), 4);
  EXPECT_EQ(adopted.append("b"), 2);
  EXPECT_EQ(adopted.text("SELECT old_version FROM states WHERE thread_id = 'a' AND version = 2"), "7");
}

TEST_P(OldColumns, InTheKeyAreFilled) {
  Adopted adopted(url_,
                  "CREATE TABLE states (thread_id varchar(255) NOT NULL, version integer NOT NULL, date timestamp, PRIMARY KEY (thread_id,"
                  " version)); INSERT INTO states VALUES ('a', 1, '2024-01-01 10:00:00'), ('a', 2, '2024-01-02 10:00:00')");
  EXPECT_EQ(adopted.latest("a").version, 2);
  EXPECT_EQ(adopted.append("a"), 3);
  EXPECT_EQ(adopted.append("a"), 4);
}

INSTANTIATE_TEST_SUITE_P(Dialects, OldColumns, ::testing::Bool(),
                         [](const auto& entry) { return std::string(entry.param ? "Postgres" : "Sqlite"); });

TEST(OldDates, AsTextsOrRealsBecomeTimesOnSqlite) {
  for (const std::string type : {"TEXT", "VARCHAR(40)", "REAL"}) {
    const testing::TemporaryDirectory directory;
    Adopted adopted(directory.sqlite_url(), "CREATE TABLE states (id INTEGER PRIMARY KEY, thread_id TEXT NOT NULL, date " + type +
                                                "); INSERT INTO states VALUES (3, 'a', '2024-01-02T03:04:05+00:00');"
                                                "CREATE VIEW report AS SELECT thread_id, date FROM states");
    EXPECT_EQ(to_iso8601(adopted.latest("a").date), "2024-01-02T03:04:05+00:00") << type;
    EXPECT_EQ(adopted.append("a"), 2);
    EXPECT_EQ(adopted.latest("a").version, 2);
    EXPECT_EQ(adopted.text("SELECT typeof(date) FROM states WHERE version = 2"), "integer");
    EXPECT_EQ(adopted.text("SELECT count(*) FROM report"), "2");
  }
}

TEST(OldDates, WithoutAnEndAreNow) {
  LOQUAT_NEED_POSTGRES(url);
  Adopted adopted(url,
                  "CREATE TABLE states (thread_id text NOT NULL, date timestamptz);"
                  "INSERT INTO states VALUES ('a', 'infinity'), ('b', '-infinity'), ('c', '2024-01-02')");
  for (const auto* thread : {"a", "b"}) EXPECT_LT(std::chrono::abs(now() - adopted.latest(thread).date), std::chrono::minutes(5));
  EXPECT_EQ(to_iso8601(adopted.latest("c").date), "2024-01-02T00:00:00+00:00");
}

TEST(OldTables, ThatCannotBeNumberedAreRefused) {
  const auto refuse = [](const std::string& url, const std::string& sql, std::string_view words) {
    try {
      Adopted(url, sql);
      ADD_FAILURE() << "adopted: " << sql;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::conflict);
      EXPECT_NE(std::string_view(error.what()).find(words), std::string_view::npos) << error.what();
    }
  };
  constexpr std::string_view in_parts = "states is a view or a table in parts";
  const testing::TemporaryDirectory directory;
  refuse(directory.sqlite_url(), "CREATE TABLE rows (thread_id TEXT); CREATE VIEW states AS SELECT * FROM rows", in_parts);
  const testing::TemporaryDirectory other;
  refuse(
      other.sqlite_url(),
      "CREATE TABLE states (id TEXT PRIMARY KEY, thread_id TEXT); CREATE TABLE notes (state TEXT REFERENCES states (id) ON DELETE CASCADE)",
      "the table notes refers to states");
  LOQUAT_NEED_POSTGRES(url);
  refuse(url,
         "CREATE TABLE states (thread_id text, date timestamptz) PARTITION BY RANGE (date);"
         "CREATE TABLE states_all PARTITION OF states DEFAULT; INSERT INTO states VALUES ('a', now())",
         in_parts);
}

}  // namespace
}  // namespace loquat::state
