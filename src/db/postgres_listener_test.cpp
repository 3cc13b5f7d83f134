#include "db/postgres_listener.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>

#include "testing/await.h"
#include "testing/postgres.h"

namespace loquat::db {
namespace {

/// What the listener told, to be waited for.
class Heard {
 public:
  void add(std::string word) {
    {
      const std::lock_guard lock(mutex_);
      words_.push_back(std::move(word));
    }
    changed_.notify_all();
  }
  std::string next() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(20), [this] { return !words_.empty(); })) return "nothing";
    auto word = std::move(words_.front());
    words_.pop_front();
    return word;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> words_;
};

std::unique_ptr<PostgresListener> listen(const std::string& url, Heard& heard) {
  PostgresListener::Settings settings;
  settings.url = url;
  settings.channels = {"news", "Odd \"name\""};
  settings.retry_after = std::chrono::milliseconds(50);
  return std::make_unique<PostgresListener>(
      settings, [&heard](const std::string& channel, const std::string& payload) { heard.add(channel + "=" + payload); },
      [&heard] { heard.add("connected"); });
}

TEST(PostgresListener, HearsAndComesBackAfterARestart) {
  const auto server = testing::PostgresServer::start();
  if (!server && testing::in_ci()) FAIL() << "no PostgreSQL on this machine";
  if (!server) GTEST_SKIP() << "no PostgreSQL on this machine: notifications are not tested";
  Heard heard;
  const auto listener = listen(server->url(), heard);
  EXPECT_EQ(heard.next(), "connected");
  server->sql("postgres", "NOTIFY news, 'one'");
  EXPECT_EQ(heard.next(), "news=one");
  server->sql("postgres", "SELECT pg_notify('Odd \"name\"', '')");
  EXPECT_EQ(heard.next(), "Odd \"name\"=");
  server->stop();
  server->resume();
  EXPECT_EQ(heard.next(), "connected");
  server->sql("postgres", "NOTIFY news, 'two'");
  EXPECT_EQ(heard.next(), "news=two");
}

TEST(PostgresListener, EndsWhileNobodyIsThere) {
  Heard heard;
  const auto listener = listen("postgresql://postgres@127.0.0.1:1/none", heard);
  EXPECT_THROW(listen("sqlite://", heard), Error);
}

}  // namespace
}  // namespace loquat::db
