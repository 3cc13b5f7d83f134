#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "async/completion.h"
#include "db/sql.h"
#include "state/store.h"

/// Appends of many callers as one write. Inside state/ only.
namespace loquat::state {

struct AppendCall {
  State state;
  std::optional<std::int64_t> expected;
};
using AppendOutcomes = std::vector<async::Outcome<Store::Appended>>;
using AppendDone = std::move_only_function<void(AppendOutcomes)>;

/// Starts the write; `done` gets one outcome a call, in order. When another process takes a version at the same moment the
/// batch is decided again; when the database refuses values, it is halved until only the culprit is refused.
void append_batch(db::Database& database, std::vector<AppendCall> calls, AppendDone done);

}  // namespace loquat::state
