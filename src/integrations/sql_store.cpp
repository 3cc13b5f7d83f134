#include "integrations/sql_store.h"

#include <algorithm>
#include <map>

#include "core/error.h"
#include "core/json.h"
#include "integrations/secrets.h"

// Jobs run on the database's threads and may outlive a coroutine that is given up: they own what they use.

namespace loquat::integrations {
namespace {

using db::Connection;
using Found = std::map<std::string, Integration, std::less<>>;

/// Runs a batch as one job. `work(connection, arguments)` gives one outcome an argument.
template <class In, class Out, class Work>
typename async::Batcher<In, Out>::Run make_run(db::Database& database, db::Database::Mode mode, Work work) {
  using Batcher = async::Batcher<In, Out>;
  struct Batch {
    std::vector<In> arguments;
    std::vector<async::Outcome<Out>> outcomes;
    typename Batcher::Done done;
  };
  return [&database, mode, work](std::vector<In> arguments, typename Batcher::Done done) {
    auto batch = std::make_shared<Batch>(Batch{std::move(arguments), {}, std::move(done)});
    database.submit(
        mode, [batch, work](Connection& connection) { batch->outcomes = work(connection, batch->arguments); },
        [batch](std::exception_ptr error) {
          if (error) batch->outcomes.assign(batch->arguments.size(), async::Outcome<Out>(std::in_place_index<1>, std::move(error)));
          batch->done(std::move(batch->outcomes));
        });
  };
}

std::exception_ptr make_full() {
  return std::make_exception_ptr(Error(Code::unavailable, "the database is not available, try again later", "too many calls wait"));
}

constexpr std::string_view columns = "id, name, description, status, settings, version";

/// Whatever older services left in the column: only an object has settings.
json::object parse_settings(const std::optional<std::string>& text) {
  json::value value;
  JsonError error;
  if (!text || !try_parse_json(*text, value, error) || !value.is_object()) return {};
  return std::move(value.get_object());
}

Integration read_row(const db::Rows& rows, std::size_t row, const crypto::Keyring& keyring) {
  Integration out;
  out.id = rows.text(row, 0);
  out.name = rows.text(row, 1);
  out.description = rows.text(row, 2);
  out.status = rows.boolean(row, 3);
  out.settings = open_settings(out.id, parse_settings(rows.find_text(row, 4)), keyring);
  out.version = rows.integer(row, 5);
  return out;
}

std::string settings_text(const Integration& integration, const crypto::Keyring& keyring) {
  return to_json(json::value(seal_settings(integration.id, integration.settings, keyring)));
}

std::vector<std::string> unique_of(std::vector<std::string> ids) {
  std::ranges::sort(ids);
  ids.erase(std::ranges::unique(ids).begin(), ids.end());
  return ids;
}

/// `lock`: until the transaction ends nobody else changes them. In the order of their ids, so that two processes cannot deadlock.
Found find_rows(Connection& connection, std::vector<std::string> ids, bool lock, const crypto::Keyring& keyring) {
  ids = unique_of(std::move(ids));
  Found found;
  const auto add = [&](const db::Rows& rows) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      auto integration = read_row(rows, i, keyring);
      found.emplace(integration.id, std::move(integration));
    }
  };
  if (connection.dialect() == db::Dialect::sqlite) {
    for (auto& id : ids)
      add(*connection("SELECT id, name, description, status, settings, version FROM integrations WHERE id = $1", std::move(id)));
  } else if (lock) {
    add(*connection("SELECT id, name, description, status, settings, version FROM integrations WHERE id = ANY ($1) ORDER BY id FOR UPDATE",
                    std::move(ids)));
  } else {
    add(*connection("SELECT id, name, description, status, settings, version FROM integrations WHERE id = ANY ($1)", std::move(ids)));
  }
  return found;
}

std::vector<Integration> list_rows(Connection& connection, const crypto::Keyring& keyring) {
  static const std::string sql = "SELECT " + std::string(columns) + " FROM integrations ORDER BY position, id";
  const auto rows = connection.query(sql);
  std::vector<Integration> out;
  out.reserve(rows->size());
  for (std::size_t i = 0; i < rows->size(); ++i) out.push_back(read_row(*rows, i, keyring));
  return out;
}

