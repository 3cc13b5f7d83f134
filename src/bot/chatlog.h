#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bot/document.h"
#include "core/json.h"
#include "state/state.h"

/// How the chat logs show a turn, and what it teaches. Pure.
namespace loquat::bot {

/// {user_message{text,context}, bot_message[{text}], date, context}, as the old chat log had it.
[[nodiscard]] json::object make_chatlog_turn(const state::State& state);
/// {thread_id, version, date, text, intent, confidence, channel}
[[nodiscard]] json::object make_search_item(const state::State& state);
/// One line of the export: a search item and the whole turn.
[[nodiscard]] json::object make_export_line(const state::State& state);

/// {text, entities:[{value, begin, end, name}]} of what the person said, with the entities that were found in it: as they stand there,
/// which may be a synonym in `entities`. Empty when the turn has no text.
[[nodiscard]] std::optional<json::object> make_training_example(const state::State& state, const std::vector<Entity>& entities);
/// Adds the example to an intent's training data unless its text is there already.
void add_example(json::object& intent, const json::object& example);

}  // namespace loquat::bot
