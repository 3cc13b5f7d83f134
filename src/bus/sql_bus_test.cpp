#include "bus/sql_bus.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/use_future.hpp>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "bus/dead_letters.h"
#include "bus/schema.h"
#include "db/migrate.h"
#include "state/schema.h"
#include "testing/postgres.h"
#include "testing/temporary.h"

namespace loquat::bus {
namespace {

using namespace std::chrono_literals;

/// Event loops with their threads.
class Loops {
 public:
  explicit Loops(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      contexts_.push_back(std::make_unique<asio::io_context>(1));
      guards_.push_back(asio::make_work_guard(*contexts_.back()));
      threads_.emplace_back([&io = *contexts_.back()] { io.run(); });
    }
  }
  ~Loops() {
    for (auto& io : contexts_) io->stop();
    for (auto& thread : threads_) thread.join();
  }
  std::vector<asio::io_context*> all() {
    std::vector<asio::io_context*> list;
    for (auto& io : contexts_) list.push_back(io.get());
    return list;
  }
  template <class T>
  T await(asio::awaitable<T> task) {
    return asio::co_spawn(*contexts_.front(), std::move(task), asio::use_future).get();
  }

 private:
  std::vector<std::unique_ptr<asio::io_context>> contexts_;
  std::vector<asio::executor_work_guard<asio::io_context::executor_type>> guards_;
  std::vector<std::thread> threads_;
};

/// A channel that answers each event with its text and remembers what it did.
class Recorder final : public Handler {
 public:
  asio::awaitable<std::optional<state::State>> decide(const Item& item, std::optional<state::State> previous, bool) override {
    if (item.event.kind == "unsend") co_return std::nullopt;
    const auto& text = item.event.body.at("text").as_string();
    if (text == "broken") throw std::runtime_error("cannot be decided");
    state::State next;
    if (previous && !previous->erased) next.context = previous->context;
    auto& context = next.context.as_object();
    const auto count = context.if_contains("count") == nullptr ? 0 : context.at("count").as_int64();
    context["count"] = count + 1;
    next.bot_message = json::array{json::object{{"text", text}}};
    co_return next;
  }

  asio::awaitable<Delivery> deliver(Item& item, const state::State& turn, const DeliveryContext& context) override {
    if (!context.may_act(1s)) co_return Delivery{.kind = Delivery::Kind::abandoned};
    const std::string text(as_view(turn.bot_message.as_array().at(0).as_object().at("text").as_string()));
    const std::lock_guard lock(mutex_);
    if (fail_next_ > 0) {
      --fail_next_;
      co_return Delivery{.kind = Delivery::Kind::later, .delay = delay_, .reason = "retry"};
    }
    if (stopped_) co_return Delivery{.kind = Delivery::Kind::page_stopped, .delay = 1h, .page = "p", .reason = "page_stopped"};
    sent_[item.event.conversation.thread_id].push_back(text);
    co_return Delivery{};
  }

