#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <future>

#include "db/sql.h"
#include "testing/await.h"
#include "testing/temporary.h"

namespace loquat::db {
namespace {

using testing::await;

std::unique_ptr<Database> open_file(const testing::TemporaryDirectory& directory,
                                    std::chrono::milliseconds timeout = std::chrono::seconds(10)) {
  DatabaseSettings settings;
  settings.url = directory.sqlite_url("made/here/test.db");
  settings.statement_timeout = timeout;
  return Database::open(settings);
}

std::int64_t count(Database& database) {
  return await(database.read([](Connection& c) { return c("SELECT count(*) FROM v")->integer(0, 0); }));
}

TEST(Sqlite, MakesItsDirectoryForTheOwnerOnly) {
  const testing::TemporaryDirectory directory;
  const auto database = open_file(directory);
  await(database->run([](Connection& c) { c.script("CREATE TABLE v (id integer)"); }));
  const auto mode = [&](const char* name) {
    struct stat entry{};
    ::stat(directory.file(name).c_str(), &entry);
    return entry.st_mode & 0777U;
  };
  EXPECT_EQ(mode("made"), 0700U);
  EXPECT_EQ(mode("made/here"), 0700U);
  EXPECT_EQ(mode("made/here/test.db"), 0600U);
  EXPECT_EQ(mode("made/here/test.db-wal"), 0600U);
}

TEST(Sqlite, SettingsOfItsConnections) {
  const testing::TemporaryDirectory directory;
  const auto database = open_file(directory);
  const auto pragma = [&](std::string name) {
    return await(database->run([name](Connection& c) { return c("PRAGMA " + name)->text(0, 0); }));
  };
  EXPECT_EQ(pragma("journal_mode"), "wal");
  EXPECT_EQ(pragma("synchronous"), "2");
  EXPECT_EQ(pragma("wal_autocheckpoint"), "0");
  EXPECT_EQ(pragma("foreign_keys"), "1");
  EXPECT_THROW(await(database->read([](Connection& c) { c.script("CREATE TABLE w (id integer)"); })), Error);
}

// While the writer is held up by the first job, the others gather; they must share one transaction.
TEST(Sqlite, WaitingJobsShareOneCommit) {
  const testing::TemporaryDirectory directory;
  const auto database = open_file(directory);
  await(database->run([](Connection& c) { c.script("CREATE TABLE v (id integer PRIMARY KEY)"); }));
  std::promise<void> begun;
  std::promise<void> go;
  auto gate = go.get_future().share();
  std::promise<void> all_done;
  std::atomic<int> left = 21;
  std::atomic<int> visible_inside = 0;
  const auto done = [&](std::exception_ptr) {
    if (--left == 0) all_done.set_value();
  };
  const auto hold = [&begun, gate](Connection&) {
    begun.set_value();
    gate.wait();
  };
  database->submit(Database::Mode::write, hold, done);
  begun.get_future().wait();  // from here on they wait behind it
  for (std::int64_t i = 0; i < 20; ++i) {
    database->submit(
        Database::Mode::write,
        [&, i](Connection& c) {
          c("INSERT INTO v VALUES ($1)", i);
          // The other connections see nothing before the common commit.
          if (i == 19) visible_inside = static_cast<int>(count(*database));
        },
        done);
  }
  go.set_value();
  all_done.get_future().wait();
  EXPECT_EQ(visible_inside, 0);
  EXPECT_EQ(count(*database), 20);
}

TEST(Sqlite, AJobThatWaitsTooLongIsRefusedWhileTheWriterIsBusy) {
  const testing::TemporaryDirectory directory;
  // Long enough for the writer to start on a busy machine.
  const auto database = Database::open({.url = directory.sqlite_url("a.db"), .pool_timeout = std::chrono::milliseconds(500)});
  std::promise<void> begun;
  std::promise<void> go;
  std::promise<std::exception_ptr> held;
  const auto hold = [&begun, gate = go.get_future().share()](Connection&) {
    begun.set_value();
    gate.wait();
  };
  database->submit(Database::Mode::write, hold, [&held](std::exception_ptr error) { held.set_value(std::move(error)); });
  begun.get_future().wait();
  for (int i = 0; i < 2; ++i) EXPECT_THROW(await(database->run([](Connection&) {})), Error);
  go.set_value();
  EXPECT_EQ(held.get_future().get(), nullptr);
}

TEST(Sqlite, AFailingJobTakesOnlyItsOwnChanges) {
  const testing::TemporaryDirectory directory;
  const auto database = open_file(directory);
  await(database->run([](Connection& c) { c.script("CREATE TABLE v (id integer PRIMARY KEY)"); }));
  std::promise<void> begun;
  std::promise<void> go;
  auto gate = go.get_future().share();
  std::promise<void> all_done;
  std::atomic<int> left = 11;
  std::array<std::exception_ptr, 11> errors;
  database->submit(
      Database::Mode::write, [gate](Connection&) { gate.wait(); },
      [&](std::exception_ptr error) {
        errors[10] = std::move(error);
        if (--left == 0) all_done.set_value();
      });
  for (std::size_t i = 0; i < 10; ++i) {
    database->submit(
        Database::Mode::write,
        [i](Connection& c) {
          c("INSERT INTO v VALUES ($1)", static_cast<std::int64_t>(i));
          if (i % 2 == 1) throw Error(Code::invalid, "odd");
        },
        [&, i](std::exception_ptr error) {
          errors[i] = std::move(error);
          if (--left == 0) all_done.set_value();
        });
  }
  go.set_value();
  all_done.get_future().wait();
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(errors[i] != nullptr, i % 2 == 1) << i;
  EXPECT_EQ(count(*database), 5);
}

TEST(Sqlite, ALockedDatabaseHasADeadline) {
  const testing::TemporaryDirectory directory;
  const auto database = open_file(directory, std::chrono::milliseconds(300));
  await(database->run([](Connection& c) { c.script("CREATE TABLE v (id integer)"); }));
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(directory.file("made/here/test.db").c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  try {
    await(database->write([](Connection& c) { c("INSERT INTO v VALUES (1)"); }));
    ADD_FAILURE() << "written through a lock";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::unavailable);
  }
  EXPECT_EQ(count(*database), 0);
  sqlite3_exec(other, "ROLLBACK", nullptr, nullptr, nullptr);
  sqlite3_close(other);
  await(database->write([](Connection& c) { c("INSERT INTO v VALUES (1)"); }));
  EXPECT_EQ(count(*database), 1);
}

TEST(Sqlite, AnEndlessStatementIsEnded) {
  const testing::TemporaryDirectory directory;
  const auto database = open_file(directory, std::chrono::milliseconds(200));
  const auto* endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
  EXPECT_THROW(await(database->read([=](Connection& c) { c(endless); })), Error);
  EXPECT_THROW(await(database->write([=](Connection& c) { c(endless); })), Error);
  await(database->ping());
}

TEST(Sqlite, TheLogIsMovedIntoTheFile) {
  const testing::TemporaryDirectory directory;
  const auto database = open_file(directory);
  await(database->run([](Connection& c) { c.script("CREATE TABLE v (id integer, t text)"); }));
  for (std::int64_t i = 0; i < 120; ++i) {
    await(database->write([i](Connection& c) { c("INSERT INTO v VALUES ($1, $2)", i, std::string(200'000, 'x')); }));
  }
  std::uintmax_t size = 0;
  for (int i = 0; i < 200 && size < 12'000'000; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    size = std::filesystem::file_size(directory.file("made/here/test.db"));
  }
  EXPECT_GE(size, 12'000'000U);
}

// A writer that never pauses leaves the checkpointer no moment in which all pages of the log are moved.
TEST(Sqlite, ASteadyWriterDoesNotMakeTheLogLongerForEver) {
  const testing::TemporaryDirectory directory;
  const auto database = open_file(directory);
  await(database->run([](Connection& c) { c.script("CREATE TABLE v (id integer PRIMARY KEY, t text)"); }));
  std::uintmax_t longest = 0;
  for (std::int64_t i = 0; i < 1'200; ++i) {
    await(database->write([i](Connection& c) { c("INSERT INTO v VALUES ($1, $2)", i, std::string(100'000, 'x')); }));
    longest = std::max(longest, std::filesystem::file_size(directory.file("made/here/test.db-wal")));
  }
  EXPECT_LT(longest, 100'000'000U) << "120 MB were written";
  EXPECT_EQ(count(*database), 1'200);
}

// ThreadSanitizer forbids threads in a child that was forked by a program with threads: these two are not built for it.
#if !__has_feature(thread_sanitizer)

// In a child: the limit on file sizes would stay. Exit status 0 = all as expected.
int fill_the_disk(const testing::TemporaryDirectory& directory) {
  ::signal(SIGXFSZ, SIG_IGN);
  const auto database = open_file(directory);
  await(database->run([](Connection& c) { c.script("CREATE TABLE v (id integer, t text)"); }));
  rlimit limit{};
  ::getrlimit(RLIMIT_FSIZE, &limit);
  limit.rlim_cur = 1'000'000;
  ::setrlimit(RLIMIT_FSIZE, &limit);
  bool refused = false;
  std::int64_t stored = 0;
  for (std::int64_t i = 0; i < 100 && !refused; ++i) {
    try {
      await(database->write([i](Connection& c) { c("INSERT INTO v VALUES ($1, $2)", i, std::string(50'000, 'x')); }));
      ++stored;
    } catch (const Error& error) {
      if (error.code() != Code::unavailable) return 2;
      refused = true;
    }
  }
  if (!refused || count(*database) != stored) return 3;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_FSIZE, &limit);
  await(database->write([](Connection& c) { c("INSERT INTO v VALUES (-1, 'room again')"); }));
  return count(*database) == stored + 1 ? 0 : 4;
}

TEST(Sqlite, AFullDiskIsUnavailableAndHeals) {
  const testing::TemporaryDirectory directory;
  const pid_t child = ::fork();
  if (child == 0) {
    int status = 9;
    try {
      status = fill_the_disk(directory);
    } catch (...) {
    }
    ::_exit(status);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// What was acknowledged (written to the pipe after the commit) must be there after SIGKILL.
TEST(Sqlite, SurvivesAKill) {
  const testing::TemporaryDirectory directory;
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto database = open_file(directory);
    await(database->run([](Connection& c) { c.script("CREATE TABLE v (id integer PRIMARY KEY)"); }));
    for (std::int64_t i = 0;; ++i) {
      await(database->write([i](Connection& c) { c("INSERT INTO v VALUES ($1)", i); }));
      if (::write(ends[1], &i, sizeof i) != sizeof i) ::_exit(1);
    }
  }
  ::close(ends[1]);
  std::int64_t last = -1;
  for (int i = 0; i < 50; ++i) ASSERT_EQ(::read(ends[0], &last, sizeof last), static_cast<ssize_t>(sizeof last));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  for (std::int64_t more = 0; ::read(ends[0], &more, sizeof more) == static_cast<ssize_t>(sizeof more);) last = more;
  ::close(ends[0]);
  const auto database = open_file(directory);
  EXPECT_GE(count(*database), last + 1);
}

#endif

TEST(Sqlite, ReadsWhatSqlAlchemyWrote) {
  const testing::TemporaryDirectory directory;
  const auto database = open_file(directory);
  const auto rows = await(database->run([](Connection& c) {
    c.script(
        "CREATE TABLE v (date DATETIME, complete BOOLEAN, score FLOAT, data JSON, number VARCHAR(5));"
        "INSERT INTO v VALUES ('2026-01-02 03:04:05.678901', 1, 3, '{\"a\": 1}', '42'), ('2026-01-02 03:04:05', 'f', 2.5, NULL, 'x')");
    return c("SELECT * FROM v");
  }));
  EXPECT_EQ(to_iso8601(rows->time(0, 0)), "2026-01-02T03:04:05.678901+00:00");
  EXPECT_EQ(to_iso8601(rows->time(1, 0)), "2026-01-02T03:04:05+00:00");
  EXPECT_TRUE(rows->boolean(0, 1));
  EXPECT_FALSE(rows->boolean(1, 1));
  EXPECT_EQ(rows->integer(0, 2), 3);
  EXPECT_THROW(static_cast<void>(rows->integer(1, 2)), Error);
  EXPECT_EQ(rows->text(0, 3), "{\"a\": 1}");
  EXPECT_EQ(rows->integer(0, 4), 42);
  EXPECT_THROW(static_cast<void>(rows->integer(1, 4)), Error);
  EXPECT_THROW(static_cast<void>(rows->time(0, 3)), Error);
}

}  // namespace
}  // namespace loquat::db
