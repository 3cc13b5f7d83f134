#include "app/targets.h"

#include "app/app.h"
#include "bot/api.h"
#include "bot/build.h"
#include "bot/sql_store.h"
#include "bus/sql_bus.h"
#include "core/log.h"
#include "dialogue/bot_follower.h"
#include "dialogue/manager.h"
#include "integrations/api.h"
#include "integrations/change_feed.h"
#include "messenger/api.h"
#include "messenger/delivery.h"
#include "messenger/pages.h"
#include "messenger/sandbox.h"
#include "messenger/sandbox_secret.h"
#include "messenger/sender.h"
#include "messenger/watchdog.h"
#include "rest/api.h"
#include "state/api.h"
#include "state/retention.h"

namespace loquat::app {
namespace {

/// Where partitions are leased a send must end before the lease may; alone on SQLite it may take its time.
std::chrono::milliseconds send_deadline(App& app) {
  const bool leased = app.database(app.config().database_url, {}).dialect() == db::Dialect::postgres;
  return std::chrono::milliseconds(leased ? 6'000 : 20'000);
}

asio::awaitable<void> read_settings(messenger::SettingsSource& source) { co_await source.refresh(); }

/// Everything of the Messenger channel; lives as long as the process.
struct MessengerChannel {
  MessengerChannel(App& app, std::shared_ptr<messenger::SettingsSource> source)
      : settings(std::move(source)),
        watchdog(std::chrono::duration_cast<std::chrono::seconds>(app.config().webhook_silence_alert)),
        limiter(messenger::RateLimiter::Settings{.text_per_second = static_cast<double>(app.config().page_rate_text),
                                                 .media_per_second = static_cast<double>(app.config().page_rate_media)}),
        graph(app.client(), {.send_deadline = send_deadline(app)}),
        sender(graph, limiter),
        pages(app.database(app.config().database_url, {}), limiter,
              [&app](std::string page) { return app.bus().release_page(std::move(page)); }),
        webhook(app.bus(), [this] { return settings->current(); }, &watchdog, {}, app.config().app_id) {}

