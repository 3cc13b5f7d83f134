#include "db/postgres.h"
#include "db/sql.h"
#include "db/sqlite.h"

namespace loquat::db {

std::unique_ptr<Database> Database::open(DatabaseSettings settings) {
  auto url = parse_url(settings.url);
  switch (url.kind) {
    case Url::Kind::sqlite: return open_sqlite(std::move(url.target), std::move(settings));
    case Url::Kind::postgres: return open_postgres(std::move(url.target), std::move(settings));
    default: throw Error(Code::invalid, "this store needs SQLite or PostgreSQL: sqlite:///file.db or postgresql://...");
  }
}

asio::awaitable<void> Database::ping() {
  co_await read([](Connection& connection) { connection.query("SELECT 1"); });
}

}  // namespace loquat::db