  std::vector<std::string> sent(const std::string& thread) {
    const std::lock_guard lock(mutex_);
    return sent_[thread];
  }
  std::size_t total() {
    const std::lock_guard lock(mutex_);
    std::size_t count = 0;
    for (const auto& [thread, texts] : sent_) count += texts.size();
    return count;
  }
  void fail_next(int times, std::chrono::milliseconds delay) {
    const std::lock_guard lock(mutex_);
    fail_next_ = times;
    delay_ = delay;
  }
  void stop_page(bool stopped) {
    const std::lock_guard lock(mutex_);
    stopped_ = stopped;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::vector<std::string>> sent_;
  int fail_next_ = 0;
  std::chrono::milliseconds delay_{0};
  bool stopped_ = false;
};

Event make_event(const std::string& thread, int number) {
  Event event;
  event.conversation = {"facebook", "p", thread};
  event.message_id = MessageId::of_key(thread + "#" + std::to_string(number));
  event.kind = "message";
  event.timestamp_ms = 1'700'000'000'000 + number;
  event.body = {{"text", std::to_string(number)}};
  return event;
}

bool eventually(const std::function<bool()>& condition, std::chrono::seconds limit = 20s) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < deadline) {
    if (condition()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return condition();
}

Event make_unsend(const std::string& thread, const MessageId& id) {
  Event event;
  event.conversation = {"facebook", "p", thread};
  event.message_id = MessageId::of_key(thread + "-" + id.to_string());
  event.kind = "unsend";
  event.timestamp_ms = 1'700'000'000'000;
  event.body = {{"redacts", id.to_string()}};
  return event;
}

void execute(db::Database& database, const std::string& sql) {
  database.run_blocking([&](db::Connection& c) { c.query(sql); });
}

void stop_page(db::Database& database) { execute(database, "INSERT INTO page(id, state) VALUES('p', 'stopped')"); }

std::int64_t count_of(db::Database& database, const std::string& sql) {
  std::int64_t count = 0;
  database.run_blocking([&](db::Connection& c) { count = c.query(sql)->integer(0, 0); });
  return count;
}

/// A process: database, bus and channel.
struct Process {
  Process(const std::string& url, const std::string& data_dir, Loops& with)
      : loops(with),
        database(db::Database::open({.url = url})),
        bus({.data_dir = data_dir, .storage = {}, .lanes = {}}, *database, loops.all()) {
    bus.add_handler("facebook", recorder);
  }
  ~Process() {
    if (running) stop();
    database->close();
  }
  void migrate() {
    std::vector<db::Migration> all(migrations().begin(), migrations().end());
    all.insert(all.end(), state::migrations().begin(), state::migrations().end());
    db::migrate(*database, all);
  }
  void start() {
    bus.start();
    running = true;
  }
  void stop() {
    bus.stop(10s);
    running = false;
  }
  void admit(std::vector<Event> events) { loops.await(bus.admit(std::move(events))); }

  Loops& loops;
  std::unique_ptr<db::Database> database;
  Recorder recorder;
  SqlBus bus;
  bool running = false;
};

class SqlBusTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (GetParam()) {
      LOQUAT_NEED_POSTGRES(url);
      url_ = url;
    } else {
      url_ = directory_.sqlite_url();
    }
    process_ = make_process();
    process_->migrate();
  }
  /// A new process, which knows nothing of what the old one has seen.
  void restart() {
    process_->stop();
    process_ = make_process();
    process_->start();
  }
  std::unique_ptr<Process> make_process() { return std::make_unique<Process>(url_, directory_.path().string(), loops_); }

  loquat::testing::TemporaryDirectory directory_;
  Loops loops_{2};
  std::string url_;
  std::unique_ptr<Process> process_;
};

TEST_P(SqlBusTest, AnswersEveryEventInOrder) {
  process_->start();
  for (int number = 0; number < 30; ++number)
    for (const auto* thread : {"a", "b", "c", "d", "e"}) process_->admit({make_event(thread, number)});
  ASSERT_TRUE(eventually([&] { return process_->recorder.total() == 150; }));
  for (const auto* thread : {"a", "b", "c", "d", "e"}) {
    const auto sent = process_->recorder.sent(thread);
    ASSERT_EQ(sent.size(), 30U);
    for (int number = 0; number < 30; ++number) EXPECT_EQ(sent[static_cast<std::size_t>(number)], std::to_string(number));
  }
  EXPECT_TRUE(eventually([&] { return count_of(*process_->database, "SELECT count(*) FROM inbox") == 0; }));
  EXPECT_EQ(count_of(*process_->database, "SELECT max(version) FROM states"), 30);
  EXPECT_EQ(count_of(*process_->database, "SELECT count(*) FROM states"), 150);
}

TEST_P(SqlBusTest, RedeliveriesHaveNoSecondEffect) {
  process_->start();
  process_->admit({make_event("a", 1), make_event("a", 1), make_event("a", 2)});
  ASSERT_TRUE(eventually([&] { return process_->recorder.total() == 2; }));
  restart();
  process_->admit({make_event("a", 1)});
  process_->admit({make_event("a", 3)});
  ASSERT_TRUE(eventually([&] { return process_->recorder.total() == 1; }));
  EXPECT_TRUE(eventually([&] { return count_of(*process_->database, "SELECT count(*) FROM inbox") == 0; }));
  EXPECT_EQ(process_->recorder.sent("a"), std::vector<std::string>{"3"});
  EXPECT_EQ(count_of(*process_->database, "SELECT count(*) FROM states"), 3);
}

