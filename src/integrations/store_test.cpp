#include "integrations/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "core/error.h"
#include "integrations/test_stores.h"

// The contract of the port, over every adapter.

namespace loquat::integrations {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class IntegrationsStore : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const auto reason = stores_.open(GetParam());
    if (reason.empty()) return;
    if (loquat::testing::in_ci()) FAIL() << reason;
    GTEST_SKIP() << reason;
  }

  template <class Call>
  auto on(Call call) {
    return stores_.run(std::move(call));
  }
  std::vector<Integration> list() {
    return on([](Store& store) { return store.list(); });
  }
  std::optional<Integration> find(std::string_view id) {
    return on([id](Store& store) { return store.find(id); });
  }
  Integration create(Integration integration) {
    return on([integration](Store& store) { return store.create(integration); });
  }
  Integration update(std::string_view id, std::function<void(Integration&)> change, std::optional<std::int64_t> if_version = {}) {
    return on([id, change, if_version](Store& store) { return store.update(id, change, if_version); });
  }
  void remove(std::string_view id, std::optional<std::int64_t> if_version = {}) {
    on([id, if_version](Store& store) { return store.remove(id, if_version); });
  }
  std::vector<std::string> ensure_defaults() {
    return on([](Store& store) { return store.ensure_defaults(); });
  }
  std::vector<std::string> ids() {
    std::vector<std::string> out;
    for (const auto& integration : list()) out.push_back(integration.id);
    return out;
  }

  TestStores stores_;
};

Code code_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.code();
  }
  return Code{};
}

json::object rich_settings() {
  return parse_json(
             R"({"z":1,"a":{"list":[1,2.5,-3,1e300,null,true,"\u00e4\ud83d\ude00"],"empty":{},"none":[]},"secret":"s3","big":9007199254740993,)"
             R"("dotted.name":1,"$dollar":{"":"empty key"},"nul":"a\u0000b","pages":[{"page_id":"1","page_access_token":"t"}]})")
      .get_object();
}

TEST_P(IntegrationsStore, GivesBackWhatWasCreated) {
  EXPECT_THAT(list(), IsEmpty());
  EXPECT_FALSE(find("a").has_value());
  const Integration made{"a", "Näme", "", true, rich_settings(), 99};
  const auto stored = create(made);
  EXPECT_EQ(stored.version, 1);
  const auto found = find("a");
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(*found, stored);
  EXPECT_EQ(to_json(json::value(found->settings)), to_json(json::value(rich_settings()))) << "order and numbers too";
  EXPECT_EQ(code_of([&] { create(made); }), Code::conflict);
}

TEST_P(IntegrationsStore, TakesOddIds) {
  for (const auto* id : {"a/b", "ä ö", "?x=1&y", "%41", "'; DROP TABLE integrations; --", "..x", "+"}) {
    create({id, "n", "d", false, {}});
    const auto found = find(id);
    ASSERT_TRUE(found.has_value()) << id;
    EXPECT_EQ(found->id, id);
  }
  EXPECT_EQ(list().size(), 7U);
}

TEST_P(IntegrationsStore, ListsInOrderOfCreation) {
  for (const auto* id : {"m", "b", "z", "a"}) create({id, "", "", false, {}});
  update("b", [](Integration& integration) { integration.name = "changed"; });
  update("z", [](Integration& integration) { integration.id = "0"; });
  EXPECT_THAT(ids(), ElementsAre("m", "b", "0", "a"));
  EXPECT_EQ(list()[1].version, 2);
}

TEST_P(IntegrationsStore, UpdatesCountVersions) {
  create({"a", "n", "d", false, {{"secret", "s"}}});
  const auto changed = update("a", [](Integration& integration) {
    integration.status = true;
    integration.settings["new"] = 1;
  });
  EXPECT_EQ(changed.version, 2);
  EXPECT_EQ(*find("a"), changed);
  EXPECT_EQ(changed.settings.at("secret"), "s");
  EXPECT_EQ(update("a", [](Integration&) {}).version, 3) << "also when nothing changes";
}

TEST_P(IntegrationsStore, GuardsWithVersions) {
  create({"a", "n", "d", false, {}});
  const auto rename = [](std::string name) { return [name](Integration& integration) { integration.name = name; }; };
  EXPECT_EQ(update("a", rename("x"), 1).version, 2);
  EXPECT_EQ(code_of([&] { update("a", rename("y"), 1); }), Code::precondition_failed);
  EXPECT_EQ(find("a")->name, "x");
  EXPECT_EQ(code_of([&] { remove("a", 1); }), Code::precondition_failed);
  EXPECT_TRUE(find("a").has_value());
  remove("a", 2);
  EXPECT_FALSE(find("a").has_value());
}

