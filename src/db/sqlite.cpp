#include "db/sqlite.h"

#include <sqlite3.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>

#include "async/alarm.h"
#include "core/log.h"
#include "core/metrics.h"
#include "db/errors.h"
#include "db/sqlite_checkpointer.h"
#include "db/sqlite_connection.h"

namespace loquat::db {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t most_in_a_transaction = 1'000;
constexpr std::size_t most_waiting = 20'000;
constexpr std::chrono::minutes blocking_timeout{10};  // migrations of large tables

class Worker final : public async::Pool::Worker {
 public:
  Worker(SqliteConnection::Settings settings, SqliteCheckpointer* checkpointer)
      : settings_(std::move(settings)), checkpointer_(checkpointer) {}

  SqliteConnection& connection() {
    if (connection_ && connection_->broken()) connection_.reset();
    if (!connection_) {
      connection_ = std::make_unique<SqliteConnection>(settings_);
      if (checkpointer_ != nullptr) checkpointer_->watch(*connection_);
    }
    return *connection_;
  }

  /// Between two transactions of the writer.
  void keep_house() {
    if (checkpointer_ != nullptr && connection_ && checkpointer_->restart_is_due()) checkpointer_->restart(*connection_);
  }

 private:
  SqliteConnection::Settings settings_;
  SqliteCheckpointer* checkpointer_;
  std::unique_ptr<SqliteConnection> connection_;
};

class SqliteDatabase final : public Database {
 public:
  SqliteDatabase(std::string path, DatabaseSettings settings);
  ~SqliteDatabase() override { close(); }

  [[nodiscard]] Dialect dialect() const noexcept override { return Dialect::sqlite; }
  [[nodiscard]] std::chrono::milliseconds pool_timeout() const noexcept override { return settings_.pool_timeout; }
  void submit(Mode mode, Job job, Done done) override;
  void run_blocking(const std::function<void(Connection&)>& job) override;
  void close() override;

 private:
  struct Waiting {
    Job job;
    Done done;
    Clock::time_point since;
    bool blocking = false;
  };
  using Group = std::vector<Waiting>;
  using Errors = std::vector<std::exception_ptr>;
  /// What waits for the writer. Shared with the alarm that refuses what waits too long: it may ring when the database is gone.
  struct Queue : std::enable_shared_from_this<Queue> {
    explicit Queue(const DatabaseSettings& settings)
        : wait_limit(settings.pool_timeout),
          wait_time(metrics::histogram("db_pool_wait_seconds", "Time a job waited for a thread of its pool",
                                       {{"pool", settings.name + "_group"}})) {}
    void limit_waits();
    void refuse_late();

    const std::chrono::milliseconds wait_limit;
    metrics::Histogram& wait_time;
    std::mutex mutex;
    std::deque<Waiting> jobs;
    bool scheduled = false;
    bool alarm_is_set = false;
    bool refusing = false;
    std::condition_variable refused;
  };

  void enqueue(Waiting waiting);
  Group take_group();
  void work(Worker& worker);
  void run_group(Worker& worker, Group& group);
  static bool run_transaction(SqliteConnection& connection, Group& group, Errors& errors);
  static void run_job(SqliteConnection& connection, Waiting& waiting, bool alone);
  static void run_read(SqliteConnection& connection, Job& job);

