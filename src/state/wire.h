#pragma once

#include <string>

#include "state/store.h"

/// How states travel between Loquat processes: what clients see, and beside it channel, account, origin and erased.
namespace loquat::state {

/// The JSON text of to_json_object, made without copying the members; with `full` the four others too.
[[nodiscard]] std::string to_json_text(const State& state, bool full);
void append_state_json(std::string& out, const State& state, bool full);
/// Reads what to_json_text wrote with `full`. Throws Error(unavailable) for anything else.
[[nodiscard]] State from_wire(const json::value& body);

/// In the answer to DELETE, for other Loquat processes: whether there was something to erase.
inline constexpr const char* erased_header = "X-Loquat-Erased";
inline constexpr const char* not_found_message = "State not found";

}  // namespace loquat::state
