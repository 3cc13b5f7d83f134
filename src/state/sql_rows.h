#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "db/sql.h"
#include "state/state.h"

/// The tables `states` and `threads`, for whoever holds a connection: the SQL store, and the bus, which appends states inside
/// its own transactions. Both dialects; each function is one or two round trips, whatever the number of rows.
namespace loquat::state {

/// Inserts the states under the versions they carry (the latest one + 1), and notes each conversation's newest in `threads`.
/// Rows are written in the order of their keys, so that two processes cannot deadlock. Run it inside a transaction, or as
/// the only writing call of Database::run: it is all or nothing.
/// Throws Error(conflict) when a version or a message id is taken, Error(invalid) for values the database refuses.
void append_rows(db::Connection& connection, std::span<const State* const> states);

/// The newest row of each conversation, tombstones included; in the order asked.
[[nodiscard]] std::vector<std::optional<State>> find_latest_rows(db::Connection& connection,
                                                                 std::span<const chat::ConversationId> conversations);

/// The rows with these message ids, in the order asked.
[[nodiscard]] std::vector<std::optional<State>> find_rows_by_message_id(db::Connection& connection, std::span<const MessageId> ids);

/// The columns of `states AS s` that read_state takes, in its order.
[[nodiscard]] std::string_view state_columns() noexcept;
/// Reads the state whose first column is `first`.
[[nodiscard]] State read_state(const db::Rows& rows, std::size_t row, std::size_t first = 0);
/// What stands in user_message, bot_message, nlu...: the JSON text, or null for the member's default.
[[nodiscard]] std::optional<std::string> to_column(const json::value& value);

}  // namespace loquat::state
