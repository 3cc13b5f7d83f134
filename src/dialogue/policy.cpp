#include "dialogue/policy.h"

#include <algorithm>
#include <array>
#include <utility>

namespace loquat::dialogue {
namespace {

/// Context that belongs to one message only, whatever a state brings along.
constexpr std::array<std::string_view, 4> message_keys{"channel", "page_id", "timestamp", "is_postback"};

/// A person who types the separator again and again gets no more messages than this.
constexpr std::size_t most_messages = 100;

json::string_view as_json_view(std::string_view text) noexcept { return {text.data(), text.size()}; }

json::object& object_of(json::value& value) {
  if (!value.is_object()) value = json::object();
  return value.get_object();
}

bool has(const json::object& object, std::string_view name) noexcept { return object.contains(as_json_view(name)); }

void forget_slots(state::State& state) {
  state.parameters = json::array();
  state.extracted_parameters = json::object();
  state.missing_parameters = json::array();
}

void merge_context(json::value& into, const json::object& from) {
  auto& context = object_of(into);
  for (const auto key : message_keys) context.stable_erase(as_json_view(key));
  for (const auto& [key, value] : from) context[key] = value;
}

json::object make_user_message(const chat::UserMessage& message) {
  json::object out;
  out.reserve(4);
  out.emplace("thread_id", as_json_view(message.conversation.thread_id));
  out.emplace("text", as_json_view(message.text));
  out.emplace("channel", as_json_view(message.conversation.channel));
  out.emplace("context", message.context);
  return out;
}

/// As old clients know it: one value a type (the last one), and what was predicted, threshold or not.
json::object make_nlu(const nlu::Meaning& meaning) {
  json::object entities;
  for (const auto& entity : meaning.entities) entities[as_json_view(entity.type)] = as_json_view(entity.value);
  json::object intent;
  intent.reserve(2);
  intent.emplace("intent", nullptr);
  if (meaning.intent) intent["intent"] = as_json_view(*meaning.intent);
  intent.emplace("confidence", meaning.confidence);
  json::object nlu;
  nlu.reserve(2);
  nlu.emplace("entities", std::move(entities));
  nlu.emplace("intent", std::move(intent));
  return nlu;
}

bool is_asked(const state::State& state, const SlotRules& slot) noexcept {
  const auto* asked = state.current_node.if_string();
  return asked != nullptr && as_view(*asked) == slot.name;
}

/// What a turn puts into the slots, by their numbers.
using Chosen = std::vector<std::optional<std::string_view>>;

/// The values of one type go to its slots: first to the one asked for and the other open ones in order, what is left over replaces
/// earlier values. As many values as slots: the person says all of them anew. Only one slot: the last value counts ("Rome, no, Oslo").
void choose(const IntentRules& intent, const std::vector<std::size_t>& slots, const std::vector<std::string_view>& values,
            const state::State& state, Chosen& chosen) {
  if (slots.size() == 1) {
    chosen[slots.front()] = values.back();
    return;
  }
  std::vector<std::size_t> order;
  if (values.size() >= slots.size()) {
    order = slots;
  } else {
    const auto& filled = state.extracted_parameters.get_object();
    const auto take = [&](auto wanted) {
      for (const auto slot : slots) {
        if (std::ranges::find(order, slot) == order.end() && wanted(intent.slots[slot])) order.push_back(slot);
      }
    };
    take([&](const SlotRules& slot) { return !has(filled, slot.name) && is_asked(state, slot); });
    take([&](const SlotRules& slot) { return !has(filled, slot.name); });
    take([](const SlotRules&) { return true; });
  }
  const auto count = std::min(order.size(), values.size());
  for (std::size_t i = 0; i < count; ++i) chosen[order[i]] = values[i];
}

void choose_by_type(const IntentRules& intent, const nlu::Meaning& meaning, const state::State& state, Chosen& chosen) {
  const Chosen spoken = chosen;  // what free text has taken is not for entities
  std::vector<std::size_t> slots;
  std::vector<std::string_view> values;
  for (std::size_t first = 0; first < intent.slots.size(); ++first) {
    const auto& type = intent.slots[first].type;
    if (!type || spoken[first]) continue;
    slots.clear();
    values.clear();
    for (std::size_t i = 0; i < intent.slots.size(); ++i) {
      if (intent.slots[i].type == type && !spoken[i]) slots.push_back(i);
    }
    if (slots.front() != first) continue;  // this type was done with its first slot
    for (const auto& entity : meaning.entities) {
      if (entity.type == *type) values.emplace_back(entity.value);
    }
    if (!values.empty()) choose(intent, slots, values, state, chosen);
  }
}

void fill_slots(const IntentRules& intent, std::string_view text, const nlu::Meaning& meaning, state::State& state) {
  auto& filled = object_of(state.extracted_parameters);
  Chosen chosen(intent.slots.size());
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    if (intent.slots[i].type == free_text_type && is_asked(state, intent.slots[i]) && !text.empty()) chosen[i] = text;
  }
  if (!meaning.entities.empty()) choose_by_type(intent, meaning, state, chosen);
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    if (chosen[i]) filled[as_json_view(intent.slots[i].name)] = as_json_view(*chosen[i]);
  }
}