  std::shared_ptr<messenger::SettingsSource> settings;
  messenger::Watchdog watchdog;
  messenger::RateLimiter limiter;
  messenger::GraphClient graph;
  messenger::Sender sender;
  messenger::Pages pages;
  messenger::Webhook webhook;
  std::unique_ptr<messenger::Sandbox> sandbox;
  std::unique_ptr<messenger::Delivery> delivery;
};

std::shared_ptr<messenger::SettingsSource> make_settings_source(App& app) {
  const auto& config = app.config();
  if (!config.app_secret.empty())
    return std::make_shared<messenger::SettingsSource>(
        messenger::make_page_settings(config.app_secret, config.verify_token, config.page_access_token));
  return std::make_shared<messenger::SettingsSource>(app.integrations());
}

/// Polling finds changes of the integration within a second; where the database tells of them it is sooner.
void follow_changes(App& app, const std::shared_ptr<messenger::SettingsSource>& settings) {
  const auto& config = app.config();
  if (!config.app_secret.empty()) return;
  const auto poke = [settings] { settings->poke(); };
  const auto kind = db::parse_url(config.integrations_url).kind;
  if (kind == db::Url::Kind::postgres) app.keep(std::make_shared<integrations::ChangeFeed>(config.integrations_url, poke));
  if (kind == db::Url::Kind::mongodb) app.keep(std::make_shared<integrations::ChangeFeed>(app.mongo(config.integrations_url), poke));
}

asio::awaitable<void> follow_processes(const async::TaskGroup& tasks, MessengerChannel& channel, bus::SqlBus& bus) {
  while (!tasks.stopping()) {
    channel.limiter.set_processes(static_cast<unsigned>(bus.processes()));
    co_await async::sleep_for(std::chrono::milliseconds(500));
  }
}

/// Null where its secret cannot be kept.
std::unique_ptr<messenger::Sandbox> make_sandbox(App& app) {
  try {
    return std::make_unique<messenger::Sandbox>(messenger::get_or_make_sandbox_secret(app.config().data_dir), app.bus());
  } catch (const Error& error) {
    log::warning("app", "there is no sandbox", {{"error", error.what()}});
    return nullptr;
  }
}

void add_messenger(App& app) {
  auto& channel = app.keep(std::make_shared<MessengerChannel>(app, make_settings_source(app)));
  const auto& config = app.config();
  messenger::add_webhook_routes(app.router(), channel.webhook, "/webhook", "/bots/channels/facebook/webhook");
  if (config.sandbox) channel.sandbox = make_sandbox(app);
  if (channel.sandbox) {
    channel.sandbox->add_routes(app.router());
    app.when_listening([&app, &channel] {
      const auto& host = app.config().host;
      const std::string address = host.find(':') == std::string::npos ? host : "[" + host + "]";
      channel.sandbox->set_own_url("http://" + address + ":" + std::to_string(app.port()));
    });
  }
  app.when_prepared([&app, &channel] { return follow_processes(app.tasks(), channel, app.bus()); });
  channel.delivery = std::make_unique<messenger::Delivery>(
      messenger::Delivery::Settings{.graph_base = messenger::make_graph_base(config.graph_api_url, config.graph_api_version),
                                    .typing = config.typing,
                                    .reply_max_age = config.reply_max_age},
      app.manager(), app.states(), channel.sender, channel.pages,
      [&channel](std::string_view page) {
        return page == messenger::sandbox_page && channel.sandbox ? channel.sandbox->settings() : channel.settings->current();
      },
      app.tasks(),
      [&channel](const MessageId& id) {
        if (channel.sandbox) channel.sandbox->graph().note_finished(id);
      });
  app.bus().add_handler(std::string(messenger::channel), *channel.delivery);
  follow_changes(app, channel.settings);
  app.before_listening([&channel] { return read_settings(*channel.settings); });
  app.when_prepared([&app, &channel] { return channel.settings->run(app.tasks()); });
  app.when_prepared([&app, &channel] { return channel.pages.run(app.tasks(), *channel.settings); });
  app.when_prepared([&app, &channel] { return channel.watchdog.run(app.tasks(), *channel.settings); });
  app.add_details([&channel](json::object& details) { channel.pages.add_details(details); });
}

void add_integrations(App& app) { integrations::add_routes(app.router(), app.integrations()); }

asio::awaitable<void> erase_from_bus(App& app, state::ThreadQuery thread) {
  if (app.has_bus()) co_await app.bus().erase(thread);
}

/// A conversation is erased from the states and, where this process has it, from the bus.
state::AlsoErase also_erase(App& app) {
  return [&app](const state::ThreadQuery& query) { return erase_from_bus(app, query); };
}

void add_states(App& app) {
  state::add_routes(app.router(), app.states(), also_erase(app));
  const auto& config = app.config();
  if (config.state_retention_days > 0)
    app.when_prepared([&app, &config] {
      return state::run_retention(app.states(), app.tasks(), std::chrono::hours(24 * config.state_retention_days),
                                  std::chrono::hours(24 * (config.dedup_days + 1)));
    });
}

void add_bot(App& app) {
  auto& store = app.bots();
  auto& follower = app.follower();
  auto& builder = app.keep(std::make_shared<bot::Builder>(store, store, app.tasks(), dialogue::check,
                                                          [&follower](std::int64_t version) { return follower.wait_for(version); }));
  const auto limit = app.config().import_body_limit;
  bot::add_public_routes(app.router());
  bot::add_document_routes(app.router(), store);
  bot::add_bot_routes(app.router(), store, store, builder, limit);
  bot::add_train_routes(app.router(), store, store, builder, limit);
  bot::add_chatlog_routes(app.router(), app.states(), store, [&app](state::ThreadQuery query) -> asio::awaitable<bool> {
    return [](App& process, state::ThreadQuery thread) -> asio::awaitable<bool> {
      const bool existed = co_await process.states().erase(thread);
      if (process.has_bus()) co_await process.bus().erase(thread);
      co_return existed;
    }(app, std::move(query));
  });
}

void add_rest(App& app) {
  const auto& config = app.config();
  const rest::Settings settings{.rate_per_thread = static_cast<std::uint32_t>(config.rest_rate_per_thread),
                                .rate_per_address = static_cast<std::uint32_t>(config.rest_rate_per_address)};
  rest::add_routes(app.router(), std::make_shared<rest::Api>(app.states(), app.manager(), settings));
}

// Who serves what. The admin's integrations belong to the bot's process too: its front end has one address.
const std::vector<Target> table{
    {"messenger", "Messenger webhooks in, replies out", {add_messenger}},
    {"integrations", "the channels' settings", {add_integrations}},
    {"state", "the conversations' states", {add_states}},
    {"bot", "the admin's API, the REST channel, the web widget", {add_bot, add_rest, add_integrations}},
    {"all", "all of them in one process (the default)", {add_messenger, add_integrations, add_states, add_bot, add_rest}},
};

}  // namespace

const std::vector<Target>& targets() { return table; }

const Target* find_target(std::string_view name) {
  for (const auto& target : table)
    if (target.name == name) return &target;
  return nullptr;
}

}  // namespace loquat::app
