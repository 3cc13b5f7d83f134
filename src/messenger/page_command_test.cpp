#include "messenger/page_command.h"

#include <gmock/gmock.h>

#include <sstream>

#include "core/error.h"
#include "core/json.h"
#include "messenger/page_profile.h"
#include "messenger/sender_fixture.h"

namespace loquat::messenger {
namespace {

using http::test::make_answer;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

std::string problems_of(std::string_view text) {
  try {
    (void)parse_profile(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::invalid);
    return error.what();
  }
  return {};
}

TEST(Profile, TakesTheShortForms) {
  const auto profile =
      parse_profile("\xEF\xBB\xBF{\"get_started\":\"/start\",\"greeting\":\"Hi {{user_first_name}}\",\"ice_breakers\":null}");
  EXPECT_EQ(json::value(profile.set),
            parse_json(R"({"get_started":{"payload":"/start"},"greeting":[{"locale":"default","text":"Hi {{user_first_name}}"}]})"));
  EXPECT_THAT(profile.remove, testing::ElementsAre("ice_breakers"));
}

TEST(Profile, TakesAWholeFile) {
  constexpr std::string_view file = R"({
    "get_started": {"payload": "/start"},
    "greeting": [{"locale": "default", "text": "Hello"}, {"locale": "de_DE", "text": "Hallo"}],
    "persistent_menu": [{"locale": "default", "composer_input_disabled": false, "call_to_actions": [
      {"type": "postback", "title": "Help", "payload": "/help"},
      {"type": "web_url", "title": "Shop", "url": "https://e.org", "webview_height_ratio": "full"}]}],
    "ice_breakers": [{"call_to_actions": [{"question": "Open?", "payload": "/hours"}], "locale": "default"}]})";
  EXPECT_EQ(json::value(parse_profile(file).set), parse_json(file));
}

TEST(Profile, NamesEveryMistake) {
  EXPECT_THAT(problems_of("{"), StartsWith("the file is no JSON: "));
  EXPECT_EQ(problems_of("[]"), "the file: must be a JSON object");
  EXPECT_EQ(problems_of("{}"), "the file: sets nothing");
  EXPECT_THAT(problems_of(R"({"menu":1})"), StartsWith("menu: is not known"));
  EXPECT_EQ(problems_of(R"({"get_started":{}})"), "get_started.payload: must be a text");
  EXPECT_EQ(problems_of(R"({"get_started":""})"), "get_started.payload: is empty");
  EXPECT_THAT(problems_of("{\"get_started\":\"" + std::string(1001, 'x') + "\"}"), HasSubstr("1001 characters, at most 1000"));
  EXPECT_THAT(problems_of("{\"greeting\":\"" + std::string(161, 'x') + "\"}"), HasSubstr("at most 160"));
  EXPECT_EQ(problems_of(R"({"greeting":[{"locale":"de_DE","text":"x"},{"locale":"de_DE","text":"y"}]})"),
            "greeting[1].locale: is there twice\ngreeting: needs an entry with the locale \"default\"");
  EXPECT_EQ(
      problems_of(
          R"({"persistent_menu":[{"locale":"default","call_to_actions":[{"type":"x","title":"t"},{"type":"web_url","title":"t"}]}]})"),
      "persistent_menu[0].call_to_actions[0].type: must be \"postback\" or \"web_url\"\n"
      "persistent_menu[0].call_to_actions[1].url: must be a web address");
  EXPECT_THAT(problems_of(R"({"persistent_menu":[{"locale":"default"}]})"), HasSubstr("call_to_actions: must be a list"));
  EXPECT_THAT(problems_of(R"({"ice_breakers":[{"question":"a"}]})"), HasSubstr("ice_breakers[0].payload: must be a text"));
  EXPECT_THAT(problems_of(R"({"ice_breakers":[1,2,3,4,5]})"), HasSubstr("has 5 entries, at most 4"));
  EXPECT_THAT(problems_of(R"({"ice_breakers":[]})"), HasSubstr("at least one entry"));
  EXPECT_THAT(problems_of(R"({"greeting":5,"ice_breakers":"x"})"), HasSubstr("\n"));
}

class PageCommandTest : public test::GraphTest {
 protected:
  int run_command(PageCommand command) { return run(run_page_command(graph, access, command, out, err)); }

  std::ostringstream out;
  std::ostringstream err;
};

TEST_F(PageCommandTest, Subscribes) {
  answer = [](const std::string&) { return make_answer(R"({"success":true})"); };
  EXPECT_EQ(run_command({.action = PageCommand::Action::subscribe, .page = "42"}), 0);
  EXPECT_THAT(asked().at(0), StartsWith("POST /v25.0/42/subscribed_apps?subscribed_fields=messages%2Cmessaging_postbacks%2C"));
  EXPECT_THAT(asked().at(0), HasSubstr("access_token=TOKEN&appsecret_proof="));
  EXPECT_THAT(out.str(), HasSubstr("messages, messaging_postbacks"));
  EXPECT_EQ(run_command({.action = PageCommand::Action::subscribe, .fields = {"messages"}, .json = true}), 0);
  EXPECT_THAT(asked().at(1), HasSubstr("/me/subscribed_apps?subscribed_fields=messages&"));
  EXPECT_THAT(out.str(), HasSubstr(R"({"success":true,"fields":["messages"]})"));
  EXPECT_THAT(err.str(), IsEmpty());
}