/// The first required slot without a value.
std::optional<std::size_t> list_missing(const IntentRules& intent, state::State& state) {
  const auto& filled = object_of(state.extracted_parameters);
  json::array missing;
  std::optional<std::size_t> first;
  for (std::size_t i = 0; i < intent.slots.size(); ++i) {
    const auto& slot = intent.slots[i];
    if (!slot.required || has(filled, slot.name)) continue;
    missing.emplace_back(as_json_view(slot.name));
    if (!first) first = i;
  }
  state.missing_parameters = std::move(missing);
  state.current_node = nullptr;
  if (first) state.current_node = as_json_view(intent.slots[*first].name);
  return first;
}

/// The intent the message asks for; empty when the bot has neither it nor a fallback.
std::optional<std::size_t> find_query(const Rules& rules, std::string_view text, const nlu::Meaning& meaning) {
  std::optional<std::size_t> query;
  const bool sure = find_command(text).has_value() || meaning.confidence >= rules.threshold();
  if (meaning.intent && sure) query = rules.find(*meaning.intent);
  return query ? query : rules.find(fallback_intent);
}

}  // namespace

Rules::Rules(std::vector<IntentRules> intents, double threshold) : intents_(std::move(intents)), threshold_(threshold) {
  for (std::size_t i = 0; i < intents_.size(); ++i) {
    json::array parameters;
    for (const auto& slot : intents_[i].slots) {
      json::object parameter;
      parameter["name"] = as_json_view(slot.name);
      parameter["type"] = nullptr;
      if (slot.type) parameter["type"] = as_json_view(*slot.type);
      parameter["required"] = slot.required;
      parameters.push_back(std::move(parameter));
    }
    parameters_.push_back(std::move(parameters));
    numbers_.insert_or_assign(intents_[i].id, i);
  }
}

std::optional<std::size_t> Rules::find(std::string_view id) const noexcept {
  const auto found = numbers_.find(id);
  return found == numbers_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<std::string_view> find_command(std::string_view text) noexcept {
  if (!text.starts_with('/')) return std::nullopt;
  text.remove_prefix(1);
  return text.substr(0, text.find('/'));
}

state::State begin_turn(std::optional<state::State> previous, const chat::UserMessage& message, Time date) {
  state::State state;
  if (previous && !previous->erased) {
    state = std::move(*previous);
  } else if (previous) {
    state.version = previous->version;
  }
  state.conversation = message.conversation;
  ++state.version;
  state.message_id = message.message_id;
  state.origin = 0;
  state.date = date;
  state.user_message = make_user_message(message);
  state.bot_message = json::array();
  merge_context(state.context, message.context);
  if (!state.parameters.is_array()) state.parameters = json::array();
  if (state.complete) {
    state.intent = json::object();
    forget_slots(state);
    state.complete = false;
    state.current_node = nullptr;
  }
  return state;
}

Turn next(const Rules& rules, state::State state, std::string_view text, const nlu::Meaning& meaning) {
  state.nlu = make_nlu(meaning);
  const auto query = find_query(rules, text, meaning);
  auto speaker = query;
  std::optional<std::size_t> ask;
  if (query && rules.intent(*query).id == cancel_intent) {
    forget_slots(state);
    state.current_node = nullptr;
  } else {
    // An unfinished intent stays whatever is predicted; when it was deleted meanwhile, the fallback speaks and it is over.
    if (const auto active = string_member(state.intent, "id"); !active.empty()) {
      speaker = rules.find(active);
      if (!speaker) {
        forget_slots(state);
        state.current_node = nullptr;
        speaker = rules.find(fallback_intent);
      }
    }
    if (speaker && !rules.intent(*speaker).slots.empty()) {
      const auto& intent = rules.intent(*speaker);
      if (state.parameters.get_array().empty()) state.parameters = rules.parameters(*speaker);
      fill_slots(intent, text, meaning, state);
      ask = list_missing(intent, state);
    } else {
      state.missing_parameters = json::array();
    }
  }
  json::object intent;
  intent.emplace("id", as_json_view(speaker ? std::string_view(rules.intent(*speaker).id) : fallback_intent));
  state.intent = std::move(intent);
  state.complete = !ask;
  return Turn{std::move(state), speaker, ask};
}

json::array split_messages(std::string_view text) {
  constexpr std::string_view separator = "###";
  json::array messages;
  for (;;) {
    const auto at = messages.size() + 1 < most_messages ? text.find(separator) : std::string_view::npos;
    json::object message;
    message.emplace("text", as_json_view(text.substr(0, at)));
    messages.push_back(std::move(message));
    if (at == std::string_view::npos) return messages;
    text.remove_prefix(at + separator.size());
  }
}

}  // namespace loquat::dialogue
