// What a power cut leaves behind: a SQLite VFS that knows what was synced and drops the rest.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/use_future.hpp>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "bus/schema.h"
#include "bus/sql_bus.h"
#include "db/migrate.h"
#include "state/schema.h"
#include "testing/temporary.h"

namespace loquat::bus {
namespace {

using namespace std::chrono_literals;

/// Of each file: what a sync has made durable, and what was written since.
class Disk {
 public:
  struct Write {
    std::int64_t offset = 0;
    std::string bytes;
    bool is_truncation = false;
  };
  using Image = std::map<std::string, std::string>;  // by the file's name

  void write(const std::string& file, Write write) {
    const std::lock_guard lock(mutex_);
    pending_[file].push_back(std::move(write));
  }
  void sync(const std::string& file) {
    const std::lock_guard lock(mutex_);
    auto& durable = durable_[file];
    for (const auto& write : pending_[file]) apply(write, durable, write.bytes.size());
    pending_[file].clear();
    ++syncs_;
  }
  void remove(const std::string& file) {
    const std::lock_guard lock(mutex_);
    durable_.erase(file);
    pending_.erase(file);
  }
  /// The files after a cut now. Of what was not synced each write is there, half there, or not: a disk may have taken it, in any
  /// order.
  Image cut(std::mt19937& random, bool keeps_some) {
    const std::lock_guard lock(mutex_);
    auto image = durable_;
    if (!keeps_some) return image;
    for (const auto& [file, writes] : pending_) {
      if (!image.contains(file)) continue;
      for (const auto& write : writes) {
        constexpr std::size_t sector = 512;
        const auto dice = random() % 3;
        if (dice == 0) apply(write, image[file], write.bytes.size());
        if (dice == 1 && !write.is_truncation) apply(write, image[file], write.bytes.size() / 2 / sector * sector);
      }
    }
    return image;
  }
  int syncs() {
    const std::lock_guard lock(mutex_);
    return syncs_;
  }

 private:
  static void apply(const Write& write, std::string& content, std::size_t count) {
    const auto offset = static_cast<std::size_t>(write.offset);
    if (write.is_truncation) return content.resize(offset);
    if (content.size() < offset + count) content.resize(offset + count);
    content.replace(offset, count, write.bytes, 0, count);
  }

  std::mutex mutex_;
  Image durable_;
  std::map<std::string, std::vector<Write>> pending_;
  int syncs_ = 0;
};

Disk disk;
sqlite3_vfs* base_vfs = nullptr;

/// SQLite's own file follows behind this one in memory.
struct File {
  sqlite3_file head;
  const std::string* name;  // null: a file that a cut may take
};

sqlite3_file* base_of(sqlite3_file* file) { return reinterpret_cast<sqlite3_file*>(reinterpret_cast<File*>(file) + 1); }
const std::string* name_of(sqlite3_file* file) { return reinterpret_cast<File*>(file)->name; }

template <auto Member, class... Arguments>
int forward(sqlite3_file* file, Arguments... arguments) {
  auto* base = base_of(file);
  return (base->pMethods->*Member)(base, arguments...);
}

int close_file(sqlite3_file* file) {
  const int code = forward<&sqlite3_io_methods::xClose>(file);
  delete name_of(file);
  return code;
}

int write_file(sqlite3_file* file, const void* bytes, int count, sqlite3_int64 offset) {
  if (const auto* name = name_of(file))
    disk.write(*name, {offset, std::string(static_cast<const char*>(bytes), static_cast<std::size_t>(count))});
  return forward<&sqlite3_io_methods::xWrite>(file, bytes, count, offset);
}

int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  if (const auto* name = name_of(file)) disk.write(*name, {size, {}, true});
  return forward<&sqlite3_io_methods::xTruncate>(file, size);
}

int sync_file(sqlite3_file* file, int) {
  if (const auto* name = name_of(file)) disk.sync(*name);
  return SQLITE_OK;  // the real one is not needed: nothing is cut but our image
}

const sqlite3_io_methods methods = [] {
  sqlite3_io_methods m{};
  using Base = sqlite3_io_methods;
  m.iVersion = 2;
  m.xClose = close_file;
  m.xRead = [](sqlite3_file* f, void* to, int n, sqlite3_int64 at) { return forward<&Base::xRead>(f, to, n, at); };
  m.xWrite = write_file;
  m.xTruncate = truncate_file;
  m.xSync = sync_file;
  m.xFileSize = [](sqlite3_file* f, sqlite3_int64* size) { return forward<&Base::xFileSize>(f, size); };
  m.xLock = [](sqlite3_file* f, int level) { return forward<&Base::xLock>(f, level); };
  m.xUnlock = [](sqlite3_file* f, int level) { return forward<&Base::xUnlock>(f, level); };
  m.xCheckReservedLock = [](sqlite3_file* f, int* result) { return forward<&Base::xCheckReservedLock>(f, result); };
  m.xFileControl = [](sqlite3_file* f, int what, void* with) { return forward<&Base::xFileControl>(f, what, with); };
  m.xSectorSize = [](sqlite3_file* f) { return forward<&Base::xSectorSize>(f); };
  m.xDeviceCharacteristics = [](sqlite3_file* f) { return forward<&Base::xDeviceCharacteristics>(f); };
  m.xShmMap = [](sqlite3_file* f, int page, int size, int extend, void volatile** to) {
    return forward<&Base::xShmMap>(f, page, size, extend, to);
  };
  m.xShmLock = [](sqlite3_file* f, int offset, int n, int flags) { return forward<&Base::xShmLock>(f, offset, n, flags); };
  m.xShmBarrier = [](sqlite3_file* f) { base_of(f)->pMethods->xShmBarrier(base_of(f)); };
  m.xShmUnmap = [](sqlite3_file* f, int remove) { return forward<&Base::xShmUnmap>(f, remove); };
  return m;
}();

int open_file(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out) {
  auto* own = reinterpret_cast<File*>(file);
  own->head.pMethods = nullptr;
  own->name = nullptr;
  const int code = base_vfs->xOpen(base_vfs, name, base_of(file), flags, out);
  if (base_of(file)->pMethods == nullptr) return code;
  own->head.pMethods = &methods;
  if (name != nullptr && (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)) != 0)
    own->name = new std::string(std::filesystem::path(name).filename());
  return code;
}