  const DatabaseSettings settings_;
  const bool memory_;
  std::unique_ptr<SqliteCheckpointer> checkpointer_;
  const std::shared_ptr<Queue> queue_;
  std::unique_ptr<async::Pool> writer_;
  std::unique_ptr<async::Pool> readers_;
};

SqliteDatabase::SqliteDatabase(std::string path, DatabaseSettings settings)
    : settings_(std::move(settings)), memory_(path == ":memory:"), queue_(std::make_shared<Queue>(settings_)) {
  const SqliteConnection::Settings writing{path, false, settings_.synchronous_full, settings_.statement_timeout};
  SqliteConnection::Settings reading = writing;
  reading.read_only = true;
  if (!memory_) checkpointer_ = std::make_unique<SqliteCheckpointer>(writing);
  async::Pool::Settings one{settings_.name + "_writer", 1, 1};
  // Waiting is measured and limited job by job in the queue of ours.
  one.wait_limit = std::nullopt;
  writer_ = std::make_unique<async::Pool>(
      one, [writing, checkpointer = checkpointer_.get()] { return std::make_unique<Worker>(writing, checkpointer); });
  if (memory_) return;
  const std::size_t most = std::clamp<std::size_t>(settings_.most, 1, 8);
  async::Pool::Settings several{settings_.name, std::min<std::size_t>(std::max<std::size_t>(settings_.kept, 1), 2), most};
  several.wait_limit = settings_.pool_timeout;
  several.kept = std::min(several.kept, most);
  readers_ = std::make_unique<async::Pool>(several, [reading] { return std::make_unique<Worker>(reading, nullptr); });
}

void SqliteDatabase::submit(Mode mode, Job job, Done done) {
  if (mode != Mode::read || memory_) return enqueue({std::move(job), std::move(done), Clock::now()});
  readers_->submit([job = std::move(job), done = std::move(done)](async::Pool::Worker* worker, bool expired) mutable {
    if (expired) return done(async::make_pool_timeout());
    std::exception_ptr error;
    try {
      run_read(static_cast<Worker*>(worker)->connection(), job);
    } catch (...) {
      error = std::current_exception();
    }
    done(std::move(error));
  });
}

void SqliteDatabase::enqueue(Waiting waiting) {
  {
    const std::lock_guard lock(queue_->mutex);
    if (queue_->jobs.size() >= most_waiting) throw Error(Code::unavailable, "too much work is waiting, try again later");
    queue_->jobs.push_back(std::move(waiting));
    if (queue_->scheduled) return queue_->limit_waits();
    queue_->scheduled = true;
  }
  try {
    writer_->submit([this](async::Pool::Worker* worker, bool) { work(*static_cast<Worker*>(worker)); });
  } catch (...) {
    // Shutting down. Others may have queued behind this job meanwhile.
    for (auto group = take_group(); !group.empty(); group = take_group()) {
      for (auto& refused : group) refused.done(std::current_exception());
    }
  }
}

/// As Pool does it: one alarm for the front. The mutex is held. Blocking jobs wait as long as it takes.
void SqliteDatabase::Queue::limit_waits() {
  if (alarm_is_set) return;
  const auto front = std::ranges::find(jobs, false, &Waiting::blocking);
  if (front == jobs.end()) return;
  alarm_is_set = true;
  async::call_at(front->since + wait_limit, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->refuse_late();
  });
}

void SqliteDatabase::Queue::refuse_late() {
  std::vector<Waiting> late;
  {
    const std::lock_guard lock(mutex);
    const auto now = Clock::now();
    std::deque<Waiting> kept;
    for (auto& job : jobs) {
      if (job.blocking || now - job.since < wait_limit)
        kept.push_back(std::move(job));
      else
        late.push_back(std::move(job));
    }
    jobs = std::move(kept);
    alarm_is_set = false;
    limit_waits();
    refusing = true;
  }
  for (auto& job : late) {
    wait_time.observe(Clock::now() - job.since);
    job.job = nullptr;
    job.done(async::make_pool_timeout());
    job.done = nullptr;
  }
  const std::lock_guard lock(mutex);
  refusing = false;
  refused.notify_all();
}

SqliteDatabase::Group SqliteDatabase::take_group() {
  const std::lock_guard lock(queue_->mutex);
  auto& jobs = queue_->jobs;
  const auto count = std::min(jobs.size(), most_in_a_transaction);
  if (count == 0) queue_->scheduled = false;
  const auto end = jobs.begin() + static_cast<std::ptrdiff_t>(count);
  Group group(std::make_move_iterator(jobs.begin()), std::make_move_iterator(end));
  jobs.erase(jobs.begin(), end);
  return group;
}

void SqliteDatabase::work(Worker& worker) {
  for (auto group = take_group(); !group.empty(); group = take_group()) {
    run_group(worker, group);
    worker.keep_house();
  }
}