TEST_P(SqlBusTest, WhatWasAdmittedBeforeAStartIsAnsweredAfterIt) {
  for (int number = 0; number < 20; ++number) process_->admit({make_event("a", number), make_event("b", number)});
  EXPECT_EQ(process_->recorder.total(), 0U);
  process_->start();
  ASSERT_TRUE(eventually([&] { return process_->recorder.total() == 40; }));
  const auto sent = process_->recorder.sent("b");
  for (int number = 0; number < 20; ++number) EXPECT_EQ(sent[static_cast<std::size_t>(number)], std::to_string(number));
}

TEST_P(SqlBusTest, AFailedDeliveryIsRepeatedAndBlocksOnlyItsConversation) {
  process_->start();
  process_->recorder.fail_next(1, 4s);
  process_->admit({make_event("a", 1)});
  ASSERT_TRUE(eventually([&] { return count_of(*process_->database, "SELECT count(*) FROM parked") == 1; }));
  process_->admit({make_event("a", 2), make_event("b", 1)});
  ASSERT_TRUE(eventually([&] { return process_->recorder.sent("b").size() == 1; }));
  EXPECT_TRUE(process_->recorder.sent("a").empty());
  ASSERT_TRUE(eventually([&] { return process_->recorder.sent("a").size() == 2; }));
  EXPECT_EQ(process_->recorder.sent("a"), (std::vector<std::string>{"1", "2"}));
  EXPECT_TRUE(eventually([&] { return count_of(*process_->database, "SELECT count(*) FROM parked") == 0; }));
}

TEST_P(SqlBusTest, WhatIsParkedRunsInTheOrderOfTheChannelsTimestamps) {
  process_->start();
  stop_page(*process_->database);
  process_->recorder.stop_page(true);
  process_->admit({make_event("a", 5)});
  ASSERT_TRUE(eventually([&] { return count_of(*process_->database, "SELECT count(*) FROM parked") == 1; }));
  for (const int number : {9, 6, 8, 1, 7}) {
    process_->admit({make_event("a", number)});
    ASSERT_TRUE(eventually([&] { return process_->bus.in_memory() == 0; }));
  }
  auto unknown = make_event("a", 2);
  unknown.timestamp_ms = 0;
  process_->admit({unknown});
  process_->admit({make_event("a", 0)});
  ASSERT_TRUE(eventually([&] { return count_of(*process_->database, "SELECT count(*) FROM parked") == 8; }));
  process_->recorder.stop_page(false);
  EXPECT_TRUE(loops_.await(process_->bus.release_page("p")));
  ASSERT_TRUE(eventually([&] { return process_->recorder.sent("a").size() == 8; }));
  // The first was decided when it was parked; nothing comes before an event whose time is unknown.
  EXPECT_EQ(process_->recorder.sent("a"), (std::vector<std::string>{"5", "1", "6", "7", "8", "9", "2", "0"}));
}

TEST_P(SqlBusTest, AStoppedPageKeepsItsRepliesUntilItIsReleased) {
  process_->start();
  stop_page(*process_->database);
  process_->recorder.stop_page(true);
  for (int number = 1; number <= 3; ++number) process_->admit({make_event("a", number)});
  ASSERT_TRUE(eventually([&] { return count_of(*process_->database, "SELECT count(*) FROM parked") == 3; }));
  EXPECT_TRUE(eventually([&] { return process_->bus.in_memory() == 0; }));
  process_->recorder.stop_page(false);
  EXPECT_EQ(count_of(*process_->database, "SELECT count(*) FROM parked WHERE next_at > at + 1000000"), 3);
  EXPECT_TRUE(loops_.await(process_->bus.release_page("p")));
  EXPECT_FALSE(loops_.await(process_->bus.release_page("p")));
  ASSERT_TRUE(eventually([&] { return process_->recorder.total() == 3; }));
  EXPECT_EQ(process_->recorder.sent("a"), (std::vector<std::string>{"1", "2", "3"}));
}

