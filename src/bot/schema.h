#pragma once

#include <span>

#include "db/migrate.h"

namespace loquat::bot {

/// The tables of the bots' data.
[[nodiscard]] std::span<const db::Migration> migrations();

}  // namespace loquat::bot
