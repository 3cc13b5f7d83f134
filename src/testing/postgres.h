#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace loquat::testing {

/// A private PostgreSQL server for tests, in a directory of its own, with fsync on.
class PostgresServer {
 public:
  /// Empty when there is no PostgreSQL on this machine.
  [[nodiscard]] static std::unique_ptr<PostgresServer> start();
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  /// A URL of the database given (made by make_database, or "postgres").
  [[nodiscard]] std::string url(const std::string& database = "postgres") const;
  /// An empty database of a name not used before; its URL.
  [[nodiscard]] std::string make_database();
  void stop();    ///< "fast": ends the connections
  void resume();  ///< starts it again, same port and data
  void freeze();  ///< SIGSTOP to all of its processes
  void thaw();
  std::string sql(const std::string& database, const std::string& text) const;

 private:
  PostgresServer() = default;
  void launch();
  void for_each_process(const std::function<void(pid_t)>& use) const;

  std::string directory_;
  std::string programs_;
  int port_ = 0;
  pid_t process_ = 0;
};

/// One server for the whole test program, started when first asked for and stopped at its end. Null when PostgreSQL is not there;
/// with CI=true in the environment that is a failure: use LOQUAT_NEED_POSTGRES().
[[nodiscard]] PostgresServer* shared_postgres();
/// The URL of a new, empty database: on the server that LOQUAT_TEST_POSTGRES names, else on shared_postgres(). Empty: neither is there.
[[nodiscard]] std::optional<std::string> make_postgres_url();
[[nodiscard]] bool in_ci();

}  // namespace loquat::testing

/// Skips the test, visibly, where there is no PostgreSQL; fails it with CI=true.
#define LOQUAT_NEED_POSTGRES(url)                                                       \
  const auto url##_or_none = ::loquat::testing::make_postgres_url();                    \
  if (!url##_or_none) {                                                                 \
    if (::loquat::testing::in_ci()) FAIL() << "no PostgreSQL on this machine";          \
    GTEST_SKIP() << "no PostgreSQL on this machine: the PostgreSQL half is not tested"; \
  }                                                                                     \
  const std::string& url = *url##_or_none
