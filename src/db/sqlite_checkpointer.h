#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "db/sqlite_connection.h"

namespace loquat::db {

/// Moves the write-ahead log into the database file on a thread and connection of its own, so that no commit waits for it. A steady
/// writer would make the log longer for ever: it has to start it anew itself, between two commits, when nearly all has been moved.
/// (Another connection would have to take the write lock for that; both sides would then sleep in SQLite's steps of milliseconds.) The
/// log's file keeps its size: a commit into blocks that are there is cheaper than one that makes the file longer.
class SqliteCheckpointer {
 public:
  explicit SqliteCheckpointer(SqliteConnection::Settings settings);
  ~SqliteCheckpointer();
  SqliteCheckpointer(const SqliteCheckpointer&) = delete;
  SqliteCheckpointer& operator=(const SqliteCheckpointer&) = delete;

  /// Has the commits of this connection counted. The connection must not outlive the checkpointer.
  void watch(SqliteConnection& writer);
  /// True when the writer is to call restart(), which then takes a few milliseconds. On the writer's thread.
  [[nodiscard]] bool restart_is_due() const noexcept { return restart_due_.load(std::memory_order_acquire); }
  void restart(SqliteConnection& writer);

 private:
  void on_commit(int pages_in_log);
  void work();
  void checkpoint(int pages_in_log);
  void move_pages();

  SqliteConnection::Settings settings_;
  std::unique_ptr<SqliteConnection> connection_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<bool> wanted_ = false;
  std::atomic<bool> restart_due_ = false;
  int pages_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace loquat::db
