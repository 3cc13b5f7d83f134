#include "async/pool.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "async/alarm.h"
#include "core/error.h"
#include "core/metrics.h"

namespace loquat::async {

using Clock = std::chrono::steady_clock;

struct Pool::State : std::enable_shared_from_this<Pool::State> {
  struct Waiting {
    Job job;
    Clock::time_point since;
  };

  State(Settings s, MakeWorker make)
      : settings(std::move(s)),
        make_worker(std::move(make)),
        wait_time(metrics::histogram("db_pool_wait_seconds", "Time a job waited for a thread of its pool", {{"pool", settings.name}})),
        busy_gauge(state_gauge("busy")),
        idle_gauge(state_gauge("idle")),
        waiting_gauge(state_gauge("waiting")) {}

  metrics::Gauge& state_gauge(const char* state) const {
    return metrics::gauge("db_pool_connections", "Threads (each with its connection) and waiting jobs of a pool",
                          {{"pool", settings.name}, {"state", state}});
  }

  void report() {  // under the lock
    busy_gauge.set(static_cast<double>(busy));
    idle_gauge.set(static_cast<double>(threads - busy));
    waiting_gauge.set(static_cast<double>(queue.size()));
  }

  void start_thread() {  // under the lock
    ++threads;
    all_threads.emplace_back([self = shared_from_this()] { self->work(); });
  }

  void work() {
    std::unique_ptr<Worker> worker;
    if (make_worker) worker = make_worker();
    std::unique_lock lock(mutex);
    for (;;) {
      const bool woken = wake.wait_for(lock, settings.idle_limit, [this] { return closed || !queue.empty(); });
      if (queue.empty() && (closed || (!woken && threads > settings.kept))) break;
      if (queue.empty()) continue;
      auto next = std::move(queue.front());
      queue.pop_front();
      ++busy;
      report();
      lock.unlock();
      const auto waited = Clock::now() - next.since;
      wait_time.observe(waited);
      next.job(worker.get(), settings.wait_limit && waited > *settings.wait_limit);
      next.job = nullptr;
      lock.lock();
      --busy;
      report();
    }
    --threads;
    report();
    finished.push_back(std::this_thread::get_id());
    lock.unlock();
    worker.reset();
  }

  /// Under the lock: from now on no job of the queue waits longer than the limit, though no thread becomes free. All have the same limit,
  /// so one alarm, for the job in front, is enough; it stays until it rings, and rings for those behind.
  void limit_waits() {
    if (!settings.wait_limit || alarm_is_set || queue.empty()) return;
    alarm_is_set = true;
    call_at(queue.front().since + *settings.wait_limit, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->refuse_late();
    });
  }

  void refuse_late() {
    std::vector<Waiting> late;
    {
      const std::lock_guard lock(mutex);
      const auto now = Clock::now();
      const auto end = std::ranges::find_if(queue, [&](const Waiting& job) { return now - job.since < *settings.wait_limit; });
      late.assign(std::make_move_iterator(queue.begin()), std::make_move_iterator(end));
      queue.erase(queue.begin(), end);
      alarm_is_set = false;
      limit_waits();
      report();
      refusing = true;
    }
    for (auto& job : late) {
      wait_time.observe(Clock::now() - job.since);
      job.job(nullptr, true);
      job.job = nullptr;
    }
    const std::lock_guard lock(mutex);
    refusing = false;
    refused.notify_all();
  }

  void reap() {  // under the lock: joins threads that have ended their loop
    for (const auto id : finished) {
      std::erase_if(all_threads, [id](std::thread& thread) {
        if (thread.get_id() != id) return false;
        thread.detach();
        return true;
      });
    }
    finished.clear();
  }

  const Settings settings;
  const MakeWorker make_worker;
  metrics::Histogram& wait_time;
  metrics::Gauge& busy_gauge;
  metrics::Gauge& idle_gauge;
  metrics::Gauge& waiting_gauge;
  mutable std::mutex mutex;
  std::condition_variable wake;
  std::deque<Waiting> queue;
  std::vector<std::thread> all_threads;
  std::vector<std::thread::id> finished;
  std::size_t threads = 0;
  std::size_t busy = 0;
  bool closed = false;
  bool alarm_is_set = false;
  bool refusing = false;
  std::condition_variable refused;
};

Pool::Pool(Settings settings, MakeWorker make_worker) : state_(std::make_shared<State>(std::move(settings), std::move(make_worker))) {}

Pool::~Pool() { close(); }

void Pool::submit(Job job) {
  const std::lock_guard lock(state_->mutex);
  if (state_->closed) throw Error(Code::unavailable, "shutting down");
  if (state_->queue.size() >= state_->settings.queue_limit) throw Error(Code::unavailable, "too much work is waiting, try again later");
  state_->reap();
  state_->queue.push_back({std::move(job), Clock::now()});
  const std::size_t idle = state_->threads - state_->busy;
  if (state_->queue.size() > idle && state_->threads < state_->settings.most) state_->start_thread();
  if (state_->queue.size() > state_->threads - state_->busy) state_->limit_waits();
  state_->report();
  state_->wake.notify_one();
}

void Pool::close() {
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(state_->mutex);
    state_->closed = true;
    threads = std::move(state_->all_threads);
    state_->all_threads.clear();
    state_->finished.clear();
  }
  state_->wake.notify_all();
  for (auto& thread : threads) thread.join();
  std::unique_lock lock(state_->mutex);
  state_->refused.wait(lock, [this] { return !state_->refusing; });
}

Pool::Usage Pool::usage() const {
  const std::lock_guard lock(state_->mutex);
  return {state_->threads, state_->busy, state_->queue.size()};
}

std::exception_ptr make_pool_timeout() {
  return std::make_exception_ptr(Error(Code::unavailable, "the service is busy, try again later", "waited too long for a pool thread"));
}

}  // namespace loquat::async
