#include "db/postgres.h"

#include <atomic>
#include <mutex>
#include <thread>

#include "core/log.h"
#include "db/errors.h"
#include "db/postgres_connection.h"

namespace loquat::db {
namespace {

using Clock = std::chrono::steady_clock;
using Kind = PostgresFailure::Kind;

constexpr int most_attempts = 3;
constexpr std::chrono::minutes blocking_timeout{10};  // migrations of large tables

/// While the server is away new connections are refused at once for a moment, instead of each thread waiting for its own
/// connect deadline.
class Breaker {
 public:
  void check() const {
    const std::lock_guard lock(mutex_);
    if (Clock::now() < closed_until_) throw PostgresFailure(Kind::lost, "the server was away a moment ago: " + why_);
  }
  void failed(const PostgresFailure& failure) {
    const std::lock_guard lock(mutex_);
    if (!away_) log::warning("db", "no connection to the database", {{"detail", failure.log_detail()}});
    away_ = true;
    closed_until_ = Clock::now() + (failure.kind() == Kind::timed_out ? std::chrono::milliseconds(1'000) : std::chrono::milliseconds(100));
    why_ = failure.log_detail();
  }
  void succeeded() {
    const std::lock_guard lock(mutex_);
    if (away_) log::info("db", "the database is back");
    away_ = false;
  }

 private:
  mutable std::mutex mutex_;
  Clock::time_point closed_until_;
  std::string why_;
  bool away_ = false;
};

struct Shared {
  PostgresConnection::Settings settings;
  Breaker breaker;
  std::atomic<bool> durability_checked = false;
  /// A statement met our deadline: until one succeeds, open connections are tried before they get a job, so that not every
  /// one of them costs somebody the whole deadline.
  std::atomic<bool> maybe_hanging = false;
};
constexpr std::chrono::milliseconds probe_limit{750};

void warn_if_not_durable(PostgresConnection& connection) {
  for (const auto* name : {"fsync", "synchronous_commit", "full_page_writes"}) {
    if (connection.setting(name) != "off") continue;
    log::warning("db", "PostgreSQL runs with a setting that loses acknowledged messages in a crash", {{"setting", name}, {"value", "off"}});
  }
}

std::unique_ptr<PostgresConnection> connect(Shared& shared) {
  shared.breaker.check();
  try {
    auto connection = std::make_unique<PostgresConnection>(shared.settings);
    shared.breaker.succeeded();
    connection->start_job(false, false);
    if (!shared.durability_checked.exchange(true)) warn_if_not_durable(*connection);
    return connection;
  } catch (const PostgresFailure& failure) {
    shared.breaker.failed(failure);
    throw;
  }
}

class Worker final : public async::Pool::Worker {
 public:
  explicit Worker(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

  PostgresConnection& connection() {
    if (connection_ && (connection_->broken() || connection_->is_stale())) connection_.reset();
    if (connection_ && shared_->maybe_hanging) probe();
    if (!connection_) connection_ = connect(*shared_);
    return *connection_;
  }
  /// After each job.
  void note_outcome(bool succeeded) {
    if (succeeded && shared_->maybe_hanging.load(std::memory_order_relaxed)) shared_->maybe_hanging = false;
    if (!succeeded && connection_ && connection_->timed_out()) shared_->maybe_hanging = true;
  }

 private:
  void probe() {
    try {
      connection_->probe(probe_limit);
      shared_->maybe_hanging = false;
    } catch (const PostgresFailure& failure) {
      connection_.reset();
      shared_->breaker.failed(failure);
      throw;
    }
  }

  std::shared_ptr<Shared> shared_;
  std::unique_ptr<PostgresConnection> connection_;
};

void run_once(PostgresConnection& connection, Database::Mode mode, Database::Job& job) {
  connection.start_job(mode == Database::Mode::write, mode != Database::Mode::read);
  try {
    job(connection);
    connection.commit();
  } catch (...) {
    connection.rollback();
    throw;
  }
}

bool may_repeat(const PostgresFailure& failure, const PostgresConnection& connection, Database::Mode mode, int attempt) {
  if (failure.kind() != Kind::lost && failure.kind() != Kind::retryable) return false;
  if (mode == Database::Mode::run && !connection.sent_nothing()) return false;
  // A lost connection is replaced once: the others of the pool are as old.
  return attempt < (failure.kind() == Kind::lost ? 2 : most_attempts);
}

void run_job(Worker& worker, Database::Mode mode, Database::Job& job) {
  for (int attempt = 1;; ++attempt) {
    auto& connection = worker.connection();
    try {
      run_once(connection, mode, job);
      return worker.note_outcome(true);
    } catch (const PostgresFailure& failure) {
      worker.note_outcome(false);
      if (!may_repeat(failure, connection, mode, attempt)) throw;
    } catch (...) {
      worker.note_outcome(false);
      throw;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(attempt * 2));
  }
}

class PostgresDatabase final : public Database {
 public:
  PostgresDatabase(std::string uri, const DatabaseSettings& settings)
      : shared_(std::make_shared<Shared>()), pool_timeout_(settings.pool_timeout) {
    shared_->settings = {std::move(uri), settings.connect_timeout, settings.statement_timeout};
    const auto most = std::max<std::size_t>(settings.most, 1);
    async::Pool::Settings pool{settings.name, std::min(std::max<std::size_t>(settings.kept, 1), most), most};
    pool.wait_limit = settings.pool_timeout;
    pool_ = std::make_unique<async::Pool>(pool, [shared = shared_] { return std::make_unique<Worker>(shared); });
  }
  ~PostgresDatabase() override { close(); }

  [[nodiscard]] Dialect dialect() const noexcept override { return Dialect::postgres; }
  [[nodiscard]] std::chrono::milliseconds pool_timeout() const noexcept override { return pool_timeout_; }

  void submit(Mode mode, Job job, Done done) override {
    pool_->submit([mode, job = std::move(job), done = std::move(done)](async::Pool::Worker* worker, bool expired) mutable {
      if (expired) return done(async::make_pool_timeout());
      std::exception_ptr error;
      try {
        run_job(*static_cast<Worker*>(worker), mode, job);
      } catch (...) {
        error = std::current_exception();
      }
      job = nullptr;
      done(std::move(error));
    });
  }

  void run_blocking(const std::function<void(Connection&)>& job) override {
    Shared patient;
    patient.settings = shared_->settings;
    patient.settings.statement_timeout = blocking_timeout;
    patient.durability_checked = true;
    const auto connection = connect(patient);
    Job once = [&job](Connection& open) { job(open); };
    run_once(*connection, Mode::write, once);
  }

  void close() override { pool_->close(); }

 private:
  std::shared_ptr<Shared> shared_;
  const std::chrono::milliseconds pool_timeout_;
  std::unique_ptr<async::Pool> pool_;
};

}  // namespace

std::unique_ptr<Database> open_postgres(std::string uri, DatabaseSettings settings) {
  return std::make_unique<PostgresDatabase>(std::move(uri), settings);
}

}  // namespace loquat::db
