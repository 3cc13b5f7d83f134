#pragma once

#include <span>

#include "db/migrate.h"

namespace loquat::integrations {

/// The table `integrations`. One that an older service made is adopted: `version` and `position` are added, settings become text
/// (as written, \u0000 too), rows are numbered in their order with the two defaults first.
[[nodiscard]] std::span<const db::Migration> migrations();

}  // namespace loquat::integrations