TEST_P(SqlBusTest, WhatIsParkedAfterItsPagesReleaseIsDueAtOnce) {
  // The channel of this process still takes the page for stopped; the table knows better, and no release comes any more.
  process_->start();
  process_->recorder.stop_page(true);
  for (int number = 1; number <= 3; ++number) process_->admit({make_event("a", number)});
  ASSERT_TRUE(eventually([&] { return count_of(*process_->database, "SELECT count(*) FROM parked") == 3; }));
  EXPECT_EQ(count_of(*process_->database, "SELECT count(*) FROM parked WHERE next_at > at + 1000000"), 0);
  process_->recorder.stop_page(false);
  ASSERT_TRUE(eventually([&] { return process_->recorder.total() == 3; }));
  EXPECT_EQ(process_->recorder.sent("a"), (std::vector<std::string>{"1", "2", "3"}));
}

TEST_P(SqlBusTest, WhatWaitsForAPageThatIsNotStoppedIsFoundAtTheStart) {
  process_->start();
  stop_page(*process_->database);
  process_->recorder.stop_page(true);
  process_->admit({make_event("a", 1), make_event("a", 2)});
  ASSERT_TRUE(eventually([&] { return count_of(*process_->database, "SELECT count(*) FROM parked") == 2; }));
  process_->stop();
  execute(*process_->database, "UPDATE page SET state = 'ok'");
  process_ = make_process();
  process_->start();
  ASSERT_TRUE(eventually([&] { return process_->recorder.total() == 2; }));
  EXPECT_EQ(process_->recorder.sent("a"), (std::vector<std::string>{"1", "2"}));
}

TEST_P(SqlBusTest, WhatWasTakenBackWhileItWaitedIsForgottenAtOnceAndNeverAnswered) {
  process_->start();
  stop_page(*process_->database);
  process_->recorder.stop_page(true);
  process_->admit({make_event("a", 5001), make_event("a", 5002), make_event("a", 3), make_event("b", 5004)});
  ASSERT_TRUE(eventually([&] { return count_of(*process_->database, "SELECT count(*) FROM parked") == 4; }));
  // The first is decided, the second is not; nobody takes back what is another's.
  for (const int number : {5001, 5002}) process_->admit({make_unsend("a", make_event("a", number).message_id)});
  process_->admit({make_unsend("a", make_event("b", 5004).message_id)});
  ASSERT_TRUE(eventually([&] { return process_->bus.in_memory() == 0; }));
  EXPECT_EQ(count_of(*process_->database, "SELECT count(*) FROM parked WHERE event LIKE '%\"500%'"), 1);
  EXPECT_EQ(count_of(*process_->database, "SELECT count(*) FROM parked"), 4);
  process_->recorder.stop_page(false);
  EXPECT_TRUE(loops_.await(process_->bus.release_page("p")));
  ASSERT_TRUE(eventually([&] { return process_->recorder.total() == 2; }));
  ASSERT_TRUE(eventually([&] { return count_of(*process_->database, "SELECT count(*) FROM parked") == 0; }));
  // A redelivery does not revive it.
  restart();
  process_->admit({make_event("a", 5002), make_event("a", 6)});
  ASSERT_TRUE(eventually([&] { return process_->recorder.total() == 1; }));
  EXPECT_EQ(process_->recorder.sent("a"), std::vector<std::string>{"6"});
  EXPECT_EQ(count_of(*process_->database, "SELECT count(*) FROM states"), 5);
}

