#include <gtest/gtest.h>

#include <thread>

#include "db/postgres_connection.h"
#include "db/sql.h"
#include "testing/await.h"
#include "testing/postgres.h"

namespace loquat::db {
namespace {

using testing::await;

std::unique_ptr<Database> open_url(const std::string& url, std::chrono::milliseconds timeout = std::chrono::seconds(10),
                                   std::size_t most = 3) {
  DatabaseSettings settings;
  settings.url = url;
  settings.statement_timeout = timeout;
  settings.connect_timeout = std::min(timeout, std::chrono::milliseconds(3'000));
  settings.kept = 1;
  settings.most = most;
  return Database::open(settings);
}

Code error_of(Database& database, const std::string& sql, const Values& values = {}) {
  try {
    await(database.run([=](Connection& c) { c.query(sql, values); }));
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error: " << sql;
  return {};
}

TEST(Postgres, Arrays) {
  LOQUAT_NEED_POSTGRES(url);
  const auto database = open_url(url);
  const auto id = MessageId::random();
  const auto at = from_microseconds(-1'234'567);
  const auto rows = await(database->read([&](Connection& c) {
    return c("SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bytea[], $5::uuid[], $6::timestamptz[], $7::smallint[])",
             std::vector<std::int64_t>{1, -2}, std::vector<std::string>{"a'{}\",", ""},
             std::vector<std::optional<std::string>>{std::nullopt, "x"}, std::vector<Bytes>{{std::string("\0\xff", 2)}, {""}},
             std::vector<std::optional<Bytes>>{Bytes{std::string(id.bytes.begin(), id.bytes.end())}, std::nullopt},
             std::vector<Time>{at, now()}, std::vector<std::int64_t>{32'767, -32'768});
  }));
  ASSERT_EQ(rows->size(), 2U);
  EXPECT_EQ(rows->integer(1, 0), -2);
  EXPECT_EQ(rows->text(0, 1), "a'{}\",");
  EXPECT_TRUE(rows->is_null(0, 2));
  EXPECT_EQ(rows->text(1, 2), "x");
  EXPECT_EQ(rows->bytes(0, 3), std::string("\0\xff", 2));
  EXPECT_EQ(rows->message_id(0, 4), id);
  EXPECT_TRUE(rows->is_null(1, 4));
  EXPECT_EQ(rows->time(0, 5), at);
  EXPECT_EQ(rows->integer(1, 6), -32'768);
  EXPECT_EQ(await(database->read([](Connection& c) { return c("SELECT 1 WHERE 5 = ANY($1)", std::vector<std::int64_t>{})->size(); })), 0U);
  EXPECT_EQ(error_of(*database, "SELECT $1::smallint[]", {std::vector<std::int64_t>{40'000}}), Code::invalid);
  EXPECT_EQ(error_of(*database, "SELECT $1::text[]", {std::vector<std::string>{std::string("\0", 1)}}), Code::invalid);
}

TEST(Postgres, OlderTablesTypes) {
  LOQUAT_NEED_POSTGRES(url);
  const auto database = open_url(url);
  const auto rows = await(database->run([&](Connection& c) {
    c.script(
        "CREATE TABLE v (id bigserial, data jsonb, plain json, at timestamp, zoned timestamptz, amount numeric, flag boolean, c "
        "varchar(9))");
    c("INSERT INTO v (data, plain, at, zoned, amount, flag, c) VALUES ($1, $2, $3, $4, $5, $6, $7)", std::string(R"({"b":1,"a":[2]})"),
      std::string(R"({"b":1})"), from_microseconds(1'500'000), from_microseconds(1'500'000), std::int64_t{12}, false, std::string("word"));
    auto results = c("SELECT id, data, plain, at, zoned, flag, c FROM v");
    EXPECT_EQ(c("SELECT amount, zoned, flag, data, '\\x00ff'::bytea, at FROM v")->real(0, 0), 12.0);
    const auto as_text = c("SELECT amount, zoned, flag, data, '\\x00ff'::bytea, at, gen_random_uuid() FROM v");
    EXPECT_EQ(as_text->time(0, 1), from_microseconds(1'500'000));
    EXPECT_FALSE(as_text->boolean(0, 2));
    EXPECT_EQ(as_text->text(0, 3), R"({"a": [2], "b": 1})");
    EXPECT_EQ(as_text->bytes(0, 4), std::string("\0\xff", 2));
    EXPECT_EQ(as_text->time(0, 5), from_microseconds(1'500'000));
    EXPECT_EQ(as_text->bytes(0, 6).size(), 16U);
    return results;
  }));
  EXPECT_EQ(rows->integer(0, 0), 1);
  EXPECT_EQ(rows->text(0, 1), R"({"a": [2], "b": 1})");
  EXPECT_EQ(rows->text(0, 2), R"({"b":1})");
  EXPECT_EQ(rows->time(0, 3), from_microseconds(1'500'000));
  EXPECT_EQ(rows->time(0, 4), from_microseconds(1'500'000));
  EXPECT_EQ(rows->text(0, 6), "word");
}

TEST(Postgres, ASwallowedErrorDoesNotCommit) {
  LOQUAT_NEED_POSTGRES(url);
  const auto database = open_url(url);
  await(database->run([](Connection& c) { c.script("CREATE TABLE v (id integer PRIMARY KEY)"); }));
  const auto swallow = [](Connection& c) {
    c("INSERT INTO v VALUES (1)");
    try {
      c("INSERT INTO v VALUES (1)");
    } catch (const Error&) {
    }
  };
  EXPECT_THROW(await(database->write(swallow)), Error);
  EXPECT_EQ(await(database->read([](Connection& c) { return c("SELECT count(*) FROM v")->integer(0, 0); })), 0);
}

TEST(Postgres, DeadlocksRunAgain) {
  LOQUAT_NEED_POSTGRES(url);
  const auto database = open_url(url);
  await(database->run(
      [](Connection& c) { c.script("CREATE TABLE v (id integer PRIMARY KEY, n integer); INSERT INTO v VALUES (1, 0), (2, 0)"); }));
  std::atomic<int> both = 0;
  const auto update = [&](std::int64_t first, std::int64_t second) {
    bool met = false;
    await(database->write([&, first, second, met](Connection& c) mutable {
      c("UPDATE v SET n = n + 1 WHERE id = $1", first);
      if (!met) {
        met = true;
        ++both;
        while (both < 2) std::this_thread::yield();
      }
      c("UPDATE v SET n = n + 1 WHERE id = $1", second);
    }));
  };
  std::thread other([&] { update(2, 1); });
  update(1, 2);
  other.join();
  const auto rows = await(database->read([](Connection& c) { return c("SELECT n FROM v ORDER BY id"); }));
  EXPECT_EQ(rows->integer(0, 0), 2);
  EXPECT_EQ(rows->integer(1, 0), 2);
}

TEST(Postgres, AStatementThatTakesTooLongIsEnded) {
  LOQUAT_NEED_POSTGRES(url);
  const auto database = open_url(url, std::chrono::milliseconds(300));
  EXPECT_EQ(error_of(*database, "SELECT pg_sleep(30)"), Code::unavailable);
  await(database->ping());
}

TEST(Postgres, ManyPreparedStatementsAndChangedTables) {
  LOQUAT_NEED_POSTGRES(url);
  const auto database = open_url(url, std::chrono::seconds(10), 1);
  for (int i = 0; i < 600; ++i) {
    const auto sql = "SELECT " + std::to_string(i);
    ASSERT_EQ(await(database->read([&](Connection& c) { return c(sql)->integer(0, 0); })), i);
  }
  EXPECT_LE(await(database->read([&](Connection& c) { return c("SELECT count(*) FROM pg_prepared_statements")->integer(0, 0); })), 256);
  await(database->run([](Connection& c) { c.script("CREATE TABLE v (id integer); INSERT INTO v VALUES (7)"); }));
  const auto all = [](Connection& c) { return c("SELECT * FROM v"); };
  EXPECT_EQ(await(database->read(all))->integer(0, 0), 7);
  await(database->run([](Connection& c) { c.script("ALTER TABLE v ADD COLUMN t text DEFAULT 'new'"); }));
  EXPECT_EQ(await(database->read(all))->text(0, 1), "new");
}

// Servers of their own, because others use the shared one.
class PostgresFaults : public ::testing::Test {
 protected:
  void SetUp() override {
    server_ = testing::PostgresServer::start();
    if (!server_ && testing::in_ci()) FAIL() << "no PostgreSQL on this machine";
    if (!server_) GTEST_SKIP() << "no PostgreSQL on this machine: faults are not tested";
  }
  std::unique_ptr<testing::PostgresServer> server_;
};

TEST_F(PostgresFaults, ARestartCostsNoRequestAfterIt) {
  const auto database = open_url(server_->url());
  await(database->run([](Connection& c) { c.script("CREATE TABLE v (id integer)"); }));
  server_->stop();
  EXPECT_EQ(error_of(*database, "SELECT 1"), Code::unavailable);
  EXPECT_THROW(await(database->write([](Connection& c) { c("INSERT INTO v VALUES (1)"); })), Error);
  server_->resume();
  std::this_thread::sleep_for(std::chrono::milliseconds(150));  // the breaker's moment
  for (std::int64_t i = 0; i < 10; ++i) await(database->write([i](Connection& c) { c("INSERT INTO v VALUES ($1)", i); }));
  // Restarted between two requests: nobody notices.
  server_->stop();
  server_->resume();
  await(database->write([](Connection& c) { c("INSERT INTO v VALUES (10)"); }));
  EXPECT_EQ(await(database->read([](Connection& c) { return c("SELECT count(*) FROM v")->integer(0, 0); })), 11);
}

TEST_F(PostgresFaults, AConnectionLostInsideATransactionIsRunAgain) {
  const auto database = open_url(server_->url(), std::chrono::seconds(10), 1);
  await(database->run([](Connection& c) { c.script("CREATE TABLE v (id integer)"); }));
  int runs = 0;
  await(database->write([&](Connection& c) {
    c("INSERT INTO v VALUES (1)");
    if (runs++ == 0) {
      const auto process = c("SELECT pg_backend_pid()")->text(0, 0);
      server_->sql("postgres", "SELECT pg_terminate_backend(" + process + ")");
    }
    c("INSERT INTO v VALUES (2)");
  }));
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(await(database->read([](Connection& c) { return c("SELECT count(*) FROM v")->integer(0, 0); })), 2);
}

TEST_F(PostgresFaults, ALostAutocommitWriteIsOfUnknownOutcome) {
  const auto database = open_url(server_->url(), std::chrono::seconds(10), 1);
  EXPECT_THROW(await(database->run([&](Connection& c) { c("SELECT pg_terminate_backend(pg_backend_pid())"); })), OutcomeUnknown);
  await(database->ping());
}

TEST_F(PostgresFaults, AServerThatHangsIsUnavailableInTime) {
  const auto database = open_url(server_->url(), std::chrono::milliseconds(500));
  await(database->ping());
  server_->freeze();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(error_of(*database, "SELECT 1"), Code::unavailable);  // on the open connection
  EXPECT_EQ(error_of(*database, "SELECT 1"), Code::unavailable);  // on a new one: accepted, never answered
  EXPECT_EQ(error_of(*database, "SELECT 1"), Code::unavailable);  // at once
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(4));
  server_->thaw();
  std::this_thread::sleep_for(std::chrono::milliseconds(1'100));
  await(database->ping());
}

// Many open connections to a server that hangs: only the first request pays the whole deadline.
TEST_F(PostgresFaults, AHangingServerIsFoundOutOnce) {
  const auto database = open_url(server_->url(), std::chrono::seconds(3), 4);
  std::atomic<int> inside = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      await(database->read([&](Connection& c) {
        c("SELECT 1");
        ++inside;
        while (inside < 4) std::this_thread::yield();
      }));
    });
  }
  for (auto& thread : threads) thread.join();
  server_->freeze();
  EXPECT_EQ(error_of(*database, "SELECT 1"), Code::unavailable);
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(error_of(*database, "SELECT 1"), Code::unavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(7)) << "three whole deadlines are nine seconds";
  server_->thaw();
  std::this_thread::sleep_for(std::chrono::milliseconds(1'100));
  await(database->ping());
}

TEST_F(PostgresFaults, NobodyListens) {
  const auto url = server_->url();
  server_->stop();
  const auto database = open_url(url);
  EXPECT_EQ(error_of(*database, "SELECT 1"), Code::unavailable);
  EXPECT_THROW(database->run_blocking([](Connection&) {}), Error);
}

}  // namespace
}  // namespace loquat::db
