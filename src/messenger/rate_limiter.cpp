#include "messenger/rate_limiter.h"

#include <algorithm>
#include <utility>

#include "core/json.h"

namespace loquat::messenger {

namespace {

constexpr int slow_from_percent = 80;
constexpr double slowest = 0.05;
/// What was said about the usage is forgotten after this time: it falls again when nothing is sent.
constexpr std::chrono::minutes usage_lifetime{5};
constexpr std::chrono::minutes stop_without_estimate{1};
constexpr std::chrono::milliseconds longest_throttle{60'000};
constexpr std::size_t page_limit = 10'000;
/// A tenth of the limit may go at once, the rest evenly paced: never more than the limit in any second.
constexpr double burst_share = 0.1;

int percent_of(const json::value& value) {
  int highest = 0;
  for (const auto* name : {"call_count", "total_time", "total_cputime"}) {
    const auto* member = find_member(value, name);
    if (member == nullptr || !member->is_number()) continue;
    const double number = member->to_number<double>();
    highest = std::max(highest, static_cast<int>(std::clamp(number, 0.0, 1000.0)));
  }
  return highest;
}

void read_page_usage(const json::value& entries, Usage& usage) {
  const auto* list = entries.if_array();
  if (list == nullptr) return;
  constexpr double most = 24 * 60.0;
  for (const auto& entry : *list) {
    usage.page_percent = std::max(usage.page_percent, percent_of(entry));
    const auto* regain = find_member(entry, "estimated_time_to_regain_access");
    if (regain == nullptr || !regain->is_number()) continue;
    const std::chrono::minutes minutes(static_cast<int>(std::clamp(regain->to_number<double>(), 0.0, most)));
    usage.regain = std::max(usage.regain, minutes);
  }
}

json::value parse_header(const http::Headers& headers, std::string_view name) {
  json::value value;
  JsonError ignored;
  const auto text = headers.get(name);
  if (text.empty() || !try_parse_json(text, value, ignored)) return nullptr;
  return value;
}

}  // namespace

Usage parse_usage(const http::Headers& headers, std::string_view page) {
  Usage usage;
  usage.app_percent = percent_of(parse_header(headers, "X-App-Usage"));
  const auto business = parse_header(headers, "X-Business-Use-Case-Usage");
  if (const auto* own = find_member(business, page)) {
    read_page_usage(*own, usage);
  } else if (const auto* object = business.if_object()) {
    for (const auto& [id, entries] : *object) read_page_usage(entries, usage);
  }
  return usage;
}

void RateLimiter::set_processes(unsigned alive) {
  const std::lock_guard lock(mutex_);
  processes_ = std::max(alive, 1U);
}

RateLimiter::Page& RateLimiter::page_of(std::string_view page, Time now) {
  if (const auto found = pages_.find(page); found != pages_.end()) return found->second;
  if (pages_.size() >= page_limit) {
    std::erase_if(pages_, [now](const auto& item) {
      const Page& p = item.second;
      return p.held < now && p.text.next < now && p.media.next < now && p.throttles == 0;
    });
  }
  return pages_[std::string(page)];
}

RateLimiter::Time RateLimiter::held(const Page& page) const { return std::max(page.held, app_.held); }

/// The share of the rate that is left, by the usage of the page and of the app.
double RateLimiter::slowdown(const Page& page, Time now) const {
  int percent = 0;
  if (now - page.percent_at < usage_lifetime) percent = page.percent;
  if (now - app_.percent_at < usage_lifetime) percent = std::max(percent, app_.percent);
  if (percent < slow_from_percent) return 1;
  return std::max(slowest, static_cast<double>(100 - percent) / (100 - slow_from_percent));
}

RateLimiter::Grant RateLimiter::acquire(std::string_view page, bool is_media, Time now) {
  using std::chrono::ceil;
  const std::lock_guard lock(mutex_);
  auto& mine = page_of(page, now);
  if (const auto until = held(mine); until > now) return {false, ceil<Duration>(until - now)};

  // The generic cell rate algorithm (ITU-T I.371): a virtual schedule instead of a bucket that is refilled.
  const double limit = (is_media ? settings_.media_per_second : settings_.text_per_second) / processes_;
  if (limit <= 0) return {true, {}};
  const double rate = limit * (1 - burst_share) * slowdown(mine, now);
  const double burst = std::max(1.0, limit * burst_share);
  const auto interval = std::chrono::duration_cast<Time::duration>(std::chrono::duration<double>(1 / rate));
  const auto tolerance = std::chrono::duration_cast<Time::duration>(interval * (burst - 1));
  auto& lane = is_media ? mine.media : mine.text;
  const auto due = std::max(lane.next, now);
  const auto wait = std::max(due - tolerance - now, Time::duration::zero());
  if (wait > settings_.longest_wait) return {false, ceil<Duration>(wait)};
  lane.next = due + interval;
  return {true, ceil<Duration>(wait)};
}

bool RateLimiter::heed(std::string_view page, const Usage& usage, Time now) {
  // Most answers carry nothing of note.
  const std::lock_guard lock(mutex_);
  bool stopped = false;
  const auto note = [&](Page& what, int percent) {
    if (percent == 0 && what.percent == 0) return;
    what.percent = percent;
    what.percent_at = now;
    if (percent < 100) return;
    const auto until = now + (usage.regain > std::chrono::minutes(0) ? usage.regain : stop_without_estimate);
    stopped = stopped || until > what.held;
    what.held = std::max(what.held, until);
  };
  note(app_, usage.app_percent);
  // Access that has to come back is gone, whatever the percentage says.
  note(page_of(page, now), usage.regain > std::chrono::minutes(0) ? std::max(usage.page_percent, 100) : usage.page_percent);
  return stopped;
}

RateLimiter::Duration RateLimiter::throttle(std::string_view page, bool whole_app, Duration asked, Time now) {
  const std::lock_guard lock(mutex_);
  auto& what = whole_app ? app_ : page_of(page, now);
  // Answers to what was already on its way are no further reason to wait longer.
  if (what.held > now) return std::chrono::ceil<Duration>(what.held - now);
  auto wait = asked;
  if (wait <= Duration(0)) {
    wait = std::min(Duration(1'000) * (1U << std::min(what.throttles, 6U)), longest_throttle);
    ++what.throttles;
  }
  what.held = now + wait;
  return wait;
}

void RateLimiter::succeeded(std::string_view page) {
  const std::lock_guard lock(mutex_);
  app_.throttles = 0;
  if (const auto found = pages_.find(page); found != pages_.end()) found->second.throttles = 0;
}

void RateLimiter::hold(std::string_view page, Time until) {
  const std::lock_guard lock(mutex_);
  auto& what = pages_[std::string(page)];
  what.held = std::max(what.held, until);
}

void RateLimiter::hold_app(Time until) {
  const std::lock_guard lock(mutex_);
  app_.held = std::max(app_.held, until);
}

RateLimiter::Holds RateLimiter::holds(std::string_view page) const {
  const std::lock_guard lock(mutex_);
  const auto found = pages_.find(page);
  return {found == pages_.end() ? Time() : found->second.held, app_.held};
}

std::optional<RateLimiter::Time> RateLimiter::held_until(std::string_view page, Time now) const {
  const std::lock_guard lock(mutex_);
  const auto found = pages_.find(page);
  const auto until = found == pages_.end() ? app_.held : held(found->second);
  return until > now ? std::optional(until) : std::nullopt;
}

}  // namespace loquat::messenger
