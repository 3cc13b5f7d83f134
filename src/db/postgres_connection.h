#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "db/postgres_values.h"
#include "db/sql.h"

namespace loquat::db {

/// What PostgreSQL, or the way to it, answered. Inside db/ only; to callers it is an Error(unavailable).
class PostgresFailure final : public Error {
 public:
  enum class Kind : std::uint8_t {
    statement,  ///< the server refused the statement
    retryable,  ///< deadlock, serialization failure, a prepared statement that is out of date: the transaction may be run again
    lost,       ///< the connection is gone, and what was under way did not happen
    timed_out,  ///< our deadline passed
  };
  PostgresFailure(Kind kind, const std::string& detail)
      : Error(Code::unavailable, "the database is not available, try again later", detail), kind_(kind) {}
  [[nodiscard]] Kind kind() const noexcept { return kind_; }

 private:
  Kind kind_;
};

/// One connection over libpq's asynchronous calls with our own deadlines; statements are prepared once and kept.
/// Inside db/ only; the contract is Connection's.
class PostgresConnection final : public Connection {
 public:
  struct Settings {
    std::string uri;  ///< for libpq
    std::chrono::milliseconds connect_timeout{3'000};
    std::chrono::milliseconds statement_timeout{10'000};
  };
  /// Connects. Throws PostgresFailure(lost or timed_out).
  explicit PostgresConnection(Settings settings);
  ~PostgresConnection() override = default;
  PostgresConnection(const PostgresConnection&) = delete;
  PostgresConnection& operator=(const PostgresConnection&) = delete;

  [[nodiscard]] Dialect dialect() const noexcept override { return Dialect::postgres; }
  Result query(std::string_view sql, Values parameters) override;
  std::vector<std::int64_t> batch(std::string_view sql, std::vector<Values> parameters) override;
  std::vector<Result> pipeline(std::vector<Statement> statements) override;
  void script(std::string_view sql) override;

  /// What one job may do. BEGIN travels with the first statement.
  void start_job(bool transaction, bool may_write);
  /// Throws OutcomeUnknown when the answer to COMMIT did not come.
  void commit();
  /// Leaves the transaction, if there is one.
  void rollback() noexcept;
  /// Statements sent since start_job: none means that nothing can have happened.
  [[nodiscard]] bool sent_nothing() const noexcept { return sent_ == 0; }
  /// Unusable from now on.
  [[nodiscard]] bool broken() const noexcept { return broken_; }
  /// A deadline of ours passed on it: the server may be hanging.
  [[nodiscard]] bool timed_out() const noexcept { return timed_out_; }
  /// Throws PostgresFailure when the server does not answer within `limit`.
  void probe(std::chrono::milliseconds limit);
  /// Whether the server has closed an idle connection, as after its restart. Does not wait.
  [[nodiscard]] bool is_stale() noexcept;
  /// The server's setting, as its text.
  [[nodiscard]] std::string setting(std::string_view name);
  [[nodiscard]] PGconn* handle() const noexcept { return connection_.get(); }

 private:
  using Clock = std::chrono::steady_clock;
  struct Close {
    void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
  };
  struct HashText {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
  };
  struct Prepared {
    std::string name;
    StatementTypes types;
    std::list<std::string>::iterator position;  ///< in order of use
  };
  struct Item {
    std::string_view sql;
    const Values* parameters;
  };

  static void on_notice(void* self, const PGresult* notice);
  void connect();
  void configure();
  void wait(bool reading, bool writing, Clock::time_point deadline);
  void flush(Clock::time_point deadline);
  PostgresResult next_result(Clock::time_point deadline);
  std::vector<PostgresResult> execute(std::span<const Item> items);
  std::vector<PostgresResult> run_pipeline(std::span<const Item> items);
  void prepare(std::span<const Item> items);
  void forget_least_used();
  std::vector<PostgresResult> collect(std::size_t count, Clock::time_point deadline);
  PostgresResult simple(const std::string& sql);
  void require(int sent);
  void send_begin();
  void check(const PGresult* result);
  [[noreturn]] void fail_lost(PostgresFailure::Kind kind, const std::string& detail);
  [[nodiscard]] Clock::time_point statement_deadline() const { return Clock::now() + settings_.statement_timeout + grace; }

  /// The server's own limit comes first, so that a slow statement costs no connection.
  static constexpr std::chrono::milliseconds grace{250};

  Settings settings_;
  std::unique_ptr<PGconn, Close> connection_;
  std::unordered_map<std::string, Prepared, HashText, std::equal_to<>> prepared_;
  std::list<std::string> by_use_;  ///< texts of prepared_, the latest used first
  std::uint64_t next_name_ = 1;
  std::size_t sent_ = 0;
  bool begin_pending_ = false;
  bool in_transaction_ = false;
  bool may_write_ = false;
  bool broken_ = false;
  bool timed_out_ = false;
};

}  // namespace loquat::db
