#pragma once

#include <sqlite3.h>

#include <chrono>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "db/sql.h"

namespace loquat::db {

/// One SQLite connection in WAL mode. Inside db/ only; the contract is Connection's.
class SqliteConnection final : public Connection {
 public:
  struct Settings {
    std::string path;  ///< or ":memory:"
    bool read_only = false;
    bool synchronous_full = true;
    std::chrono::milliseconds timeout{10'000};  ///< for locks, and for any one statement
  };
  /// Opens (and creates) the file; makes its directory, for the owner only. Throws Error(unavailable).
  explicit SqliteConnection(Settings settings);
  ~SqliteConnection() override;
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;

  [[nodiscard]] Dialect dialect() const noexcept override { return Dialect::sqlite; }
  Result query(std::string_view sql, Values parameters) override;
  std::vector<std::int64_t> batch(std::string_view sql, std::vector<Values> parameters) override;
  std::vector<Result> pipeline(std::vector<Statement> statements) override;
  void script(std::string_view sql) override;

  void begin_immediate() { execute("BEGIN IMMEDIATE"); }
  void commit() { execute("COMMIT"); }
  void execute(std::string_view sql);
  /// Leaves the transaction, if there is one.
  void rollback() noexcept;
  [[nodiscard]] bool in_transaction() const noexcept { return sqlite3_get_autocommit(database_.get()) == 0; }
  /// After an error of the file or the file system: to be replaced by a new connection.
  [[nodiscard]] bool broken() const noexcept { return broken_; }
  void set_timeout(std::chrono::milliseconds timeout) noexcept { timeout_ = timeout; }
  [[nodiscard]] std::chrono::milliseconds timeout() const noexcept { return timeout_; }
  [[nodiscard]] sqlite3* handle() const noexcept { return database_.get(); }

 private:
  struct CloseStatement {
    void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
  };
  struct CloseDatabase {
    void operator()(sqlite3* database) const noexcept { sqlite3_close_v2(database); }
  };
  struct Prepared {
    std::unique_ptr<sqlite3_stmt, CloseStatement> statement;
    std::vector<std::size_t> numbers;  ///< by SQLite's index: N of $N
  };
  struct HashText {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
  };

  void open_file();
  void configure();
  Prepared& prepare(std::string_view sql);
  void bind(const Prepared& prepared, const Values& parameters);
  Result run(std::string_view sql, const Values& parameters);
  [[noreturn]] void fail(int code);
  static int on_progress(void* self);

  Settings settings_;
  std::unique_ptr<sqlite3, CloseDatabase> database_;
  std::unordered_map<std::string, Prepared, HashText, std::equal_to<>> prepared_;
  std::chrono::milliseconds timeout_;
  std::chrono::steady_clock::time_point deadline_;
  bool broken_ = false;
};

}  // namespace loquat::db
