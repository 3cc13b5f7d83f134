#include "core/log_writer.h"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace loquat::log {
namespace {

/// How long lines are collected to share one write: far below what a reader notices, far above a line's own cost.
constexpr std::chrono::milliseconds gathering(10);

/// The number of bytes written; fewer than asked when the descriptor is broken or closed.
std::size_t write_all(int descriptor, std::string_view bytes) noexcept {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t wrote = ::write(descriptor, bytes.data() + done, bytes.size() - done);
    if (wrote > 0) {
      done += static_cast<std::size_t>(wrote);
    } else if (wrote < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      pollfd ready{descriptor, POLLOUT, 0};
      ::poll(&ready, 1, 1000);
    } else if (wrote == 0 || errno != EINTR) {
      break;
    }
  }
  return done;
}

std::size_t count_lines(std::string_view bytes) noexcept { return static_cast<std::size_t>(std::ranges::count(bytes, '\n')); }

/// A broken pipe must end in EPIPE here, and no handler of the program may run on this thread.
void block_signals() noexcept {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

}  // namespace

struct LineWriter::Shared {
  const int descriptor;
  const std::size_t capacity;
  const std::function<void(std::size_t)> dropped;

  std::mutex mutex;
  std::condition_variable work;     // for the writer
  std::condition_variable written;  // for flush()
  std::string queue;
  std::uint64_t pushed_bytes = 0;
  std::uint64_t done_bytes = 0;
  bool asleep = false;  // nothing queued: the next push must wake the writer
  bool urgent = false;
  bool stop = false;
};

LineWriter::LineWriter(int descriptor, std::size_t capacity_bytes, std::function<void(std::size_t)> dropped)
    : shared_(new Shared{descriptor, capacity_bytes, std::move(dropped), {}, {}, {}, {}, 0, 0, false, false, false}) {
  // Detached, because nobody may wait for a thread that a full pipe holds in write(); it owns what it uses.
  std::thread(&LineWriter::run, shared_).detach();
}

LineWriter::~LineWriter() {
  flush(std::chrono::seconds(1));
  const std::scoped_lock lock(shared_->mutex);
  shared_->stop = true;
  shared_->work.notify_one();
}

void LineWriter::push(std::string_view line, bool urgent) noexcept {
  bool wake = false;
  {
    const std::scoped_lock lock(shared_->mutex);
    if (shared_->queue.size() + line.size() <= shared_->capacity) {
      shared_->queue.append(line);
      shared_->pushed_bytes += line.size();
      wake = shared_->asleep || (urgent && !shared_->urgent);
      shared_->asleep = false;
      shared_->urgent = shared_->urgent || urgent;
      line = {};
    }
  }
  if (wake) shared_->work.notify_one();
  if (!line.empty()) shared_->dropped(1);
}

bool LineWriter::flush(std::chrono::milliseconds timeout) {
  std::unique_lock lock(shared_->mutex);
  const auto target = shared_->pushed_bytes;
  shared_->urgent = true;
  shared_->work.notify_one();
  return shared_->written.wait_for(lock, timeout, [&] { return shared_->done_bytes >= target; });
}

void LineWriter::run(const std::shared_ptr<Shared>& shared) {
  block_signals();
  std::string batch;
  std::unique_lock lock(shared->mutex);
  while (true) {
    if (shared->queue.empty()) {
      if (shared->stop) return;
      shared->asleep = true;
      shared->work.wait(lock, [&] { return !shared->queue.empty() || shared->stop; });
      shared->asleep = false;
      continue;
    }
    shared->work.wait_for(lock, gathering, [&] { return shared->urgent || shared->stop; });
    shared->urgent = false;
    batch.clear();
    batch.swap(shared->queue);
    lock.unlock();
    const std::size_t wrote = write_all(shared->descriptor, batch);
    if (wrote < batch.size()) shared->dropped(count_lines(std::string_view(batch).substr(wrote)));
    lock.lock();
    shared->done_bytes += batch.size();
    shared->written.notify_all();
  }
}

}  // namespace loquat::log