void SqliteDatabase::run_group(Worker& worker, Group& group) {
  Errors errors(group.size());
  const auto start = Clock::now();
  for (std::size_t i = 0; i < group.size(); ++i) {
    queue_->wait_time.observe(start - group[i].since);
    if (start - group[i].since > settings_.pool_timeout && !group[i].blocking) errors[i] = async::make_pool_timeout();
  }
  try {
    auto& connection = worker.connection();
    // An error may take the whole transaction with it (a full disk): the others then run once more without that job.
    // NOLINTNEXTLINE(misc-redundant-expression)
    if (!run_transaction(connection, group, errors) && !run_transaction(connection, group, errors)) {
      throw away("the transaction was rolled back by SQLite");
    }
  } catch (...) {
    for (auto& error : errors) {
      if (!error) error = std::current_exception();
    }
  }
  for (std::size_t i = 0; i < group.size(); ++i) {
    group[i].job = nullptr;
    group[i].done(std::move(errors[i]));
  }
}

/// False when SQLite gave the transaction up because of one job, whose error is then noted.
bool SqliteDatabase::run_transaction(SqliteConnection& connection, Group& group, Errors& errors) {
  const auto alive = static_cast<std::size_t>(std::ranges::count(errors, nullptr));
  if (alive == 0) return true;
  try {
    connection.begin_immediate();
    for (std::size_t i = 0; i < group.size(); ++i) {
      if (errors[i]) continue;
      try {
        run_job(connection, group[i], alive == 1);
      } catch (...) {
        errors[i] = std::current_exception();
        if (alive == 1) {
          connection.rollback();
          return true;
        }
        if (!connection.in_transaction()) return false;
        connection.execute("ROLLBACK TO job");
        connection.execute("RELEASE job");
      }
    }
    connection.commit();
    return true;
  } catch (...) {
    connection.rollback();
    throw;
  }
}

void SqliteDatabase::run_job(SqliteConnection& connection, Waiting& waiting, bool alone) {
  if (!alone) connection.execute("SAVEPOINT job");
  struct Patience {
    SqliteConnection& connection;
    std::chrono::milliseconds usual;
    ~Patience() { connection.set_timeout(usual); }
  };
  const Patience patience{connection, connection.timeout()};
  if (waiting.blocking) connection.set_timeout(blocking_timeout);
  waiting.job(connection);
  if (!connection.in_transaction()) throw away("the transaction was rolled back by SQLite");
  if (!alone) connection.execute("RELEASE job");
}

/// One transaction: what the job reads is of one moment, and the file is locked once, not once a statement.
void SqliteDatabase::run_read(SqliteConnection& connection, Job& job) {
  connection.execute("BEGIN");
  try {
    job(connection);
  } catch (...) {
    connection.rollback();
    throw;
  }
  connection.commit();
}

void SqliteDatabase::run_blocking(const std::function<void(Connection&)>& job) {
  struct Outcome {
    std::mutex mutex;
    std::condition_variable changed;
    bool known = false;
    std::exception_ptr error;
  };
  const auto outcome = std::make_shared<Outcome>();
  enqueue({[&job](Connection& connection) { job(connection); },
           [outcome](std::exception_ptr error) {
             const std::lock_guard lock(outcome->mutex);
             outcome->error = std::move(error);
             outcome->known = true;
             outcome->changed.notify_one();
           },
           Clock::now(), true});
  std::unique_lock lock(outcome->mutex);
  outcome->changed.wait(lock, [&outcome] { return outcome->known; });
  if (outcome->error) std::rethrow_exception(std::exchange(outcome->error, nullptr));
}

void SqliteDatabase::close() {
  if (readers_) readers_->close();
  writer_->close();
  std::unique_lock lock(queue_->mutex);
  queue_->refused.wait(lock, [this] { return !queue_->refusing; });
  lock.unlock();
  checkpointer_.reset();
}

}  // namespace

std::unique_ptr<Database> open_sqlite(std::string path, DatabaseSettings settings) {
  // Nobody reads SQLite's statistics of memory, for which each allocation of any connection takes one lock. (Once SQLite is in use it
  // refuses: then all stays as it is.)
  static const int once = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  static_cast<void>(once);
  return std::make_unique<SqliteDatabase>(std::move(path), std::move(settings));
}

}  // namespace loquat::db
