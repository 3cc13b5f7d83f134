#pragma once

#include <span>

#include "db/migrate.h"

namespace loquat::state {

/// The tables `states` and `threads`. A table `states` that an older service made is adopted: columns are added, JSON columns
/// become text (key order and numbers as written, \u0000 too), versions are numbered in the rows' order per thread,
/// channel and account come from the rows' user messages.
[[nodiscard]] std::span<const db::Migration> migrations();

}  // namespace loquat::state
