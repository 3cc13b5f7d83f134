#include "dialogue/policy.h"

#include <gtest/gtest.h>

#include "core/text.h"

namespace loquat::dialogue {
namespace {

std::vector<IntentRules> intents() {
  return {{"fallback", {}},
          {"cancel", {}},
          {"greet", {}},
          {"fly", {{"from", "city", true}, {"to", "city", true}, {"seat", "seat", false}, {"note", "free_text", true}}},
          {"trip", {{"via", "city", false}, {"to", "city", true}}},
          {"name", {{"name", "free_text", true}, {"color", "color", false}}},
          {"weather", {{"city", "city", true}}},
          {"untyped", {{"thing", std::nullopt, true}}}};
}

/// "weather city=Paris" or "- city=Paris" or "weather?0.5": what the interpreter says of a message.
nlu::Meaning meaning_of(std::string_view text) {
  nlu::Meaning meaning;
  bool first = true;
  for (const auto word : text::split(text, ' ')) {
    const auto equals = word.find('=');
    if (first) {
      const auto question = word.find('?');
      if (word != "-") meaning.intent = word.substr(0, question);
      meaning.confidence =
          question == std::string_view::npos ? (meaning.intent ? 1.0 : 0.0) : std::stod(std::string(word.substr(question + 1)));
    } else {
      meaning.entities.push_back({std::string(word.substr(0, equals)), std::string(word.substr(equals + 1))});
    }
    first = false;
  }
  return meaning;
}

class Conversation {
 public:
  explicit Conversation(Rules rules = Rules(intents(), 0.75)) : rules_(std::move(rules)) {}

  /// "intent" of who speaks, "?slot" when it asks, then the filled slots.
  std::string say(std::string_view text, std::string_view meaning, std::string_view context = "{}") {
    chat::UserMessage message{{"rest", "", "t"}, std::string(text), parse_json(context).as_object(), std::nullopt};
    auto turn = next(rules_, begin_turn(state_, message, Time()), text, meaning_of(meaning));
    state_ = std::move(turn.state);
    std::string out = turn.intent ? rules_.intent(*turn.intent).id : "nobody";
    EXPECT_EQ(state_->complete, !turn.ask);
    if (turn.ask) {
      const auto& asked = rules_.intent(*turn.intent).slots[*turn.ask].name;
      EXPECT_EQ(as_view(state_->current_node.as_string()), asked);
      out += "?" + asked;
    }
    for (const auto& [key, value] : state_->extracted_parameters.as_object()) {
      out += " " + std::string(key.data(), key.size()) + "=" + std::string(as_view(value.as_string()));
    }
    return out;
  }
  [[nodiscard]] const state::State& state() const { return *state_; }
  state::State& state() { return *state_; }
  void use(Rules rules) { rules_ = std::move(rules); }

