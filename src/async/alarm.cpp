#include "async/alarm.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

namespace loquat::async {
namespace {

using Clock = std::chrono::steady_clock;

class Alarms {
 public:
  Alarms() : thread_([this] { work(); }) {}
  ~Alarms() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }
  Alarms(const Alarms&) = delete;
  Alarms& operator=(const Alarms&) = delete;

  void add(Clock::time_point time, std::move_only_function<void()> function) {
    const std::lock_guard lock(mutex_);
    if (alarms_.emplace(time, std::move(function)) == alarms_.begin()) wake_.notify_one();
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    while (!closed_) {
      if (alarms_.empty()) {
        wake_.wait(lock);
      } else if (const auto first = alarms_.begin()->first; first > Clock::now()) {
        wake_.wait_until(lock, first);
      } else {
        auto alarm = alarms_.extract(alarms_.begin());
        lock.unlock();
        alarm.mapped()();
        alarm = {};
        lock.lock();
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::multimap<Clock::time_point, std::move_only_function<void()>> alarms_;
  bool closed_ = false;
  std::thread thread_;
};

}  // namespace

void call_at(Clock::time_point time, std::move_only_function<void()> function) {
  static Alarms alarms;
  alarms.add(time, std::move(function));
}

}  // namespace loquat::async
