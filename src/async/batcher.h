#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "async/alarm.h"
#include "async/completion.h"
#include "async/pool.h"

namespace loquat::async {

/// Collects the calls of many coroutines, on any loops, and hands them on as one array. The first call starts a batch as soon as its
/// loop has run what was ready with it (so requests that came together go together), and what arrives while batches are under way
/// forms the next one. So a batch grows with the load, and an idle system has no delay. Where a batch costs much however small it is
/// (a commit), `spacing` keeps their starts apart, but only while calls come together: who calls alone never waits for a timer.
///
/// `In` is one call's argument, `Out` its answer. `run` starts one batch, on a loop's thread or on that which ends the batch before: it
/// must not block (it submits to a pool) and has the batch's `Done` called exactly once, from any thread, with one outcome a call in the
/// same order. A loop that has called must run until the call is answered: it may be the one that starts the batch for others.
template <class In, class Out>
class Batcher {
  using Clock = std::chrono::steady_clock;

 public:
  using Done = std::move_only_function<void(std::vector<Outcome<Out>>)>;
  using Run = std::function<void(std::vector<In>, Done)>;

  struct Settings {
    std::size_t most = 256;      ///< calls a batch
    std::size_t concurrent = 1;  ///< batches under way at once
    std::size_t queue_limit = 100'000;
    std::chrono::microseconds spacing{0};  ///< least time between two starts while batches have more than one call
    /// A call that waits longer for its batch to start is refused as by a pool. Empty: it waits.
    std::optional<std::chrono::milliseconds> wait_limit = std::nullopt;
  };

  Batcher(Settings settings, Run run) : state_(std::make_shared<State>(settings, std::move(run))) {}

  /// Thread-safe. Throws what the batch answers for this call; `full` is thrown when the queue is full.
  [[nodiscard]] asio::awaitable<Out> call(In argument, std::exception_ptr full) {
    co_return co_await await_completion<Out>([state = state_, argument = std::move(argument), full](Completion<Out> completion) mutable {
      bool start = false;
      std::optional<Clock::time_point> later;
      const auto executor = completion.executor();
      {
        const std::lock_guard lock(state->mutex);
        if (state->arguments.size() < state->settings.queue_limit) {
          state->arguments.push_back(std::move(argument));
          state->completions.push_back(std::move(completion));
          state->waiting_since.push_back(Clock::now());
          state->limit_waits();
          full = nullptr;
          // With all batches under way the end of one starts the next.
          start = state->under_way < state->settings.concurrent && !std::exchange(state->pump_is_due, true);
          if (start) later = state->find_start();
        }
      }
      if (full) return completion.reject(full);  // NOLINT(bugprone-use-after-move): moved only where full became null
      if (later) return State::pump_at(state, executor, *later);
      if (start) asio::post(executor, [state] { State::pump(state); });
    });
  }

  [[nodiscard]] std::size_t waiting() const {
    const std::lock_guard lock(state_->mutex);
    return state_->arguments.size();
  }

 private:
  struct State : std::enable_shared_from_this<State> {
    State(Settings s, Run r) : settings(s), run(std::move(r)) {}

    static void pump(const std::shared_ptr<State>& self) {
      for (;;) {
        std::vector<In> arguments;
        std::vector<Completion<Out>> completions;
        {
          const std::lock_guard lock(self->mutex);
          self->pump_is_due = false;
          self->limit_waits();
          if (self->arguments.empty() || self->under_way == self->settings.concurrent) return;
          ++self->under_way;
          self->crowded = self->arguments.size() > 1;
          if (self->settings.spacing.count() > 0) self->next_start = Clock::now() + self->settings.spacing;
          arguments = take_front(self->arguments, self->settings.most);
          completions = take_front(self->completions, self->settings.most);
          take_front(self->waiting_since, self->settings.most);
          self->limit_waits();
        }
        start(self, std::move(arguments), std::move(completions));
      }
    }

