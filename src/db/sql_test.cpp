#include "db/sql.h"

#include <gtest/gtest.h>

#include <limits>
#include <thread>

#include "db/migrate.h"
#include "testing/await.h"
#include "testing/postgres.h"
#include "testing/temporary.h"

// What holds for both dialects.
namespace loquat::db {
namespace {

using testing::await;

enum class Kind { file, memory, postgres };

class Sql : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    DatabaseSettings settings;
    settings.url = GetParam() == Kind::memory ? "sqlite://" : directory_.sqlite_url();
    if (GetParam() == Kind::postgres) {
      LOQUAT_NEED_POSTGRES(url);
      settings.url = url;
    }
    database_ = Database::open(settings);
  }
  Database& db() { return *database_; }
  bool postgres() { return db().dialect() == Dialect::postgres; }
  void script(std::string sql) {
    await(db().run([sql](Connection& c) { c.script(sql); }));
  }
  template <class... Arguments>
  Result query(std::string sql, Arguments... arguments) {
    return await(db().write([=](Connection& c) { return c(sql, arguments...); }));
  }
  Code error_of(std::string sql, Values values = {}) {
    try {
      await(db().write([sql, values](Connection& c) { c.query(sql, values); }));
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find("INSERT"), std::string::npos);
      return error.code();
    }
    ADD_FAILURE() << "no error: " << sql;
    return {};
  }

  testing::TemporaryDirectory directory_;
  std::unique_ptr<Database> database_;
};