TEST_P(SqlBusTest, ADeadLetterThatWasTakenBackIsGone) {
  process_->start();
  auto broken = make_event("a", 1);
  broken.body = {{"text", "broken"}};
  auto unreadable = make_event("a", 2);
  unreadable.dead_reason = "unreadable";
  process_->admit({broken, unreadable});
  ASSERT_TRUE(eventually([&] { return list_dead_letters(*process_->database, 10).size() == 2; }));
  process_->admit({make_unsend("a", broken.message_id), make_unsend("a", unreadable.message_id)});
  ASSERT_TRUE(eventually([&] { return list_dead_letters(*process_->database, 10).empty(); }));
  EXPECT_TRUE(eventually([&] { return count_of(*process_->database, "SELECT count(*) FROM inbox") == 0; }));
}

TEST_P(SqlBusTest, AnEventThatCannotBeDecidedBecomesADeadLetterAndCanBeReplayed) {
  process_->start();
  auto broken = make_event("a", 1);
  broken.body = {{"text", "broken"}};
  process_->admit({broken, make_event("a", 2)});
  ASSERT_TRUE(eventually([&] { return process_->recorder.sent("a").size() == 1; }));
  const auto letters = list_dead_letters(*process_->database, 10);
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0].reason, "failed");
  EXPECT_EQ(letters[0].event.conversation.thread_id, "a");
  // Mended since: as a replay it is decided anew.
  process_->database->run_blocking([](db::Connection& c) { c.query("UPDATE parked SET event = replace(event, 'broken', 'mended')"); });
  EXPECT_TRUE(replay_dead_letter(*process_->database, letters[0].id));
  EXPECT_FALSE(replay_dead_letter(*process_->database, letters[0].id));
  ASSERT_TRUE(eventually([&] { return process_->recorder.sent("a").size() == 2; }));
  EXPECT_EQ(process_->recorder.sent("a").back(), "mended");
  EXPECT_TRUE(list_dead_letters(*process_->database, 10).empty());
}

TEST_P(SqlBusTest, TheCommandListsAllDeadLetters) {
  std::vector<Event> many;
  for (int number = 0; number < 1'010; ++number) {
    many.push_back(make_event("a", number));
    many.back().dead_reason = "unreadable";
  }
  process_->admit(many);
  std::ostringstream lines;
  std::ostringstream list;
  std::ostringstream errors;
  EXPECT_EQ(run_dead_letters({.action = "list", .ids = {}}, *process_->database, lines, errors), 0);
  const auto text = lines.str();
  EXPECT_EQ(std::ranges::count(text, '\n'), 1'010);
  EXPECT_EQ(run_dead_letters({.action = "list", .ids = {}, .json = true}, *process_->database, list, errors), 0);
  EXPECT_EQ(parse_json(list.str()).as_array().size(), 1'010U);
  EXPECT_EQ(run_dead_letters({.action = "drop", .ids = {}, .all = true}, *process_->database, lines, errors), 0);
  list.str("");
  EXPECT_EQ(run_dead_letters({.action = "list", .ids = {}, .json = true}, *process_->database, list, errors), 0);
  EXPECT_EQ(list.str(), "[]\n");
  EXPECT_EQ(errors.str(), "");
}

TEST_P(SqlBusTest, AnUnreadableEventIsADeadLetterAtOnce) {
  process_->start();
  auto unreadable = make_event("a", 1);
  unreadable.dead_reason = "unreadable";
  unreadable.body = {{"raw", "{\"x\":"}};
  process_->admit({make_event("a", 2), unreadable});
  ASSERT_TRUE(eventually([&] { return process_->recorder.total() == 1; }));
  EXPECT_EQ(list_dead_letters(*process_->database, 10).size(), 1U);
}

TEST_P(SqlBusTest, AMessageThatKilledItsProcessThriceIsBuried) {
  process_->admit({make_event("a", 1), make_event("a", 2)});
  process_->database->run_blocking(
      [](db::Connection& c) { c.query("UPDATE inbox SET crashes = 3 WHERE seq = (SELECT min(seq) FROM inbox)"); });
  process_->start();
  ASSERT_TRUE(eventually([&] { return process_->recorder.total() == 1; }));
  EXPECT_EQ(process_->recorder.sent("a"), std::vector<std::string>{"2"});
  const auto letters = list_dead_letters(*process_->database, 10);
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0].reason, "crashed the process");
  // A redelivery cannot revive it.
  restart();
  process_->admit({make_event("a", 1), make_event("a", 3)});
  ASSERT_TRUE(eventually([&] { return process_->recorder.total() == 1; }));
  EXPECT_EQ(process_->recorder.sent("a"), std::vector<std::string>{"3"});
}

