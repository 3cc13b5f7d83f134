#include "messenger/sender.h"

#include <algorithm>
#include <boost/asio/use_awaitable.hpp>

#include "core/log.h"

namespace loquat::messenger {

namespace {

using Clock = std::chrono::steady_clock;

/// Outcomes of a platform in trouble come by the thousand and say the same: one line a second of each.
bool is_frequent(SendOutcome outcome) {
  return outcome == SendOutcome::retry || outcome == SendOutcome::throttled || outcome == SendOutcome::outcome_unknown ||
         outcome == SendOutcome::page_stopped;
}

std::int64_t seconds_now() { return std::chrono::duration_cast<std::chrono::seconds>(Clock::now().time_since_epoch()).count(); }

Sender::Stops find_stops(const RateLimiter::Holds& before, const RateLimiter::Holds& after, Clock::time_point now) {
  using std::chrono::milliseconds;
  // What is held already and only a moment longer is no news: answers to what was on its way all say it.
  const auto stop = [now](Clock::time_point was, Clock::time_point is) {
    const bool news = is > now && (was <= now || is > was + std::chrono::seconds(5));
    return news ? std::chrono::ceil<milliseconds>(is - now) : milliseconds(0);
  };
  return {stop(before.page, after.page), stop(before.app, after.app)};
}

}  // namespace

Sender::Sender(GraphClient& graph, RateLimiter& limiter)
    : graph_(graph),
      limiter_(limiter),
      duration_(metrics::histogram("messenger_send_duration_seconds", "Time of one request to the Send API")) {
  for (std::size_t i = 0; i < send_outcome_count; ++i) {
    sends_[i] = &metrics::counter("messenger_sends_total", "Messages sent to the Send API, by how that ended",
                                  {{"outcome", std::string(to_string(static_cast<SendOutcome>(i)))}});
  }
}

RateLimiter::Grant Sender::reserve(std::string_view page, const Part& part) { return limiter_.acquire(page, part.is_media, Clock::now()); }

asio::awaitable<Sender::Result> Sender::send(const PageAccess& access, std::string_view page, const Recipient& recipient,
                                             const Part& part) {
  const auto begin = Clock::now();
  const auto response = co_await graph_.send_message(access, recipient, part.message);
  duration_.observe(Clock::now() - begin);
  Result result;
  result.verdict = classify(response);
  result.wait = result.verdict.delay;
  if (response.failure == http::Failure::none) result.usage = parse_usage(response.headers, page);
  account(page, result);
  if (result.verdict.outcome != SendOutcome::delivered) log(page, result, response.error);
  co_return result;
}

void Sender::account(std::string_view page, Result& result) {
  sends_[static_cast<std::size_t>(result.verdict.outcome)]->add();
  const auto now = Clock::now();
  const auto before = limiter_.holds(page);
  if (result.usage != Usage()) limiter_.heed(page, result.usage, now);
  if (result.verdict.outcome == SendOutcome::delivered) {
    limiter_.succeeded(page);
  } else if (result.verdict.outcome == SendOutcome::throttled) {
    limiter_.throttle(page, result.verdict.whole_app, result.verdict.delay, now);
  }
  const auto until = limiter_.held_until(page, now);
  if (until) result.wait = std::max(result.wait, std::chrono::ceil<std::chrono::milliseconds>(*until - now));
  result.stops = find_stops(before, limiter_.holds(page), now);
}

void Sender::log(std::string_view page, const Result& result, std::string_view error) {
  const auto& verdict = result.verdict;
  if (is_frequent(verdict.outcome)) {
    auto& last = logged_at_[static_cast<std::size_t>(verdict.outcome)];
    const auto now = seconds_now();
    if (last.exchange(now, std::memory_order_relaxed) == now) return;
  }
  const auto level = verdict.outcome == SendOutcome::person_unreachable ? log::Level::info : log::Level::warning;
  log::write(level, "messenger", "message not delivered",
             {{"page", page},
              {"outcome", to_string(verdict.outcome)},
              {"reason", verdict.reason},
              {"code", verdict.code},
              {"subcode", verdict.subcode},
              {"wait_ms", result.wait.count()},
              {"trace", verdict.trace},
              {"error", error}});
}

asio::awaitable<Sender::Stops> Sender::act(const PageAccess& access, std::string_view page, const Recipient& recipient,
                                           SenderAction action) {
  if (limiter_.held_until(page, Clock::now())) co_return Stops{};
  const auto response = co_await graph_.send_action(access, recipient, action);
  const auto verdict = classify(response);
  const auto now = Clock::now();
  const auto before = limiter_.holds(page);
  if (verdict.outcome == SendOutcome::throttled) limiter_.throttle(page, verdict.whole_app, verdict.delay, now);
  co_return find_stops(before, limiter_.holds(page), now);
}

}  // namespace loquat::messenger
