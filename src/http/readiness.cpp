#include "http/readiness.h"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <mutex>
#include <optional>

#include "async/completion.h"
#include "async/task_group.h"
#include "core/log.h"
#include "http/errors.h"

namespace loquat::http {
namespace {

using Clock = std::chrono::steady_clock;
enum class Outcome : std::uint8_t { pending, ok, unavailable };

constexpr std::chrono::seconds result_time{1};
/// A ping that never ended is tried again after this many timeouts.
constexpr int timeouts_until_given_up = 5;

/// One ping and what came of it; outlives the round when it hangs.
struct Ping {
  std::atomic<Outcome> outcome{Outcome::pending};
  Clock::time_point since = Clock::now();
};

/// Pings under way together, all on the loop of whoever asked first.
struct Round {
  explicit Round(const asio::any_io_executor& executor, std::chrono::milliseconds timeout) : timer(executor, timeout) {}
  asio::steady_timer timer;
  std::size_t pending = 0;
};

/// What a round found, by check: "ok", "unavailable", "timeout".
using Words = std::vector<std::string_view>;

asio::awaitable<void> run_ping(Check check, std::shared_ptr<Ping> ping, std::shared_ptr<Round> round) {
  bool ok = false;
  try {
    co_await check.ping();
    ok = true;
  } catch (const std::exception& error) {
    log::warning("http", "not ready", {{"check", check.name}, {"error", error.what()}});
  }
  ping->outcome = ok ? Outcome::ok : Outcome::unavailable;
  if (--round->pending == 0) round->timer.cancel();
}

}  // namespace

struct Readiness::State {
  explicit State(Settings s) : settings(std::move(s)), pings(settings.checks.size()) {}

  /// Starts what is not under way already.
  std::shared_ptr<Round> start_round(const asio::any_io_executor& executor) {
    auto round = std::make_shared<Round>(executor, settings.timeout);
    std::vector<std::size_t> started;
    for (std::size_t i = 0; i < pings.size(); ++i) {
      const bool hangs =
          pings[i] && pings[i]->outcome == Outcome::pending && Clock::now() - pings[i]->since < settings.timeout * timeouts_until_given_up;
      if (hangs) continue;
      pings[i] = std::make_shared<Ping>();
      started.push_back(i);
    }
    round->pending = started.size();
    for (const std::size_t i : started) tasks.spawn(executor, "readiness", run_ping(settings.checks[i], pings[i], round));
    return round;
  }

  Words read_words() const {
    Words words;
    for (const auto& ping : pings) {
      const Outcome outcome = ping->outcome;
      words.push_back(outcome == Outcome::ok ? "ok" : outcome == Outcome::unavailable ? "unavailable" : "timeout");
    }
    return words;
  }

  Words end_round() {
    const Words words = read_words();
    std::vector<async::Completion<Words>> waiting;
    {
      const std::lock_guard lock(mutex);
      last = words;
      last_until = Clock::now() + result_time;
      is_running = false;
      waiting.swap(waiters);
    }
    for (auto& completion : waiting) completion.resolve(words);
    return words;
  }

  /// Gives the running round's result; the last one's when it has ended meanwhile.
  void wait(async::Completion<Words> completion) {
    {
      const std::lock_guard lock(mutex);
      if (is_running) return waiters.push_back(std::move(completion));
    }
    completion.resolve(last);
  }

  Response make_answer(const Words& words) const {
    const bool is_ready = std::ranges::all_of(words, [](std::string_view word) { return word == "ok"; });
    json::object checks;
    for (std::size_t i = 0; i < words.size(); ++i) checks.emplace(settings.checks[i].name, words[i]);
    json::object body{{"status", is_ready ? "ready" : "unavailable"}, {"checks", std::move(checks)}};
    if (settings.details) {
      json::object details = settings.details();
      if (!details.empty()) body.emplace("details", std::move(details));
    }
    return is_ready ? Response::json(body) : make_unready(body);
  }

  Settings settings;
  std::atomic<bool> draining{false};
  async::TaskGroup tasks;

  std::mutex mutex;
  bool is_running = false;
  Words last;
  Clock::time_point last_until;
  std::vector<async::Completion<Words>> waiters;
  std::vector<std::shared_ptr<Ping>> pings;  ///< the running round's; otherwise nobody's
};

Readiness::Readiness(Settings settings) : state_(std::make_shared<State>(std::move(settings))) {}
Readiness::~Readiness() = default;

void Readiness::start_draining() noexcept { state_->draining = true; }

asio::awaitable<Response> Readiness::answer() {
  const auto state = state_;
  if (state->draining) co_return make_unready({{"status", "draining"}});
  bool starts = false;
  std::optional<Words> known;
  {
    const std::lock_guard lock(state->mutex);
    if (Clock::now() < state->last_until) {
      known = state->last;
    } else if (!state->is_running) {
      starts = state->is_running = true;
    }
  }
  if (starts) {
    const auto round = state->start_round(co_await asio::this_coro::executor);
    boost::system::error_code ignored;
    if (round->pending > 0) co_await round->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    known = state->end_round();
  }
  if (!known) {
    known = co_await async::await_completion<Words>([state](async::Completion<Words> completion) { state->wait(std::move(completion)); });
  }
  co_return state->make_answer(*known);
}

}  // namespace loquat::http
