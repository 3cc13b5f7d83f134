#include "http/readiness.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <stdexcept>
#include <thread>

#include "async/task_group.h"
#include "core/json.h"

namespace loquat::http {
namespace {

using std::chrono::milliseconds;

asio::awaitable<void> answer_at_once() { co_return; }
asio::awaitable<void> fail() {
  throw std::runtime_error("connection to 10.0.0.7 refused");
  co_return;
}
asio::awaitable<void> hang(std::shared_ptr<int> calls) {
  ++*calls;
  asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::hours(1));
  co_await timer.async_wait(asio::use_awaitable);
}
asio::awaitable<void> count(std::shared_ptr<int> calls) {
  ++*calls;
  co_await async::sleep_for(milliseconds(5));
}

asio::awaitable<void> keep(Readiness& readiness, std::vector<Response>& answers) { answers.push_back(co_await readiness.answer()); }

/// So many probes at once; runs their loop only until all have an answer.
std::vector<Response> ask_on(asio::io_context& loop, Readiness& readiness, int probes) {
  std::vector<Response> answers;
  int left = probes;
  for (int i = 0; i < probes; ++i) {
    asio::co_spawn(loop, keep(readiness, answers), [&](const std::exception_ptr&) {
      if (--left == 0) loop.stop();
    });
  }
  loop.run();
  return answers;
}

std::vector<Response> ask(Readiness& readiness, int probes = 1) {
  asio::io_context loop;
  return ask_on(loop, readiness, probes);
}

TEST(Readiness, IsReadyWhenEverythingAnswers) {
  Readiness readiness({.checks = {{"database", answer_at_once}, {"bus", answer_at_once}}});
  const auto answer = ask(readiness).at(0);
  EXPECT_EQ(answer.status, 200U);
  EXPECT_EQ(answer.body, R"({"status":"ready","checks":{"database":"ok","bus":"ok"}})");
}

TEST(Readiness, IsReadyWithoutChecks) {
  Readiness readiness({});
  EXPECT_EQ(ask(readiness).at(0).body, R"({"status":"ready","checks":{}})");
}

TEST(Readiness, SaysWhatIsAwayInFixedWords) {
  Readiness readiness({.checks = {{"database", fail}, {"bus", answer_at_once}}});
  const auto answer = ask(readiness).at(0);
  EXPECT_EQ(answer.status, 503U);
  EXPECT_EQ(answer.body, R"({"status":"unavailable","checks":{"database":"unavailable","bus":"ok"}})");
}

TEST(Readiness, AnswersThoughAPingHangsAndDoesNotRepeatIt) {
  const auto calls = std::make_shared<int>(0);
  Readiness readiness({.checks = {{"database", [calls] { return hang(calls); }}, {"bus", answer_at_once}}, .timeout = milliseconds(30)});
  // The hanging ping needs its loop, so this one lives on.
  asio::io_context loop;
  for (int i = 0; i < 2; ++i) {
    const auto answer = ask_on(loop, readiness, 1).at(0);
    loop.restart();
    EXPECT_EQ(answer.status, 503U);
    EXPECT_EQ(answer.body, R"({"status":"unavailable","checks":{"database":"timeout","bus":"ok"}})");
  }
  EXPECT_EQ(*calls, 1);
}

TEST(Readiness, SharesOneRoundAmongAllWhoAsk) {
  const auto calls = std::make_shared<int>(0);
  Readiness readiness({.checks = {{"database", [calls] { return count(calls); }}}});
  const auto answers = ask(readiness, 20);
  EXPECT_EQ(answers.size(), 20U);
  for (const auto& answer : answers) EXPECT_EQ(answer.status, 200U);
  EXPECT_EQ(*calls, 1);
  EXPECT_EQ(ask(readiness).at(0).status, 200U);
  EXPECT_EQ(*calls, 1) << "the result holds for a second";
}

TEST(Readiness, SharesARoundAcrossLoops) {
  const auto calls = std::make_shared<int>(0);
  Readiness readiness({.checks = {{"database", [calls] { return count(calls); }}}});
  std::array<asio::io_context, 4> loops;  // they outlive the round, as a process's do
  std::vector<std::thread> threads;
  std::atomic<int> ready{0};
  for (auto& loop : loops) {
    threads.emplace_back([&] {
      for (const auto& answer : ask_on(loop, readiness, 5)) ready += answer.status == 200U ? 1 : 0;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(ready, 20);
  EXPECT_EQ(*calls, 1);
}

TEST(Readiness, DrainsAtOnce) {
  Readiness readiness({.checks = {{"database", answer_at_once}}});
  EXPECT_EQ(ask(readiness).at(0).status, 200U);
  readiness.start_draining();
  const auto answer = ask(readiness).at(0);
  EXPECT_EQ(answer.status, 503U);
  EXPECT_EQ(answer.body, R"({"status":"draining"})");
}

TEST(Readiness, ShowsDetailsAndStaysReady) {
  Readiness readiness({.details = [] { return json::object{{"stopped_pages", 1}}; }});
  const auto answer = ask(readiness).at(0);
  EXPECT_EQ(answer.status, 200U);
  EXPECT_EQ(answer.body, R"({"status":"ready","checks":{},"details":{"stopped_pages":1}})");
}

}  // namespace
}  // namespace loquat::http
