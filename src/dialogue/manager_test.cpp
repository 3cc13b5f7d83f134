#include "dialogue/manager.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "dialogue/talk_fixture.h"
#include "testing/await.h"

namespace loquat::dialogue {
namespace {

using test::Talk;

constexpr std::string_view pizzeria = R"json({
  "intents": [
    {"name": "Fallback", "intentId": "fallback", "speechResponse": "Pardon?"},
    {"name": "cancel", "intentId": "cancel", "speechResponse": "Ok, canceled.", "trainingData": [{"text": "cancel that"}]},
    {"name": "Hello", "intentId": "init_conversation", "speechResponse": "Hello {{ context[\"username\"] }} ### how are you?",
     "trainingData": [{"text": "hi"}, {"text": "good morning"}]},
    {"name": "Order", "intentId": "order",
     "speechResponse": "{{ parameters.count }} x {{ parameters.pizza }} for {{ parameters['name'] | upper }}{% if parameters.note %} ({{ parameters.note }}){% endif %}",
     "parameters": [{"name": "pizza", "type": "dish", "required": true, "prompt": "Which pizza?###We have {{ context.menu | default('all') }}."},
                    {"name": "count", "type": "number", "required": true, "prompt": "How many?"},
                    {"name": "name", "type": "free_text", "required": true, "prompt": "{{ parameters.count }} {{ parameters.pizza }}: for whom?"},
                    {"name": "note", "type": "note", "required": false}],
     "trainingData": [{"text": "I want a pizza"},
                      {"text": "a margherita please", "entities": [{"value": "margherita", "begin": 2, "end": 12, "name": "dish"}]}]},
    {"name": "route", "intentId": "route", "speechResponse": "From {{parameters.from}} to {{parameters.to}}",
     "parameters": [{"name": "from", "type": "city", "required": true, "prompt": "From where?"},
                    {"name": "to", "type": "city", "required": true, "prompt": "Where to?"}],
     "trainingData": [{"text": "travel"}]},
    {"name": "silent", "intentId": "silent", "speechResponse": ""},
    {"name": "unprompted", "intentId": "unprompted", "speechResponse": "ok", "parameters": [{"name": "city", "type": "city", "required": true}]},
    {"name": "broken", "intentId": "broken", "speechResponse": "{{ 'a' | nosuchfilter }}"},
    {"name": "open", "intentId": "open", "speechResponse": "{% if %}"},
    {"name": "fails", "intentId": "fails", "speechResponse": "{{ 1 / 0 }}"},
    {"name": "badprompt", "intentId": "badprompt", "speechResponse": "got {{ parameters.city }}",
     "parameters": [{"name": "city", "type": "city", "required": true, "prompt": "{{ 1 / 0 }}"}]},
    {"name": "names", "intentId": "names", "speechResponse": "{{ context }}{{ parameters }}{{ result }}"}
  ],
  "entities": [
    {"name": "dish", "entity_values": [{"value": "Margherita", "synonyms": ["Marga", "cheap one"]}, {"value": "Funghi", "synonyms": []}]},
    {"name": "number", "entity_values": [{"value": "1", "synonyms": ["one", "ONE"]}, {"value": "2", "synonyms": ["two"]}]},
    {"name": "city", "entity_values": [{"value": "Paris", "synonyms": []}, {"value": "Rome", "synonyms": ["ROMA"]}]}
  ]})json";

TEST(Conversation, greeting) {
  Talk talk(pizzeria);
  EXPECT_EQ(talk.say("/init_conversation", R"({"username":"Ada"})"), "Hello Ada | how are you?");
  EXPECT_EQ(talk.say("Good morning!"), "Hello Ada | how are you?");
  EXPECT_EQ(talk.say("asdf"), "Pardon?");
  EXPECT_EQ(talk.say(""), "Pardon?");
  EXPECT_EQ(to_json(talk.state->nlu), R"({"entities":{},"intent":{"intent":null,"confidence":0.0}})");
  EXPECT_EQ(talk.say("/silent"), "");
  EXPECT_EQ(to_json(talk.state->bot_message), R"([{"text":""}])");
}

TEST(Conversation, ordering_step_by_step) {
  Talk talk(pizzeria);
  EXPECT_EQ(talk.say("i want a pizza", R"({"menu":"two"})"), "Which pizza?|We have two.");
  EXPECT_EQ(talk.say("hm"), "Which pizza?|We have two.");
  EXPECT_EQ(talk.say("the CHEAP ONE"), "How many?");
  EXPECT_EQ(talk.say("two"), "2 Margherita: for whom?");
  EXPECT_EQ(talk.say("Ada & <b>Bob</b>"), "2 x Margherita for ADA & <B>BOB</B>");
  EXPECT_EQ(talk.slots(), R"({"pizza":"Margherita","count":"2","name":"Ada & <b>Bob</b>"})");
  EXPECT_TRUE(talk.state->complete);
  EXPECT_EQ(talk.say("hi"), "Hello  | how are you?");
  EXPECT_EQ(talk.slots(), "{}");
}

TEST(Conversation, everything_in_one_message) {
  Talk talk(pizzeria);
  EXPECT_EQ(talk.say("a Funghi, please"), "How many?");
  EXPECT_EQ(talk.say("make it one marga"), "1 Margherita: for whom?");
  EXPECT_EQ(talk.say("/fallback"), "1 x Margherita for /FALLBACK");
  EXPECT_EQ(talk.say("/order/two/margherita"), "2 Margherita: for whom?");
  EXPECT_EQ(talk.say("/cancel"), "Ok, canceled.");
  EXPECT_EQ(talk.slots(), "{}");
}

