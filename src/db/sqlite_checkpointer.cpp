#include "db/sqlite_checkpointer.h"

#include <sys/resource.h>

#include "core/log.h"

namespace loquat::db {
namespace {

constexpr int pages_to_checkpoint = 4'000;  // 16 MB
constexpr int pages_to_restart = 8'000;     // 32 MB: passive checkpoints cannot keep up with a steady writer
constexpr int restart_wait_ms = 5;          // how long the writer waits for readers then
constexpr int niceness = 10;

}  // namespace

SqliteCheckpointer::SqliteCheckpointer(SqliteConnection::Settings settings) : settings_(std::move(settings)) {
  thread_ = std::thread([this] { work(); });
}

SqliteCheckpointer::~SqliteCheckpointer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void SqliteCheckpointer::watch(SqliteConnection& writer) {
  const auto hook = [](void* self, sqlite3*, const char*, int pages) {
    static_cast<SqliteCheckpointer*>(self)->on_commit(pages);
    return SQLITE_OK;
  };
  sqlite3_wal_hook(writer.handle(), hook, this);
}

void SqliteCheckpointer::on_commit(int pages_in_log) {
  if (pages_in_log < pages_to_checkpoint || wanted_.load(std::memory_order_relaxed)) return;
  {
    const std::lock_guard lock(mutex_);
    pages_ = pages_in_log;
    wanted_ = true;
  }
  wake_.notify_one();
}

void SqliteCheckpointer::work() {
  // Who waits for a commit goes first. (On Linux the priority is the thread's own.)
  ::setpriority(PRIO_PROCESS, 0, niceness);
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || wanted_; });
    if (stopping_) return;
    const int pages = pages_;
    lock.unlock();
    try {
      checkpoint(pages);
    } catch (const Error& error) {
      log::warning("db", "a checkpoint failed; it is tried again later", {{"detail", error.log_detail()}});
      connection_.reset();
    } catch (const std::exception& error) {
      log::warning("db", "a checkpoint failed; it is tried again later", {{"detail", error.what()}});
      connection_.reset();
    }
    lock.lock();
    // Not again at once when it could not do much (a full disk, a long reader).
    wake_.wait_for(lock, std::chrono::milliseconds(50), [this] { return stopping_; });
    wanted_ = false;
  }
}

void SqliteCheckpointer::checkpoint(int pages_in_log) {
  if (!connection_) connection_ = std::make_unique<SqliteConnection>(settings_);
  move_pages();
  if (pages_in_log < pages_to_restart) return;
  move_pages();  // what came meanwhile: next to nothing is left for the writer
  restart_due_.store(true, std::memory_order_release);
}

void SqliteCheckpointer::move_pages() {
  const int result = sqlite3_wal_checkpoint_v2(connection_->handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  if (result != SQLITE_OK && (result & 0xFF) != SQLITE_BUSY)
    throw Error(Code::unavailable, "checkpoint", sqlite3_errmsg(connection_->handle()));
}

void SqliteCheckpointer::restart(SqliteConnection& writer) {
  restart_due_.store(false, std::memory_order_relaxed);
  sqlite3_busy_timeout(writer.handle(), restart_wait_ms);
  // What fails here fails in the next round too, and is logged there.
  sqlite3_wal_checkpoint_v2(writer.handle(), nullptr, SQLITE_CHECKPOINT_RESTART, nullptr, nullptr);
  sqlite3_busy_timeout(writer.handle(), static_cast<int>(settings_.timeout.count()));
}

}  // namespace loquat::db