TEST_P(Sql, TypesGoThereAndBack) {
  script(postgres() ? "CREATE TABLE v (i bigint, s smallint, f double precision, b boolean, t text, x bytea, u uuid, at timestamptz)"
                    : "CREATE TABLE v (i INTEGER, s INTEGER, f REAL, b INTEGER, t TEXT, x BLOB, u BLOB, at INTEGER)");
  const auto id = MessageId::random();
  const auto at = from_microseconds(1'767'323'045'678'901);
  const std::string bytes("\0\x01\xff'\\", 5);
  const std::string text = "Grüße, \"O'Neil\" \\ \xF0\x9F\x98\x80";
  const auto least = std::numeric_limits<std::int64_t>::min();
  query("INSERT INTO v VALUES ($1, $2, $3, $4, $5, $6, $7, $8)", least, std::int64_t{-7}, 0.1, true, text, Bytes{bytes}, to_value(id), at);
  const auto rows = query("SELECT * FROM v");
  ASSERT_EQ(rows->size(), 1U);
  EXPECT_EQ(rows->integer(0, 0), least);
  EXPECT_EQ(rows->text(0, 0), "-9223372036854775808");
  EXPECT_EQ(rows->integer(0, 1), -7);
  EXPECT_EQ(rows->real(0, 2), 0.1);
  EXPECT_EQ(rows->real(0, 1), -7.0);
  EXPECT_TRUE(rows->boolean(0, 3));
  EXPECT_EQ(rows->text(0, 4), text);
  EXPECT_EQ(rows->bytes(0, 5), bytes);
  EXPECT_EQ(rows->message_id(0, 6), id);
  EXPECT_EQ(rows->time(0, 7), at);
  EXPECT_EQ(query("SELECT 1 FROM v WHERE u = $1 AND at = $2 AND x = $3", to_value(id), at, Bytes{bytes})->size(), 1U);
}

TEST_P(Sql, NullsAndEmptyValues) {
  script(postgres() ? "CREATE TABLE v (t text, x bytea, i bigint)" : "CREATE TABLE v (t TEXT, x BLOB, i INTEGER)");
  query("INSERT INTO v VALUES ($1, $2, $3)", Value(), Value(), Value());
  query("INSERT INTO v VALUES ($1, $2, $3)", std::string(), Bytes{}, std::int64_t{0});
  const auto rows = query("SELECT t, x, i FROM v ORDER BY i");
  ASSERT_EQ(rows->size(), 2U);
  const std::size_t null = rows->is_null(0, 0) ? 0 : 1;
  for (std::size_t column = 0; column < 3; ++column) {
    EXPECT_TRUE(rows->is_null(null, column));
    EXPECT_FALSE(rows->is_null(1 - null, column));
  }
  EXPECT_THROW(static_cast<void>(rows->text(null, 0)), Error);
  EXPECT_THROW(static_cast<void>(rows->integer(null, 2)), Error);
  EXPECT_EQ(rows->find_text(null, 0), std::nullopt);
  EXPECT_EQ(rows->text(1 - null, 0), "");
  EXPECT_EQ(rows->bytes(1 - null, 1), "");
}

TEST_P(Sql, LongTexts) {
  script("CREATE TABLE v (t text)");
  std::string text(1'048'576, 'x');
  text[5] = '\n';
  query("INSERT INTO v VALUES ($1)", text);
  EXPECT_EQ(query("SELECT t FROM v")->text(0, 0), text);
}

TEST_P(Sql, ErrorsHaveTheirCodes) {
  script("CREATE TABLE v (id integer PRIMARY KEY, name text NOT NULL UNIQUE, n integer CHECK (n > 0))");
  query("INSERT INTO v VALUES (1, 'a', 1)");
  EXPECT_EQ(error_of("INSERT INTO v VALUES (1, 'b', 1)"), Code::conflict);
  EXPECT_EQ(error_of("INSERT INTO v VALUES ($1, $2, 1)", {std::int64_t{2}, std::string("a")}), Code::conflict);
  EXPECT_EQ(error_of("INSERT INTO v VALUES (3, NULL, 1)"), Code::invalid);
  EXPECT_EQ(error_of("INSERT INTO v VALUES (3, 'c', 0)"), Code::invalid);
  EXPECT_EQ(error_of("SELECT * FROM no_such_table"), Code::unavailable);
  EXPECT_EQ(error_of("SELECT $1", {}), Code::unavailable);
  EXPECT_EQ(error_of("this is no SQL"), Code::unavailable);
  if (postgres()) {
    EXPECT_EQ(error_of("INSERT INTO v VALUES (3, $1, 1)", {std::string("a\0b", 3)}), Code::invalid);
    EXPECT_EQ(error_of("INSERT INTO v VALUES (3, $1, 1)", {std::string("\xff")}), Code::invalid);
    EXPECT_EQ(error_of("INSERT INTO v VALUES ($1, 'x', 1)", {std::int64_t{1} << 40U}), Code::invalid);
    // Incompressible and longer than an index takes.
    std::string noise;
    while (noise.size() < 9'000) noise += MessageId::random().to_string();
    EXPECT_EQ(error_of("INSERT INTO v VALUES (3, $1, 1)", {noise}), Code::invalid);
  }
  EXPECT_EQ(query("SELECT count(*) FROM v")->integer(0, 0), 1);
}

TEST_P(Sql, WriteIsAllOrNothing) {
  script("CREATE TABLE v (id integer PRIMARY KEY)");
  EXPECT_THROW(await(db().write([](Connection& c) {
                 c("INSERT INTO v VALUES (1)");
                 throw std::runtime_error("no");
               })),
               std::runtime_error);
  EXPECT_EQ(query("SELECT count(*) FROM v")->integer(0, 0), 0);
  EXPECT_EQ(await(db().write([](Connection& c) {
              c("INSERT INTO v VALUES (1)");
              return c("INSERT INTO v VALUES (2), (3)")->affected();
            })),
            2);
  EXPECT_EQ(query("SELECT count(*) FROM v")->integer(0, 0), 3);
  EXPECT_EQ(await(db().read([](Connection& c) { return c("SELECT count(*) FROM v")->integer(0, 0); })), 3);
}

TEST_P(Sql, BatchAndPipeline) {
  script("CREATE TABLE v (id integer PRIMARY KEY, t text)");
  std::vector<Values> values;
  for (std::int64_t i = 0; i < 300; ++i) values.push_back({i, std::string(1'000, 'a')});
  const auto counts = await(db().write([&](Connection& c) { return c.batch("INSERT INTO v VALUES ($1, $2)", values); }));
  EXPECT_EQ(counts, std::vector<std::int64_t>(300, 1));

  const auto results = await(db().run([](Connection& c) {
    std::vector<Statement> statements;
    statements.push_back({"INSERT INTO v VALUES ($1, 'p')", {std::int64_t{300}}});
    statements.push_back({"SELECT t FROM v WHERE id = $1", {std::int64_t{300}}});
    statements.push_back({"UPDATE v SET t = 'q' WHERE id < $1", {std::int64_t{10}}});
    return c.pipeline(std::move(statements));
  }));
  ASSERT_EQ(results.size(), 3U);
  EXPECT_EQ(results[1]->text(0, 0), "p");
  EXPECT_EQ(results[2]->affected(), 10);

  // The second statement fails: nothing of the pipeline stays.
  EXPECT_THROW(await(db().run([](Connection& c) {
                 std::vector<Statement> statements;
                 statements.push_back({"INSERT INTO v VALUES ($1, 'x')", {std::int64_t{301}}});
                 statements.push_back({"INSERT INTO v VALUES ($1, 'x')", {std::int64_t{300}}});
                 statements.push_back({"INSERT INTO v VALUES ($1, 'x')", {std::int64_t{302}}});
                 c.pipeline(std::move(statements));
               })),
               Error);
  EXPECT_EQ(query("SELECT count(*) FROM v")->integer(0, 0), 301);
  EXPECT_TRUE(await(db().run([](Connection& c) { return c.pipeline({}).empty() && c.batch("SELECT 1", {}).empty(); })));
}

TEST_P(Sql, ManyAtOnce) {
  script("CREATE TABLE v (id integer PRIMARY KEY)");
  std::atomic<int> failed = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (std::int64_t i = 0; i < 50; ++i) {
        const auto id = i * 4 + thread;
        try {  // every tenth job fails; its neighbours must not
          await(db().write([id](Connection& c) {
            c("INSERT INTO v VALUES ($1)", id);
            if (id % 10 == 3) c("INSERT INTO v VALUES ($1)", id);
          }));
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), Code::conflict);
          EXPECT_EQ(id % 10, 3);
          ++failed;
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(failed, 20);
  EXPECT_EQ(query("SELECT count(*) FROM v")->integer(0, 0), 180);
  EXPECT_EQ(query("SELECT count(*) FROM v WHERE id % 10 = 3")->integer(0, 0), 0);
}

TEST_P(Sql, BlockingJobs) {
  db().run_blocking([](Connection& c) { c.script("CREATE TABLE v (id integer); INSERT INTO v VALUES (1); INSERT INTO v VALUES (2)"); });
  EXPECT_THROW(db().run_blocking([](Connection& c) {
    c("INSERT INTO v VALUES (3)");
    throw Error(Code::conflict, "no");
  }),
               Error);
  EXPECT_EQ(query("SELECT count(*) FROM v")->integer(0, 0), 2);
  await(db().ping());
}

TEST_P(Sql, AfterCloseJobsAreRefused) {
  db().close();
  EXPECT_THROW(await(db().ping()), Error);
  EXPECT_THROW(query("SELECT 1"), Error);
}

INSTANTIATE_TEST_SUITE_P(All, Sql, ::testing::Values(Kind::file, Kind::memory, Kind::postgres), [](const auto& entry) {
  return entry.param == Kind::file ? "SqliteFile" : entry.param == Kind::memory ? "SqliteMemory" : "Postgres";
});

}  // namespace
}  // namespace loquat::db
