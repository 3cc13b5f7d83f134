#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>

#include "testing/postgres.h"

namespace loquat::testing {

/// A server that speaks MongoDB's protocol (tests/mongo), for tests; in memory, or in a file that survives kill -9.
class MongoServer {
 public:
  struct Options {
    bool oplog = false;     ///< change streams
    std::string file = {};  ///< kept here; empty: in memory
    std::string user = {};  ///< empty: no authentication
    std::string password = {};
  };
  /// Null when there is no Java or Maven on this machine.
  [[nodiscard]] static std::unique_ptr<MongoServer> start(Options options);
  [[nodiscard]] static std::unique_ptr<MongoServer> start();
  ~MongoServer();
  MongoServer(const MongoServer&) = delete;
  MongoServer& operator=(const MongoServer&) = delete;

  /// mongodb://127.0.0.1:PORT
  [[nodiscard]] std::string address() const { return "mongodb://127.0.0.1:" + std::to_string(port_); }
  /// A database name not used before, in a URI.
  [[nodiscard]] std::string make_uri() const;
  void freeze();  ///< SIGSTOP: it accepts and never answers
  void thaw();
  void stop();    ///< kill -9
  void resume();  ///< starts it again on the same port

 private:
  MongoServer() = default;
  void launch();

  Options options_;
  int port_ = 0;
  pid_t process_ = 0;
};

/// The URI of a new, empty database: on the server that LOQUAT_TEST_MONGODB_URI names, else on one server for the whole test program,
/// started when first asked for. Empty: neither is there.
[[nodiscard]] std::optional<std::string> make_mongo_uri();

}  // namespace loquat::testing

/// Skips the test, visibly, where there is no Java to run the server; fails it with CI=true.
#define LOQUAT_NEED_MONGO(uri)                                                              \
  const auto uri##_or_none = ::loquat::testing::make_mongo_uri();                           \
  if (!uri##_or_none) {                                                                     \
    if (::loquat::testing::in_ci()) FAIL() << "no Java and Maven for the MongoDB server";   \
    GTEST_SKIP() << "no Java and Maven on this machine: the MongoDB stores are not tested"; \
  }                                                                                         \
  const std::string& uri = *uri##_or_none