TEST(Conversation, two_slots_of_one_type) {
  Talk talk(pizzeria);
  EXPECT_EQ(talk.say("travel"), "From where?");
  EXPECT_EQ(talk.say("paris"), "Where to?");
  EXPECT_EQ(talk.say("roma"), "From Paris to Rome");
  EXPECT_EQ(talk.say("/route paris rome"), "Pardon?");
  EXPECT_EQ(talk.say("/route/rome to paris"), "From Rome to Paris");
}

TEST(Conversation, cancelled) {
  Talk talk(pizzeria);
  EXPECT_EQ(talk.say("travel"), "From where?");
  EXPECT_EQ(talk.say("Cancel that!"), "Ok, canceled.");
  EXPECT_EQ(talk.say("paris"), "Pardon?");
}

TEST(Conversation, a_bot_with_faults_goes_on) {
  Talk talk(pizzeria);
  EXPECT_EQ(talk.say("/broken"), "Pardon?");
  EXPECT_EQ(to_json(talk.state->intent), R"({"id":"broken"})");
  EXPECT_TRUE(talk.state->complete);
  EXPECT_EQ(talk.say("/open"), "Pardon?");
  EXPECT_EQ(talk.say("/fails"), "Pardon?");
  EXPECT_EQ(talk.say("/badprompt"), "Pardon?");
  EXPECT_EQ(talk.say("Paris"), "got Paris");
  EXPECT_EQ(talk.say("/unprompted"), "Please enter: city");
  EXPECT_EQ(talk.say("Rome"), "ok");
  EXPECT_EQ(talk.say("hi"), "Hello  | how are you?");
}

TEST(Conversation, what_templates_see) {
  Talk talk(pizzeria);
  EXPECT_EQ(talk.say("/names", R"({"a":[1,null]})"), "{'a': [1, None]}{}");
  EXPECT_EQ(to_json(talk.state->context), R"({"a":[1,null]})");
}

TEST(Conversation, the_bot_changes_meanwhile) {
  Talk talk(pizzeria);
  EXPECT_EQ(talk.say("travel"), "From where?");
  talk.use(R"({"intents":[{"name":"hello","intentId":"hello","speechResponse":"Hi","trainingData":[{"text":"hi"}]}],"entities":[]})");
  EXPECT_EQ(talk.say("paris"), "Sorry, I did not get that.");
  EXPECT_EQ(to_json(talk.state->intent), R"({"id":"fallback"})");
  EXPECT_EQ(talk.say("hi"), "Hi");
  EXPECT_EQ(talk.say("what"), "Sorry, I did not get that.");
  talk.use(R"({"intents":[{"name":"f","intentId":"fallback","speechResponse":"{{ 1/0 }}"}],"entities":[]})");
  EXPECT_EQ(talk.say("what"), "Sorry, I did not get that.");
  talk.use(R"({"intents":[],"entities":[]})");
  EXPECT_EQ(talk.say("what"), "Sorry, I did not get that.");
}

TEST(Conversation, the_default_bot) {
  Talk talk(R"({"intents":[],"entities":[]})");
  talk.manager().set_bot(compile(bot::default_definition()));
  EXPECT_EQ(talk.say("/init_conversation", R"({"username":"Admin"})"), "Hello Admin! | How can I help you?");
  EXPECT_EQ(talk.say("never mind"), "Okay, canceled.");
  EXPECT_THAT(talk.say("blah"),
              ::testing::AnyOf("Sorry | I did not get that.\n", "Sorry | I did not get that.\uFEFF\n", ::testing::HasSubstr("\uFEFF")));
}

TEST(Conversation, the_state) {
  Talk talk(pizzeria);
  talk.message_id = MessageId::of_key("x");
  (void)talk.say("travel");
  const auto& state = *talk.state;
  EXPECT_EQ(state.version, 1);
  EXPECT_EQ(state.message_id, MessageId::of_key("x"));
  EXPECT_EQ(to_json(state.user_message), R"({"thread_id":"t","text":"travel","channel":"rest","context":{}})");
  EXPECT_EQ(to_json(state.bot_message), R"([{"text":"From where?"}])");
  EXPECT_EQ(to_json(state.nlu), R"({"entities":{},"intent":{"intent":"route","confidence":1.0}})");
  EXPECT_EQ(to_json(state.current_node), R"("from")");
  EXPECT_FALSE(state.complete);
}

TEST(Manager, without_a_bot) {
  const Manager manager({.api_proxy = {}, .addresses = nullptr, .bot_wait = std::chrono::milliseconds(5)}, nullptr);
  const chat::UserMessage message{{"rest", "", "t"}, "hi", {}, std::nullopt};
  try {
    (void)testing::await(manager.decide(std::nullopt, message));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::unavailable);
  }
}

TEST(Compile, names_faults) {
  const auto bot = compile(bot::parse_export(pizzeria));
  EXPECT_THAT(faults_of(*bot),
              ::testing::ElementsAre(::testing::StartsWith("Intent broken: answer: "), ::testing::StartsWith("Intent open: answer: ")));
}

}  // namespace
}  // namespace loquat::dialogue