TEST_F(PageCommandTest, SaysWhyItFailed) {
  answer = [](const std::string&) {
    return make_answer(R"({"error":{"message":"Error validating access token","code":190,"error_subcode":463}})", "", "400 Bad Request");
  };
  for (const auto action : {PageCommand::Action::subscribe, PageCommand::Action::status}) EXPECT_EQ(run_command({.action = action}), 1);
  EXPECT_EQ(run_command({.action = PageCommand::Action::profile, .profile = R"({"get_started":"x"})"}), 1);
  EXPECT_THAT(err.str(), HasSubstr("Error validating access token (code 190, subcode 463). The page access token is no longer valid"));
  EXPECT_THAT(err.str(), Not(HasSubstr("TOKEN")));
  answer = [](const std::string&) {
    return make_answer(R"({"error":{"message":"Malformed access token TOKENTOKEN","code":190}})", "", "400 Bad Request");
  };
  EXPECT_EQ(run_command({.action = PageCommand::Action::status}), 1);
  EXPECT_THAT(err.str(), AllOf(HasSubstr("Malformed access token ******"), Not(HasSubstr("TOKEN"))));
  answer = [](const std::string&) { return make_answer("<html>", "", "404 Not Found"); };
  EXPECT_EQ(run_command({.action = PageCommand::Action::status}), 1);
  EXPECT_THAT(err.str(), HasSubstr("is GRAPH_API_URL right?"));
}

std::string answer_status(const std::string& request) {
  if (request.find("/subscribed_apps") != std::string::npos) {
    return make_answer(R"({"data":[{"id":"9","name":"My app","subscribed_fields":["messages","messaging_postbacks"]}]})");
  }
  if (request.find("/messenger_profile") != std::string::npos) return make_answer(R"({"data":[{"get_started":{"payload":"/start"}}]})");
  return make_answer(R"({"id":"42","name":"Shop"})");
}

TEST_F(PageCommandTest, ShowsTheStatus) {
  answer = answer_status;
  EXPECT_EQ(run_command({.action = PageCommand::Action::status}), 0);
  EXPECT_THAT(asked().at(0), StartsWith("GET /v25.0/me?fields=id%2Cname&access_token=TOKEN"));
  EXPECT_THAT(out.str(),
              HasSubstr("page: Shop (42)\napp: My app (9)\n  fields: messages, messaging_postbacks\n  missing: messaging_referrals"));
  EXPECT_THAT(out.str(), HasSubstr("get_started: {\"payload\":\"/start\"}"));
  out.str("");
  EXPECT_EQ(run_command({.action = PageCommand::Action::status, .json = true}), 0);
  const auto shown = parse_json(out.str());
  EXPECT_EQ(shown.at("page").at("id").as_string(), "42");
  EXPECT_EQ(shown.at("profile"), parse_json(R"({"get_started":{"payload":"/start"}})"));
  EXPECT_THAT(shown.at("problems").as_array(), IsEmpty());
}

TEST_F(PageCommandTest, ShowsWhatItCan) {
  answer = [](const std::string& request) {
    if (request.find("/messenger_profile") == std::string::npos) return answer_status(request);
    return make_answer(R"({"error":{"message":"no","code":200}})", "", "403 Forbidden");
  };
  EXPECT_EQ(run_command({.action = PageCommand::Action::status}), 3);
  EXPECT_THAT(out.str(), HasSubstr("page: Shop (42)"));
  EXPECT_THAT(err.str(), HasSubstr("profile: Meta refused: no (code 200)"));
}

TEST_F(PageCommandTest, SetsAndRemovesTheProfile) {
  answer = [](const std::string&) { return make_answer(R"({"result":"success"})"); };
  EXPECT_EQ(run_command({.action = PageCommand::Action::profile, .profile = R"({"get_started":"/start","greeting":null})"}), 0);
  EXPECT_THAT(asked().at(0), StartsWith("POST /v25.0/me/messenger_profile?"));
  EXPECT_EQ(body_of(asked().at(0)), R"({"get_started":{"payload":"/start"}})");
  EXPECT_THAT(asked().at(1), StartsWith("DELETE /v25.0/me/messenger_profile?"));
  EXPECT_EQ(body_of(asked().at(1)), R"({"fields":["greeting"]})");
  EXPECT_EQ(out.str(), "set: get_started\nremoved: greeting\n");
}

TEST_F(PageCommandTest, DoesNothingWithAWrongFile) {
  EXPECT_EQ(run_command({.action = PageCommand::Action::profile, .profile = R"({"greeting":5})"}), 2);
  EXPECT_THAT(err.str(), HasSubstr("greeting: must be a list"));
  EXPECT_THAT(asked(), IsEmpty());
}

TEST_F(PageCommandTest, SaysWhatWasDoneInPart) {
  answer = [](const std::string& request) {
    if (request.starts_with("POST")) return make_answer(R"({"result":"success"})");
    return make_answer(R"({"error":{"message":"no","code":100}})", "", "400 Bad Request");
  };
  EXPECT_EQ(run_command({.action = PageCommand::Action::profile, .profile = R"({"get_started":"x","greeting":null})"}), 3);
  EXPECT_THAT(err.str(), HasSubstr("not removed: "));
}

}  // namespace
}  // namespace loquat::messenger
