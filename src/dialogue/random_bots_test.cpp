#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string>
#include <vector>

#include "core/log.h"
#include "dialogue/talk_fixture.h"

/// Bots that nobody would write talk to people nobody would be: nothing may crash, hang, or end in a state that no message leaves.
namespace loquat::dialogue {
namespace {

constexpr int bots = 1000;
constexpr int turns = 50;

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(engine_); }
  bool chance(int percent) { return below(100) < static_cast<std::size_t>(percent); }
  template <class T, std::size_t n>
  const T& pick(const std::array<T, n>& of) {
    return of[below(n)];
  }

 private:
  std::mt19937_64 engine_;
};

constexpr std::array<std::string_view, 26> words{"paris", "Rome",   "new york", "NYC",   "two", "pizza",   "I",    "want", "to",
                                                 "fly",   "###",    "'",        "don't", "🍕",  "北京",    "café", "/",    "cancel",
                                                 "ﷺ",     "\u0000", "{{",       "\\",    "\"",  "É\u0301", "%",    "a"};

constexpr std::array<std::string_view, 34> pieces{"Hello ",
                                                  "{{ context }}",
                                                  "{{ parameters.a }}",
                                                  "{{ parameters['b'] | upper }}",
                                                  "{{ result }}",
                                                  "###",
                                                  "{% if parameters.a %}yes{% endif %}",
                                                  "{% for k, v in parameters.items() %}{{ k }}={{ v }},{% endfor %}",
                                                  "{{ x.y.z }}",
                                                  "{{ x() }}",
                                                  "{{ 1 / 0 }}",
                                                  "{{ 'a' | nosuch }}",
                                                  "{% if %}",
                                                  "{{ context.n + 1 }}",
                                                  "{{ [1,2,3] | random }}",
                                                  "{{ parameters | tojson }}",
                                                  "{% set q = parameters.a %}{{ q ~ q }}",
                                                  "{{ range(5) | join('-') }}",
                                                  "{{ 'a' * 100000000 }}",
                                                  "{% for i in range(500) %}{{ i }}{% endfor %}",
                                                  "{# comment #}",
                                                  "{% raw %}{{ x }}{% endraw %}",
                                                  "\n",
                                                  "é🍕",
                                                  "{% macro m(x) %}{{ m(x) }}{% endmacro %}{{ m(1) }}",
                                                  "{{ context.update({'a': 1}) }}",
                                                  "{{ parameters.pop('a') }}",
                                                  "}}",
                                                  "{{",
                                                  "",
                                                  "{{ parameters.a.split(' ')[0] }}",
                                                  "{{ context['user'] | default('you') }}",
                                                  "{{ undefined_name }}",
                                                  "{% with a = 1 %}{{ a }}{% endwith %}"};

constexpr std::array<std::string_view, 8> intent_ids{"fallback", "cancel", "order", "fly", "a b", "", "ask", "init_conversation"};
constexpr std::array<std::string_view, 7> slot_names{"a", "b", "city", "", "a", "note", "context"};
constexpr std::array<std::string_view, 6> slot_types{"city", "count", "free_text", "", "unknown", "dish"};

json::value text(std::string_view view) { return json::string(view.data(), view.size()); }

std::string sentence(Dice& dice, std::size_t most) {
  std::string out;
  for (std::size_t i = dice.below(most + 1); i > 0; --i) {
    out += dice.pick(words);
    if (dice.chance(80)) out += ' ';
  }
  return out;
}

std::string template_text(Dice& dice) {
  std::string out;
  for (std::size_t i = dice.below(4); i > 0; --i) out += dice.pick(pieces);
  return out;
}

json::object example(Dice& dice) {
  json::object out;
  auto phrase = sentence(dice, 5);
  json::array entities;
  for (std::size_t i = dice.below(3); i > 0; --i) {
    entities.push_back(json::object{{"value", text(dice.pick(words))},
                                    {"name", text(dice.pick(slot_types))},
                                    {"begin", static_cast<std::int64_t>(dice.below(20)) - 3},
                                    {"end", static_cast<std::int64_t>(dice.below(25))}});
  }
  out["text"] = text(phrase);
  out["entities"] = std::move(entities);
  return out;
}

