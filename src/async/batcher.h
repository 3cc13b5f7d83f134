#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "async/completion.h"

namespace loquat::async {

/// Collects the calls of many coroutines, on any loops, and hands them on as one array. It never waits on a timer: the
/// first call starts a batch as soon as its loop has run what was ready with it (so requests that came together go together), and
/// what arrives while batches are under way forms the next one. So a batch grows with the load, and an idle system has no delay.
///
/// `In` is one call's argument, `Out` its answer. `run` starts one batch, on a loop's thread or on that which ends the batch before: it
/// must not block (it submits to a pool) and has the batch's `Done` called exactly once, from any thread, with one outcome a call in the
/// same order. A loop that has called must run until the call is answered: it may be the one that starts the batch for others.
template <class In, class Out>
class Batcher {
 public:
  using Done = std::move_only_function<void(std::vector<Outcome<Out>>)>;
  using Run = std::function<void(std::vector<In>, Done)>;

  struct Settings {
    std::size_t most = 256;      ///< calls a batch
    std::size_t concurrent = 1;  ///< batches under way at once
    std::size_t queue_limit = 100'000;
  };

  Batcher(Settings settings, Run run) : state_(std::make_shared<State>(settings, std::move(run))) {}

  /// Thread-safe. Throws what the batch answers for this call; `full` is thrown when the queue is full.
  [[nodiscard]] asio::awaitable<Out> call(In argument, std::exception_ptr full) {
    co_return co_await await_completion<Out>([state = state_, argument = std::move(argument), full](Completion<Out> completion) mutable {
      bool start = false;
      const auto executor = completion.executor();
      {
        const std::lock_guard lock(state->mutex);
        if (state->arguments.size() < state->settings.queue_limit) {
          state->arguments.push_back(std::move(argument));
          state->completions.push_back(std::move(completion));
          full = nullptr;
          // With all batches under way the end of one starts the next.
          start = state->under_way < state->settings.concurrent && !std::exchange(state->pump_is_due, true);
        }
      }
      if (full) return completion.reject(full);  // NOLINT(bugprone-use-after-move): moved only where full became null
      if (start) asio::post(executor, [state] { State::pump(state); });
    });
  }

  [[nodiscard]] std::size_t waiting() const {
    const std::lock_guard lock(state_->mutex);
    return state_->arguments.size();
  }

 private:
  struct State {
    State(Settings s, Run r) : settings(s), run(std::move(r)) {}

    static void pump(const std::shared_ptr<State>& self) {
      for (;;) {
        std::vector<In> arguments;
        std::vector<Completion<Out>> completions;
        {
          const std::lock_guard lock(self->mutex);
          self->pump_is_due = false;
          if (self->arguments.empty() || self->under_way == self->settings.concurrent) return;
          ++self->under_way;
          arguments = take_front(self->arguments, self->settings.most);
          completions = take_front(self->completions, self->settings.most);
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
        {
          const std::lock_guard lock(self->mutex);
          --self->under_way;
        }
        pump(self);
      };
      try {
        self->run(std::move(arguments), finish);
      } catch (...) {
        finish(std::vector<Outcome<Out>>(waiting->size(), Outcome<Out>(std::in_place_index<1>, std::current_exception())));
      }
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
    std::size_t under_way = 0;
    bool pump_is_due = false;  ///< a loop is about to call it
  };

  std::shared_ptr<State> state_;
};

}  // namespace loquat::async
