#include "bot/commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "bot/sql_store.h"
#include "core/error.h"
#include "testing/await.h"
#include "testing/temporary.h"

namespace loquat::bot {
namespace {

using loquat::testing::await;
using ::testing::HasSubstr;

class BotCommands : public ::testing::Test {
 protected:
  BotCommands() { settings_.database.url = directory_.sqlite_url(); }

  std::string write(std::string_view text) {
    const auto name = directory_.file("bot.json");
    std::ofstream(name, std::ios::binary) << text;
    return name;
  }
  int import(const std::string& name) {
    errors_.str("");
    return import_command(settings_, name, check_, out_, errors_);
  }

  loquat::testing::TemporaryDirectory directory_;
  CommandSettings settings_{{}, std::make_shared<const crypto::Keyring>()};
  std::function<void(const Definition&)> check_ = [](const Definition& definition) {
    for (const auto& intent : definition.intents) {
      if (intent.speech_response == "broken") throw Error(Code::invalid, "intent " + intent.intent_id + ": broken");
    }
  };
  std::ostringstream out_;
  std::ostringstream errors_;
};

TEST_F(BotCommands, ImportIsLiveAtOnceInAnEmptyDatabase) {
  EXPECT_EQ(import(write(R"({"intents":[{"name":"a","intentId":"a","speechResponse":"hi"},{"name":"cancel","speechResponse":"x"}]})")), 0)
      << errors_.str();
  EXPECT_THAT(out_.str(), HasSubstr("1 new intents, 0 new entities, 1 updated; version 2 is live"));
  const auto database = db::Database::open(settings_.database);
  SqlStore store(*database, settings_.keyring);
  EXPECT_EQ(await(store.active_version()), 2);
  const auto bot = await(store.load_version(2));
  ASSERT_EQ(bot->intents.size(), 4U);
  EXPECT_EQ(bot->intents[1].speech_response, "x");
  EXPECT_EQ(await(store.versions()).front().built_by, "import");
  database->close();
}

TEST_F(BotCommands, ABotThatCannotBeServedIsNotTaken) {
  EXPECT_EQ(import(write(R"({"intents":[{"name":"a","intentId":"a","speechResponse":"broken"}]})")), 1);
  EXPECT_THAT(errors_.str(), HasSubstr("intent a: broken"));
  const auto database = db::Database::open(settings_.database);
  SqlStore store(*database, settings_.keyring);
  EXPECT_EQ(await(store.active_version()), 1);
  EXPECT_EQ(await(store.draft()).intents.size(), 3U);
  database->close();
}

TEST_F(BotCommands, SaysWhatIsWrongWithAFile) {
  EXPECT_EQ(import(write(R"({"intents":[{"name":"a"},{"name":"b","intentId":5,"speechResponse":""}]})")), 1);
  EXPECT_THAT(errors_.str(), HasSubstr("bot.json: intents.0.intentId: Field required\n"));
  EXPECT_THAT(errors_.str(), HasSubstr("bot.json: intents.1.intentId: Input should be a valid string\n"));
  EXPECT_EQ(import(write("[]")), 1);
  EXPECT_THAT(errors_.str(), HasSubstr("valid dictionary"));
  EXPECT_EQ(import(write("{")), 1);
  EXPECT_EQ(import("/nonexistent/bot.json"), 1);
  EXPECT_THAT(errors_.str(), HasSubstr("cannot be read"));
}

TEST_F(BotCommands, ExportComesBack) {
  ASSERT_EQ(import(write(
                R"({"intents":[{"name":"a","intentId":"a","speechResponse":"é","parameters":[{"name":"p"}]}],"entities":[{"name":"e"}]})")),
            0);
  std::ostringstream exported;
  EXPECT_EQ(export_command(settings_, "", false, exported, errors_), 0);
  EXPECT_THAT(exported.str(), HasSubstr(R"("speechResponse": "\u00e9")"));
  EXPECT_EQ(import(write(exported.str())), 0);
  std::ostringstream again;
  const auto file = directory_.file("out.json");
  EXPECT_EQ(export_command(settings_, file, false, again, errors_), 0);
  EXPECT_EQ(again.str(), "");
  std::ifstream in(file);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), exported.str());
  EXPECT_EQ(export_command(settings_, "/nonexistent/out.json", false, again, errors_), 1);
}

}  // namespace
}  // namespace loquat::bot
