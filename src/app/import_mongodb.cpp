#include "app/import_mongodb.h"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/use_future.hpp>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <thread>

#include "app/import_bot.h"
#include "app/import_report.h"
#include "app/import_states.h"
#include "bot/schema.h"
#include "bot/sql_rows.h"
#include "core/error.h"
#include "db/migrate.h"
#include "db/mongo_collection.h"
#include "http/client.h"
#include "integrations/http_store.h"
#include "integrations/mongo_store.h"
#include "integrations/schema.h"
#include "integrations/sql_store.h"
#include "state/http_store.h"
#include "state/schema.h"
#include "state/sql_store.h"

namespace loquat::app {
namespace {

namespace asio = boost::asio;
using Kind = db::Url::Kind;
using Keys = std::shared_ptr<const crypto::Keyring>;

constexpr std::string_view all_parts = "states, integrations, bot";

/// A loop on a thread of its own, and the databases and the client of this command.
class Workshop {
 public:
  explicit Workshop(const Config& config) : config_(config), keyring_(std::make_shared<crypto::Keyring>(config.secrets_key)) {}
  ~Workshop() {
    client_.close();
    loop_.stop();
    thread_.join();
    for (auto& [url, database] : databases_) database->close();
  }
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;

  db::Database& database(const std::string& url, std::span<const db::Migration> migrations) {
    auto place = databases_.find(url);
    if (place == databases_.end()) {
      auto opened = db::Database::open(
          {.url = url, .kept = 1, .most = 4, .pool_timeout = config_.db_pool_timeout, .synchronous_full = config_.sqlite_synchronous_full});
      place = databases_.emplace(url, std::move(opened)).first;
    }
    db::migrate(*place->second, migrations);
    return *place->second;
  }
  template <class T>
  T run(asio::awaitable<T> task) {
    return asio::co_spawn(loop_, std::move(task), asio::use_future).get();
  }
  asio::io_context& loop() noexcept { return loop_; }
  http::Client& client() noexcept { return client_; }
  [[nodiscard]] const Config& config() const noexcept { return config_; }
  [[nodiscard]] const Keys& keyring() const noexcept { return keyring_; }

 private:
  const Config& config_;
  Keys keyring_;
  asio::io_context loop_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_ = asio::make_work_guard(loop_);
  http::Client client_{{}, {&loop_}};
  std::map<std::string, std::unique_ptr<db::Database>> databases_;
  std::thread thread_{[this] { loop_.run(); }};
};

/// What the URI says after its host: mongodb://host/NAME?options.
bool names_database(std::string_view uri) {
  const auto scheme = uri.find("://");
  const auto slash = scheme == std::string_view::npos ? scheme : uri.find('/', scheme + 3);
  return slash != std::string_view::npos && slash + 1 < uri.size() && uri[slash + 1] != '?';
}

db::MongoSettings source_settings(const ImportOptions& options, const Config& config) {
  db::MongoSettings settings;
  settings.uri = options.from;
  if (!names_database(options.from)) settings.database = config.mongodb_db;
  settings.max_pool_size = 4;
  settings.socket_timeout = std::chrono::minutes(2);
  return settings;
}

/// The old default that nobody has touched, or what an earlier import made of it.
bool may_be_replaced(const integrations::Integration& stored) {
  return stored.version == 1 && std::ranges::any_of(integrations::defaults(), [&](const auto& one) { return one == stored; });
}

class IntegrationsImport {
 public:
  IntegrationsImport(Workshop& workshop, integrations::Store& to, ImportReport& report) : workshop_(workshop), to_(to), report_(report) {}

  void run(db::MongoPool& from) {
    const auto documents = integrations::read_documents(from, *workshop_.keyring());
    report_.begin("integrations", static_cast<std::int64_t>(documents.size()));
    std::set<std::string> seen;
    for (const auto& document : documents) {
      const auto& id = document.integration.id;
      if (!id.empty() && !seen.insert(id).second)
        report_.misfit(document.document_id, "another document has the same id \"" + id + "\"");
      else if (!document.problem.empty())
        report_.misfit(document.document_id, document.problem);
      else
        take(document.integration, document.document_id);
    }
    report_.end();
  }

