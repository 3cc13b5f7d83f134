#include "state/sql_rows.h"

#include <gtest/gtest.h>

#include "state/schema.h"
#include "testing/await.h"
#include "testing/postgres.h"
#include "testing/temporary.h"

namespace loquat::state {
namespace {

using testing::await;

class SqlRows : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    db::DatabaseSettings settings;
    settings.url = directory_.sqlite_url();
    if (GetParam()) {
      LOQUAT_NEED_POSTGRES(url);
      settings.url = url;
    }
    database_ = db::Database::open(settings);
    db::migrate(*database_, migrations());
  }
  void append(std::vector<State> states) {
    std::vector<const State*> rows;
    for (const auto& state : states) rows.push_back(&state);
    await(database_->write([&](db::Connection& c) { append_rows(c, rows); }));
  }
  std::vector<std::optional<State>> latest(std::vector<chat::ConversationId> ids) {
    return await(database_->read([&](db::Connection& c) { return find_latest_rows(c, ids); }));
  }
  static State make(std::string thread, std::int64_t version) {
    State state;
    state.conversation = {"facebook", "page", std::move(thread)};
    state.version = version;
    state.date = from_microseconds(1'000'000 * version);
    return state;
  }
  testing::TemporaryDirectory directory_;
  std::unique_ptr<db::Database> database_;
};

TEST_P(SqlRows, AllMembersGoThereAndBack) {
  auto state = make("t", 1);
  state.message_id = MessageId::random();
  state.origin = 77;
  state.user_message = parse_json(R"({"text": "Grüße \u0000 \"x\"", "b": 1.0, "a": 12345678901234567890})");
  state.bot_message = parse_json(R"([{"text": "hi"}])");
  state.nlu = nullptr;
  state.context = parse_json(R"({"z": 1, "a": {"n": null}})");
  state.intent = parse_json(R"({"id": "greet"})");
  state.parameters = parse_json(R"([{"name": "p"}])");
  state.extracted_parameters = parse_json(R"({"p": 1e3})");
  state.missing_parameters = parse_json(R"(["p"])");
  state.complete = true;
  state.current_node = nullptr;
  append({state, make("u", 1)});
  const auto found = latest({{"facebook", "page", "u"}, {"facebook", "page", "t"}, {"facebook", "page", "none"}, {"rest", "page", "t"}});
  ASSERT_EQ(found.size(), 4U);
  EXPECT_FALSE(found[2] || found[3]);
  const auto& u = found[0].value();
  EXPECT_EQ(u.current_node, json::value(""));
  EXPECT_EQ(u.nlu, json::value(json::object()));
  EXPECT_EQ(u.parameters, json::value(json::array()));
  EXPECT_TRUE(u.user_message.is_null());
  EXPECT_FALSE(u.message_id);
  EXPECT_EQ(u.origin, 0);
  const auto& t = found[1].value();
  EXPECT_EQ(t.conversation, state.conversation);
  EXPECT_EQ(t.version, 1);
  EXPECT_EQ(t.message_id, state.message_id);
  EXPECT_EQ(t.origin, 77);
  for (const auto member : {&State::user_message, &State::bot_message, &State::nlu, &State::context, &State::intent, &State::parameters,
                            &State::extracted_parameters, &State::missing_parameters, &State::current_node}) {
    EXPECT_EQ(to_json(t.*member), to_json(state.*member));
  }
  EXPECT_TRUE(t.complete);
  EXPECT_EQ(t.date, state.date);
  EXPECT_FALSE(t.erased);
  const auto by_id = await(
      database_->read([&](db::Connection& c) { return find_rows_by_message_id(c, std::vector{MessageId::random(), *state.message_id}); }));
  EXPECT_FALSE(by_id.at(0));
  EXPECT_EQ(by_id.at(1).value().conversation.thread_id, "t");
}

TEST_P(SqlRows, TheNewestCounts) {
  append({make("b", 1), make("a", 2), make("a", 1)});
  append({make("a", 3)});
  auto tombstone = make("b", 2);
  tombstone.erased = true;
  append({tombstone});
  const auto found = latest({{"facebook", "page", "a"}, {"facebook", "page", "b"}});
  EXPECT_EQ(found[0].value().version, 3);
  EXPECT_TRUE(found[1].value().erased);
  const auto thread =
      await(database_->read([](db::Connection& c) { return c("SELECT version, date FROM threads WHERE thread_id = 'a'"); }));
  EXPECT_EQ(thread->integer(0, 0), 3);
  EXPECT_EQ(thread->time(0, 1), from_microseconds(3'000'000));
}

TEST_P(SqlRows, ATakenVersionOrMessageIdIsAConflictAndNothingIsWritten) {
  auto first = make("t", 1);
  first.message_id = MessageId::random();
  append({first});
  const auto refused = [&](std::vector<State> states) {
    try {
      append(std::move(states));
    } catch (const Error& error) {
      return error.code() == Code::conflict;
    }
    return false;
  };
  EXPECT_TRUE(refused({make("other", 1), make("t", 1)}));
  auto same_id = make("u", 1);
  same_id.message_id = first.message_id;
  EXPECT_TRUE(refused({make("other", 1), same_id}));
  EXPECT_FALSE(latest({{"facebook", "page", "other"}})[0]);
  EXPECT_FALSE(latest({{"facebook", "page", "u"}})[0]);
}

INSTANTIATE_TEST_SUITE_P(Both, SqlRows, ::testing::Bool(), [](const auto& entry) { return entry.param ? "Postgres" : "Sqlite"; });

}  // namespace
}  // namespace loquat::state