 private:
  Rules rules_;
  std::optional<state::State> state_;
};

TEST(Command, is_what_stands_between_the_slashes) {
  EXPECT_EQ(find_command("/greet"), "greet");
  EXPECT_EQ(find_command("/greet/more/x"), "greet");
  EXPECT_EQ(find_command("/greet now"), "greet now");
  EXPECT_EQ(find_command("/"), "");
  EXPECT_EQ(find_command("//x"), "");
  EXPECT_FALSE(find_command("greet/"));
  EXPECT_FALSE(find_command(""));
  EXPECT_FALSE(find_command(" /greet"));
}

TEST(Policy, intents_without_slots_answer_at_once) {
  Conversation c;
  EXPECT_EQ(c.say("hi", "greet"), "greet");
  EXPECT_EQ(to_json(c.state().current_node), "\"\"");
  EXPECT_EQ(c.say("hi", "greet"), "greet");
  EXPECT_EQ(to_json(c.state().current_node), "null");
  EXPECT_EQ(c.say("what", "-"), "fallback");
  EXPECT_EQ(c.say("what", "greet?0.74"), "fallback");
  EXPECT_EQ(to_json(c.state().nlu), R"({"entities":{},"intent":{"intent":"greet","confidence":0.74}})");
  EXPECT_EQ(c.say("what", "greet?0.75"), "greet");
  EXPECT_EQ(c.say("what", "nonsense"), "fallback");
  EXPECT_EQ(to_json(c.state().intent), R"({"id":"fallback"})");
}

TEST(Policy, commands) {
  Conversation c;
  EXPECT_EQ(c.say("/greet", "greet"), "greet");
  EXPECT_EQ(c.say("/unknown", "unknown"), "fallback");
  EXPECT_EQ(c.say("/weather Paris", "weather city=Paris"), "weather city=Paris");
  Conversation strict(Rules(intents(), 2.0));
  EXPECT_EQ(strict.say("hi", "greet"), "fallback");
  EXPECT_EQ(strict.say("/greet", "greet"), "greet");
}

TEST(Policy, slots_are_asked_one_after_the_other) {
  Conversation c;
  EXPECT_EQ(c.say("fly", "fly"), "fly?from");
  EXPECT_EQ(to_json(c.state().missing_parameters), R"(["from","to","note"])");
  EXPECT_EQ(to_json(c.state().parameters),
            R"([{"name":"from","type":"city","required":true},{"name":"to","type":"city","required":true},)"
            R"({"name":"seat","type":"seat","required":false},{"name":"note","type":"free_text","required":true}])");
  EXPECT_EQ(c.say("hello", "greet"), "fly?from");
  EXPECT_EQ(c.say("Paris", "- city=Paris"), "fly?to from=Paris");
  EXPECT_EQ(c.say("Rome window", "- city=Rome seat=window"), "fly?note from=Paris to=Rome seat=window");
  EXPECT_EQ(c.say("/visit", "visit"), "fly from=Paris to=Rome seat=window note=/visit");
  EXPECT_EQ(to_json(c.state().missing_parameters), "[]");
  EXPECT_EQ(to_json(c.state().current_node), "null");
  EXPECT_EQ(c.say("hi", "greet"), "greet");
  EXPECT_EQ(to_json(c.state().parameters), "[]");
}

TEST(Policy, values_of_one_type) {
  Conversation c;
  EXPECT_EQ(c.say("from paris to rome", "fly city=Paris city=Rome"), "fly?note from=Paris to=Rome");
  Conversation many;
  EXPECT_EQ(many.say("paris rome oslo", "fly city=Paris city=Rome city=Oslo"), "fly?note from=Paris to=Rome");
  Conversation again;
  EXPECT_EQ(again.say("fly from paris", "fly city=Paris"), "fly?to from=Paris");
  EXPECT_EQ(again.say("no, oslo to rome", "- city=Oslo city=Rome"), "fly?note from=Oslo to=Rome");
  EXPECT_EQ(again.say("my note", "-"), "fly from=Oslo to=Rome note=my note");
  Conversation last;
  EXPECT_EQ(last.say("w", "weather city=Paris city=Rome"), "weather city=Rome");
  EXPECT_EQ(to_json(last.state().nlu), R"({"entities":{"city":"Rome"},"intent":{"intent":"weather","confidence":1.0}})");
}

TEST(Policy, a_later_value_replaces_an_earlier_one) {
  Conversation c;
  EXPECT_EQ(c.say("fly", "fly city=Paris city=Rome"), "fly?note from=Paris to=Rome");
  // Prompted for free text, the message is the note; its entities count for the other slots too.
  EXPECT_EQ(c.say("Oslo, not Paris", "- city=Oslo"), "fly from=Oslo to=Rome note=Oslo, not Paris");
}

TEST(Policy, the_slot_that_was_asked_for_comes_first) {
  Conversation c;
  EXPECT_EQ(c.say("trip", "trip"), "trip?to");
  EXPECT_EQ(c.say("Rome", "- city=Rome"), "trip to=Rome");
}

TEST(Policy, free_text) {
  Conversation c;
  EXPECT_EQ(c.say("my name is x", "name"), "name?name");
  EXPECT_EQ(c.say("", "-"), "name?name");
  EXPECT_EQ(c.say("/fallback", "fallback color=red"), "name name=/fallback color=red");
  EXPECT_EQ(c.say("name", "name"), "name?name");
  EXPECT_EQ(c.say("/cancel", "cancel"), "cancel");
}

TEST(Policy, cancel_clears_everything) {
  Conversation c;
  EXPECT_EQ(c.say("fly", "fly city=Paris"), "fly?to from=Paris");
  EXPECT_EQ(c.say("forget it", "cancel"), "cancel");
  EXPECT_EQ(to_json(c.state().intent), R"({"id":"cancel"})");
  EXPECT_EQ(to_json(c.state().parameters), "[]");
  EXPECT_EQ(to_json(c.state().current_node), "null");
  EXPECT_EQ(c.say("fly", "fly"), "fly?from");
  Conversation fresh;
  EXPECT_EQ(fresh.say("/cancel", "cancel"), "cancel");
  EXPECT_EQ(to_json(fresh.state().current_node), "null");
  // Not sure enough of it: the intent goes on.
  EXPECT_EQ(c.say("hm", "cancel?0.5"), "fly?from");
}

TEST(Policy, without_a_cancel_intent_nothing_escapes) {
  Conversation c(Rules({{"fallback", {}}, {"weather", {{"city", "city", true}}}}, 0.75));
  EXPECT_EQ(c.say("weather", "weather"), "weather?city");
  EXPECT_EQ(c.say("/cancel", "cancel"), "weather?city");
}

TEST(Policy, a_deleted_intent) {
  Conversation c;
  EXPECT_EQ(c.say("fly", "fly city=Paris"), "fly?to from=Paris");
  c.use(Rules({{"fallback", {}}, {"greet", {}}}, 0.75));
  EXPECT_EQ(c.say("Rome", "greet"), "fallback");
  EXPECT_EQ(to_json(c.state().intent), R"({"id":"fallback"})");
  EXPECT_EQ(c.say("hi", "greet"), "greet");
  Conversation bare(Rules({{"weather", {{"city", "city", true}}}}, 0.75));
  EXPECT_EQ(bare.say("what", "-"), "nobody");
  EXPECT_EQ(to_json(bare.state().intent), R"({"id":"fallback"})");
  EXPECT_EQ(bare.say("weather", "weather"), "weather?city");
  bare.use(Rules({}, 0.75));
  EXPECT_EQ(bare.say("Paris", "- city=Paris"), "nobody");
}

TEST(Policy, an_intent_that_lost_its_slots_completes) {
  Conversation c;
  EXPECT_EQ(c.say("weather", "weather"), "weather?city");
  c.use(Rules({{"fallback", {}}, {"weather", {}}}, 0.75));
  EXPECT_EQ(c.say("Paris", "-"), "weather");
  EXPECT_EQ(to_json(c.state().missing_parameters), "[]");
}

TEST(Policy, a_slot_without_type_stays_open) {
  Conversation c;
  EXPECT_EQ(c.say("x", "untyped city=Paris"), "untyped?thing");
  EXPECT_EQ(to_json(c.state().parameters), R"([{"name":"thing","type":null,"required":true}])");
}

TEST(Policy, context_accumulates_but_not_the_messages_own) {
  Conversation c;
  (void)c.say("hi", "greet", R"({"channel":"facebook","user":"Ada","page_id":"1","timestamp":5,"is_postback":true,"n":{"a":1}})");
  EXPECT_EQ(to_json(c.state().context),
            R"({"channel":"facebook","user":"Ada","page_id":"1","timestamp":5,"is_postback":true,"n":{"a":1}})");
  (void)c.say("hi", "greet", R"({"n":{"b":2},"timestamp":6})");
  EXPECT_EQ(to_json(c.state().context), R"({"user":"Ada","n":{"b":2},"timestamp":6})");
  EXPECT_EQ(to_json(c.state().user_message), R"({"thread_id":"t","text":"hi","channel":"rest","context":{"n":{"b":2},"timestamp":6}})");
}

TEST(Policy, versions_and_tombstones) {
  Conversation c;
  (void)c.say("weather", "weather", R"({"a":1})");
  EXPECT_EQ(c.state().version, 1);
  c.state().erased = true;
  EXPECT_EQ(c.say("Paris", "greet"), "greet");
  EXPECT_EQ(c.state().version, 2);
  EXPECT_FALSE(c.state().erased);
  EXPECT_EQ(to_json(c.state().context), "{}");
}

TEST(Policy, a_foreign_state_is_no_danger) {
  Conversation c;
  (void)c.say("fly", "fly");
  c.state().parameters = "x";
  c.state().extracted_parameters = json::array();
  c.state().context = nullptr;
  c.state().current_node = true;
  c.state().missing_parameters = nullptr;
  EXPECT_EQ(c.say("Paris", "- city=Paris"), "fly?to from=Paris");
  c.state().intent = "fly";
  EXPECT_EQ(c.say("hi", "greet"), "greet from=Paris");
}

TEST(SplitMessages, nothing_is_trimmed) {
  EXPECT_EQ(to_json(split_messages("a ### b###")), R"([{"text":"a "},{"text":" b"},{"text":""}])");
  EXPECT_EQ(to_json(split_messages("")), R"([{"text":""}])");
  std::string many;
  for (int i = 0; i < 200; ++i) many += "###";
  EXPECT_EQ(split_messages(many).size(), 100U);
  EXPECT_EQ(to_json(split_messages("####")), R"([{"text":""},{"text":"#"}])");
}

}  // namespace
}  // namespace loquat::dialogue
