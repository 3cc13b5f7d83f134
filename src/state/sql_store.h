#pragma once

#include <memory>

#include "db/sql.h"
#include "state/store.h"

namespace loquat::state {

/// States in SQLite or PostgreSQL (migrations(): schema.h). Calls of many coroutines travel together: one commit, one query.
/// `database` must outlive the store.
[[nodiscard]] std::unique_ptr<Store> make_sql_store(db::Database& database);

}  // namespace loquat::state
