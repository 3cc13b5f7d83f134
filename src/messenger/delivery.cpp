#include "messenger/delivery.h"

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <cstdlib>

#include "core/log.h"
#include "core/metrics.h"
#include "core/text.h"

namespace loquat::messenger {
namespace {

using std::chrono::milliseconds;

/// Meta takes no answers later than this after the person's last action.
constexpr milliseconds window{std::chrono::hours(24)};
constexpr milliseconds held_thread_wait{std::chrono::minutes(5)};
constexpr std::size_t remembered_calls = 1'000;

metrics::Counter& sends(const char* outcome) {
  return metrics::counter("messenger_sends_total", "Replies to the Graph API by outcome", {{"outcome", outcome}});
}

/// Stops the process on a certain text, to test that such a message takes nobody with it. Only in test builds.
void abort_for_test([[maybe_unused]] std::string_view text) {
#ifndef NDEBUG
  static const char* const poison = std::getenv("LOQUAT_TEST_ABORT_ON");
  if (poison != nullptr && text == poison) std::abort();
#endif
}

struct Counted {
  explicit Counted(std::atomic<std::size_t>& c) : counter(c) { counter.fetch_add(1, std::memory_order_relaxed); }
  ~Counted() { counter.fetch_sub(1, std::memory_order_relaxed); }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  std::atomic<std::size_t>& counter;
};

}  // namespace

Delivery::Delivery(Settings settings, const dialogue::Manager& manager, state::Store& states, Sender& sender, Pages& pages,
                   SettingsOf settings_of, async::TaskGroup& tasks, Finished finished)
    : settings_(std::move(settings)),
      manager_(manager),
      states_(states),
      sender_(sender),
      pages_(pages),
      settings_of_(std::move(settings_of)),
      tasks_(tasks),
      finished_(std::move(finished)) {}

asio::awaitable<std::optional<state::State>> Delivery::decide(const bus::Item& item, std::optional<state::State> previous, bool again) {
  const auto& event = item.event;
  if (event.kind == "unsend") {
    const auto id = MessageId::parse(string_member(event.body, "redacts"));
    if (id) co_await states_.redact(event.conversation, *id);
    co_return std::nullopt;
  }
  chat::UserMessage message;
  message.conversation = event.conversation;
  message.message_id = event.message_id;
  message.text = std::string(string_member(event.body, "text"));
  if (const auto* context = find_member(event.body, "context"); context != nullptr && context->is_object())
    message.context = context->get_object();
  abort_for_test(message.text);

  const Counted counted(under_way_);
  if (item.fresh && !again) co_await start_marks(item);
  dialogue::Manager::CallMemory memory;
  if (again) {
    const std::lock_guard lock(mutex_);
    if (auto found = calls_.extract(item.seq); !found.empty()) memory = std::move(found.mapped());
  }
  auto next = co_await manager_.decide(std::move(previous), message, &memory);
  if (memory.result) {
    const std::lock_guard lock(mutex_);
    if (calls_.size() >= remembered_calls) calls_.clear();
    calls_[item.seq] = std::move(memory);
  }
  co_return next;
}

std::shared_ptr<const PageAccess> Delivery::access_of(const bus::Item& item, const PageSettings& settings) {
  const auto* token = settings.find_token(item.event.conversation.account);
  if (token == nullptr || token->empty()) return nullptr;
  const auto own = string_member(item.event.body, "graph_url");  // only the sandbox's events carry one
  const std::string base = own.empty() ? settings_.graph_base : std::string(own);
  const auto key = base + '\n' + *token + '\n' + settings.secret;
  const std::lock_guard lock(mutex_);
  auto& access = accesses_[key];
  if (!access) {
    if (accesses_.size() > 1'000) accesses_.clear();
    auto made = std::make_shared<const PageAccess>(base, *token, settings.secret);
    accesses_[key] = made;
    return made;
  }
  return access;
}

Recipient Delivery::recipient_of(const bus::Item& item) {
  return {item.event.conversation.thread_id, string_member(item.event.body, "recipient") == "user_ref"};
}

/// When the person spoke, milliseconds since 1970. Meta delivers for 36 hours at most: a timestamp far older than the admission is a
/// wrong clock, not an old message.
std::int64_t Delivery::said_at(const bus::Item& item) {
  constexpr milliseconds implausible{std::chrono::hours(24 * 7)};
  const auto said = item.event.timestamp_ms;
  return said == 0 || said < item.admitted_ms - implausible.count() ? item.admitted_ms : said;
}

/// Every reply expires, so that a page that is repaired late does not flood people.
bool Delivery::is_expired(const bus::Item& item) const {
  const auto said = said_at(item);
  const auto age = milliseconds(to_milliseconds(now()) - said);
  return age > window || age > settings_.reply_max_age;
}

asio::awaitable<void> Delivery::start_marks(const bus::Item& item) {
  if (!settings_.typing || under_way_.load(std::memory_order_relaxed) > settings_.marks_up_to) co_return;
  const auto& page = item.event.conversation.account;
  const auto settings = settings_of_(page);
  if (!settings || pages_.is_stopped(page)) co_return;
  auto access = access_of(item, *settings);
  if (!access) co_return;
  auto marks = std::make_shared<Marks>();
  {
    const std::lock_guard lock(mutex_);
    if (marks_.size() > 10'000) marks_.clear();
    marks_[item.seq] = marks;
  }
  tasks_.spawn(co_await asio::this_coro::executor, "typing", send_marks(std::move(marks), std::move(access), page, recipient_of(item)));
}

asio::awaitable<void> Delivery::send_marks(std::shared_ptr<Marks> marks, std::shared_ptr<const PageAccess> access, std::string page,
                                           Recipient recipient) {
  for (const auto action : {SenderAction::mark_seen, SenderAction::typing_on})
    co_await tell(page, co_await sender_.act(*access, page, recipient, action));
  marks->done.store(true);
}

/// What Meta asks of one process holds for all.
asio::awaitable<void> Delivery::tell(std::string page, Sender::Stops stops) {
  try {
    if (stops.page.count() > 0) co_await pages_.hold(page, stops.page);
    if (stops.app.count() > 0) co_await pages_.hold(std::string(whole_app), stops.app);
  } catch (const Error&) {  // only the other processes' hint
  }
}

/// A typing mark that arrives after the reply would stay for 20 s.
asio::awaitable<void> Delivery::wait_for_marks(std::int64_t seq) {
  std::shared_ptr<Marks> marks;
  {
    const std::lock_guard lock(mutex_);
    if (auto found = marks_.extract(seq); !found.empty()) marks = std::move(found.mapped());
  }
  if (!marks) co_return;
  for (int i = 0; i < 600 && !marks->done.load(); ++i) co_await async::sleep_for(milliseconds(i < 50 ? 2 : 10));
}

bus::Delivery Delivery::wait_for_page(const bus::Item& item, std::string reason) const {
  const auto& page = item.event.conversation.account;
  const auto time = to_milliseconds(now());
  // Tried again when the page is released, at the latest when the reply expires and is to be dropped.
  const auto expiry = said_at(item) + std::min(window, settings_.reply_max_age).count() + 1'000;
  return {bus::Delivery::Kind::page_stopped, milliseconds(std::max<std::int64_t>(expiry - time, 1'000)), page, std::move(reason)};
}

asio::awaitable<bus::Delivery> Delivery::stop_page(const bus::Item& item, std::string why, std::string token, std::string reason) {
  const auto& page = item.event.conversation.account;
  std::exception_ptr failure;
  try {
    co_await pages_.stop(page, std::move(why), std::move(token));
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) co_return bus::Delivery{bus::Delivery::Kind::later, milliseconds(1'000), page, std::move(reason)};
  co_return wait_for_page(item, std::move(reason));
}

asio::awaitable<bus::Delivery> Delivery::deliver(bus::Item& item, const state::State& turn, const bus::DeliveryContext& context) {
  const Counted counted(under_way_);
  auto delivery = co_await deliver_messages(item, turn, context);
  if (delivery.kind == bus::Delivery::Kind::done && finished_) finished_(item.event.message_id);
  co_return delivery;
}

asio::awaitable<bus::Delivery> Delivery::deliver_messages(bus::Item& item, const state::State& turn, const bus::DeliveryContext& context) {
  using Kind = bus::Delivery::Kind;
  const auto* messages = turn.bot_message.if_array();
  if (messages == nullptr || messages->empty()) co_return bus::Delivery{};
  const auto& page = item.event.conversation.account;
  if (is_expired(item)) {
    sends("expired").add();
    co_return bus::Delivery{};
  }
  const auto settings = settings_of_(page);
  if (!settings) co_return bus::Delivery{Kind::later, milliseconds(1'000), page, "settings"};
  if (!settings->enabled) co_return co_await stop_page(item, "disabled", "", "disabled");
  if (pages_.is_stopped(page)) co_return wait_for_page(item, "page_stopped");
  if (!access_of(item, *settings)) co_return co_await stop_page(item, "no_token", "", "no_token");
  co_await wait_for_marks(item.seq);
  const auto parts = make_parts(*messages, item.event.message_id);
  for (const auto& note : parts.notes)
    log::warning("messenger", "a reply was shortened to what Messenger takes", {{"page", page}, {"note", note}});
  co_return co_await send_parts(item, parts, *settings, context);
}

asio::awaitable<bus::Delivery> Delivery::send_parts(bus::Item& item, const Parts& parts, const PageSettings& settings,
                                                    const bus::DeliveryContext& context) {
  const auto count = static_cast<int>(parts.parts.size());
  while (item.parts_sent < count) {
    const auto& part = parts.parts[static_cast<std::size_t>(item.parts_sent)];
    if (context.was_reported(part.metadata)) {
      sends("reported").add();
    } else {
      const auto stop = co_await send_part(item, part, settings, context);
      if (stop) co_return *stop;
    }
    ++item.parts_sent;
    if (item.parts_sent < count) co_await context.save_progress();
  }
  co_return bus::Delivery{};
}

/// Empty: go on with the next part.
asio::awaitable<std::optional<bus::Delivery>> Delivery::send_part(bus::Item& item, const Part& part, const PageSettings& settings,
                                                                  const bus::DeliveryContext& context) {
  using Kind = bus::Delivery::Kind;
  const auto& page = item.event.conversation.account;
  const auto access = access_of(item, settings);
  const auto grant = sender_.reserve(page, part);
  if (!grant.granted) co_return bus::Delivery{Kind::later, std::max(grant.wait, milliseconds(50)), page, "rate_limit"};
  if (grant.wait.count() > 0) co_await async::sleep_for(grant.wait);
  if (!context.may_act(sender_.needed_time())) co_return bus::Delivery{.kind = Kind::abandoned};
  const auto result = co_await sender_.send(*access, page, recipient_of(item), part);
  co_await tell(page, result.stops);
  const auto outcome = result.verdict.outcome;
  if (outcome == SendOutcome::delivered || outcome == SendOutcome::part_rejected) co_return std::nullopt;
  co_return co_await after(result, item, settings);
}

asio::awaitable<bus::Delivery> Delivery::after(const Sender::Result& result, const bus::Item& item, const PageSettings& settings) {
  using Kind = bus::Delivery::Kind;
  const auto& page = item.event.conversation.account;
  const std::string reason(to_string(result.verdict.outcome));
  switch (result.verdict.outcome) {
    case SendOutcome::person_unreachable: co_return bus::Delivery{};
    case SendOutcome::retry:
      // The sandbox's stand-in died with the process that took the event: nobody waits for the reply any more.
      if (page == sandbox_page) co_return bus::Delivery{};
      co_return bus::Delivery{Kind::later, result.wait, page, reason};
    case SendOutcome::thread_held: co_return bus::Delivery{Kind::later, held_thread_wait, page, reason};
    case SendOutcome::page_stopped: {
      const auto* token = settings.find_token(page);
      co_return co_await stop_page(item, std::string(result.verdict.reason), token == nullptr ? std::string() : *token, reason);
    }
    default: co_return bus::Delivery{Kind::later, result.wait, page, reason};
  }
}

}  // namespace loquat::messenger
