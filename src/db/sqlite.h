#pragma once

#include <memory>

#include "db/sql.h"

namespace loquat::db {

/// A Database on one SQLite file, or in memory. `path` as Url::target.
[[nodiscard]] std::unique_ptr<Database> open_sqlite(std::string path, DatabaseSettings settings);

}  // namespace loquat::db
