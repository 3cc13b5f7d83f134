#pragma once

#include <span>

#include "db/sql.h"
#include "state/cursor.h"
#include "state/store.h"

/// The SQL behind the rarer functions of the SQL store, one connection each. Inside state/ only.
namespace loquat::state {

/// The newest row of the conversation written last that fits; one answer a query, in order.
[[nodiscard]] std::vector<std::optional<State>> find_rows_by_thread(db::Connection& connection, std::span<const ThreadQuery> queries);

[[nodiscard]] HistoryPage read_history(db::Connection& connection, const ThreadQuery& query, std::size_t limit,
                                       const std::optional<HistoryCursor>& cursor);
[[nodiscard]] ThreadsPage read_threads(db::Connection& connection, std::size_t page, std::size_t limit, std::optional<Time> start,
                                       std::optional<Time> end);
/// Looks through a bounded number of rows; a page may then be short, or empty, and still have a cursor.
[[nodiscard]] HistoryPage search_rows(db::Connection& connection, const SearchQuery& query, const std::optional<SearchCursor>& cursor);

// These write: inside a transaction.
void redact_row(db::Connection& connection, const chat::ConversationId& conversation, const MessageId& id);
/// Throws Error(conflict) when a turn was stored at the same moment.
[[nodiscard]] bool erase_rows(db::Connection& connection, const ThreadQuery& query);
[[nodiscard]] std::size_t delete_rows(db::Connection& connection, Time before, std::size_t limit);

}  // namespace loquat::state