 private:
  static bool same(integrations::Integration a, const integrations::Integration& b) {
    a.version = b.version;
    return a == b;
  }
  static asio::awaitable<std::optional<integrations::Integration>> find(integrations::Store& store, std::string id) {
    co_return co_await store.find(id);
  }
  static asio::awaitable<integrations::Integration> replace(integrations::Store& store, integrations::Integration next,
                                                            std::int64_t version) {
    co_return co_await store.update(
        next.id,
        [next](integrations::Integration& stored) {
          const auto current = stored.version;
          stored = next;
          stored.version = current;
        },
        version);
  }

  void take(const integrations::Integration& old, const std::string& id) {
    try {
      if (old.id == integrations::reserved_id || old.id.contains('\0')) throw Error(Code::invalid, "the id cannot be used");
      const auto stored = workshop_.run(find(to_, old.id));
      if (stored && same(old, *stored)) return report_.known();
      if (stored && !may_be_replaced(*stored)) return report_.misfit(id, "\"" + old.id + "\" is here already and was changed here");
      if (stored)
        workshop_.run(replace(to_, old, stored->version));
      else
        workshop_.run(to_.create(old));
      const auto again = workshop_.run(find(to_, old.id));
      if (!again || !same(old, *again)) return report_.misfit(id, "what was stored is not the same");
      report_.done();
    } catch (const Error& error) {
      if (error.code() == Code::unavailable) throw;
      report_.misfit(id, error.what());
    }
  }

