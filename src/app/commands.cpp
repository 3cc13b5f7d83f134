#include "app/commands.h"

#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>

#include "app/config_values.h"
#include "app/import_mongodb.h"
#include "bot/commands.h"
#include "bot/schema.h"
#include "bot/sql_store.h"
#include "bus/dead_letters.h"
#include "bus/schema.h"
#include "core/log.h"
#include "db/migrate.h"
#include "dialogue/manager.h"
#include "http/client.h"
#include "integrations/schema.h"
#include "messenger/page_command.h"
#include "messenger/send_command.h"
#include "messenger/settings.h"
#include "rest/chat_command.h"
#include "state/schema.h"

namespace loquat::app {
namespace {

namespace asio = boost::asio;

db::DatabaseSettings database_settings(const Config& config, const std::string& url) {
  return {.url = url, .kept = 1, .most = 2, .pool_timeout = config.db_pool_timeout, .synchronous_full = config.sqlite_synchronous_full};
}

std::string local_url(const Config& config, const CommandOptions& options) {
  if (!options.url.empty()) return options.url;
  const std::string host = config.host == "0.0.0.0" || config.host == "::" ? "127.0.0.1" : config.host;
  return "http://" + (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + std::to_string(config.port) + config.root_path;
}

/// Runs a coroutine that needs the outbound client, on a loop of its own.
int run_with_client(const std::function<asio::awaitable<int>(http::Client&)>& task) {
  boost::asio::io_context loop(1);
  http::Client client({}, {&loop});
  int status = 1;
  std::exception_ptr failure;
  boost::asio::co_spawn(loop, task(client), [&](std::exception_ptr error, int result) {
    failure = std::move(error);
    status = result;
    client.close();
    loop.stop();
  });
  loop.run();
  if (failure) std::rethrow_exception(failure);
  return status;
}

bool is_sql(const std::string& url) {
  const auto kind = db::parse_url(url).kind;
  return kind == db::Url::Kind::sqlite || kind == db::Url::Kind::postgres;
}

/// Which tables live in which database.
std::map<std::string, std::vector<db::Migration>> plan_migrations(const Config& config) {
  std::map<std::string, std::vector<db::Migration>> plan;
  const auto add = [&plan](const std::string& url, std::span<const db::Migration> migrations) {
    if (is_sql(url)) plan[url].insert(plan[url].end(), migrations.begin(), migrations.end());
  };
  add(config.database_url, bus::migrations());
  add(config.database_url, bot::migrations());
  add(config.states_url, state::migrations());
  add(config.integrations_url, integrations::migrations());
  return plan;
}

int run_migrate(const CommandOptions& options, const Config& config) {
  std::size_t count = 0;
  for (const auto& [url, migrations] : plan_migrations(config)) {
    const auto database = db::Database::open(database_settings(config, url));
    for (const auto& name : db::migrate(*database, migrations, options.dry_run)) {
      std::cout << (options.dry_run ? "would apply " : "applied ") << name << "\n";
      ++count;
    }
    database->close();
  }
  if (count == 0) std::cout << "The databases are up to date.\n";
  return 0;
}

int run_import(const CommandOptions& options, const Config& config) {
  return bot::import_command({database_settings(config, config.database_url), std::make_shared<crypto::Keyring>(config.secrets_key)},
                             options.file, dialogue::check, std::cout, std::cerr);
}

int run_export(const CommandOptions& options, const Config& config) {
  return bot::export_command({database_settings(config, config.database_url), std::make_shared<crypto::Keyring>(config.secrets_key)},
                             options.file, options.secrets, std::cout, std::cerr);
}

int run_dead_letters(const CommandOptions& options, const Config& config) {
  const auto database = db::Database::open(database_settings(config, config.database_url));
  db::migrate(*database, bus::migrations());
  return bus::run_dead_letters({.action = options.action, .ids = options.ids, .all = options.all, .json = options.json}, *database,
                               std::cout, std::cerr);
}

int run_send(const CommandOptions& options, const Config& config) {
  messenger::SendOptions send;
  send.text = options.text;
  send.postback = options.postback;
  send.file = options.event_file;
  if (!options.from.empty()) send.from = options.from;
  if (!options.page.empty()) send.page = options.page;
  send.url = local_url(config, options);
  send.data_dir = config.data_dir;
  send.app_secret = config.app_secret;
  send.json = options.json;
  return messenger::run_send(send, std::cout, std::cerr);
}

int run_chat(const CommandOptions& options, const Config& config) {
  rest::ChatOptions chat;
  chat.url = local_url(config, options);
  chat.thread = options.thread;
  chat.verbose = options.verbose;
  if (!config.admin_tokens.empty()) chat.token = config.admin_tokens.front().second;
  chat.interactive = isatty(STDIN_FILENO) != 0;
  if (const char* home = std::getenv("HOME"); home != nullptr && chat.interactive)
    chat.history_file = std::string(home) + "/.loquat_history";
  return rest::run_chat(chat, std::cin, std::cout);
}

int run_page(const CommandOptions& options, const Config& config) {
  if (config.page_access_token.empty()) {
    std::cerr << "loquat page: set PAGE_ACCESS_TOKEN (and APP_SECRET, which proves the calls)\n";
    return 2;
  }
  messenger::PageCommand command;
  using Action = messenger::PageCommand::Action;
  command.action = options.action == "subscribe" ? Action::subscribe : options.action == "status" ? Action::status : Action::profile;
  if (!options.page.empty()) command.page = options.page;
  command.fields = parse_list(options.only);
  command.json = options.json;
  if (command.action == Action::profile) {
    std::ifstream stream(options.file);
    if (options.file.empty() || !stream) {
      std::cerr << "loquat page profile: give a JSON file that can be read\n";
      return 2;
    }
    command.profile = std::string(std::istreambuf_iterator<char>(stream), {});
  }
  const messenger::PageAccess access(messenger::make_graph_base(config.graph_api_url, config.graph_api_version), config.page_access_token,
                                     config.app_secret);
  return run_with_client([&](http::Client& client) -> asio::awaitable<int> {
    return [](http::Client& with, const messenger::PageAccess& page, const messenger::PageCommand& what) -> asio::awaitable<int> {
      messenger::GraphClient graph(with);
      co_return co_await messenger::run_page_command(graph, page, what, std::cout, std::cerr);
    }(client, access, command);
  });
}

int run_healthcheck(const CommandOptions& options, const Config& config) {
  const auto url = local_url(config, options) + "/health";
  return run_with_client([&](http::Client& client) -> asio::awaitable<int> {
    return [](http::Client& with, std::string target) -> asio::awaitable<int> {
      http::ClientRequest request;
      request.url = std::move(target);
      request.deadline = std::chrono::milliseconds(3'000);
      request.use_environment_proxy = false;
      const auto response = co_await with.send(std::move(request));
      if (response.status == 200) co_return 0;
      std::cerr << "loquat healthcheck: " << (response.status != 0 ? "status " + std::to_string(response.status) : response.error) << "\n";
      co_return 1;
    }(client, url);
  });
}

int run_rotate(const CommandOptions&, const Config& config) {
  if (config.secrets_key.empty()) {
    std::cerr << "loquat rotate-secrets: SECRETS_KEY is not set\n";
    return 2;
  }
  return rotate_all_secrets(config, std::cout, std::cerr);
}

int run_import_old(const CommandOptions& options, const Config& config) {
  return run_import_mongodb({.from = options.from, .only = parse_list(options.only)}, config, std::cout, std::cerr);
}

}  // namespace

int run_command(const std::string& name, const CommandOptions& options, const Config& config) {
  static const std::map<std::string, int (*)(const CommandOptions&, const Config&)> commands{
      {"migrate", run_migrate},
      {"import", run_import},
      {"export", run_export},
      {"dead-letters", run_dead_letters},
      {"send", run_send},
      {"chat", run_chat},
      {"page", run_page},
      {"healthcheck", run_healthcheck},
      {"rotate-secrets", run_rotate},
      {"import-mongodb", run_import_old},
  };
  return commands.at(name)(options, config);
}

}  // namespace loquat::app
