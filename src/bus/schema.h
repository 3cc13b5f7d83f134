#pragma once

#include <span>

#include "db/migrate.h"

namespace loquat::bus {

/// The tables inbox, parked, process, partition and page. docs/bus.md explains them.
[[nodiscard]] std::span<const db::Migration> migrations();

}  // namespace loquat::bus
