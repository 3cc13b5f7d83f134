#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "state/store.h"

/// Cursors of the stores' pages: texts that only these functions understand, safe in a URL as they are; and the filters of the
/// chat logs' search, which all adapters share. Pure.
namespace loquat::state {

/// A place in one conversation's history.
struct HistoryCursor {
  chat::ConversationId conversation;  ///< the pages stay with the conversation that the first one chose
  std::int64_t version = 0;           ///< rows below it follow
};
[[nodiscard]] std::string to_text(const HistoryCursor& cursor);
/// Also takes a bare version, of the conversation that the query chooses: `conversation.thread_id` is empty then. Throws
/// Error(invalid) for a text that is no cursor.
[[nodiscard]] HistoryCursor parse_history_cursor(std::string_view text, std::string_view thread_id);

/// A place in the order of the search: newest first, then by conversation and version.
struct SearchCursor {
  Time date;
  chat::ConversationId conversation;
  std::int64_t version = 0;
};
[[nodiscard]] std::string to_text(const SearchCursor& cursor);
[[nodiscard]] SearchCursor parse_search_cursor(std::string_view text);
[[nodiscard]] SearchCursor cursor_of(const State& state);

/// Whether the search shows this state: all filters but the cursor, and only states with a user's message.
[[nodiscard]] bool matches(const State& state, const SearchQuery& query);

}  // namespace loquat::state
