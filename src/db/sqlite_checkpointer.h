#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "db/sqlite_connection.h"

namespace loquat::db {

/// Moves the write-ahead log into the database file on a thread and connection of its own, so that no commit waits for it.
class SqliteCheckpointer {
 public:
  explicit SqliteCheckpointer(SqliteConnection::Settings settings);
  ~SqliteCheckpointer();
  SqliteCheckpointer(const SqliteCheckpointer&) = delete;
  SqliteCheckpointer& operator=(const SqliteCheckpointer&) = delete;

  /// Has the commits of this connection counted. The connection must not outlive the checkpointer.
  void watch(SqliteConnection& writer);

 private:
  void on_commit(int pages_in_log);
  void work();
  void checkpoint(int pages_in_log);

  SqliteConnection::Settings settings_;
  std::unique_ptr<SqliteConnection> connection_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<bool> wanted_ = false;
  int pages_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace loquat::db
