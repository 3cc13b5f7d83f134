#include "rest/conversations.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <limits>
#include <thread>
#include <vector>

#include "async/task_group.h"
#include "core/error.h"
#include "state/memory_store.h"
#include "testing/await.h"

namespace loquat::rest {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view counting_bot = R"json({"intents":[
  {"name":"f","intentId":"fallback","speechResponse":"{{ context.n }}"},
  {"name":"ask","intentId":"ask","speechResponse":"{{ parameters.a }}","parameters":[{"name":"a","type":"free_text","required":true,"prompt":"?"}]}
],"entities":[]})json";

chat::UserMessage message(const std::string& thread, std::string text, std::optional<MessageId> id = std::nullopt) {
  return {{"rest", "", thread}, std::move(text), {}, id};
}

/// Fails the first appends as if another process had been faster.
class BusyStore final : public state::Store {
 public:
  explicit BusyStore(int conflicts) : conflicts_(conflicts) {}

  asio::awaitable<Appended> append(state::State state, std::optional<std::int64_t> expected) override {
    ++appends;
    if (conflicts_ > 0) {
      --conflicts_;
      auto other = state;
      other.message_id = MessageId::random();
      (void)co_await inner_->append(std::move(other), expected);
      throw Error(Code::conflict, "moved on");
    }
    co_return co_await inner_->append(std::move(state), expected);
  }
  asio::awaitable<std::optional<state::State>> find_latest(const chat::ConversationId& id) override { return inner_->find_latest(id); }
  asio::awaitable<std::optional<state::State>> find_latest(const state::ThreadQuery& query) override { return inner_->find_latest(query); }
  asio::awaitable<std::optional<state::State>> find_by_message_id(const MessageId& id) override { return inner_->find_by_message_id(id); }
  asio::awaitable<state::HistoryPage> history(const state::ThreadQuery& query, std::size_t limit,
                                              std::optional<std::string> before) override {
    return inner_->history(query, limit, std::move(before));
  }
  asio::awaitable<state::ThreadsPage> threads(std::size_t page, std::size_t limit, std::optional<Time> start,
                                              std::optional<Time> end) override {
    return inner_->threads(page, limit, start, end);
  }
  asio::awaitable<state::HistoryPage> search(const state::SearchQuery& query) override { return inner_->search(query); }
  asio::awaitable<void> redact(const chat::ConversationId& id, const MessageId& message_id) override {
    return inner_->redact(id, message_id);
  }
  asio::awaitable<bool> erase(const state::ThreadQuery& query) override { return inner_->erase(query); }
  asio::awaitable<std::size_t> delete_older(std::chrono::hours age, std::chrono::hours dedup, std::size_t limit) override {
    return inner_->delete_older(age, dedup, limit);
  }
  asio::awaitable<void> ping() override { return inner_->ping(); }

  int appends = 0;

 private:
  std::unique_ptr<state::Store> inner_ = state::make_memory_store();
  int conflicts_;
};

class ConversationsTest : public ::testing::Test {
 protected:
  void SetUp() override { manager.set_bot(dialogue::compile(bot::parse_export(counting_bot))); }
  dialogue::Manager manager{{}, nullptr};
};

TEST_F(ConversationsTest, a_known_message_is_answered_from_the_store) {
  BusyStore store(0);
  Conversations conversations(store, manager);
  const auto id = MessageId::of_key("k");
  const auto first = testing::await(conversations.talk(message("t", "/ask", id)));
  const auto again = testing::await(conversations.talk(message("t", "/ask", id)));
  EXPECT_EQ(first.version, 1);
  EXPECT_EQ(again.version, 1);
  EXPECT_EQ(to_json(again.bot_message), R"([{"text":"?"}])");
  EXPECT_EQ(store.appends, 1);
}

TEST_F(ConversationsTest, conflicts_are_decided_again) {
  BusyStore store(31);
  Conversations conversations(store, manager);
  const auto state = testing::await(conversations.talk(message("t", "/ask")));
  EXPECT_EQ(state.version, 32);
  EXPECT_EQ(to_json(state.bot_message), R"([{"text":"/ask"}])");  // the others' turns had asked
  EXPECT_EQ(store.appends, 32);
}

