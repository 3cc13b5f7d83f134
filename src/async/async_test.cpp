#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <latch>
#include <set>
#include <thread>

#include "async/batcher.h"
#include "async/pool.h"
#include "async/task_group.h"
#include "async/timeout.h"
#include "core/error.h"

namespace loquat::async {
namespace {

using namespace std::chrono_literals;

class Loop {
 public:
  Loop() : guard_(asio::make_work_guard(io_)), thread_([this] { io_.run(); }) {}
  ~Loop() {
    guard_.reset();
    io_.stop();
    thread_.join();
  }
  template <class T>
  std::future<T> start(asio::awaitable<T> task) {
    return asio::co_spawn(io_, std::move(task), asio::use_future);
  }
  asio::io_context& io() { return io_; }

 private:
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard_;
  std::thread thread_;
};

TEST(Pool, RunsOnAnotherThreadAndGivesTheResultBack) {
  Loop loop;
  Pool pool({.name = "test", .kept = 1, .most = 2});
  const auto here = std::this_thread::get_id();
  const auto there = loop.start(pool.run([](Pool::Worker*) { return std::this_thread::get_id(); })).get();
  EXPECT_NE(here, there);
  EXPECT_THROW(loop.start(pool.run([](Pool::Worker*) { throw Error(Code::conflict, "taken"); })).get(), Error);
}

TEST(Pool, GrowsUpToItsLimit) {
  Loop loop;
  Pool pool({.name = "test", .kept = 1, .most = 3});
  std::latch all_in(3);
  std::vector<std::future<void>> jobs;
  for (int i = 0; i < 3; ++i) jobs.push_back(loop.start(pool.run([&all_in](Pool::Worker*) { all_in.arrive_and_wait(); })));
  for (auto& job : jobs) job.get();
  EXPECT_EQ(pool.usage().threads, 3U);
}

/// A thread of the pool that has begun a job and does not end it before release().
class Occupied {
 public:
  Occupied(Loop& loop, Pool& pool) {
    job_ = loop.start(pool.run([this](Pool::Worker*) {
      running_.set_value();
      released_.get_future().wait();
    }));
    running_.get_future().wait();
  }
  void release() {
    released_.set_value();
    job_.get();
  }

