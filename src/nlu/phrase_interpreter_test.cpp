#include "nlu/phrase_interpreter.h"

#include <gmock/gmock.h>

#include "core/text.h"
#include "testing/await.h"

namespace loquat::nlu {
namespace {

/// "fly to [Paris](city)" becomes an example with its span.
TrainingExample example(std::string intent, std::string_view marked) {
  TrainingExample out;
  out.intent = std::move(intent);
  while (!marked.empty()) {
    const auto open = marked.find('[');
    out.text += marked.substr(0, open);
    if (open == std::string_view::npos) break;
    const auto close = marked.find("](", open);
    const auto end = marked.find(')', close);
    TrainingSpan span;
    span.value = marked.substr(open + 1, close - open - 1);
    span.type = marked.substr(close + 2, end - close - 2);
    span.begin = text::length(out.text);
    out.text += span.value;
    span.end = text::length(out.text);
    out.spans.push_back(span);
    marked.remove_prefix(end + 1);
  }
  return out;
}

TrainingData travel() {
  TrainingData data;
  data.examples = {example("greet", "Hello!"),
                   example("greet", "what's up"),
                   example("fly", "fly to [Paris](city)"),
                   example("fly", "from [Paris](city) to [Rome](city)"),
                   example("fly", "don't go to [Paris](city)'s airport"),
                   example("food", "I want [pizza](dish), please"),
                   example("fly", "我要去[北京](city)"),
                   example("stars", "[five](count) stars")};
  data.entities = {{"city",
                    {{"Paris", {}},
                     {"Rome", {"Roma", "ROMA ETERNA"}},
                     {"New York", {"NYC", "big apple", "new-york"}},
                     {"York", {}},
                     {"北京", {"beijing"}},
                     {"Saint-Denis", {}}}},
                   {"dish", {{"pizza", {"🍕"}}, {"pizza funghi", {}}, {"C++ cake", {}}}},
                   {"lang", {{"C++", {}}, {"C", {}}}},
                   {"newspaper", {{"New York Times", {}}}},
                   {"person", {{"Paris", {}}}}};
  return data;
}

class Phrases : public ::testing::Test {
 protected:
  /// "intent type=value@begin-end ..."
  std::string ask(std::string_view text) const {
    const auto meaning = loquat::testing::await(interpreter_->interpret(text));
    EXPECT_EQ(meaning.confidence, meaning.intent ? 1.0 : 0.0);
    return meaning.intent.value_or("-") + show(meaning.entities);
  }
  static std::string show(const std::vector<EntityMatch>& matches) {
    std::string out;
    for (const auto& m : matches) out += " " + m.type + "=" + m.value + "@" + std::to_string(m.begin) + "-" + std::to_string(m.end);
    return out;
  }
  std::unique_ptr<const Interpreter> interpreter_ = make_phrase_interpreter(travel());
};

TEST_F(Phrases, the_phrase_itself) {
  EXPECT_EQ(ask("Hello!"), "greet");
  EXPECT_EQ(ask("  hELLO ..."), "greet");
  EXPECT_EQ(ask("Whats up?"), "greet");
  EXPECT_EQ(ask("What’s up"), "greet");
  EXPECT_EQ(ask("hello there"), "-");
  EXPECT_EQ(ask(""), "-");
  EXPECT_EQ(ask("?!"), "-");
}

TEST_F(Phrases, another_value_in_the_slot) {
  EXPECT_EQ(ask("Fly to Rome!"), "fly city=Rome@7-11");
  EXPECT_EQ(ask("fly to the moon"), "-");
  EXPECT_EQ(ask("fly to"), "-");
  EXPECT_EQ(ask("FLY TO new york"), "fly city=New York@7-15");
  EXPECT_EQ(ask("fly to New-York"), "fly city=New York@7-15");
  EXPECT_EQ(ask("from roma to nyc"), "fly city=Rome@5-9 city=New York@13-16");
  EXPECT_EQ(ask("I want pizza funghi please"), "food dish=pizza funghi@7-19");
}

TEST_F(Phrases, the_template_says_which_type_a_value_has) {
  EXPECT_EQ(ask("fly to paris"), "fly city=Paris@7-12");
  EXPECT_EQ(ask("see paris"), "- city=Paris@4-9 person=Paris@4-9");
}

TEST_F(Phrases, synonyms_are_canonical_in_any_case) {
  EXPECT_EQ(ask("fly to Roma Eterna"), "fly city=Rome@7-18");
  EXPECT_EQ(ask("fly to BIG APPLE"), "fly city=New York@7-16");
  EXPECT_EQ(ask("I want 🍕 please"), "food dish=pizza@7-8");
}

TEST_F(Phrases, words_around_slots_may_be_glued) {
  EXPECT_EQ(ask("Dont go to Rome's airport"), "fly city=Rome@11-15");
  EXPECT_EQ(ask("don't go to Rome's airport"), "fly city=Rome@12-16");
}

TEST_F(Phrases, scripts_without_blanks) {
  EXPECT_EQ(ask("我要去北京。"), "fly city=北京@3-5");
  EXPECT_EQ(ask("我要去巴黎"), "-");
}

TEST_F(Phrases, values_marked_in_phrases_count) {
  EXPECT_EQ(ask("five stars"), "stars count=five@0-4");
  EXPECT_EQ(ask("give it five"), "- count=five@8-12");
}

TEST_F(Phrases, entities_anywhere) {
  EXPECT_EQ(show(interpreter_->find_entities("/fly/rome, then (NYC)")), " city=Rome@5-9 city=New York@17-20");
  EXPECT_EQ(ask("parisian romance"), "-");
  EXPECT_EQ(ask("york and new york"), "- city=York@0-4 city=New York@9-17");
  EXPECT_EQ(ask("read the New York Times"), "- newspaper=New York Times@9-23");
  EXPECT_EQ(ask("C++ or C"), "- lang=C++@0-3 lang=C@7-8");
  EXPECT_EQ(ask("saint denis, SAINTDENIS, saint-denis"), "- city=Saint-Denis@0-11 city=Saint-Denis@13-23 city=Saint-Denis@25-36");
  EXPECT_EQ(ask("é Paris"), "- city=Paris@2-7 person=Paris@2-7");
}

TEST(PhraseSpans, offsets_that_do_not_fit) {
  TrainingData data;
  data.entities = {{"city", {{"Paris", {}}, {"Rome", {}}}}};
  data.examples = {{"🍕 near Paris", "food", {{"city", "Paris", 8, 13}}},   // counted in UTF-16
                   {"from Paris now", "leave", {{"city", "Paris", 0, 0}}},  // no offsets at all
                   {"parisian life", "style", {{"city", "paris", 0, 5}}},   // cuts a word
                   {"go to paree", "go", {{"city", "Paris", 6, 11}}}};      // the value is canonical already
  const auto interpreter = make_phrase_interpreter(data);
  const auto intent = [&](std::string_view text) { return testing::await(interpreter->interpret(text)).intent.value_or("-"); };
  EXPECT_EQ(intent("🍕 near Rome"), "food");
  EXPECT_EQ(intent("from Rome now"), "leave");
  EXPECT_EQ(intent("Parisian life!"), "style");
  EXPECT_EQ(intent("go to rome"), "go");
  const auto meaning = testing::await(interpreter->interpret("go to PAREE"));
  ASSERT_EQ(meaning.entities.size(), 1U);
  EXPECT_EQ(meaning.entities[0].value, "Paris");
}

TEST(PhraseConflicts, first_and_literal_win) {
  TrainingData data;
  data.entities = {{"city", {{"Paris", {"here"}}, {"Rome", {"here", "paris"}}}}};
  data.examples = {example("first", "same words"), example("second", "same words"), example("slot", "stay in [Rome](city)"),
                   example("literal", "stay in Paris")};
  const auto interpreter = make_phrase_interpreter(data);
  const auto ask = [&](std::string_view text) { return testing::await(interpreter->interpret(text)); };
  EXPECT_EQ(ask("same words").intent, "first");
  EXPECT_EQ(ask("stay in paris").intent, "literal");
  EXPECT_EQ(ask("stay in rome").intent, "slot");
  EXPECT_EQ(ask("stay in paris").entities.at(0).value, "Paris");  // its own name, not a synonym of another
  EXPECT_EQ(ask("here").entities.at(0).value, "Paris");
}

TEST(PhraseConflicts, intents_that_share_a_template) {
  TrainingData data;
  data.entities = {{"city", {{"Paris", {}}, {"Rome", {}}, {"Oslo", {}}}}};
  data.examples = {example("food", "all about [Paris](city)"), example("history", "all about [Rome](city)")};
  const auto interpreter = make_phrase_interpreter(data);
  const auto ask = [&](std::string_view text) { return testing::await(interpreter->interpret(text)); };
  EXPECT_EQ(ask("All about Paris").intent, "food");
  EXPECT_EQ(ask("All about Rome!").intent, "history");
  EXPECT_EQ(ask("All about Rome!").entities.at(0).value, "Rome");
  EXPECT_EQ(ask("all about Oslo").intent, "food");
}

TEST(PhraseSize, many_phrases_and_values) {
  TrainingData data;
  EntityType cities{"city", {}};
  for (int i = 0; i < 20'000; ++i) cities.values.push_back({"city number " + std::to_string(i), {"c" + std::to_string(i)}});
  data.entities.push_back(std::move(cities));
  for (int i = 0; i < 20'000; ++i) {
    data.examples.push_back(example("i" + std::to_string(i / 10), "phrase " + std::to_string(i) + " goes to [c1](city) and [c2](city)"));
  }
  const auto interpreter = make_phrase_interpreter(data);
  const auto meaning = testing::await(interpreter->interpret("Phrase 777 goes to C19999 and city number 5"));
  EXPECT_EQ(meaning.intent, "i77");
  ASSERT_EQ(meaning.entities.size(), 2U);
  EXPECT_EQ(meaning.entities[0].value, "city number 19999");
  EXPECT_EQ(meaning.entities[1].value, "city number 5");
}

TEST(PhraseSize, ambiguous_slots_end) {
  TrainingData data;
  EntityType words{"word", {}};
  for (const char* value : {"a", "a a", "a a a", "a a a a"}) words.values.push_back({value, {}});
  data.entities.push_back(std::move(words));
  std::string phrase;
  for (int i = 0; i < 30; ++i) phrase += "[a](word) ";
  data.examples.push_back(example("all", phrase + "end"));
  const auto interpreter = make_phrase_interpreter(data);
  std::string text;
  for (int i = 0; i < 60; ++i) text += "a ";
  EXPECT_FALSE(testing::await(interpreter->interpret(text + "stop")).intent);
  EXPECT_EQ(testing::await(interpreter->interpret(text + "end")).intent, "all");
}

}  // namespace
}  // namespace loquat::nlu
