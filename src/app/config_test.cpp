#include "app/config.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "app/config_values.h"
#include "testing/temporary.h"

namespace loquat::app {
namespace {

using std::chrono::milliseconds;
using Environment = std::map<std::string, std::string>;

Loaded load(Environment environment, std::vector<std::string> targets = {"all"}, Environment command_line = {}, std::string file = {}) {
  return load_config({.command_line = std::move(command_line), .environment = std::move(environment), .file = std::move(file)}, targets);
}

bool names(const std::vector<std::string>& problems, std::string_view text) {
  return std::ranges::any_of(problems, [text](const auto& problem) { return problem.find(text) != std::string::npos; });
}

std::string shown(const Loaded& loaded, std::string_view name) {
  for (const auto& origin : loaded.origins)
    if (origin.name == name) return origin.value + " [" + origin.source + "]";
  return {};
}

TEST(Config, DefaultsServeOnLoopbackWithSqlite) {
  const auto loaded = load({});
  EXPECT_TRUE(loaded.problems.empty());
  EXPECT_EQ(loaded.config.host, "127.0.0.1");
  EXPECT_EQ(loaded.config.port, 8000);
  EXPECT_EQ(loaded.config.database_url, "sqlite:///./data/loquat.db");
  EXPECT_EQ(loaded.config.states_url, loaded.config.database_url);
  EXPECT_TRUE(loaded.config.sandbox);
  EXPECT_EQ(loaded.config.db_max_pool, 15U);
  EXPECT_EQ(loaded.config.log_format, log::Format::json);
}

TEST(Config, EveryWrongSettingIsReportedAtOnce) {
  const auto loaded = load(
      {{"PORT", "99999"}, {"LOG_LEVEL", "loud"}, {"METRICS_ENABLED", "maybe"}, {"DATABASE_URL", "mysql://h/d"}, {"SHUTDOWN_GRACE", "-1"}});
  EXPECT_TRUE(names(loaded.problems, "PORT"));
  EXPECT_TRUE(names(loaded.problems, "LOG_LEVEL"));
  EXPECT_TRUE(names(loaded.problems, "METRICS_ENABLED"));
  EXPECT_EQ(std::ranges::count_if(loaded.problems, [](const auto& problem) { return problem.starts_with("DATABASE_URL"); }), 1)
      << "one setting, however many stores it is for";
  EXPECT_TRUE(names(loaded.problems, "SHUTDOWN_GRACE"));
}

TEST(Config, PortsDiffer) {
  EXPECT_TRUE(names(load({{"PORT", "8001"}, {"ADMIN_PORT", "8001"}}).problems, "ADMIN_PORT"));
  EXPECT_TRUE(load({{"PORT", "8001"}, {"ADMIN_PORT", "8002"}}).problems.empty());
}

TEST(Config, CommandLineBeatsEnvironmentBeatsFileBeatsDefault) {
  const testing::TemporaryDirectory directory;
  std::ofstream(directory.file("c.toml")) << "port = 1\nlog_level = \"debug\"\nmax-connections = 7\n";
  const auto loaded = load({{"PORT", "2"}, {"LOG_LEVEL", ""}}, {"all"}, {{"PORT", "3"}}, directory.file("c.toml"));
  EXPECT_TRUE(loaded.problems.empty());
  EXPECT_EQ(loaded.config.port, 3);
  EXPECT_EQ(loaded.config.log_level, log::Level::debug) << "an empty value counts as not set";
  EXPECT_EQ(loaded.config.max_connections, 7U);
  EXPECT_EQ(shown(loaded, "PORT"), "3 [command line]");
  EXPECT_EQ(shown(loaded, "LOG_LEVEL"), "debug [file]");
}

TEST(Config, AnUnknownKeyInTheFileIsAnError) {
  const testing::TemporaryDirectory directory;
  std::ofstream(directory.file("c.toml")) << "prot = 1\n";
  EXPECT_TRUE(names(load({}, {"all"}, {}, directory.file("c.toml")).problems, "PROT"));
  EXPECT_TRUE(names(load({}, {"all"}, {}, directory.file("missing.toml")).problems, "cannot be read"));
}

TEST(Config, SecretsComeFromFilesAndAreMasked) {
  const testing::TemporaryDirectory directory;
  std::ofstream(directory.file("token")) << "s3cret\n";
  const auto loaded = load({{"ADMIN_TOKEN_FILE", directory.file("token")}, {"DATABASE_URL", "postgresql://u:pass@h/d"}});
  ASSERT_EQ(loaded.config.admin_tokens.size(), 1U);
  EXPECT_EQ(loaded.config.admin_tokens[0].second, "s3cret");
  const auto dsn = load({{"DB_DSN", "host=db password=pass@ dbname=x"}});
  EXPECT_FALSE(dsn.problems.empty());
  for (const auto& origins : {loaded.origins, dsn.origins}) {
    for (const auto& origin : origins) {
      EXPECT_EQ(origin.value.find("s3cret"), std::string::npos);
      EXPECT_EQ(origin.value.find("pass@"), std::string::npos);
    }
  }
}

TEST(Config, PasswordsInAnyUrlAreMasked) {
  const auto loaded = load({{"API_PROXY", "http://u:pw22@p:1"},
                            {"GRAPH_API_URL", "https://u:pw22@graph.example"},
                            {"MONGODB_URI", "mongodb://h/d?authMechanismProperties=AWS_SESSION_TOKEN:pw22"},
                            {"STATE_URL", "https://u:pw22@states.example?token=pw22"},
                            {"DB_DSN", "postgresql://h/d?sslpassword=pw22"},
                            {"CORS_ORIGINS", "https://u:pw22@shop.example"},
                            {"ADMIN_TOKEN", "pw22://pw22"}});
  const auto bare = load({{"API_PROXY", "u:pw22@p:1"}, {"ROOT_PATH", "http://u:pw22@p"}});
  const auto shown = [&loaded](std::string_view name) { return std::ranges::find(loaded.origins, name, &Origin::name)->value; };
  EXPECT_EQ(shown("API_PROXY"), "http://u:***@p:1");
  EXPECT_EQ(shown("(integrations)"), "mongodb://h/d?authMechanismProperties=***");
  std::string all;
  for (const auto* one : {&loaded, &bare}) {
    for (const auto& origin : one->origins) all += origin.value + "\n";
    for (const auto& problem : one->problems) all += problem + "\n";
  }
  EXPECT_EQ(all.find("pw22"), std::string::npos) << all;
}

TEST(Config, EachStoreTakesTheFirstNameThatIsSet) {
  const auto loaded = load({{"DATABASE_URL", "postgresql://h/a"},
                            {"DB_DSN", "postgresql://h/b"},
                            {"DB_URL", "postgresql://h/c"},
                            {"MONGODB_URI", "mongodb://h/m"}});
  EXPECT_EQ(loaded.config.integrations_url, "mongodb://h/m");
  EXPECT_EQ(loaded.config.states_url, "postgresql://h/c");
  EXPECT_EQ(loaded.config.database_url, "postgresql://h/b");
}

TEST(Config, ASchemeAStoreDoesNotTakeIsAnErrorOnlyWhereItIsNeeded) {
  EXPECT_TRUE(load({{"DATABASE_URL", "memory://"}}, {"integrations"}).problems.empty());
  EXPECT_TRUE(load({{"DATABASE_URL", "mongodb://h/d"}}, {"integrations"}).problems.empty());
  EXPECT_FALSE(load({{"DATABASE_URL", "memory://"}}, {"all"}).problems.empty());
}

TEST(Config, ThePagesThreeSecretsComeTogether) {
  EXPECT_TRUE(load({{"PAGE_ACCESS_TOKEN", "a"}, {"APP_SECRET", "b"}, {"VERIFY_TOKEN", "c"}}).problems.empty());
  const auto loaded = load({{"APP_SECRET", "b"}});
  EXPECT_TRUE(names(loaded.problems, "PAGE_ACCESS_TOKEN, VERIFY_TOKEN missing"));
  EXPECT_TRUE(load({{"APP_SECRET", "b"}}, {"state"}).problems.empty());
}

TEST(Config, AdminPathsNeedATokenBeyondLoopback) {
  EXPECT_TRUE(names(load({{"HOST", "0.0.0.0"}}).problems, "ADMIN_TOKEN"));
  EXPECT_TRUE(load({{"HOST", "0.0.0.0"}, {"ADMIN_TOKEN", "t"}}).problems.empty());
  EXPECT_TRUE(load({{"HOST", "0.0.0.0"}}, {"messenger"}).problems.empty());
  const auto open = load({{"HOST", "0.0.0.0"}, {"AUTH", "none"}});
  EXPECT_TRUE(open.problems.empty());
  EXPECT_EQ(open.warnings.size(), 1U);
}

TEST(Config, TokensByName) {
  const auto loaded = load({{"ADMIN_TOKENS", "ann:1,bob:2"}});
  ASSERT_EQ(loaded.config.admin_tokens.size(), 2U);
  EXPECT_EQ(loaded.config.admin_tokens[1], std::pair(std::string("bob"), std::string("2")));
  EXPECT_TRUE(names(load({{"ADMIN_TOKENS", "ann"}}).problems, "ADMIN_TOKENS"));
}

TEST(ConfigValues, AreRead) {
  EXPECT_EQ(parse_bool("Yes"), true);
  EXPECT_EQ(parse_bool("OFF"), false);
  EXPECT_EQ(parse_bool("2"), std::nullopt);
  EXPECT_EQ(parse_duration("2"), milliseconds(2000));
  EXPECT_EQ(parse_duration("0.5"), milliseconds(500));
  EXPECT_EQ(parse_duration("15m"), milliseconds(900'000));
  EXPECT_EQ(parse_duration("24 h"), milliseconds(86'400'000));
  EXPECT_EQ(parse_duration("soon"), std::nullopt);
  EXPECT_EQ(parse_bytes("64MiB"), std::size_t{64} << 20U);
  EXPECT_EQ(parse_bytes("10"), 10U);
  EXPECT_EQ(parse_level("WARN"), log::Level::warning);
  EXPECT_EQ(parse_level("FATAL"), log::Level::critical);
  EXPECT_EQ(parse_list(" a, ,b "), (std::vector<std::string>{"a", "b"}));
}

}  // namespace
}  // namespace loquat::app
