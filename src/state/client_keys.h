#pragma once

#include "state/store.h"

namespace loquat::state {

/// Appends what a client sent. A key that looks like an id of ours is taken for one: the client may have read it in an answer, and other
/// processes pass theirs on. Where that id belongs to another conversation it was the client's own after all and counts within its
/// conversation, as other texts do.
[[nodiscard]] asio::awaitable<Store::Appended> append_of_client(Store& store, State state, std::optional<std::int64_t> expected_version);

}  // namespace loquat::state