json::object intent(Dice& dice, std::string_view id) {
  json::object out{{"name", text(std::string(id) + std::to_string(dice.below(1000)))},
                   {"intentId", text(id)},
                   {"speechResponse", text(template_text(dice))}};
  json::array parameters;
  if (dice.chance(60)) {
    for (std::size_t i = dice.below(5); i > 0; --i) {
      json::object slot{{"name", text(dice.pick(slot_names))}, {"required", dice.chance(60)}};
      if (dice.chance(90)) slot["type"] = text(dice.pick(slot_types));
      if (dice.chance(90)) slot["prompt"] = text(template_text(dice));
      parameters.push_back(std::move(slot));
    }
  }
  out["parameters"] = std::move(parameters);
  json::array examples;
  for (std::size_t i = dice.below(5); i > 0; --i) examples.push_back(example(dice));
  out["trainingData"] = std::move(examples);
  if (dice.chance(10)) {
    out["apiTrigger"] = true;
    // Nothing listens there, or it is no URL at all.
    out["apiDetails"] = json::object{{"url", dice.chance(50) ? "{{ parameters.a }}" : "ftp://{{ context }}/x"},
                                     {"requestType", "POST"},
                                     {"headers", json::array()},
                                     {"isJson", dice.chance(50)},
                                     {"jsonData", text(template_text(dice))}};
  }
  return out;
}

std::string make_bot(Dice& dice) {
  json::array intents;
  for (const auto id : intent_ids) {
    if (dice.chance(70)) intents.push_back(intent(dice, id));
  }
  json::array entities;
  for (const auto type : slot_types) {
    json::array values;
    for (std::size_t i = dice.below(5); i > 0; --i) {
      values.push_back(
          json::object{{"value", text(dice.pick(words))}, {"synonyms", json::array{text(dice.pick(words)), text(dice.pick(words))}}});
    }
    entities.push_back(json::object{{"name", text(type)}, {"entity_values", std::move(values)}});
  }
  return to_json(json::object{{"intents", std::move(intents)}, {"entities", std::move(entities)}});
}

std::string make_message(Dice& dice) {
  if (dice.chance(30)) return "/" + std::string(dice.pick(intent_ids)) + (dice.chance(40) ? "/" + sentence(dice, 3) : "");
  return dice.chance(5) ? std::string(5000, 'a') : sentence(dice, 6);
}

constexpr std::array<std::string_view, 6> contexts{"{}",
                                                   R"({"n":1})",
                                                   R"({"n":null,"user":"Ada"})",
                                                   R"({"parameters":{"a":1}})",
                                                   R"({"channel":"x","page_id":5,"deep":{"a":[[[]]]}})",
                                                   R"({"":"","result":true})"};

/// What every state must be, whatever was said.
void check(const state::State& state, int turn) {
  ASSERT_EQ(state.version, turn);
  ASSERT_TRUE(state.bot_message.is_array());
  ASSERT_FALSE(state.bot_message.as_array().empty());
  ASSERT_TRUE(state.context.is_object());
  ASSERT_TRUE(state.extracted_parameters.is_object());
  ASSERT_TRUE(state.missing_parameters.is_array());
  ASSERT_EQ(state.complete, state.missing_parameters.as_array().empty());
  ASSERT_TRUE(state.complete || state.current_node.is_string());
  ASSERT_NE(find_member(state.intent, "id"), nullptr);
}

TEST(RandomBots, converse) {
  log::configure(log::Level::error, log::Format::text);
  for (int number = 0; number < bots; ++number) {
    SCOPED_TRACE("bot " + std::to_string(number));
    Dice dice(static_cast<std::uint64_t>(number) + 1);
    test::Talk talk(make_bot(dice));
    for (int turn = 1; turn <= turns; ++turn) {
      if (dice.chance(2)) talk.use(make_bot(dice));
      (void)talk.say(make_message(dice), dice.pick(contexts));
      ASSERT_TRUE(talk.state);
      check(*talk.state, turn);
      if (HasFatalFailure()) return;
    }
    // Not stuck: with a cancel intent there is a way out of everything.
    talk.use(
        R"({"intents":[{"name":"c","intentId":"cancel","speechResponse":"ok"},{"name":"h","intentId":"h","speechResponse":"hi"}],"entities":[]})");
    (void)talk.say("/cancel");
    ASSERT_EQ(talk.say("/h"), "hi");
  }
}

}  // namespace
}  // namespace loquat::dialogue