int delete_file(sqlite3_vfs*, const char* name, int sync) {
  disk.remove(std::filesystem::path(name).filename());
  return base_vfs->xDelete(base_vfs, name, sync);
}

/// Becomes SQLite's default for the life of the test.
class CutVfs {
 public:
  CutVfs() {
    base_vfs = sqlite3_vfs_find(nullptr);
    vfs_ = *base_vfs;
    vfs_.zName = "power-cut";
    vfs_.szOsFile = static_cast<int>(sizeof(File)) + base_vfs->szOsFile;
    vfs_.xOpen = open_file;
    vfs_.xDelete = delete_file;
    sqlite3_vfs_register(&vfs_, 1);
  }
  ~CutVfs() {
    sqlite3_vfs_register(base_vfs, 1);
    sqlite3_vfs_unregister(&vfs_);
  }
  CutVfs(const CutVfs&) = delete;
  CutVfs& operator=(const CutVfs&) = delete;

 private:
  sqlite3_vfs vfs_{};
};

Event make_event(const std::string& thread, int number) {
  Event event;
  event.conversation = {"test", "p", thread};
  event.message_id = MessageId::of_key(thread + "/" + std::to_string(number));
  event.kind = "message";
  event.timestamp_ms = 1'700'000'000'000 + number;
  event.body = {{"text", thread + "/" + std::to_string(number)}, {"context", json::object{{"filler", std::string(300, 'x')}}}};
  return event;
}

/// A channel that answers with the text and remembers what it has sent.
class Recorder final : public Handler {
 public:
  asio::awaitable<std::optional<state::State>> decide(const Item& item, std::optional<state::State>, bool) override {
    state::State next;
    next.bot_message = json::array{json::object{{"text", item.event.body.at("text")}}};
    co_return next;
  }
  asio::awaitable<Delivery> deliver(Item& item, const state::State&, const DeliveryContext&) override {
    const std::lock_guard lock(mutex_);
    sent_.push_back(item.event.message_id);
    co_return Delivery{};
  }
  std::vector<MessageId> sent() {
    const std::lock_guard lock(mutex_);
    return sent_;
  }

 private:
  std::mutex mutex_;
  std::vector<MessageId> sent_;
};

/// One person after the other speaks, and counts a message only when it was acknowledged.
class Writers {
 public:
  Writers(SqlBus& bus, asio::io_context& loop) : bus_(bus), loop_(loop) {
    for (int n = 0; n < 6; ++n) threads_.emplace_back([this, n] { work(n); });
  }
  ~Writers() {
    stopping_ = true;
    for (auto& thread : threads_) thread.join();
  }
  Writers(const Writers&) = delete;
  Writers& operator=(const Writers&) = delete;
  std::vector<MessageId> acknowledged() {
    const std::lock_guard lock(mutex_);
    return acknowledged_;
  }

 private:
  void work(int writer) {
    for (int number = 0; !stopping_; ++number) {
      std::vector<Event> events;
      for (int person = 0; person < 3; ++person) events.push_back(make_event(std::to_string(writer * 10 + person), number));
      std::vector<MessageId> ids;
      for (const auto& event : events) ids.push_back(event.message_id);
      asio::co_spawn(loop_, bus_.admit(std::move(events)), asio::use_future).get();
      const std::lock_guard lock(mutex_);
      acknowledged_.insert(acknowledged_.end(), ids.begin(), ids.end());
    }
  }

