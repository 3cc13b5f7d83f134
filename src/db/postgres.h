#pragma once

#include <memory>

#include "db/sql.h"

namespace loquat::db {

/// A Database on PostgreSQL. `uri` as Url::target.
[[nodiscard]] std::unique_ptr<Database> open_postgres(std::string uri, DatabaseSettings settings);

}  // namespace loquat::db
