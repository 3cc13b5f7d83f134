#include "messenger/api.h"

#include <utility>

#include "core/crypto.h"
#include "core/error.h"
#include "core/log.h"

namespace loquat::messenger {
namespace {

constexpr std::string_view logger = "messenger";
constexpr std::size_t body_limit = std::size_t{4} << 20U;
constexpr std::size_t most_warned_pages = 100;
constexpr std::size_t most_lines = 10;  ///< about unreadable items, a request

/// A parameter's value; empty also when it is absent.
std::string_view get_parameter(const http::Request& request, std::string_view name) {
  return http::find_parameter(request.query, name).value_or(std::string_view());
}

std::optional<std::string_view> find_only(const http::Headers& headers, std::string_view name) {
  const auto value = headers.find(name);
  // Of two different signatures neither is to be trusted: an empty one is there, and never valid.
  if (value && headers.count(name) > 1) return std::string_view();
  return value;
}

http::Doc describe_verify() {
  http::Doc doc{.summary = "Verify the webhook (called by Meta when it is set up)", .tag = "messenger"};
  for (const char* name : {"hub.mode", "hub.verify_token", "hub.challenge"})
    doc.parameters.push_back({{"name", name}, {"in", "query"}, {"required", false}, {"schema", json::object{{"type", "string"}}}});
  doc.responses = {{200, {}}, {400, {}}, {403, {}}, {404, {}}, {503, {}}};
  return doc;
}

http::Doc describe_receive() {
  http::Doc doc{.summary = "Receive events (called by Meta, signed with the app's secret)", .tag = "messenger"};
  doc.request_body = {{"type", "object"}, {"description", "Meta's webhook envelope: object, entry[].messaging[]"}};
  for (const char* name : {"X-Hub-Signature-256", "X-Hub-Signature"})
    doc.parameters.push_back({{"name", name}, {"in", "header"}, {"required", false}, {"schema", json::object{{"type", "string"}}}});
  doc.responses = {{200, {{"type", "object"}, {"properties", json::object{{"success", json::object{{"type", "boolean"}}}}}}},
                   {400, {}},
                   {403, {}},
                   {404, {}},
                   {503, {}}};
  return doc;
}

}  // namespace

Webhook::Webhook(bus::Bus& bus, CurrentSettings settings, Watchdog* watchdog, Extra extra, std::string app_id)
    : bus_(bus), settings_(std::move(settings)), watchdog_(watchdog), extra_(std::move(extra)), app_id_(std::move(app_id)) {
  for (std::size_t i = 0; i < kind_count; ++i) {
    kinds_[i] = &metrics::counter("messenger_events_total", "Items of Messenger webhooks by what they were.",
                                  {{"kind", std::string(to_string(static_cast<Kind>(i)))}});
  }
  for (std::size_t i = 0; i < checks_.size(); ++i) {
    checks_[i] = &metrics::counter("messenger_signature_checks_total", "Webhook signatures checked.",
                                   {{"result", std::string(to_string(static_cast<SignatureResult>(i)))}});
  }
}

std::shared_ptr<const PageSettings> Webhook::get_settings() const {
  auto settings = settings_();
  if (!settings) throw Error(Code::unavailable, "Service unavailable", "the facebook integration was not read yet");
  if (!settings->enabled) throw Error(Code::not_found, "Facebook integration not configured or disabled");
  return settings;
}

asio::awaitable<http::Response> Webhook::verify(http::Request& request) {
  const auto settings = get_settings();
  const auto mode = get_parameter(request, "hub.mode");
  const auto token = get_parameter(request, "hub.verify_token");
  const auto challenge = get_parameter(request, "hub.challenge");
  if (mode.empty() || token.empty()) throw Error(Code::malformed, "Invalid request parameters");
  const bool known = !settings->verify.empty() && crypto::equal_constant_time(token, settings->verify);
  if (mode != "subscribe" || !known) throw Error(Code::forbidden, "Invalid verification token");
  if (challenge.empty()) throw Error(Code::malformed, "Invalid request parameters");
  log::info(logger, "the webhook was verified");
  co_return http::Response::text(std::string(challenge));
}

asio::awaitable<http::Response> Webhook::receive(http::Request& request) {
  const auto settings = get_settings();
  const auto result = settings->checker->check(request.body, find_only(request.headers, "X-Hub-Signature-256"),
                                               find_only(request.headers, "X-Hub-Signature"));
  checks_[static_cast<std::size_t>(result)]->add();
  if (result != SignatureResult::valid)
    throw Error(Code::forbidden, "Invalid request signature", "signature " + std::string(to_string(result)));

  auto parsed = parse_webhook(request.body, now(), [&settings](std::string_view page) { return settings->is_ours(page); }, app_id_);
  if (!parsed.is_object) throw Error(Code::malformed, "Invalid JSON");
  count(parsed);
  warn(parsed);
  if (watchdog_ != nullptr) {
    for (const auto& page : parsed.pages) watchdog_->seen(page);
  }
  for (auto& report : parsed.reports) bus_.delivered(std::move(report));
  if (!parsed.events.empty()) co_await admit(std::move(parsed.events));
  co_return http::Response::json_text(R"({"success":true})");
}

void Webhook::count(const Parsed& parsed) {
  for (std::size_t i = 0; i < kind_count; ++i) {
    if (parsed.counts[i] != 0) kinds_[i]->add(parsed.counts[i]);
  }
}

void Webhook::warn(const Parsed& parsed) {
  for (const auto& notice : parsed.notices) log::warning(logger, notice.text, {{"page", notice.page}});
  std::size_t lines = 0;
  for (const auto& event : parsed.events) {
    if (!event.dead_reason.empty() && ++lines <= most_lines) {
      log::warning(logger, "an item could not be read and is kept as a dead letter",
                   {{"page", event.conversation.account}, {"message_id", event.message_id.to_string()}, {"reason", event.dead_reason}});
    }
  }
  if (parsed.foreign_pages.empty()) return;
  const auto time = now();
  const std::lock_guard lock(mutex_);
  if (warned_.size() > most_warned_pages)
    std::erase_if(warned_, [time](const auto& page) { return time - page.second >= std::chrono::hours(1); });
  for (const auto& page : parsed.foreign_pages) {
    if (warned_.size() > most_warned_pages && !warned_.contains(page)) continue;
    auto& last = warned_[page];
    if (last != Time() && time - last < std::chrono::hours(1)) continue;
    last = time;
    log::warning(logger, "events of a page that is not ours are ignored: unsubscribe the app from it, or add its token", {{"page", page}});
  }
}

asio::awaitable<void> Webhook::admit(std::vector<bus::Event> events) {
  if (extra_) {
    const auto extra = extra_();
    for (auto& event : events) {
      for (const auto& member : extra) event.body.insert_or_assign(member.key(), member.value());
    }
  }
  std::string failure;
  try {
    co_await bus_.admit(std::move(events));
    co_return;
  } catch (const Error& error) {
    if (error.code() == Code::unavailable) throw;
    failure = error.what();
  } catch (const std::exception& error) {
    failure = error.what();
  }
  // Whatever it was: Meta is to send it again, and must not take it for its own fault.
  throw Error(Code::unavailable, "Service unavailable", "admission failed: " + failure);
}

void add_webhook_routes(http::Router& router, Webhook& webhook, const std::string& path, const std::string& also, http::Access access) {
  for (const auto& pattern : {path, also}) {
    if (pattern.empty()) continue;
    http::Options verify{.access = access, .doc = describe_verify()};
    http::Options receive{.access = access, .body_limit = body_limit, .doc = describe_receive()};
    verify.doc.deprecated = receive.doc.deprecated = pattern == also;
    router.add(http::Method::get, pattern, std::move(verify), [&webhook](http::Request& request) { return webhook.verify(request); });
    router.add(http::Method::post, pattern, std::move(receive), [&webhook](http::Request& request) { return webhook.receive(request); });
  }
}

}  // namespace loquat::messenger