TEST_F(ConversationsTest, but_not_for_ever) {
  BusyStore store(std::numeric_limits<int>::max());
  Conversations conversations(store, manager, {.wait_limit = milliseconds(20)});
  try {
    (void)testing::await(conversations.talk(message("t", "hi")));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::unavailable);
  }
}

asio::awaitable<void> talk(Conversations& conversations, chat::UserMessage what, std::atomic<int>& done) {
  const auto state = co_await conversations.talk(std::move(what));
  if (state.version > 0) ++done;
}

TEST_F(ConversationsTest, many_at_once_on_several_loops) {
  const auto store = state::make_memory_store();
  Conversations conversations(*store, manager, {.most_waiting_each = 1000, .most_waiting = 10'000, .wait_limit = milliseconds(60'000)});
  constexpr int threads = 3;
  constexpr int each = 60;
  std::vector<std::unique_ptr<asio::io_context>> loops;
  std::vector<asio::executor_work_guard<asio::io_context::executor_type>> guards;
  for (int i = 0; i < threads; ++i) {
    loops.push_back(std::make_unique<asio::io_context>(1));
    guards.push_back(asio::make_work_guard(*loops.back()));
  }
  std::vector<std::thread> workers;
  workers.reserve(threads);
  for (auto& loop : loops) workers.emplace_back([&loop] { loop->run(); });
  std::atomic<int> done = 0;
  {
    async::TaskGroup tasks;
    for (int i = 0; i < each * threads; ++i) {
      tasks.spawn(loops[static_cast<std::size_t>(i % threads)]->get_executor(), "talk",
                  talk(conversations, message("thread " + std::to_string(i % 4), "hi"), done));
    }
    EXPECT_TRUE(tasks.join(std::chrono::seconds(60)));
  }
  guards.clear();
  for (auto& worker : workers) worker.join();
  EXPECT_EQ(done, each * threads);
  for (int i = 0; i < 4; ++i) {
    const auto latest = testing::await(store->find_latest(chat::ConversationId{"rest", "", "thread " + std::to_string(i)}));
    ASSERT_TRUE(latest);
    EXPECT_EQ(latest->version, each * threads / 4);
  }
}

asio::awaitable<void> hold(ConversationLocks& locks, std::string key, milliseconds time, std::vector<std::string>& log, std::string name) {
  try {
    const auto guard = co_await locks.acquire(std::move(key));
    log.push_back(name);
    if (time.count() > 0) co_await async::sleep_for(time);
  } catch (const Error& error) {
    log.push_back(name + (error.code() == Code::too_many ? " too many" : " unavailable"));
  }
}

TEST(ConversationLocks, in_the_order_of_coming) {
  ConversationLocks locks({.most_waiting_each = 2, .most_waiting = 3, .wait_limit = milliseconds(60'000)});
  asio::io_context loop;
  async::TaskGroup tasks;
  std::vector<std::string> log;
  for (const char* name : {"a1", "a2", "a3", "a4"}) tasks.spawn(loop.get_executor(), "hold", hold(locks, "a", milliseconds(5), log, name));
  for (const char* name : {"b1", "b2", "b3"}) tasks.spawn(loop.get_executor(), "hold", hold(locks, "b", milliseconds(30), log, name));
  loop.run();
  EXPECT_EQ(log, (std::vector<std::string>{"a1", "a4 too many", "b1", "b3 unavailable", "a2", "a3", "b2"}));
  tasks.spawn(loop.get_executor(), "hold", hold(locks, "a", milliseconds(0), log, "again"));
  loop.restart();
  loop.run();
  EXPECT_EQ(log.back(), "again");
}

TEST(ConversationLocks, waiting_ends) {
  ConversationLocks locks({.most_waiting_each = 5, .most_waiting = 5, .wait_limit = milliseconds(20)});
  asio::io_context loop;
  async::TaskGroup tasks;
  std::vector<std::string> log;
  tasks.spawn(loop.get_executor(), "hold", hold(locks, "a", milliseconds(200), log, "first"));
  tasks.spawn(loop.get_executor(), "hold", hold(locks, "a", milliseconds(0), log, "second"));
  loop.run();
  EXPECT_EQ(log, (std::vector<std::string>{"first", "second unavailable"}));
}

}  // namespace
}  // namespace loquat::rest
