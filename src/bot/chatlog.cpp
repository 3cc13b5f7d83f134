#include "bot/chatlog.h"

#include <algorithm>

#include "core/text.h"

namespace loquat::bot {
namespace {

json::value member_or(const json::value& object, std::string_view name, json::value fallback) {
  const auto* found = find_member(object, name);
  return found == nullptr ? std::move(fallback) : *found;
}

json::string to_string(std::string_view text) { return json::string(text.data(), text.size()); }

/// The object in which the interpreter's intent stands: {intent, confidence}.
const json::value* find_meaning(const state::State& state) { return find_member(state.nlu, "intent"); }

json::value intent_of(const state::State& state) {
  const auto* meaning = find_meaning(state);
  const auto* name = meaning == nullptr ? nullptr : find_member(*meaning, "intent");
  if (name != nullptr && !name->is_null()) return *name;
  return member_or(state.intent, "id", nullptr);
}

json::value confidence_of(const state::State& state) {
  const auto* meaning = find_meaning(state);
  return meaning == nullptr ? json::value(nullptr) : member_or(*meaning, "confidence", nullptr);
}

std::int64_t code_points(std::string_view text) { return static_cast<std::int64_t>(text::length(text)); }

/// The words that a canonical value may stand for.
std::vector<std::string_view> words_of(const std::vector<Entity>& entities, std::string_view type, std::string_view value) {
  std::vector<std::string_view> words{value};
  for (const auto& entity : entities) {
    if (entity.name != type) continue;
    for (const auto& known : entity.entity_values) {
      if (known.value == value) words.insert(words.end(), known.synonyms.begin(), known.synonyms.end());
    }
  }
  return words;
}

/// The first of the words that stands in the text, as it is written there.
std::string_view find_words(std::string_view text, const std::vector<std::string_view>& words) {
  const auto lower = text::to_lower_ascii(text);
  for (const auto word : words) {
    const std::size_t at = word.empty() ? std::string_view::npos : lower.find(text::to_lower_ascii(word));
    if (at != std::string_view::npos) return text.substr(at, word.size());
  }
  return {};
}

void add_span(json::array& spans, std::string_view text, const std::vector<Entity>& entities, std::string_view type,
              const json::value& value) {
  const auto* canonical = value.if_string();
  if (canonical == nullptr) return;
  const auto found = find_words(text, words_of(entities, type, as_view(*canonical)));
  if (found.empty()) return;
  const auto begin = code_points(text.substr(0, static_cast<std::size_t>(found.data() - text.data())));
  spans.push_back(
      json::object{{"value", to_string(found)}, {"begin", begin}, {"end", begin + code_points(found)}, {"name", to_string(type)}});
}

json::array find_spans(std::string_view text, const json::value& found, const std::vector<Entity>& entities) {
  json::array spans;
  const auto* members = found.if_object();
  if (members == nullptr) return spans;
  for (const auto& member : *members) {
    const std::string_view type(member.key().data(), member.key().size());
    if (const auto* values = member.value().if_array()) {
      for (const auto& value : *values) add_span(spans, text, entities, type, value);
    } else {
      add_span(spans, text, entities, type, member.value());
    }
  }
  return spans;
}

}  // namespace

json::object make_chatlog_turn(const state::State& state) {
  json::array replies;
  if (const auto* messages = state.bot_message.if_array()) {
    for (const auto& message : *messages) replies.push_back(json::object{{"text", to_string(string_member(message, "text"))}});
  }
  const json::object said{{"text", to_string(string_member(state.user_message, "text"))},
                          {"context", member_or(state.user_message, "context", json::object())}};
  return {{"user_message", said}, {"bot_message", std::move(replies)}, {"date", to_iso8601(state.date)}, {"context", state.context}};
}

json::object make_search_item(const state::State& state) {
  return {{"thread_id", state.conversation.thread_id},
          {"version", state.version},
          {"date", to_iso8601(state.date)},
          {"text", to_string(string_member(state.user_message, "text"))},
          {"intent", intent_of(state)},
          {"confidence", confidence_of(state)},
          {"channel", state.conversation.channel}};
}

json::object make_export_line(const state::State& state) {
  auto line = make_search_item(state);
  line.emplace("account", state.conversation.account);
  line.emplace("user_message", state.user_message);
  line.emplace("bot_message", state.bot_message);
  line.emplace("nlu", state.nlu);
  line.emplace("extracted_parameters", state.extracted_parameters);
  line.emplace("complete", state.complete);
  line.emplace("context", state.context);
  return line;
}

std::optional<json::object> make_training_example(const state::State& state, const std::vector<Entity>& entities) {
  const auto text = string_member(state.user_message, "text");
  if (text::trim_ascii(text).empty()) return std::nullopt;
  return json::object{{"text", to_string(text)}, {"entities", find_spans(text, member_or(state.nlu, "entities", nullptr), entities)}};
}

void add_example(json::object& intent, const json::object& example) {
  auto& data = intent["trainingData"];
  if (!data.is_array()) data = json::array();
  const auto& text = example.at("text");
  const bool known = std::ranges::any_of(data.get_array(), [&](const json::value& item) {
    const auto* other = find_member(item, "text");
    return other != nullptr && *other == text;
  });
  if (!known) data.get_array().push_back(example);
}

}  // namespace loquat::bot