    static void start(const std::shared_ptr<State>& self, std::vector<In> arguments, std::vector<Completion<Out>> completions) {
      auto waiting = std::make_shared<std::vector<Completion<Out>>>(std::move(completions));
      const auto finish = [self, waiting](std::vector<Outcome<Out>> outcomes) {
        std::vector<std::pair<Completion<Out>, Outcome<Out>>> pairs;
        pairs.reserve(waiting->size());
        for (std::size_t i = 0; i < waiting->size(); ++i) pairs.emplace_back(std::move((*waiting)[i]), std::move(outcomes[i]));
        complete_all(std::move(pairs));
        end_batch(self);
      };
      try {
        self->run(std::move(arguments), finish);
      } catch (...) {
        finish(std::vector<Outcome<Out>>(waiting->size(), Outcome<Out>(std::in_place_index<1>, std::current_exception())));
      }
    }

    static void end_batch(const std::shared_ptr<State>& self) {
      std::optional<Clock::time_point> later;
      std::optional<asio::any_io_executor> executor;
      {
        const std::lock_guard lock(self->mutex);
        --self->under_way;
        if (self->completions.empty()) return;
        self->crowded = true;
        later = self->find_start();
        if (later && std::exchange(self->pump_is_due, true)) return;
        if (later) executor = self->completions.front().executor();
      }
      later ? pump_at(self, *executor, *later) : pump(self);
    }

    /// When the next batch may start, if not at once. The mutex is held.
    [[nodiscard]] std::optional<Clock::time_point> find_start() const {
      if (!crowded || next_start <= Clock::now()) return std::nullopt;
      return next_start;
    }

    static void pump_at(const std::shared_ptr<State>& self, const asio::any_io_executor& executor, Clock::time_point time) {
      auto timer = std::make_shared<asio::steady_timer>(executor, time);
      timer->async_wait([self, timer](boost::system::error_code) { pump(self); });
    }

    /// As Pool does it: one alarm for the call in front. The mutex is held.
    void limit_waits() {
      if (!settings.wait_limit || alarm_is_set || completions.empty() || under_way < settings.concurrent) return;
      alarm_is_set = true;
      call_at(waiting_since.front() + *settings.wait_limit, [weak = this->weak_from_this()] {
        if (const auto self = weak.lock()) self->refuse_late();
      });
    }

    void refuse_late() {
      std::vector<In> refused;
      std::vector<std::pair<Completion<Out>, Outcome<Out>>> late;
      {
        const std::lock_guard lock(mutex);
        const auto now = Clock::now();
        std::size_t count = 0;
        while (count < waiting_since.size() && now - waiting_since[count] >= *settings.wait_limit) ++count;
        refused = take_front(arguments, count);
        take_front(waiting_since, count);
        for (auto& completion : take_front(completions, count)) {
          late.emplace_back(std::move(completion), Outcome<Out>(std::in_place_index<1>, make_pool_timeout()));
        }
        alarm_is_set = false;
        limit_waits();
      }
      complete_all(std::move(late));
    }

    template <class T>
    static std::vector<T> take_front(std::vector<T>& from, std::size_t most) {
      if (from.size() <= most) return std::exchange(from, {});
      const auto end = from.begin() + static_cast<std::ptrdiff_t>(most);
      std::vector<T> taken(std::make_move_iterator(from.begin()), std::make_move_iterator(end));
      from.erase(from.begin(), end);
      return taken;
    }

    const Settings settings;
    const Run run;
    mutable std::mutex mutex;
    std::vector<In> arguments;
    std::vector<Completion<Out>> completions;
    std::vector<Clock::time_point> waiting_since;
    bool alarm_is_set = false;
    std::size_t under_way = 0;
    bool pump_is_due = false;  ///< a loop is about to call it
    bool crowded = false;      ///< calls come together, not one after another
    Clock::time_point next_start = Clock::time_point::min();
  };

  std::shared_ptr<State> state_;
};

}  // namespace loquat::async
