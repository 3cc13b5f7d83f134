#include "messenger/settings.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "core/secret.h"
#include "core/text.h"

namespace loquat::messenger {
namespace {

constexpr std::string_view logger = "messenger";

/// A setting as text; empty for other types and for masks.
std::string read_text(const json::value& settings, std::string_view name) {
  const auto text = text::trim_ascii(string_member(settings, name));
  return has_mask_character(text) ? std::string() : std::string(text);
}

std::string read_page_id(const json::value& page) {
  const auto* id = find_member(page, "page_id");
  return id != nullptr && (id->is_int64() || id->is_uint64()) ? to_json(*id) : read_text(page, "page_id");
}

}  // namespace

const std::string* PageSettings::find_token(std::string_view page) const {
  const auto own = page_tokens.find(page);
  if (own != page_tokens.end() && !own->second.empty()) return &own->second;
  return default_token.empty() ? nullptr : &default_token;
}

bool PageSettings::is_ours(std::string_view page) const {
  if (page_tokens.contains(page)) return true;
  return page != sandbox_page && (page_tokens.empty() || !default_token.empty());
}

bool PageSettings::same_content(const PageSettings& other) const {
  return enabled == other.enabled && verify == other.verify && secret == other.secret && default_token == other.default_token &&
         page_tokens == other.page_tokens;
}

PageSettings make_page_settings(std::string secret, std::string verify, std::string page_access_token) {
  PageSettings settings;
  settings.enabled = true;
  settings.checker = std::make_shared<SignatureChecker>(secret);
  settings.secret = std::move(secret);
  settings.verify = std::move(verify);
  settings.default_token = std::move(page_access_token);
  return settings;
}

PageSettings make_page_settings(const integrations::Integration& integration) {
  const json::value values(integration.settings);
  auto settings = make_page_settings(read_text(values, "secret"), read_text(values, "verify"), read_text(values, "page_access_token"));
  settings.enabled = integration.status;
  const auto* pages = find_member(values, "pages");
  if (pages == nullptr || !pages->is_array()) return settings;
  for (const auto& page : pages->get_array()) {
    if (auto id = read_page_id(page); !id.empty() && id != sandbox_page)
      settings.page_tokens.insert_or_assign(std::move(id), read_text(page, "page_access_token"));
  }
  return settings;
}

SettingsSource::SettingsSource(PageSettings fixed) { replace(std::move(fixed)); }

SettingsSource::SettingsSource(integrations::Store& store, std::chrono::milliseconds interval) : store_(&store), interval_(interval) {}

std::shared_ptr<const PageSettings> SettingsSource::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

void SettingsSource::replace(PageSettings settings) {
  const auto before = current();
  if (before && before->same_content(settings)) return;
  settings.generation = before ? before->generation + 1 : 1;
  if (!settings.checker) settings.checker = std::make_shared<SignatureChecker>(settings.secret);
  if (store_ != nullptr) {
    log::info(logger, before ? "the facebook integration has changed" : "the facebook integration was read",
              {{"enabled", settings.enabled}, {"pages", settings.page_tokens.size()}, {"generation", settings.generation}});
  }
  auto shared = std::make_shared<const PageSettings>(std::move(settings));
  const std::lock_guard lock(mutex_);
  current_ = std::move(shared);
}

void SettingsSource::warn_once(std::string_view reason, std::string_view detail) {
  if (std::exchange(failing_, true)) return;
  const auto what = current() ? "the integrations cannot be read; the last known settings hold"
                              : "the integrations cannot be read; no page is served until they can";
  log::warning(logger, what, {{"reason", reason}, {"detail", detail}});
}

asio::awaitable<bool> SettingsSource::refresh() {
  if (store_ == nullptr) co_return true;
  try {
    const auto integration = co_await store_->find(channel_integration);
    const bool masked = integration && has_mask_character(to_json(integration->settings));
    if (masked && !std::exchange(masked_, true))
      log::warning(logger, "the facebook integration came with masked secrets: set the SERVICE_TOKEN of the integrations service here too");
    replace(integration ? make_page_settings(*integration) : PageSettings());
    if (std::exchange(failing_, false)) log::info(logger, "the integrations can be read again");
    co_return true;
  } catch (const Error& error) {
    warn_once(error.what(), error.log_detail());
  } catch (const std::exception& error) {
    warn_once(error.what(), "");
  }
  co_return false;
}

asio::awaitable<void> SettingsSource::run(const async::TaskGroup& tasks) {
  // Short sleeps, so that poke() and stop() are noticed without a timer that other threads would have to reach.
  constexpr std::chrono::milliseconds slice(100);
  while (store_ != nullptr && !tasks.stopping()) {
    poked_.store(false, std::memory_order_relaxed);
    co_await refresh();
    for (std::chrono::milliseconds slept(0); slept < interval_ && !tasks.stopping() && !poked_.load(std::memory_order_relaxed);
         slept += slice)
      co_await async::sleep_for(std::min(slice, interval_));
  }
}

}  // namespace loquat::messenger