TEST_P(IntegrationsStore, SaysWhatIsNotThere) {
  EXPECT_EQ(code_of([&] { update("a", [](Integration&) { FAIL() << "nothing to change"; }); }), Code::not_found);
  EXPECT_EQ(code_of([&] { update("a", [](Integration&) {}, 1); }), Code::not_found);
  EXPECT_EQ(code_of([&] { remove("a"); }), Code::not_found);
  EXPECT_EQ(code_of([&] { remove("a", 3); }), Code::not_found);
}

TEST_P(IntegrationsStore, ARefusedChangeStoresNothing) {
  create({"a", "n", "d", false, {}});
  EXPECT_EQ(code_of([&] {
              update("a", [](Integration& integration) {
                integration.name = "half";
                throw Error(Code::invalid, "no");
              });
            }),
            Code::invalid);
  EXPECT_EQ(find("a")->name, "n");
  EXPECT_EQ(find("a")->version, 1);
}

TEST_P(IntegrationsStore, Renames) {
  create({"a", "n", "d", true, {{"secret", "s"}}});
  create({"b", "n", "d", false, {}});
  EXPECT_EQ(code_of([&] { update("a", [](Integration& integration) { integration.id = "b"; }); }), Code::conflict);
  EXPECT_THAT(ids(), ElementsAre("a", "b"));
  const auto renamed = update("a", [](Integration& integration) { integration.id = "c"; });
  EXPECT_EQ(renamed.id, "c");
  EXPECT_EQ(renamed.version, 2);
  EXPECT_FALSE(find("a").has_value());
  EXPECT_EQ(update("c",
                   [](Integration& integration) {
                     EXPECT_EQ(integration.version, 2) << "a change sees the version it changes";
                     integration.id = "d";
                     integration.id = "c";
                   })
                .version,
            3);
  EXPECT_EQ(find("c")->settings.at("secret"), "s");
  create({"a", "again", "", false, {}});
  EXPECT_THAT(ids(), ElementsAre("c", "b", "a"));
}

TEST_P(IntegrationsStore, DefaultsNeverTouchWhatIsThere) {
  create({"facebook", "Mine", "kept", true, {{"verify", "own"}}});
  EXPECT_THAT(ensure_defaults(), ElementsAre("chat_widget"));
  EXPECT_THAT(ensure_defaults(), IsEmpty());
  EXPECT_EQ(find("facebook")->name, "Mine");
  EXPECT_EQ(find("chat_widget")->name, "Chat Widget");
  EXPECT_EQ(find("chat_widget")->version, 1);
  remove("facebook");
  EXPECT_THAT(ensure_defaults(), ElementsAre("facebook"));
  EXPECT_EQ(find("facebook")->settings.at("verify"), "ai-chatbot-framework");
}

TEST_P(IntegrationsStore, DefaultsAreMadeOnceByManyAtOnce) {
  std::atomic<std::size_t> made = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) threads.emplace_back([&] { made += ensure_defaults().size(); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(made, 2U);
  EXPECT_THAT(ids(), UnorderedElementsAre("facebook", "chat_widget"));
}

TEST_P(IntegrationsStore, NoUpdateIsLost) {
  create({"a", "n", "d", false, {{"count", 0}}});
  constexpr int threads = 6;
  constexpr int rounds = 10;
  std::vector<std::thread> running;
  for (int i = 0; i < threads; ++i) {
    running.emplace_back([&] {
      for (int round = 0; round < rounds; ++round)
        update("a",
               [](Integration& integration) { integration.settings["count"] = integration.settings.at("count").to_number<int>() + 1; });
    });
  }
  for (auto& thread : running) thread.join();
  EXPECT_EQ(find("a")->settings.at("count").to_number<int>(), threads * rounds);
  EXPECT_EQ(find("a")->version, threads * rounds + 1);
}

TEST_P(IntegrationsStore, OneOfManyGuardedUpdatesWins) {
  create({"a", "n", "d", false, {}});
  for (std::int64_t version = 1; version <= 3; ++version) {
    std::atomic<int> won = 0;
    std::atomic<int> lost = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 6; ++i) {
      threads.emplace_back([&] {
        const auto code = code_of([&] { update("a", [](Integration&) {}, version); });
        ++(code == Code{} ? won : lost);
        if (code != Code{}) EXPECT_EQ(code, Code::precondition_failed);
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(won, 1);
    EXPECT_EQ(lost, 5);
  }
}

TEST_P(IntegrationsStore, OneOfManyCreatorsWins) {
  std::atomic<int> won = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      if (code_of([&] { create({"same", "", "", false, {}}); }) == Code{}) ++won;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(won, 1);
  EXPECT_EQ(list().size(), 1U);
}

TEST_P(IntegrationsStore, AnswersPings) {
  on([](Store& store) { return store.ping(); });
}

INSTANTIATE_TEST_SUITE_P(Adapters, IntegrationsStore, ::testing::ValuesIn(TestStores::kinds()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace loquat::integrations
