#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "async/pool.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/id.h"

/// SQL over SQLite and PostgreSQL with one text for both: parameters are written $1, $2, ... The SQL stands next to the
/// function that runs it.
namespace loquat::db {

namespace asio = boost::asio;

enum class Dialect : std::uint8_t { sqlite, postgres };

struct Bytes {
  std::string data;
  bool operator==(const Bytes&) const = default;
};

/// A parameter or a column's value. Time is timestamptz on PostgreSQL, integer microseconds since 1970 on SQLite.
/// The vectors are arrays for unnest() or = ANY(): PostgreSQL only.
using Value =
    std::variant<std::monostate, bool, std::int64_t, double, std::string, Bytes, Time, std::vector<std::int64_t>, std::vector<std::string>,
                 std::vector<std::optional<std::string>>, std::vector<Bytes>, std::vector<std::optional<Bytes>>, std::vector<Time>>;
using Values = std::vector<Value>;

[[nodiscard]] inline Value to_value(const MessageId& id) { return Bytes{std::string(id.bytes.begin(), id.bytes.end())}; }
template <class T>
[[nodiscard]] Value to_value(std::optional<T> value) {
  return value ? Value(std::move(*value)) : Value();
}

/// The rows of one statement. Readers convert where that loses nothing (an integer column read as text and so on) and throw
/// Error(unavailable) otherwise: the schema is not ours then. `text` etc. of NULL throw; use the optional forms.
class Rows {
 public:
  virtual ~Rows() = default;
  [[nodiscard]] virtual std::size_t size() const noexcept = 0;
  [[nodiscard]] virtual bool is_null(std::size_t row, std::size_t column) const = 0;
  [[nodiscard]] virtual std::string text(std::size_t row, std::size_t column) const = 0;
  [[nodiscard]] virtual std::int64_t integer(std::size_t row, std::size_t column) const = 0;
  [[nodiscard]] virtual double real(std::size_t row, std::size_t column) const = 0;
  /// Booleans, and the integers and words that older tables hold (0/1, t/f).
  [[nodiscard]] virtual bool boolean(std::size_t row, std::size_t column) const = 0;
  [[nodiscard]] virtual std::string bytes(std::size_t row, std::size_t column) const = 0;
  /// timestamptz; on SQLite integer microseconds, or the ISO text that SQLAlchemy wrote (taken as UTC).
  [[nodiscard]] virtual Time time(std::size_t row, std::size_t column) const = 0;
  /// Rows changed by INSERT, UPDATE, DELETE.
  [[nodiscard]] virtual std::int64_t affected() const noexcept = 0;

  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  [[nodiscard]] std::optional<std::string> find_text(std::size_t row, std::size_t column) const {
    return is_null(row, column) ? std::nullopt : std::optional(text(row, column));
  }
  [[nodiscard]] MessageId message_id(std::size_t row, std::size_t column) const;
};
using Result = std::unique_ptr<Rows>;

struct Statement {
  std::string_view sql;  ///< must outlive the call; a literal is prepared once a connection and reused
  Values parameters = {};
};

/// One session with a database; used by one thread at a time, inside Database::read/write/run only.
///
/// Errors, all loquat::Error: Code::conflict for a unique key that is taken; Code::invalid for values the database refuses
/// (SQLSTATE classes 22 and 23 otherwise; SQLite CONSTRAINT, MISMATCH, TOOBIG); Code::unavailable for everything that time may
/// heal (connection lost, deadline, lock, full disk) and for our own mistakes in SQL (with the driver's words in log_detail()).
class Connection {
 public:
  virtual ~Connection() = default;
  [[nodiscard]] virtual Dialect dialect() const noexcept = 0;

  virtual Result query(std::string_view sql, Values parameters = {}) = 0;
  /// Runs one statement for each set of parameters; PostgreSQL pipelines them in one round trip. Stops at the first error.
  /// Returns the rows changed by each.
  virtual std::vector<std::int64_t> batch(std::string_view sql, std::vector<Values> parameters) = 0;
  /// Runs several statements in one round trip, in order, as one transaction if none is open (all or nothing).
  virtual std::vector<Result> pipeline(std::vector<Statement> statements) = 0;
  /// Several statements separated by semicolons, without parameters (migrations).
  virtual void script(std::string_view sql) = 0;