TEST_P(SqlBusTest, ErasingAConversationForgetsItsPendingEvents) {
  process_->admit({make_event("a", 1), make_event("b", 1)});
  loops_.await(process_->bus.erase({.thread_id = "a", .channel = {}, .account = {}}));
  process_->start();
  ASSERT_TRUE(eventually([&] { return process_->recorder.sent("b").size() == 1; }));
  EXPECT_TRUE(process_->recorder.sent("a").empty());
}

TEST_P(SqlBusTest, ManyConversationsAtOnce) {
  process_->start();
  constexpr int conversations = 100;
  constexpr int each = 20;
  std::vector<std::future<void>> waiting;
  for (int number = 0; number < each; ++number) {
    for (int thread = 0; thread < conversations; ++thread)
      waiting.push_back(asio::co_spawn(*loops_.all()[static_cast<std::size_t>(thread) % 2],
                                       process_->bus.admit({make_event("t" + std::to_string(thread), number)}), asio::use_future));
    for (auto& future : waiting) future.get();
    waiting.clear();
  }
  ASSERT_TRUE(eventually([&] { return process_->recorder.total() == conversations * each; }, 60s));
  for (int thread = 0; thread < conversations; ++thread) {
    const auto sent = process_->recorder.sent("t" + std::to_string(thread));
    for (int number = 0; number < each; ++number) ASSERT_EQ(sent[static_cast<std::size_t>(number)], std::to_string(number));
  }
}

INSTANTIATE_TEST_SUITE_P(Databases, SqlBusTest, ::testing::Values(false, true),
                         [](const auto& info) { return info.param ? "postgres" : "sqlite"; });

TEST(SqlBusProcesses, ShareThePartitionsAndTakeOverFromTheDead) {
  LOQUAT_NEED_POSTGRES(url);
  loquat::testing::TemporaryDirectory directory;
  Loops loops(2);
  auto first = std::make_unique<Process>(url, directory.path().string(), loops);
  first->migrate();
  first->start();
  auto second = std::make_unique<Process>(url, directory.path().string(), loops);
  second->start();
  ASSERT_TRUE(eventually([&] {
    return count_of(*first->database, "SELECT count(DISTINCT owner) FROM partition WHERE owner IS NOT NULL") == 2 &&
           count_of(*first->database, "SELECT count(*) FROM partition WHERE owner IS NULL") == 0;
  }));
  for (int number = 0; number < 10; ++number)
    for (int thread = 0; thread < 20; ++thread)
      (number % 2 == 0 ? first : second)->admit({make_event("t" + std::to_string(thread), number)});
  ASSERT_TRUE(eventually([&] { return first->recorder.total() + second->recorder.total() == 200; }));
  EXPECT_GT(first->recorder.total(), 0U);
  EXPECT_GT(second->recorder.total(), 0U);
  for (int thread = 0; thread < 20; ++thread) {
    const auto name = "t" + std::to_string(thread);
    auto sent = first->recorder.sent(name);
    const auto others = second->recorder.sent(name);
    EXPECT_TRUE(sent.empty() || others.empty()) << "a conversation has one owner";
    sent.insert(sent.end(), others.begin(), others.end());
    ASSERT_EQ(sent.size(), 10U);
    for (int number = 0; number < 10; ++number) EXPECT_EQ(sent[static_cast<std::size_t>(number)], std::to_string(number));
  }
  second->stop();
  ASSERT_TRUE(
      eventually([&] { return count_of(*first->database, "SELECT count(DISTINCT owner) FROM partition WHERE owner IS NOT NULL") == 1; }));
}

}  // namespace
}  // namespace loquat::bus