db::Statement notification() { return {"SELECT pg_notify('loquat_integrations', '')"}; }

void notify(Connection& connection) {
  if (connection.dialect() == db::Dialect::postgres) connection.query(notification().sql);
}

/// `was`: the id it is stored under.
db::Statement update_statement(const std::string& was, const Integration& next, const crypto::Keyring& keyring) {
  return {"UPDATE integrations SET id = $2, name = $3, description = $4, status = $5, settings = $6, version = $7 WHERE id = $1",
          {was, next.id, next.name, next.description, next.status, settings_text(next, keyring), next.version}};
}

/// Null when the id is taken.
bool insert_row(Connection& connection, const Integration& integration, const crypto::Keyring& keyring) {
  const auto rows = connection(
      "INSERT INTO integrations (id, name, description, status, settings, version, position)"
      " SELECT $1, $2, $3, $4, $5, $6, (SELECT coalesce(max(position), 0) + 1 FROM integrations) WHERE true"
      " ON CONFLICT (id) DO NOTHING",
      integration.id, integration.name, integration.description, integration.status, settings_text(integration, keyring),
      integration.version);
  return rows->affected() == 1;
}

}  // namespace

SqlStore::SqlStore(db::Database& database, std::shared_ptr<const crypto::Keyring> keyring)
    : database_(database),
      keyring_(std::move(keyring)),
      lists_({.concurrent = 2, .wait_limit = database.pool_timeout()},
             make_run<async::Nothing, Listed>(database, db::Database::Mode::read,
                                              [keys = keyring_](Connection& connection, const std::vector<async::Nothing>& calls) {
                                                auto all = std::make_shared<const std::vector<Integration>>(list_rows(connection, *keys));
                                                return std::vector<async::Outcome<Listed>>(calls.size(), all);
                                              })),
      finds_({.concurrent = 2, .wait_limit = database.pool_timeout()},
             make_run<std::string, std::optional<Integration>>(
                 database, db::Database::Mode::read,
                 [keys = keyring_](Connection& connection, const std::vector<std::string>& ids) {
                   const auto found = find_rows(connection, ids, false, *keys);
                   std::vector<async::Outcome<std::optional<Integration>>> outcomes;
                   outcomes.reserve(ids.size());
                   for (const auto& id : ids) {
                     const auto place = found.find(id);
                     outcomes.emplace_back(place == found.end() ? std::nullopt : std::optional(place->second));
                   }
                   return outcomes;
                 })),
      updates_({.wait_limit = database.pool_timeout()},
               make_run<Update, Updated>(database, db::Database::Mode::write,
                                         [keys = keyring_](Connection& connection, const std::vector<Update>& updates) {
                                           return update_all(connection, updates, *keys);
                                         })) {}

std::vector<async::Outcome<SqlStore::Updated>> SqlStore::update_all(Connection& connection, const std::vector<Update>& updates,
                                                                    const crypto::Keyring& keyring) {
  std::vector<std::string> ids;
  ids.reserve(updates.size());
  for (const auto& update : updates) ids.push_back(update.id);
  auto current = find_rows(connection, ids, true, keyring);
  std::map<std::string, std::int64_t, std::less<>> stored;
  for (const auto& [id, integration] : current) stored.emplace(id, integration.version);

  std::vector<async::Outcome<Updated>> outcomes;
  outcomes.reserve(updates.size());
  for (const auto& update : updates) {
    try {
      const auto place = current.find(update.id);
      if (place == current.end()) throw Error(Code::not_found, not_found_message);
      require_version(place->second.version, update.if_version);
      Integration next = place->second;
      update.change(next);
      if (next.id != update.id) {
        outcomes.emplace_back(Updated());
        continue;
      }
      next.version = place->second.version + 1;
      place->second = next;
      outcomes.emplace_back(Updated(std::move(next)));
    } catch (...) {
      outcomes.emplace_back(std::in_place_index<1>, std::current_exception());
    }
  }
  std::vector<db::Statement> statements;
  for (const auto& [id, integration] : current) {
    if (integration.version != stored.at(id)) statements.push_back(update_statement(id, integration, keyring));
  }
  if (statements.empty()) return outcomes;
  if (connection.dialect() == db::Dialect::postgres) statements.push_back(notification());
  connection.pipeline(std::move(statements));
  return outcomes;
}