  template <class... Arguments>
  Result operator()(std::string_view sql, Arguments&&... arguments) {
    Values values;
    values.reserve(sizeof...(arguments));
    (values.push_back(Value(std::forward<Arguments>(arguments))), ...);
    return query(sql, std::move(values));
  }
};

/// Thrown (as Code::unavailable) when a COMMIT's outcome did not become known: it may have happened.
class OutcomeUnknown final : public Error {
 public:
  using Error::Error;
};

struct DatabaseSettings {
  std::string url;  ///< sqlite:///..., sqlite:// (memory), postgresql://...: see db::parse_url
  std::size_t kept = 5;
  std::size_t most = 15;
  std::chrono::milliseconds pool_timeout{5'000};
  std::chrono::milliseconds connect_timeout{3'000};
  std::chrono::milliseconds statement_timeout{10'000};  ///< by our own clock: a server that hangs counts as away
  std::string name = "database";                        ///< label of the pool's metrics
  bool synchronous_full = true;                         ///< SQLite: false = NORMAL, may lose the last commits on power loss
};

/// One database of the process: a pool of threads, each with a connection of its own, checked and replaced after an error.
///
/// SQLite: `write` runs on one writer thread which takes all waiting jobs into one transaction (group commit: BEGIN
/// IMMEDIATE, a savepoint a job, one COMMIT with FULL sync; then all are told); `read` runs on other connections and sees committed
/// data. PostgreSQL: both run on any connection.
class Database {
 public:
  /// Does not connect yet. Throws Error(invalid) for a URL it does not take.
  [[nodiscard]] static std::unique_ptr<Database> open(DatabaseSettings settings);
  virtual ~Database() = default;

  [[nodiscard]] virtual Dialect dialect() const noexcept = 0;
  /// How long a job waits for a connection.
  [[nodiscard]] virtual std::chrono::milliseconds pool_timeout() const noexcept = 0;

  /// Runs `function(Connection&)` without a transaction; it must not write.
  template <class Function>
  [[nodiscard]] asio::awaitable<std::invoke_result_t<Function&, Connection&>> read(Function function);
  /// Runs `function(Connection&)` in one transaction, committed when it returns, rolled back when it throws. Deadlocks and
  /// serialization failures run it again (at most 3 times), so it must have no effect but on the connection.
  template <class Function>
  [[nodiscard]] asio::awaitable<std::invoke_result_t<Function&, Connection&>> write(Function function);
  /// Without a transaction of its own: each query, batch or pipeline is its own on PostgreSQL. SQLite: as write.
  template <class Function>
  [[nodiscard]] asio::awaitable<std::invoke_result_t<Function&, Connection&>> run(Function function);

  /// Throws Error(unavailable) when the database does not answer.
  [[nodiscard]] asio::awaitable<void> ping();

  enum class Mode : std::uint8_t { read, write, run };
  /// What the templates are made of: runs the job on a connection; `done` has the error, null when it went well (for writes:
  /// committed). The job may run more than once (write).
  using Job = std::move_only_function<void(Connection&)>;
  using Done = std::move_only_function<void(std::exception_ptr)>;
  virtual void submit(Mode mode, Job job, Done done) = 0;

  /// Blocking, for command-line tools and start-up: on the calling thread's own connection, in a transaction.
  virtual void run_blocking(const std::function<void(Connection&)>& job) = 0;

  virtual void close() = 0;

 private:
  template <class Function>
  asio::awaitable<std::invoke_result_t<Function&, Connection&>> run_mode(Mode mode, Function function);
};

/// What a database URL says; the forms of contract "Which database". Passwords stay inside.
struct Url {
  enum class Kind : std::uint8_t { sqlite, postgres, mongodb, http, memory };
  Kind kind = Kind::sqlite;
  std::string target;  ///< SQLite: the path, or ":memory:"; PostgreSQL: a libpq URI; else the URL as it is
};
/// Throws Error(invalid) in plain words, naming MySQL, DynamoDB and other schemes with advice.
[[nodiscard]] Url parse_url(std::string_view url);
/// The URL with its password masked, and its parameters that are secrets; with or without a scheme. For logs.
[[nodiscard]] std::string without_password(std::string_view url);

template <class Function>
asio::awaitable<std::invoke_result_t<Function&, Connection&>> Database::run_mode(Mode mode, Function function) {
  using Returned = std::invoke_result_t<Function&, Connection&>;
  using Carried = std::conditional_t<std::is_void_v<Returned>, async::Nothing, Returned>;
  auto start = [this, mode, function = std::move(function)](async::Completion<Carried> completion) mutable {
    auto value = std::make_shared<std::optional<Carried>>();
    auto waiting = std::make_shared<async::Completion<Carried>>(std::move(completion));
    try {
      submit(
          mode,
          [value, function = std::move(function)](Connection& connection) mutable {
            if constexpr (std::is_void_v<Returned>) {
              function(connection);
              value->emplace();
            } else {
              value->emplace(function(connection));
            }
          },
          [value, waiting](std::exception_ptr error) {
            if (error) return waiting->reject(std::move(error));
            waiting->resolve(std::move(**value));
          });
    } catch (...) {
      waiting->reject(std::current_exception());
    }
  };
  if constexpr (std::is_void_v<Returned>) {
    co_await async::await_completion<Carried>(std::move(start));
  } else {
    co_return co_await async::await_completion<Carried>(std::move(start));
  }
}

template <class Function>
asio::awaitable<std::invoke_result_t<Function&, Connection&>> Database::read(Function function) {
  return run_mode(Mode::read, std::move(function));
}
template <class Function>
asio::awaitable<std::invoke_result_t<Function&, Connection&>> Database::write(Function function) {
  return run_mode(Mode::write, std::move(function));
}
template <class Function>
asio::awaitable<std::invoke_result_t<Function&, Connection&>> Database::run(Function function) {
  return run_mode(Mode::run, std::move(function));
}

}  // namespace loquat::db
