#pragma once

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string_view>

#include "db/migrate.h"
#include "state/memory_store.h"
#include "state/schema.h"
#include "state/sql_store.h"
#include "testing/await.h"
#include "testing/postgres.h"
#include "testing/temporary.h"

namespace loquat::state {

enum class StoreKind : std::uint8_t { memory, sqlite, postgres };
inline constexpr std::array store_kinds = {StoreKind::memory, StoreKind::sqlite, StoreKind::postgres};

inline std::string_view to_string(StoreKind kind) {
  switch (kind) {
    case StoreKind::memory: return "Memory";
    case StoreKind::sqlite: return "Sqlite";
    case StoreKind::postgres: return "Postgres";
  }
  return "?";
}

/// An empty store and what it stands on.
class StoreFixture {
 public:
  virtual ~StoreFixture() = default;
  virtual Store& store() = 0;
};

class MemoryFixture final : public StoreFixture {
 public:
  Store& store() override { return *store_; }

 private:
  std::unique_ptr<Store> store_ = make_memory_store();
};

class SqlFixture final : public StoreFixture {
 public:
  explicit SqlFixture(const std::string& url) {
    db::DatabaseSettings settings;
    settings.url = url.empty() ? directory_.sqlite_url() : url;
    database_ = db::Database::open(settings);
    db::migrate(*database_, migrations());
    store_ = make_sql_store(*database_);
  }
  ~SqlFixture() override { database_->close(); }
  Store& store() override { return *store_; }
  db::Database& database() { return *database_; }

 private:
  testing::TemporaryDirectory directory_;
  std::unique_ptr<db::Database> database_;
  std::unique_ptr<Store> store_;
};

/// Null when this machine lacks what it needs.
inline std::unique_ptr<StoreFixture> make_store_fixture(StoreKind kind) {
  if (kind == StoreKind::memory) return std::make_unique<MemoryFixture>();
  if (kind == StoreKind::sqlite) return std::make_unique<SqlFixture>("");
  const auto url = testing::make_postgres_url();
  return url ? std::make_unique<SqlFixture>(*url) : nullptr;
}

}  // namespace loquat::state
