#include "messenger/settings.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "core/error.h"
#include "testing/await.h"

namespace loquat::messenger {
namespace {

using integrations::Integration;

Integration make_facebook(std::string_view settings, bool status = true) {
  return {
      .id = "facebook", .name = "Facebook Messenger", .description = "", .status = status, .settings = parse_json(settings).as_object()};
}

/// One integration, or none, or a store that is away.
class OneIntegration final : public integrations::Store {
 public:
  std::optional<Integration> integration;
  bool away = false;
  int reads = 0;

  asio::awaitable<std::optional<Integration>> find(std::string_view id) override {
    ++reads;
    EXPECT_EQ(id, "facebook");
    if (away) throw Error(Code::unavailable, "away");
    co_return integration;
  }
  asio::awaitable<std::vector<Integration>> list() override { throw Error(Code::unavailable, "not here"); }
  asio::awaitable<Integration> create(Integration) override { throw Error(Code::unavailable, "not here"); }
  asio::awaitable<Integration> update(std::string_view, std::function<void(Integration&)>, std::optional<std::int64_t>) override {
    throw Error(Code::unavailable, "not here");
  }
  asio::awaitable<void> remove(std::string_view, std::optional<std::int64_t>) override { throw Error(Code::unavailable, "not here"); }
  asio::awaitable<std::vector<std::string>> ensure_defaults() override { throw Error(Code::unavailable, "not here"); }
  asio::awaitable<void> ping() override { co_return; }
};

TEST(PageSettings, one_token_serves_every_page) {
  const auto settings = make_page_settings("secret", "verify", "token");
  EXPECT_TRUE(settings.enabled);
  EXPECT_TRUE(settings.is_ours("1"));
  EXPECT_FALSE(settings.is_ours("sandbox"));
  ASSERT_NE(settings.find_token("1"), nullptr);
  EXPECT_EQ(*settings.find_token("1"), "token");
  EXPECT_EQ(settings.checker->check("x", settings.checker->sign("x"), {}), SignatureResult::valid);
}

TEST(PageSettings, several_pages) {
  const auto settings = make_page_settings(make_facebook(
      R"({"secret":" s\n","verify":"v","page_access_token":"","pages":[{"page_id":"1","page_access_token":"a"},{"page_id":2,"page_access_token":""},{"page_id":"sandbox","page_access_token":"x"},5,{}]})"));
  EXPECT_EQ(settings.secret, "s");
  EXPECT_TRUE(settings.is_ours("1"));
  EXPECT_TRUE(settings.is_ours("2"));
  EXPECT_FALSE(settings.is_ours("3"));
  EXPECT_FALSE(settings.is_ours("sandbox"));
  EXPECT_EQ(*settings.find_token("1"), "a");
  EXPECT_EQ(settings.find_token("2"), nullptr);
  EXPECT_EQ(settings.find_token("3"), nullptr);
}

TEST(PageSettings, pages_beside_a_default_token) {
  const auto settings =
      make_page_settings(make_facebook(R"({"page_access_token":"d","pages":[{"page_id":"1","page_access_token":"a"},{"page_id":"2"}]})"));
  EXPECT_EQ(*settings.find_token("1"), "a");
  EXPECT_EQ(*settings.find_token("2"), "d");
  EXPECT_EQ(*settings.find_token("3"), "d");
  EXPECT_TRUE(settings.is_ours("3"));
}

TEST(PageSettings, without_any_token_events_are_taken_and_kept) {
  const auto settings = make_page_settings(make_facebook(R"({"secret":"s","verify":"v","page_access_token":""})"));
  EXPECT_TRUE(settings.is_ours("1"));
  EXPECT_EQ(settings.find_token("1"), nullptr);
}

TEST(PageSettings, odd_values_count_as_empty) {
  const auto settings = make_page_settings(make_facebook(R"({"secret":5,"verify":null,"page_access_token":"••••••••","pages":{}})", false));
  EXPECT_FALSE(settings.enabled);
  EXPECT_EQ(settings.secret, "");
  EXPECT_EQ(settings.verify, "");
  EXPECT_EQ(settings.default_token, "");
  EXPECT_EQ(settings.checker->check("x", "sha256=00", {}), SignatureResult::unconfigured);
}

TEST(SettingsSource, fixed_ones_are_there_at_once) {
  SettingsSource source(make_page_settings("s", "v", "t"));
  ASSERT_NE(source.current(), nullptr);
  EXPECT_EQ(source.current()->generation, 1U);
  EXPECT_TRUE(testing::await(source.refresh()));
}

TEST(SettingsSource, follows_the_store_and_survives_its_absence) {
  OneIntegration store;
  SettingsSource source(store);
  store.away = true;
  EXPECT_FALSE(testing::await(source.refresh()));
  EXPECT_EQ(source.current(), nullptr);

  store.away = false;
  EXPECT_TRUE(testing::await(source.refresh()));
  ASSERT_NE(source.current(), nullptr);
  EXPECT_FALSE(source.current()->enabled);
  EXPECT_NE(source.current()->checker, nullptr);

  store.integration = make_facebook(R"({"secret":"s","verify":"v","page_access_token":"t"})");
  EXPECT_TRUE(testing::await(source.refresh()));
  const auto first = source.current();
  EXPECT_TRUE(first->enabled);
  EXPECT_EQ(first->generation, 2U);
  EXPECT_TRUE(testing::await(source.refresh()));
  EXPECT_EQ(source.current(), first);

  store.away = true;
  EXPECT_FALSE(testing::await(source.refresh()));
  EXPECT_EQ(source.current(), first);
}

asio::awaitable<void> stop_after_two_reads(async::TaskGroup& tasks, OneIntegration& store, SettingsSource& source) {
  while (store.reads < 1) co_await async::sleep_for(std::chrono::milliseconds(1));
  source.poke();  // the interval is an hour: only the poke makes a second read
  while (store.reads < 2) co_await async::sleep_for(std::chrono::milliseconds(1));
  tasks.stop();
}

TEST(SettingsSource, a_poke_reads_again) {
  OneIntegration store;
  SettingsSource source(store, std::chrono::hours(1));
  async::TaskGroup tasks;
  asio::io_context loop;
  tasks.spawn(loop.get_executor(), "settings", source.run(tasks));
  tasks.spawn(loop.get_executor(), "test", stop_after_two_reads(tasks, store, source));
  loop.run();
  EXPECT_EQ(store.reads, 2);
}

}  // namespace
}  // namespace loquat::messenger