 private:
  std::promise<void> running_;
  std::promise<void> released_;
  std::future<void> job_;
};

TEST(Pool, AFullQueueIsUnavailable) {
  Loop loop;
  Pool pool({.name = "test", .kept = 1, .most = 1, .queue_limit = 1});
  Occupied busy(loop, pool);
  auto queued = loop.start(pool.run([](Pool::Worker*) {}));
  while (pool.usage().waiting == 0) std::this_thread::yield();
  EXPECT_THROW(loop.start(pool.run([](Pool::Worker*) {})).get(), Error);
  busy.release();
  queued.get();
}

TEST(Pool, AJobThatWaitedTooLongIsNotRun) {
  Loop loop;
  // Long enough for the first job's thread to start on a busy machine.
  Pool pool({.name = "test", .kept = 1, .most = 1, .wait_limit = 500ms});
  Occupied busy(loop, pool);
  std::atomic<bool> ran{false};
  auto late = loop.start(pool.run([&ran](Pool::Worker*) { ran = true; }));
  while (pool.usage().waiting == 0) std::this_thread::yield();
  std::this_thread::sleep_for(600ms);
  busy.release();
  EXPECT_THROW(late.get(), Error);
  EXPECT_FALSE(ran);
}

TEST(Pool, AJobThatWaitsTooLongIsRefusedWhileAllThreadsAreBusy) {
  Loop loop;
  // Long enough for the first job's thread to start on a busy machine.
  Pool pool({.name = "test", .kept = 1, .most = 1, .wait_limit = 500ms});
  Occupied busy(loop, pool);
  std::atomic<bool> ran{false};
  for (int round = 0; round < 2; ++round) {
    std::vector<std::future<void>> jobs;
    for (int i = 0; i < 4; ++i) jobs.push_back(loop.start(pool.run([&ran](Pool::Worker*) { ran = true; })));
    for (auto& job : jobs) EXPECT_THROW(job.get(), Error);
    EXPECT_EQ(pool.usage().waiting, 0U);
  }
  busy.release();
  EXPECT_FALSE(ran);
}

TEST(Pool, MayGoWhileJobsAreRefused) {
  Loop loop;
  std::vector<std::future<void>> jobs;
  for (int i = 0; i < 50; ++i) {
    Pool pool({.name = "test", .kept = 1, .most = 1, .wait_limit = 1ms});
    for (int j = 0; j < 4; ++j) jobs.push_back(loop.start(pool.run([](Pool::Worker*) { std::this_thread::yield(); })));
    jobs.back().wait();
  }
  for (auto& job : jobs) job.wait();
}

TEST(Pool, CloseRunsWhatIsQueuedAndRefusesTheRest) {
  Loop loop;
  Pool pool({.name = "test", .kept = 1, .most = 1});
  std::atomic<int> count{0};
  std::vector<std::future<void>> jobs;
  for (int i = 0; i < 10; ++i) jobs.push_back(loop.start(pool.run([&count](Pool::Worker*) { ++count; })));
  for (auto& job : jobs) job.get();
  pool.close();
  EXPECT_EQ(count, 10);
  EXPECT_THROW(loop.start(pool.run([](Pool::Worker*) {})).get(), Error);
}

TEST(Batcher, CollectsWhatArrivesDuringABatch) {
  Loop loop;
  Pool pool({.name = "test", .kept = 1, .most = 1});
  std::mutex mutex;
  std::vector<std::size_t> sizes;
  std::promise<void> release;
  auto released = release.get_future().share();
  Batcher<int, int> batcher({.most = 100}, [&](std::vector<int> numbers, Batcher<int, int>::Done done) {
    pool.submit([&, numbers = std::move(numbers), done = std::move(done)](Pool::Worker*, bool) mutable {
      {
        const std::lock_guard lock(mutex);
        sizes.push_back(numbers.size());
      }
      released.wait();
      std::vector<Outcome<int>> outcomes;
      for (const int number : numbers) outcomes.emplace_back(std::in_place_index<0>, number * 2);
      done(std::move(outcomes));
    });
  });
  const auto started = [&] {
    const std::lock_guard lock(mutex);
    return sizes.size();
  };
  std::vector<std::future<int>> calls;
  calls.push_back(loop.start(batcher.call(0, nullptr)));
  while (started() < 1) std::this_thread::yield();
  for (int i = 1; i < 50; ++i) calls.push_back(loop.start(batcher.call(i, nullptr)));
  while (batcher.waiting() < 49) std::this_thread::yield();
  release.set_value();
  for (int i = 0; i < 50; ++i) EXPECT_EQ(calls[static_cast<std::size_t>(i)].get(), i * 2);
  const std::lock_guard lock(mutex);
  EXPECT_EQ(sizes, (std::vector<std::size_t>{1, 49}));
}

TEST(Batcher, ACallThatWaitsTooLongIsRefusedWhileABatchIsUnderWay) {
  Loop loop;
  std::mutex mutex;
  std::vector<Batcher<int, int>::Done> started;
  Batcher<int, int> batcher({.most = 2, .wait_limit = 20ms}, [&](std::vector<int> /*numbers*/, Batcher<int, int>::Done done) {
    const std::lock_guard lock(mutex);
    started.push_back(std::move(done));
  });
  const auto batches = [&] {
    const std::lock_guard lock(mutex);
    return started.size();
  };
  auto first = loop.start(batcher.call(1, nullptr));
  while (batches() < 1) std::this_thread::yield();
  for (int round = 0; round < 3; ++round) {
    std::vector<std::future<int>> late;
    for (int i = 0; i < 5; ++i) late.push_back(loop.start(batcher.call(i, nullptr)));
    for (auto& call : late) EXPECT_THROW(call.get(), Error);
    EXPECT_EQ(batcher.waiting(), 0U);
  }
  started.front()({Outcome<int>(std::in_place_index<0>, 7)});
  EXPECT_EQ(first.get(), 7);
  EXPECT_EQ(batches(), 1U);
}

TEST(Batcher, CallsThatCameTogetherGoTogether) {
  asio::io_context loop(1);
  std::vector<std::size_t> sizes;
  Batcher<int, int> batcher({}, [&](const std::vector<int>& numbers, Batcher<int, int>::Done done) {
    sizes.push_back(numbers.size());
    done(std::vector<Outcome<int>>(numbers.size(), Outcome<int>(std::in_place_index<0>, 1)));
  });
  std::vector<std::future<int>> calls;
  for (int i = 0; i < 10; ++i) calls.push_back(asio::co_spawn(loop, batcher.call(i, nullptr), asio::use_future));
  loop.run();
  for (auto& call : calls) EXPECT_EQ(call.get(), 1);
  EXPECT_EQ(sizes, std::vector<std::size_t>{10});
}

TEST(Batcher, BatchesAreSpacedOnlyWhileCallsComeTogether) {
  asio::io_context loop(1);
  std::vector<std::size_t> sizes;
  const auto note = [&](const std::vector<int>& numbers, Batcher<int, int>::Done done) {
    sizes.push_back(numbers.size());
    done(std::vector<Outcome<int>>(numbers.size(), Outcome<int>(std::in_place_index<0>, 1)));
  };
  const auto spawn = [&loop](Batcher<int, int>& batcher, int count) {
    for (int i = 0; i < count; ++i) asio::co_spawn(loop, batcher.call(i, nullptr), asio::detached);
    loop.restart();
  };
  Batcher<int, int> patient({.spacing = std::chrono::hours(1)}, note);
  for (int i = 0; i < 3; ++i) {
    spawn(patient, 1);
    loop.poll();
  }
  EXPECT_EQ(sizes, (std::vector<std::size_t>{1, 1, 1})) << "who calls alone does not wait";
  for (int i = 0; i < 3; ++i) {
    spawn(patient, 2);
    loop.poll();
  }
  EXPECT_EQ(sizes, (std::vector<std::size_t>{1, 1, 1, 2})) << "the next two batches' calls wait for each other";
  EXPECT_EQ(patient.waiting(), 4U);
  sizes.clear();
  asio::io_context other(1);
  Batcher<int, int> quick({.spacing = std::chrono::milliseconds(20)}, note);
  for (int i = 0; i < 2; ++i) {
    for (int k = 0; k < 3; ++k) asio::co_spawn(other, quick.call(k, nullptr), asio::detached);
    other.restart();
    other.run();
  }
  EXPECT_EQ(sizes, (std::vector<std::size_t>{3, 3})) << "and go when the time has come";
}

TEST(Batcher, EachCallGetsItsOwnOutcome) {
  Loop loop;
  Batcher<int, int> batcher({}, [](const std::vector<int>& numbers, Batcher<int, int>::Done done) {
    std::vector<Outcome<int>> outcomes;
    for (const int number : numbers) {
      if (number % 2 == 0) {
        outcomes.emplace_back(std::in_place_index<0>, number);
      } else {
        outcomes.emplace_back(std::in_place_index<1>, std::make_exception_ptr(Error(Code::conflict, "odd")));
      }
    }
    done(std::move(outcomes));
  });
  EXPECT_EQ(loop.start(batcher.call(2, nullptr)).get(), 2);
  EXPECT_THROW(loop.start(batcher.call(3, nullptr)).get(), Error);
}

TEST(Batcher, ABatchThatCannotStartFailsItsCalls) {
  Loop loop;
  Batcher<int, int> batcher({}, [](const std::vector<int>&, const Batcher<int, int>::Done&) { throw Error(Code::unavailable, "closed"); });
  EXPECT_THROW(loop.start(batcher.call(1, nullptr)).get(), Error);
}

TEST(Batcher, AFullQueueRefuses) {
  Loop loop;
  std::vector<Batcher<int, int>::Done> kept;
  std::mutex mutex;
  {
    Batcher<int, int> batcher({.most = 1, .concurrent = 1, .queue_limit = 1}, [&](const std::vector<int>&, Batcher<int, int>::Done done) {
      const std::lock_guard lock(mutex);
      kept.push_back(std::move(done));
    });
    auto first = loop.start(batcher.call(1, nullptr));
    const auto has_started = [&] {
      const std::lock_guard lock(mutex);
      return !kept.empty();
    };
    while (!has_started()) std::this_thread::yield();
    auto second = loop.start(batcher.call(2, nullptr));
    while (batcher.waiting() < 1) std::this_thread::yield();
    const auto full = std::make_exception_ptr(Error(Code::unavailable, "full"));
    EXPECT_THROW(loop.start(batcher.call(3, full)).get(), Error);
    for (auto* waiting : {&first, &second}) {
      Batcher<int, int>::Done done;
      while (!done) {
        const std::lock_guard lock(mutex);
        if (kept.empty()) continue;
        done = std::move(kept.back());
        kept.pop_back();
      }
      done({Outcome<int>(std::in_place_index<0>, 7)});
      EXPECT_EQ(waiting->get(), 7);
    }
  }
}

asio::awaitable<void> fail_soon() {
  co_await sleep_for(1ms);
  throw std::runtime_error("on purpose");
}

asio::awaitable<void> until_stopped(const TaskGroup& tasks) {
  while (!tasks.stopping()) co_await sleep_for(1ms);
}

TEST(TaskGroup, WaitsForItsTasksAndSurvivesTheirFailures) {
  Loop loop;
  TaskGroup tasks;
  tasks.spawn(loop.io().get_executor(), "failing", fail_soon());
  tasks.spawn(loop.io().get_executor(), "running", until_stopped(tasks));
  EXPECT_FALSE(tasks.join(20ms));
  tasks.stop();
  EXPECT_TRUE(tasks.join(5s));
  EXPECT_EQ(tasks.running(), 0U);
}

asio::awaitable<int> answer_after(std::chrono::milliseconds time) {
  co_await sleep_for(time);
  co_return 42;
}

TEST(Timeout, GivesTheValueOrGivesUp) {
  Loop loop;
  EXPECT_EQ(loop.start(with_timeout(answer_after(1ms), 10s)).get(), 42);
  EXPECT_EQ(loop.start(with_timeout(answer_after(10s), 5ms)).get(), std::nullopt);
}

}  // namespace
}  // namespace loquat::async
