#include <gtest/gtest.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/thread_pool.hpp>
#include <set>
#include <thread>

#include "core/error.h"
#include "state/client_keys.h"
#include "state/store_fixture.h"

// What every adapter of the port promises.
namespace loquat::state {
namespace {

using testing::await;

class StoreContract : public ::testing::TestWithParam<StoreKind> {
 protected:
  void SetUp() override {
    fixture_ = make_store_fixture(GetParam());
    if (!fixture_) {
      if (testing::in_ci()) FAIL() << "no database for this adapter";
      GTEST_SKIP() << "no database on this machine for this adapter";
    }
  }
  Store& store() { return fixture_->store(); }

  static State make(std::string thread, std::string text = "hi", std::string channel = "rest", std::string account = "") {
    State state;
    state.conversation = {std::move(channel), std::move(account), std::move(thread)};
    state.user_message = json::object{{"text", text}, {"channel", state.conversation.channel}};
    state.bot_message = json::array{json::object{{"text", "answer to " + text}}};
    return state;
  }
  Store::Appended append(State state, std::optional<std::int64_t> expected = std::nullopt) {
    return await(store().append(std::move(state), expected));
  }
  std::optional<Code> refusal(State state, std::optional<std::int64_t> expected) {
    try {
      append(std::move(state), expected);
    } catch (const Error& error) {
      return error.code();
    }
    return std::nullopt;
  }
  std::optional<State> latest(const std::string& thread, std::optional<std::string> channel = {}, std::optional<std::string> account = {}) {
    return await(store().find_latest(ThreadQuery{thread, std::move(channel), std::move(account)}));
  }
  static std::string text_of(const State& state) { return std::string(string_member(state.user_message, "text")); }