  SqlBus& bus_;
  asio::io_context& loop_;
  std::mutex mutex_;
  std::vector<MessageId> acknowledged_;
  std::atomic<bool> stopping_ = false;
  std::vector<std::thread> threads_;
};

/// What a database file holds: ids of events to be decided, in the inbox or set aside because their lane is full, and of states.
struct Found {
  std::set<std::string> pending;
  std::set<std::string> decided;
};

Found read_image(const Disk::Image& image) {
  const testing::TemporaryDirectory folder;
  for (const auto& [name, content] : image) std::ofstream(folder.file(name), std::ios::binary) << content;
  sqlite3* raw = nullptr;
  EXPECT_EQ(sqlite3_open_v2(folder.file("test.db").c_str(), &raw, SQLITE_OPEN_READWRITE, base_vfs->zName), SQLITE_OK);
  Found found;
  const auto collect = [raw](const char* sql, std::set<std::string>& into) {
    const auto row = [](void* to, int, char** values, char**) {
      static_cast<std::set<std::string>*>(to)->insert(values[0] == nullptr ? "" : values[0]);
      return 0;
    };
    char* message = nullptr;
    EXPECT_EQ(sqlite3_exec(raw, sql, row, &into, &message), SQLITE_OK) << (message == nullptr ? "" : message);
    sqlite3_free(message);
  };
  std::set<std::string> check;
  collect("PRAGMA integrity_check", check);
  EXPECT_EQ(check, std::set<std::string>{"ok"});
  collect("SELECT lower(hex(message_id)) FROM inbox UNION SELECT lower(hex(message_id)) FROM parked", found.pending);
  collect("SELECT lower(hex(message_id)) FROM states", found.decided);
  sqlite3_close(raw);
  return found;
}

TEST(PowerCut, WhatWasAcknowledgedOrSentIsThereAfterwards) {
  const CutVfs vfs;
  const testing::TemporaryDirectory folder;
  asio::io_context loop(1);
  auto work = asio::make_work_guard(loop);
  std::thread runner([&loop] { loop.run(); });
  auto database = db::Database::open({.url = folder.sqlite_url(), .kept = 2, .most = 4});
  std::vector<db::Migration> all(migrations().begin(), migrations().end());
  all.insert(all.end(), state::migrations().begin(), state::migrations().end());
  db::migrate(*database, all);
  Recorder recorder;
  std::mt19937 random(std::random_device{}());
  std::size_t acknowledged_in_all = 0;
  {
    SqlBus bus({.data_dir = folder.path().string(), .storage = {}, .lanes = {}}, *database, {&loop});
    bus.add_handler("test", recorder);
    bus.start();
    {
      Writers writers(bus, loop);
      for (int cut = 0; cut < 30; ++cut) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20 + random() % 60));
        // First what was promised, then the cut: what comes between may be there or not.
        const auto acknowledged = writers.acknowledged();
        const auto sent = recorder.sent();
        const auto found = read_image(disk.cut(random, cut % 2 == 1));
        const auto is_lost = [&](const MessageId& id) {
          return !found.pending.contains(id.to_string()) && !found.decided.contains(id.to_string());
        };
        EXPECT_EQ(std::ranges::count_if(acknowledged, is_lost), 0) << "cut " << cut << " lost acknowledged messages";
        const auto is_undecided = [&](const MessageId& id) { return !found.decided.contains(id.to_string()); };
        EXPECT_EQ(std::ranges::count_if(sent, is_undecided), 0) << "cut " << cut << " lost turns whose replies were sent";
        acknowledged_in_all = acknowledged.size();
      }
    }
    bus.stop(10s);
  }
  EXPECT_GT(acknowledged_in_all, 100U);
  EXPECT_GT(disk.syncs(), 20);
  RecordProperty("acknowledged", static_cast<int>(acknowledged_in_all));
  database->close();
  database.reset();
  work.reset();
  loop.stop();
  runner.join();
}

TEST(PowerCut, TheTestWouldNoticeASyncThatIsMissing) {
  const CutVfs vfs;
  const testing::TemporaryDirectory folder;
  const auto url = "sqlite:///" + folder.file("weak.db");
  auto database = db::Database::open({.url = url, .kept = 1, .most = 1, .synchronous_full = false});
  database->run_blocking([](db::Connection& c) { c("CREATE TABLE t(x text)"); });
  std::mt19937 random(1);
  const int before = disk.syncs();
  database->run_blocking([](db::Connection& c) { c("INSERT INTO t VALUES('promised but not synced')"); });
  EXPECT_EQ(disk.syncs(), before) << "synchronous=NORMAL does not sync at a commit";
  for (const auto& [name, content] : disk.cut(random, false)) EXPECT_EQ(content.find("promised but not synced"), std::string::npos) << name;
  database->close();
}

}  // namespace
}  // namespace loquat::bus
