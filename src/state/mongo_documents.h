#pragma once

#include <optional>
#include <string_view>

#include "db/mongo_collection.h"
#include "state/store.h"

/// States as documents. For the mongo store and the import.
namespace loquat::state {

inline constexpr std::string_view mongo_collection_name = "state";

/// Our form. `written`: microseconds by the writer's clock, the order of writing. `token` tells our own write from another's after an
/// unknown outcome.
[[nodiscard]] db::Bson to_document(const State& state, std::int64_t written, std::string_view token);
/// Ours and the old store's. Of those the version is `old_version`, the conversation `conversation` or, without it, what the message says.
/// What a member must not be counts as left out.
[[nodiscard]] State from_document(const db::Bson& document, std::int64_t old_version = 0,
                                  const std::optional<chat::ConversationId>& conversation = std::nullopt);
/// Of a document whose date cannot be read: when its object id was made, else 1970.
[[nodiscard]] Time read_date(const db::Bson& document);
/// Facebook's pages are in the old messages' context.
[[nodiscard]] chat::ConversationId conversation_of(const db::Bson& document);

/// Fits ours, or the old store's.
[[nodiscard]] db::Bson ours_of(const chat::ConversationId& conversation);
[[nodiscard]] db::Bson old_of(std::string_view thread_id);

}  // namespace loquat::state