  std::unique_ptr<StoreFixture> fixture_;
};

TEST_P(StoreContract, AppendsVersions) {
  EXPECT_EQ(append(make("t", "one")).state.version, 1);
  const auto second = append(make("t", "two"));
  EXPECT_EQ(second.state.version, 2);
  EXPECT_FALSE(second.existed);
  EXPECT_EQ(append(make("u")).state.version, 1);
  EXPECT_EQ(text_of(latest("t").value()), "two");
  EXPECT_EQ(await(store().find_latest(chat::ConversationId{"rest", "", "t"})).value().version, 2);
  EXPECT_FALSE(latest("none"));
  EXPECT_FALSE(await(store().find_latest(chat::ConversationId{"facebook", "", "t"})));
}

TEST_P(StoreContract, AllMembersAreKept) {
  auto state = make("Thread / ü?&%", "Grüße\n\"\\ \xF0\x9F\x98\x80");
  state.message_id = MessageId::random();
  state.user_message = parse_json(R"({"z": 1.0, "a": [null, 1e30, "x\u0000y"], "text": "t"})");
  state.nlu = parse_json(R"({"intent": {"intent": "greet", "confidence": 0.25}})");
  state.context = parse_json(R"({"b": {"": 1}, "a": true})");
  state.intent = parse_json(R"({"id": "greet"})");
  state.parameters = parse_json(R"([{"name": "p"}])");
  state.extracted_parameters = parse_json(R"({"p": -5})");
  state.missing_parameters = parse_json(R"(["q"])");
  state.complete = true;
  state.current_node = "q";
  state.date = from_microseconds(1'767'323'045'678'901);
  append(state);
  state.version = 1;
  for (const auto& found : {latest("Thread / ü?&%"), await(store().find_by_message_id(*state.message_id))}) {
    ASSERT_TRUE(found);
    EXPECT_EQ(to_json(to_json_object(*found)), to_json(to_json_object(state)));
    EXPECT_EQ(found->conversation, state.conversation);
  }
}

TEST_P(StoreContract, AnyNodeIsKept) {
  for (const auto& node : {std::string("a\0b", 3), std::string(1, '\0'), std::string("\x01"), std::string("\x01\"n\""), std::string()}) {
    State state;
    state.conversation = {"", "", "t"};
    state.current_node = json::string(node);
    append(state);
    EXPECT_EQ(latest("t").value().current_node, state.current_node);
  }
}

TEST_P(StoreContract, NullsAreKept) {
  State state;
  state.conversation = {"", "", "t"};
  state.nlu = nullptr;
  state.current_node = nullptr;
  append(state);
  const auto found = latest("t").value();
  EXPECT_TRUE(found.user_message.is_null() && found.bot_message.is_null() && found.nlu.is_null() && found.current_node.is_null());
  EXPECT_EQ(to_json(found.context), "{}");
}

TEST_P(StoreContract, ExpectedVersions) {
  EXPECT_EQ(refusal(make("t"), 1), Code::conflict);
  EXPECT_EQ(refusal(make("t"), 0), std::nullopt);
  EXPECT_EQ(refusal(make("t"), 0), Code::conflict);
  EXPECT_EQ(refusal(make("t"), 2), Code::conflict);
  EXPECT_EQ(refusal(make("t"), 1), std::nullopt);
  EXPECT_EQ(latest("t").value().version, 2);
}

TEST_P(StoreContract, AKnownMessageIdGivesItsRow) {
  auto state = make("t", "original");
  state.message_id = MessageId::random();
  append(state);
  append(make("t", "later"));
  auto again = make("t", "again");
  again.message_id = state.message_id;
  for (const auto expected : {std::optional<std::int64_t>(), std::optional<std::int64_t>(0), std::optional<std::int64_t>(2)}) {
    const auto known = append(again, expected);
    EXPECT_TRUE(known.existed);
    EXPECT_EQ(known.state.version, 1);
    EXPECT_EQ(text_of(known.state), "original");
  }
  EXPECT_EQ(latest("t").value().version, 2);
  again.conversation.thread_id = "other";
  EXPECT_EQ(refusal(again, std::nullopt), Code::conflict);
  EXPECT_FALSE(latest("other"));
  EXPECT_FALSE(await(store().find_by_message_id(MessageId::random())));
}

TEST_P(StoreContract, ConversationsWithOneThreadId) {
  append(make("t", "rest"));
  append(make("t", "page one", "facebook", "1"));
  append(make("t", "page two", "facebook", "2"));
  EXPECT_EQ(text_of(latest("t").value()), "page two");
  EXPECT_EQ(text_of(latest("t", "rest").value()), "rest");
  EXPECT_EQ(text_of(latest("t", "facebook").value()), "page two");
  EXPECT_EQ(text_of(latest("t", "facebook", "1").value()), "page one");
  EXPECT_EQ(text_of(latest("t", std::nullopt, "1").value()), "page one");
  EXPECT_FALSE(latest("t", "facebook", ""));
  auto old = make("t", "rest again");
  old.date = from_microseconds(5);
  append(old);
  EXPECT_EQ(text_of(latest("t").value()), "rest again") << "what was written last counts, not its date";
}

TEST_P(StoreContract, History) {
  for (int i = 1; i <= 7; ++i) append(make("t", std::to_string(i), "face:book", "p.1"));
  append(make("t", "older", "rest"));
  append(make("t", "8", "face:book", "p.1"));
  std::vector<std::string> seen;
  std::optional<std::string> cursor;
  int pages = 0;
  do {
    const auto page = await(store().history({"t", {}, {}}, 3, cursor));
    for (const auto& state : page.items) seen.push_back(text_of(state));
    cursor = page.next;
    append(make("t", "meanwhile", "rest"));
  } while (cursor && ++pages < 10);
  EXPECT_EQ(seen, (std::vector<std::string>{"8", "7", "6", "5", "4", "3", "2", "1"}));
  EXPECT_EQ(await(store().history({"t", "face:book", "p.1"}, 8, {})).next, std::nullopt);
  EXPECT_EQ(await(store().history({"t", "face:book", {}}, 8, "3")).items.size(), 2U) << "a bare version will do";
  EXPECT_TRUE(await(store().history({"none", {}, {}}, 3, {})).items.empty());
  EXPECT_THROW(await(store().history({"t", {}, {}}, 3, "nonsense")), Error);
}

TEST_P(StoreContract, Threads) {
  for (int i = 1; i <= 5; ++i) {
    auto state = make("t" + std::to_string(i));
    state.date = from_microseconds(i * 1'000'000);
    append(state);
    state.date = from_microseconds(i * 1'000'000 + 100'000'000);
    append(state);
  }
  append(make("t3", "x", "facebook", "p"));
  const auto page = await(store().threads(1, 2, {}, {}));
  EXPECT_EQ(page.total, 5);
  ASSERT_EQ(page.items.size(), 2U);
  EXPECT_EQ(page.items[0].thread_id, "t3");
  EXPECT_EQ(page.items[1].thread_id, "t5");
  EXPECT_EQ(page.items[1].date, from_microseconds(105'000'000));
  EXPECT_EQ(page.items[1].version, 2);
  EXPECT_EQ(await(store().threads(3, 2, {}, {})).items.at(0).thread_id, "t1");
  EXPECT_TRUE(await(store().threads(4, 2, {}, {})).items.empty());
  const auto between = await(store().threads(1, 10, from_microseconds(2'000'000), from_microseconds(4'000'000)));
  EXPECT_EQ(between.total, 3);
  ASSERT_EQ(between.items.size(), 3U);
  EXPECT_EQ(between.items[0].thread_id, "t4");
  EXPECT_EQ(between.items[0].date, from_microseconds(4'000'000));
  EXPECT_EQ(await(store().threads(1, 10, {}, from_microseconds(1))).total, 0);
  EXPECT_EQ(await(store().threads(1, 10, from_microseconds(105'000'000), {})).total, 2);
}

TEST_P(StoreContract, Erasure) {
  EXPECT_FALSE(await(store().erase({"t", {}, {}})));
  auto state = make("t", "secret");
  state.message_id = MessageId::random();
  append(state);
  append(make("t", "secret too"));
  append(make("t", "other channel", "facebook", "p"));
  EXPECT_TRUE(await(store().erase({"t", "rest", {}})));
  EXPECT_EQ(text_of(latest("t").value()), "other channel");
  EXPECT_FALSE(latest("t", "rest"));
  EXPECT_TRUE(await(store().history({"t", "rest", ""}, 10, {})).items.empty());
  const auto tombstone = await(store().find_latest(chat::ConversationId{"rest", "", "t"})).value();
  EXPECT_EQ(tombstone.version, 3);
  EXPECT_TRUE(tombstone.erased);
  // The event stays known, its words do not.
  const auto known = append(state);
  EXPECT_TRUE(known.existed);
  EXPECT_TRUE(known.state.user_message.is_null());
  EXPECT_EQ(refusal(make("t", "turn in flight"), 2), Code::conflict);
  EXPECT_EQ(append(make("t", "fresh"), 0).state.version, 4);
  EXPECT_EQ(await(store().history({"t", "rest", {}}, 10, {})).items.size(), 1U);
  EXPECT_TRUE(await(store().erase({"t", {}, {}})));
  EXPECT_FALSE(latest("t"));
  EXPECT_FALSE(await(store().erase({"t", {}, {}})));
  EXPECT_EQ(await(store().threads(1, 10, {}, {})).total, 0);
  EXPECT_EQ(await(store().threads(1, 10, from_microseconds(0), {})).total, 0);
}

TEST_P(StoreContract, Redaction) {
  auto state = make("t", "taken back");
  state.message_id = MessageId::random();
  state.nlu = json::object{{"entities", json::object{{"name", "x"}}}};
  append(state);
  await(store().redact({"rest", "", "t"}, MessageId::random()));
  await(store().redact({"rest", "", "other"}, *state.message_id));
  EXPECT_EQ(text_of(latest("t").value()), "taken back");
  await(store().redact({"rest", "", "t"}, *state.message_id));
  const auto found = latest("t").value();
  EXPECT_EQ(text_of(found), "");
  EXPECT_EQ(to_json(found.nlu), "{}");
  EXPECT_EQ(to_json(found.bot_message), to_json(state.bot_message));
}

TEST_P(StoreContract, RedactionTakesAttachmentsOutOfLaterContextsToo) {
  const auto add = [&](const char* url, const char* held) {
    auto state = make("t", "a text");
    state.message_id = MessageId::random();
    const auto list = [](const char* address) { return json::array{json::object{{"type", "image"}, {"url", address}}}; };
    if (url != nullptr) state.user_message.as_object()["context"] = json::object{{"attachments", list(url)}, {"kept", 1}};
    state.context = json::object{{"kept", 1}};
    if (held != nullptr) state.context.as_object()["attachments"] = list(held);
    append(state);
    return *state.message_id;
  };
  add("https://x/before.jpg", "https://x/before.jpg");
  const auto words = add(nullptr, "https://x/before.jpg");
  const auto picture = add("https://x/private.jpg", "https://x/private.jpg");
  add(nullptr, "https://x/private.jpg");
  add(nullptr, "https://x/private.jpg");
  add("https://x/after.jpg", "https://x/after.jpg");
  await(store().redact({"rest", "", "t"}, words));
  await(store().redact({"rest", "", "t"}, picture));
  std::string all;
  for (const auto& state : await(store().history({.thread_id = "t", .channel = "rest", .account = ""}, 10, std::nullopt)).items)
    all += to_json(to_json_object(state));
  EXPECT_EQ(all.find("private"), std::string::npos) << all;
  const auto count = [&all](std::string_view word) {
    std::size_t found = 0;
    for (auto at = all.find(word); at != std::string::npos; at = all.find(word, at + 1)) ++found;
    return found;
  };
  EXPECT_EQ(count("before.jpg"), 3U) << all;
  EXPECT_EQ(count("after.jpg"), 2U) << all;
  EXPECT_EQ(count("kept"), 9U) << all;
}

TEST_P(StoreContract, Search) {
  const auto add = [&](std::string thread, std::string text, std::string intent, double confidence, std::int64_t seconds,
                       std::string channel) {
    auto state = make(std::move(thread), std::move(text), std::move(channel));
    state.intent = json::object{{"id", intent}};
    state.nlu = json::object{{"intent", json::object{{"intent", intent}, {"confidence", confidence}}}};
    state.date = from_microseconds(seconds * 1'000'000);
    append(state);
  };
  add("a", "Good MORNING", "greet", 0.9, 1'000, "rest");
  add("b", "ÄPFEL, please", "order", 0.4, 500'000, "facebook");
  add("c", "good bye", "bye", 0.7, 2'000'000'00, "rest");
  add("a", "nothing", "fallback", 0.1, 2'000'000'01, "rest");
  add("future", "later", "fallback", 0.1, 20'000'000'000, "rest");
  add("past", "long ago", "fallback", 0.1, -20'000'000'000, "rest");
  State silent;
  silent.conversation = {"rest", "", "silent"};
  append(silent);
  const auto found = [&](SearchQuery query) {
    std::string threads;
    for (int i = 0; i < 20; ++i) {
      const auto page = await(store().search(query));
      for (const auto& state : page.items) threads += state.conversation.thread_id + std::to_string(state.version) + " ";
      if (!page.next) return threads;
      query.before = page.next;
    }
    return std::string("endless");
  };
  EXPECT_EQ(found({}), "future1 a2 c1 b1 a1 past1 ");
  SearchQuery pages;
  pages.limit = 1;
  EXPECT_EQ(found(pages), "future1 a2 c1 b1 a1 past1 ");
  SearchQuery text;
  text.text = "good";
  EXPECT_EQ(found(text), "c1 a1 ");
  text.text = "äpfel";
  EXPECT_EQ(found(text), "b1 ");
  SearchQuery intent;
  intent.intent = "greet";
  EXPECT_EQ(found(intent), "a1 ");
  SearchQuery channel;
  channel.channel = "facebook";
  EXPECT_EQ(found(channel), "b1 ");
  SearchQuery confidence;
  confidence.min_confidence = 0.4;
  confidence.max_confidence = 0.7;
  EXPECT_EQ(found(confidence), "c1 b1 ");
  SearchQuery dates;
  dates.start_date = from_microseconds(500'000'000'000);
  dates.end_date = from_microseconds(200'000'000'000'000);
  EXPECT_EQ(found(dates), "c1 b1 ");
  SearchQuery wrong;
  wrong.before = "x";
  EXPECT_THROW(await(store().search(wrong)), Error);
}

TEST_P(StoreContract, Retention) {
  const auto days_ago = [](int days) { return now() - std::chrono::days(days); };
  for (int i = 0; i < 10; ++i) {
    auto state = make("old", std::to_string(i));
    state.date = days_ago(100 - i);
    append(state);
  }
  auto recent = make("mixed");
  recent.date = days_ago(20);
  append(recent);
  append(make("mixed"));
  const std::chrono::hours day(24);
  if (GetParam() == StoreKind::http) {
    EXPECT_EQ(await(store().delete_older(day * 30, day * 8, 100)), 0U) << "the process behind the URL keeps its own house";
    EXPECT_EQ(append(make("old")).state.version, 11);
    return;
  }
  EXPECT_EQ(await(store().delete_older(day * 30, day * 8, 4)), 4U);
  EXPECT_EQ(await(store().delete_older(day * 30, day * 8, 100)), 5U) << "the newest row stays";
  EXPECT_EQ(latest("old").value().version, 10);
  EXPECT_EQ(await(store().delete_older(day * 1, day * 30, 100)), 0U) << "rows that deduplicate stay";
  EXPECT_EQ(await(store().delete_older(day * 1, day * 8, 100)), 1U);
  EXPECT_EQ(append(make("old")).state.version, 11);
}

// Many writers, few threads, all with the version they saw: every version exists once, every refusal is a conflict.
TEST_P(StoreContract, ConcurrentAppends) {
  std::atomic<int> stored = 0;
  std::atomic<int> refused = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 25; ++i) {
        const chat::ConversationId id{"rest", "", "t" + std::to_string(i % 3)};
        const auto before = await(store().find_latest(id));
        auto state = make(id.thread_id, std::to_string(thread * 100 + i));
        if (i % 2 == 0) state.message_id = MessageId::random();
        refusal(std::move(state), before ? before->version : 0) ? ++refused : ++stored;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(stored + refused, 100);
  std::int64_t total = 0;
  for (const auto* thread : {"t0", "t1", "t2"}) {
    const auto page = await(store().history({thread, {}, {}}, 1'000, {}));
    ASSERT_FALSE(page.items.empty());
    EXPECT_EQ(page.items.front().version, static_cast<std::int64_t>(page.items.size()));
    total += page.items.front().version;
  }
  EXPECT_EQ(total, stored);
}

TEST_P(StoreContract, OneMessageIdManyTimesAtOnce) {
  std::atomic<int> fresh = 0;
  std::vector<MessageId> ids;
  for (int i = 0; i < 10; ++i) ids.push_back(MessageId::random());
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (const auto& id : ids) {
        auto state = make("t");
        state.message_id = id;
        if (!append(std::move(state)).existed) ++fresh;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(fresh, 10);
  EXPECT_EQ(latest("t").value().version, 10);
}

TEST_P(StoreContract, AClientsKeyCountsWithinItsConversation) {
  const auto id = MessageId::random();
  const auto append_key = [&](const std::string& thread) {
    auto state = make(thread);
    state.message_id = id;
    return await(append_of_client(store(), std::move(state), {}));
  };
  const auto first = append_key("one");
  const auto second = append_key("two");
  EXPECT_EQ(first.state.message_id, id);
  EXPECT_FALSE(second.existed);
  EXPECT_NE(second.state.message_id, id);
  for (const auto& [thread, known] : {std::pair("one", first), std::pair("two", second)}) {
    const auto again = append_key(thread);
    EXPECT_TRUE(again.existed);
    EXPECT_EQ(again.state.message_id, known.state.message_id);
    EXPECT_EQ(again.state.version, 1);
  }
}

TEST_P(StoreContract, Ping) { await(store().ping()); }

INSTANTIATE_TEST_SUITE_P(All, StoreContract, ::testing::ValuesIn(store_kinds),
                         [](const auto& entry) { return std::string(to_string(entry.param)); });

}  // namespace
}  // namespace loquat::state
