#pragma once

#include <memory>
#include <string>
#include <vector>

#include "integrations/memory_store.h"
#include "integrations/schema.h"
#include "integrations/sql_store.h"
#include "testing/await.h"
#include "testing/postgres.h"
#include "testing/temporary.h"

namespace loquat::integrations {

/// One empty store of each adapter, for the tests.
class TestStores {
 public:
  [[nodiscard]] static std::vector<std::string> kinds() { return {"memory", "sqlite", "postgres"}; }

  ~TestStores() {
    store_.reset();
    if (database_) database_->close();
  }

  /// Empty, or why this adapter cannot be tested here.
  std::string open(const std::string& kind) {
    constexpr std::string_view key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    const auto keys = std::make_shared<const crypto::Keyring>(key);
    if (kind == "memory") {
      store_ = std::make_unique<MemoryStore>();
      return {};
    }
    std::string url;
    if (kind == "sqlite") {
      url = directory_.sqlite_url();
    } else {
      const auto made = loquat::testing::make_postgres_url();
      if (!made) return "no PostgreSQL on this machine: the PostgreSQL store is not tested";
      url = *made;
    }
    database_ = db::Database::open({.url = url});
    db::migrate(*database_, migrations());
    store_ = std::make_unique<SqlStore>(*database_, keys);
    return {};
  }

  /// Runs a call on a loop of its own; from any thread.
  template <class Call>
  auto run(Call call) {
    return loquat::testing::await(call(*store_));
  }

 private:
  loquat::testing::TemporaryDirectory directory_;
  std::unique_ptr<db::Database> database_;
  std::unique_ptr<Store> store_;
};

}  // namespace loquat::integrations
