// The ports of the process, each built on first use.
#include "app/app.h"
#include "bot/schema.h"
#include "bot/sql_store.h"
#include "bus/schema.h"
#include "bus/sql_bus.h"
#include "core/log.h"
#include "dialogue/bot_follower.h"
#include "dialogue/manager.h"
#include "integrations/http_store.h"
#include "integrations/memory_store.h"
#include "integrations/mongo_store.h"
#include "integrations/schema.h"
#include "integrations/sql_store.h"
#include "state/http_store.h"
#include "state/memory_store.h"
#include "state/mongo_store.h"
#include "state/schema.h"
#include "state/sql_store.h"

namespace loquat::app {
namespace {

using Kind = db::Url::Kind;

/// Runs a step until it succeeds: what it needs may be away for a while.
asio::awaitable<void> ensure(const async::TaskGroup& tasks, integrations::Store& store) {
  while (!tasks.stopping()) {
    bool done = true;
    try {
      for (const auto& id : co_await store.ensure_defaults()) log::info("integrations", "made a default", {{"id", id}});
    } catch (const Error& error) {
      done = false;
      log::debug("integrations", "defaults could not be ensured yet", {{"error", error.what()}});
    }
    if (done) co_return;
    co_await async::sleep_for(std::chrono::milliseconds(500));
  }
}

/// Wrong credentials are a mistake in the settings, not an outage.
asio::awaitable<void> require_login(std::string_view store, std::function<asio::awaitable<void>()> ping) {
  try {
    co_await ping();
  } catch (const db::CredentialsRefused& refused) {
    // Coroutines run already: there is no way back through destructors.
    log_reason(Error(Code::invalid,
                     "MongoDB refuses the user or the password of the URI of the " + std::string(store) + ", or asks for them",
                     refused.log_detail()));
    std::_Exit(1);
  } catch (const Error& error) {
    log::warning("app", "MongoDB is away; what needs it is answered 503 until it is back",
                 {{"store", store}, {"error", error.what()}, {"detail", error.log_detail()}});
  }
}

asio::awaitable<void> adopt_dates(const async::TaskGroup& tasks, state::MongoStore& store) {
  std::size_t total = 0;
  for (std::size_t count = 1; count > 0 && !tasks.stopping();) {
    try {
      count = co_await store.adopt_dates();
      total += count;
      continue;
    } catch (const Error& error) {
      log::debug("state", "dates of other writers could not be converted yet", {{"error", error.what()}, {"detail", error.log_detail()}});
    }
    co_await async::sleep_for(std::chrono::milliseconds(500));
  }
  if (total > 0) log::info("state", "dates that were texts are dates now", {{"documents", total}});
}

}  // namespace

http::Client& App::client() {
  http::Client::Settings settings;
  settings.user_agent = "loquat/" LOQUAT_VERSION;
  if (!client_) client_ = std::make_unique<http::Client>(settings, loop_pointers_);
  return *client_;
}

const http::AddressPolicy& App::bot_addresses() {
  if (!bot_addresses_)
    bot_addresses_ = std::make_unique<http::AddressPolicy>(
        http::AddressPolicy{.public_only = true, .allowed = config_.allow_private_addresses.value_or(std::vector<std::string>())});
  return *bot_addresses_;
}

db::Database& App::database(const std::string& url, std::span<const db::Migration> migrations) {
  auto& opened = databases_[url];
  if (!opened.database)
    opened.database = db::Database::open({.url = url,
                                          .kept = config_.db_pool_size,
                                          .most = config_.db_max_pool,
                                          .pool_timeout = config_.db_pool_timeout,
                                          .synchronous_full = config_.sqlite_synchronous_full});
  opened.migrations.insert(opened.migrations.end(), migrations.begin(), migrations.end());
  return *opened.database;
}

db::MongoPool& App::mongo(const std::string& url) {
  auto& pool = mongo_pools_[url];
  if (!pool) {
    db::MongoSettings settings;
    settings.uri = url;
    settings.database = config_.mongodb_db;
    settings.max_pool_size = config_.mongo_max_pool_size;
    settings.pool_timeout = config_.db_pool_timeout;
    pool = std::make_unique<db::MongoPool>(std::move(settings));
  }
  return *pool;
}

state::Store& App::states() {
  if (states_) return *states_;
  const auto& url = config_.states_url;
  switch (db::parse_url(url).kind) {
    case Kind::sqlite:
    case Kind::postgres: states_ = state::make_sql_store(database(url, state::migrations())); break;
    case Kind::mongodb: {
      auto store = std::make_unique<state::MongoStore>(mongo(url));
      before_listening([store = store.get()] { return require_login("states", [store] { return store->ping(); }); });
      before_listening([this, store = store.get()] { return adopt_dates(tasks_, *store); });
      states_ = std::move(store);
      break;
    }
    case Kind::http: states_ = std::make_unique<state::HttpStore>(client(), url, config_.service_token); break;
    case Kind::memory: states_ = state::make_memory_store(); break;
  }
  add_check("states", [this] { return states_->ping(); });
  return *states_;
}

integrations::Store& App::integrations() {
  if (integrations_) return *integrations_;
  const auto& url = config_.integrations_url;
  const auto kind = db::parse_url(url).kind;
  switch (kind) {
    case Kind::sqlite:
    case Kind::postgres:
      integrations_ = std::make_unique<integrations::SqlStore>(database(url, integrations::migrations()), keyring_);
      break;
    case Kind::mongodb: integrations_ = std::make_unique<integrations::MongoStore>(mongo(url), keyring_); break;
    case Kind::http: integrations_ = std::make_unique<integrations::HttpStore>(client(), url, config_.service_token); break;
    case Kind::memory: integrations_ = std::make_unique<integrations::MemoryStore>(); break;
  }
  add_check("integrations", [this] { return integrations_->ping(); });
  if (kind == Kind::mongodb) before_listening([this] { return require_login("integrations", [this] { return integrations_->ping(); }); });
  // A store of another process is that process's to fill.
  if (kind != Kind::http) before_listening([this] { return ensure(tasks_, *integrations_); });
  return *integrations_;
}

bot::SqlStore& App::bots() {
  if (!bots_) bots_ = std::make_unique<bot::SqlStore>(database(config_.database_url, bot::migrations()), keyring_);
  return *bots_;
}

dialogue::Manager& App::manager() {
  if (manager_) return *manager_;
  manager_ = std::make_unique<dialogue::Manager>(dialogue::Manager::Settings{.api_proxy = config_.api_proxy, .addresses = &bot_addresses()},
                                                 &client());
  follower_ = std::make_unique<dialogue::BotFollower>(bots(), *manager_);
  before_listening([this] { return follower_->try_once(); });
  when_prepared([this] { return follower_->run(tasks_); });
  return *manager_;
}

dialogue::BotFollower& App::follower() {
  manager();
  return *follower_;
}

bus::SqlBus& App::bus() {
  if (bus_) return *bus_;
  auto& database_of_bus = database(config_.database_url, bus::migrations());
  if (database_of_bus.dialect() == db::Dialect::sqlite) lock_data_dir();
  auto& states_of_turns = states();
  bus::SqlBus::Settings settings;
  settings.data_dir = config_.data_dir;
  settings.consume = config_.consumers;
  // States in the same database are appended in the bus's own transactions.
  if (config_.states_url != config_.database_url) settings.storage.external = &states_of_turns;
  bus_ = std::make_unique<bus::SqlBus>(settings, database_of_bus, loop_pointers_);
  add_check("bus", [this] { return bus_->ping(); });
  when_prepared([this]() -> asio::awaitable<void> {
    bus_->start();
    return [](void) -> asio::awaitable<void> { co_return; }();
  });
  when_stopping([this](std::chrono::milliseconds left) { bus_->stop(left); });
  return *bus_;
}

}  // namespace loquat::app