  Workshop& workshop_;
  integrations::Store& to_;
  ImportReport& report_;
};

void import_integrations(Workshop& workshop, db::MongoPool& from, ImportReport& report) {
  const auto& url = workshop.config().integrations_url;
  std::unique_ptr<integrations::Store> to;
  switch (db::parse_url(url).kind) {
    case Kind::sqlite:
    case Kind::postgres:
      to = std::make_unique<integrations::SqlStore>(workshop.database(url, integrations::migrations()), workshop.keyring());
      break;
    case Kind::http: to = std::make_unique<integrations::HttpStore>(workshop.client(), url, workshop.config().service_token); break;
    case Kind::mongodb: return report.note("integrations: they are configured to stay in MongoDB, nothing to import");
    case Kind::memory: return report.note("integrations: they are configured to be kept in memory, nothing to import into");
  }
  IntegrationsImport(workshop, *to, report).run(from);
}

/// The old services kept states in the database "chatbot", whatever was configured.
std::unique_ptr<db::MongoPool> find_states(const ImportOptions& options, const Config& config, const db::MongoPool& from) {
  auto settings = source_settings(options, config);
  settings.database = from.database();
  auto pool = std::make_unique<db::MongoPool>(settings);
  const auto has = [](db::MongoSession& session) { return db::has_collection(session, "state"); };
  if (pool->run_blocking(has) || settings.database == "chatbot") return pool;
  settings.database = "chatbot";
  auto other = std::make_unique<db::MongoPool>(settings);
  return other->run_blocking(has) ? std::move(other) : std::move(pool);
}

void import_all_states(Workshop& workshop, const ImportOptions& options, const db::MongoPool& from, ImportReport& report) {
  const auto& url = workshop.config().states_url;
  const auto source = find_states(options, workshop.config(), from);
  const std::string name = db::without_password(options.from) + " " + source->database();
  std::unique_ptr<state::Store> to;
  db::Database* database = nullptr;
  switch (db::parse_url(url).kind) {
    case Kind::sqlite:
    case Kind::postgres:
      database = &workshop.database(url, state::migrations());
      to = state::make_sql_store(*database);
      break;
    case Kind::http: to = std::make_unique<state::HttpStore>(workshop.client(), url, workshop.config().service_token); break;
    case Kind::mongodb: return report.note("states: they are configured to stay in MongoDB, nothing to import");
    case Kind::memory: return report.note("states: they are configured to be kept in memory, nothing to import into");
  }
  import_states(*source, *to, workshop.loop(), database, name, report);
}

bool wants(const ImportOptions& options, std::string_view part) {
  return options.only.empty() || std::ranges::find(options.only, part) != options.only.end();
}

bool is_sql(Kind kind) { return kind == Kind::sqlite || kind == Kind::postgres; }

void rotate_integrations(Workshop& workshop, Kind kind, const crypto::Keyring& keyring, std::ostream& out) {
  const auto& url = workshop.config().integrations_url;
  switch (kind) {
    case Kind::sqlite:
    case Kind::postgres:
      out << "integrations: " << integrations::rotate_secrets(workshop.database(url, integrations::migrations()), keyring) << " changed\n";
      break;
    case Kind::mongodb: {
      db::MongoPool pool({.uri = url, .database = workshop.config().mongodb_db});
      out << "integrations: " << integrations::rotate_secrets(pool, keyring) << " changed\n";
      break;
    }
    case Kind::http: out << "integrations: another process keeps them; run rotate-secrets with its settings\n"; break;
    case Kind::memory: break;
  }
}

}  // namespace

int run_import_mongodb(const ImportOptions& options, const Config& config, std::ostream& out, std::ostream& errors) {
  for (const auto& part : options.only) {
    if (part == "states" || part == "integrations" || part == "bot") continue;
    errors << "loquat import-mongodb: --only takes " << all_parts << ", not \"" << part << "\"\n";
    return 2;
  }
  std::unique_ptr<db::MongoPool> from;
  try {
    if (db::parse_url(options.from).kind != Kind::mongodb) throw Error(Code::invalid, "not a mongodb:// URI");
    from = std::make_unique<db::MongoPool>(source_settings(options, config));
  } catch (const Error& error) {
    errors << "loquat import-mongodb: --from: " << error.what() << "\n";
    return 2;
  }
  ImportReport report(out, errors, &errors == &std::cerr && isatty(STDERR_FILENO) == 1);
  try {
    Workshop workshop(config);
    if (wants(options, "integrations")) import_integrations(workshop, *from, report);
    if (wants(options, "bot")) import_bot(*from, workshop.database(config.database_url, bot::migrations()), *workshop.keyring(), report);
    if (wants(options, "states")) import_all_states(workshop, options, *from, report);
  } catch (const Error& error) {
    errors << "\nloquat import-mongodb: " << error.what() << (error.log_detail().empty() ? "" : " (" + error.log_detail() + ")") << "\n";
    if (error.code() == Code::unavailable) errors << "Nothing is lost: run it again, it goes on where it stopped.\n";
    return 1;
  }
  return report.is_complete() ? 0 : 3;
}

int rotate_all_secrets(const Config& config, std::ostream& out, std::ostream& errors) {
  const auto fail = [&errors](const Error& error, int status) {
    errors << "loquat rotate-secrets: " << error.what() << (error.log_detail().empty() ? "" : " (" + error.log_detail() + ")") << "\n";
    return status;
  };
  std::optional<crypto::Keyring> keyring;
  Kind integrations_kind{};
  Kind bot_kind{};
  try {
    keyring.emplace(config.secrets_key);
    if (keyring->empty()) throw Error(Code::invalid, "SECRETS_KEY is not set");
    integrations_kind = db::parse_url(config.integrations_url).kind;
    bot_kind = db::parse_url(config.database_url).kind;
    if ((integrations_kind == Kind::http || integrations_kind == Kind::memory) && !is_sql(bot_kind))
      throw Error(Code::invalid, "with these settings no secrets are kept here: neither integrations nor a bot");
  } catch (const Error& error) {
    return fail(error, 2);
  }
  try {
    Workshop workshop(config);
    rotate_integrations(workshop, integrations_kind, *keyring, out);
    if (!is_sql(bot_kind)) {
      out << "bot: none can be kept where these settings say\n";
      return 0;
    }
    std::size_t rows = 0;
    workshop.database(config.database_url, bot::migrations()).run_blocking([&](db::Connection& connection) {
      rows = bot::sql::rotate_secrets(connection, *keyring);
    });
    out << "bot: " << rows << " changed\n";
  } catch (const Error& error) {
    return fail(error, 1);
  }
  return 0;
}

}  // namespace loquat::app
