#pragma once

#include <optional>
#include <span>
#include <vector>

#include "db/sql.h"
#include "state/state.h"

/// The SQL of the tables `states` and `threads` on one connection, inside the caller's transaction: for the SQL store and for the
/// bus, which appends states in its own commits.
namespace loquat::state {

/// Appends rows, each as its `version`, and moves their threads' summary forward; sorted by key inside. At most one row a conversation.
/// Throws Error(conflict) when a version or a message id is taken: then nothing of it may be committed. What was null in the struct is
/// null in the row.
void append_rows(db::Connection& connection, std::span<const State* const> states);

/// The newest rows (tombstones too), one answer a conversation in the order asked.
[[nodiscard]] std::vector<std::optional<State>> find_latest_rows(db::Connection& connection, std::span<const chat::ConversationId> conversations);

/// The rows with these message ids, one answer an id in the order asked.
[[nodiscard]] std::vector<std::optional<State>> find_rows_by_message_id(db::Connection& connection, std::span<const MessageId> ids);

}  // namespace loquat::state