Integration SqlStore::update_one(Connection& connection, const Update& update, const crypto::Keyring& keyring) {
  auto found = find_rows(connection, {update.id}, true, keyring);
  if (found.empty()) throw Error(Code::not_found, not_found_message);
  Integration next = std::move(found.begin()->second);
  require_version(next.version, update.if_version);
  update.change(next);
  ++next.version;
  try {
    auto statement = update_statement(update.id, next, keyring);
    connection.query(statement.sql, std::move(statement.parameters));
  } catch (const Error& error) {
    if (error.code() == Code::conflict) throw Error(Code::conflict, taken_message);
    throw;
  }
  notify(connection);
  return next;
}

asio::awaitable<std::vector<Integration>> SqlStore::list() { co_return *(co_await lists_.call({}, make_full())); }

asio::awaitable<std::optional<Integration>> SqlStore::find(std::string_view id) {
  co_return co_await finds_.call(std::string(id), make_full());
}

asio::awaitable<Integration> SqlStore::create(Integration integration) {
  integration.version = 1;
  const bool inserted = co_await database_.write([keys = keyring_, integration](Connection& connection) {
    const bool done = insert_row(connection, integration, *keys);
    if (done) notify(connection);
    return done;
  });
  if (!inserted) throw Error(Code::conflict, taken_message);
  co_return integration;
}

asio::awaitable<Integration> SqlStore::update(std::string_view id, std::function<void(Integration&)> change,
                                              std::optional<std::int64_t> if_version) {
  Update call{std::string(id), std::move(change), if_version};
  if (auto updated = co_await updates_.call(call, make_full())) co_return std::move(*updated);
  co_return co_await database_.write(
      [keys = keyring_, call = std::move(call)](Connection& connection) { return update_one(connection, call, *keys); });
}

asio::awaitable<void> SqlStore::remove(std::string_view id, std::optional<std::int64_t> if_version) {
  // Without looking into it: what no key opens any more can still be deleted.
  co_await database_.write([id = std::string(id), if_version](Connection& connection) {
    const auto found = connection(connection.dialect() == db::Dialect::sqlite ? "SELECT version FROM integrations WHERE id = $1"
                                                                              : "SELECT version FROM integrations WHERE id = $1 FOR UPDATE",
                                  id);
    if (found->empty()) throw Error(Code::not_found, not_found_message);
    require_version(found->integer(0, 0), if_version);
    connection("DELETE FROM integrations WHERE id = $1", id);
    notify(connection);
  });
}

asio::awaitable<std::vector<std::string>> SqlStore::ensure_defaults() {
  co_return co_await database_.write([keys = keyring_](Connection& connection) {
    std::vector<std::string> created;
    for (const auto& integration : defaults()) {
      if (insert_row(connection, integration, *keys)) created.push_back(integration.id);
    }
    if (!created.empty()) notify(connection);
    return created;
  });
}

asio::awaitable<void> SqlStore::ping() { co_await database_.ping(); }

std::size_t rotate_secrets(db::Database& database, const crypto::Keyring& keyring) {
  std::size_t changed = 0;
  database.run_blocking([&](Connection& connection) {
    changed = 0;
    const auto* sql = connection.dialect() == db::Dialect::sqlite ? "SELECT id, settings FROM integrations ORDER BY id"
                                                                  : "SELECT id, settings FROM integrations ORDER BY id FOR UPDATE";
    const auto rows = connection.query(sql);
    std::vector<db::Values> updates;
    for (std::size_t i = 0; i < rows->size(); ++i) {
      const auto id = rows->text(i, 0);
      auto settings = parse_settings(rows->find_text(i, 1));
      if (!needs_rotation(settings, keyring)) continue;
      settings = seal_settings(id, open_settings(id, std::move(settings), keyring), keyring);
      updates.push_back({id, to_json(json::value(std::move(settings)))});
    }
    changed = updates.size();
    connection.batch("UPDATE integrations SET settings = $2 WHERE id = $1", std::move(updates));
  });
  return changed;
}

}  // namespace loquat::integrations
