#include "bot/sql_store.h"

#include "bot/sql_rows.h"
#include "core/error.h"
#include "core/id.h"

// Jobs run on the database's threads and may outlive a coroutine that is given up: they own what they use.

namespace loquat::bot {
namespace {

using Keys = std::shared_ptr<const crypto::Keyring>;

void require_version(std::int64_t current, std::optional<std::int64_t> wanted) {
  if (wanted && *wanted != current) throw Error(Code::precondition_failed, "the document was changed in the meantime");
}

std::string_view to_text(BuildStatus::State state) {
  switch (state) {
    case BuildStatus::State::training: return "training";
    case BuildStatus::State::failed: return "failed";
    case BuildStatus::State::ready: break;
  }
  return "ready";
}

BuildStatus::State to_state(std::string_view text) {
  if (text == "training") return BuildStatus::State::training;
  return text == "failed" ? BuildStatus::State::failed : BuildStatus::State::ready;
}

Document update_one(db::Connection& connection, Kind kind, const std::string& id, const AdminStore::Change& change,
                    std::optional<std::int64_t> if_version, const crypto::Keyring& keyring) {
  sql::change_draft(connection);
  auto document = sql::find_document(connection, kind, id, keyring);
  if (!document) throw Error(Code::not_found, not_found_message(kind));
  require_version(document->version, if_version);
  change(document->body);
  sql::update_documents(connection, kind, {*document}, keyring);
  ++document->version;
  return std::move(*document);
}

bool remove_one(db::Connection& connection, Kind kind, const std::string& id, std::optional<std::int64_t> if_version) {
  sql::change_draft(connection);
  const std::string name(sql::name_of(kind));
  const auto rows = connection("SELECT version FROM bot_documents WHERE kind = $1 AND id = $2", name, id);
  if (rows->empty()) return false;
  require_version(rows->integer(0, 0), if_version);
  connection("DELETE FROM bot_documents WHERE kind = $1 AND id = $2", name, id);
  return true;
}

/// A draft to be checked outside of the writer's transaction, and the attempts at that: when the draft keeps changing
/// under us the last one does it all under the lock.
constexpr int optimistic_attempts = 5;

}  // namespace

SqlStore::SqlStore(db::Database& database, Keys keyring) : database_(database), keyring_(std::move(keyring)) {}

asio::awaitable<std::int64_t> SqlStore::active_version() {
  co_return co_await database_.read(
      [](db::Connection& connection) { return connection("SELECT active FROM bot_state WHERE one = 1")->integer(0, 0); });
}

asio::awaitable<std::optional<Definition>> SqlStore::load_version(std::int64_t version) {
  co_return co_await database_.read(
      [keys = keyring_, version](db::Connection& connection) { return sql::load_version(connection, version, *keys); });
}

asio::awaitable<std::int64_t> SqlStore::publish(std::string built_by, std::function<void(const Definition&)> check) {
  for (int attempt = 0; attempt < optimistic_attempts; ++attempt) {
    // Compiling a large bot takes a while: not while others wait for the writer.
    auto draft = co_await database_.read([keys = keyring_, check](db::Connection& connection) {
      auto loaded = sql::load_draft(connection, *keys);
      if (check) check(to_definition(loaded));
      return loaded;
    });
    const auto number = co_await database_.write([keys = keyring_, built_by, draft = std::move(draft)](db::Connection& connection) {
      return sql::lock_draft(connection) == draft.revision ? sql::insert_version(connection, draft, built_by, *keys) : std::int64_t{0};
    });
    if (number != 0) co_return number;
  }
  co_return co_await database_.write(
      [keys = keyring_, built_by = std::move(built_by), check = std::move(check)](db::Connection& connection) {
        sql::lock_draft(connection);
        const auto draft = sql::load_draft(connection, *keys);
        if (check) check(to_definition(draft));
        return sql::insert_version(connection, draft, built_by, *keys);
      });
}

asio::awaitable<std::vector<VersionSummary>> SqlStore::versions() {
  co_return co_await database_.read([](db::Connection& connection) {
    const auto rows = connection(
        "SELECT v.number, v.built_at, v.built_by, v.intents, v.entities, v.examples, s.active "
        "FROM bot_versions v CROSS JOIN bot_state s ORDER BY v.number DESC");
    std::vector<VersionSummary> out;
    out.reserve(rows->size());
    for (std::size_t i = 0; i < rows->size(); ++i) {
      out.push_back({rows->integer(i, 0), from_microseconds(rows->integer(i, 1)), rows->integer(i, 0) == rows->integer(i, 6),
                     rows->text(i, 2), static_cast<std::size_t>(rows->integer(i, 3)), static_cast<std::size_t>(rows->integer(i, 4)),
                     static_cast<std::size_t>(rows->integer(i, 5))});
    }
    return out;
  });
}

asio::awaitable<void> SqlStore::activate(std::int64_t version) {
  co_await database_.write([version](db::Connection& connection) {
    sql::lock_draft(connection);
    if (connection("SELECT number FROM bot_versions WHERE number = $1", version)->empty()) {
      throw Error(Code::not_found, "Version not found");
    }
    connection("UPDATE bot_state SET active = $1 WHERE one = 1", version);
  });
}

asio::awaitable<void> SqlStore::ensure_default() {
  if (co_await active_version() != 0) co_return;
  co_await database_.write([keys = keyring_](db::Connection& connection) { sql::ensure_default(connection, *keys); });
}

asio::awaitable<Store::Imported> SqlStore::import(Definition definition) { co_return co_await import_file(to_export_text(definition), {}); }

asio::awaitable<Definition> SqlStore::draft() {
  co_return co_await database_.read(
      [keys = keyring_](db::Connection& connection) { return to_definition(sql::load_draft(connection, *keys)); });
}

asio::awaitable<void> SqlStore::ping() { co_await database_.ping(); }

asio::awaitable<std::vector<Document>> SqlStore::list(Kind kind) {
  co_return co_await database_.read(
      [keys = keyring_, kind](db::Connection& connection) { return sql::list_documents(connection, kind, *keys); });
}

asio::awaitable<std::optional<Document>> SqlStore::find(Kind kind, std::string id) {
  co_return co_await database_.read(
      [keys = keyring_, kind, id = std::move(id)](db::Connection& connection) { return sql::find_document(connection, kind, id, *keys); });
}

asio::awaitable<Document> SqlStore::create(Kind kind, json::object body) {
  Document document{make_object_id(), 1, std::move(body)};
  co_await database_.write([keys = keyring_, kind, document](db::Connection& connection) {
    sql::change_draft(connection);
    sql::insert_documents(connection, kind, {document}, *keys);
  });
  co_return document;
}

asio::awaitable<Document> SqlStore::update(Kind kind, std::string id, Change change, std::optional<std::int64_t> if_version) {
  co_return co_await database_.write(
      [keys = keyring_, kind, id = std::move(id), change = std::move(change), if_version](db::Connection& connection) {
        return update_one(connection, kind, id, change, if_version, *keys);
      });
}

asio::awaitable<bool> SqlStore::remove(Kind kind, std::string id, std::optional<std::int64_t> if_version) {
  co_return co_await database_.write(
      [kind, id = std::move(id), if_version](db::Connection& connection) { return remove_one(connection, kind, id, if_version); });
}

asio::awaitable<std::optional<AdminStore::StoredConfig>> SqlStore::find_config(std::string bot) {
  co_return co_await database_.read(
      [keys = keyring_, bot = std::move(bot)](db::Connection& connection) { return sql::find_config(connection, bot, *keys); });
}

asio::awaitable<std::optional<AdminStore::StoredConfig>> SqlStore::update_config(std::string bot, Change change,
                                                                                 std::optional<std::int64_t> if_version) {
  co_return co_await database_.write([keys = keyring_, bot = std::move(bot), change = std::move(change),
                                      if_version](db::Connection& connection) -> std::optional<StoredConfig> {
    sql::change_draft(connection);
    auto stored = sql::find_config(connection, bot, *keys);
    if (!stored) return std::nullopt;
    require_version(stored->version, if_version);
    change(stored->config);
    sql::upsert_config(connection, bot, ++stored->version, stored->config, *keys);
    return stored;
  });
}

asio::awaitable<Draft> SqlStore::load_draft() {
  co_return co_await database_.read([keys = keyring_](db::Connection& connection) { return sql::load_draft(connection, *keys); });
}

asio::awaitable<Store::Imported> SqlStore::import_file(std::string text, json::array loc) {
  // A large file takes a while to read: on a thread of the database, not on a loop.
  const auto shared = co_await database_.read([text = std::move(text), loc](db::Connection& /*unused*/) {
    return std::make_shared<const ExportFile>(parse_export_file(text, loc));
  });
  struct Prepared {
    std::int64_t revision = 0;
    ImportChanges changes;
  };
  for (int attempt = 0; attempt < optimistic_attempts; ++attempt) {
    auto prepared = co_await database_.read([keys = keyring_, shared, loc](db::Connection& connection) {
      const auto draft = sql::load_draft(connection, *keys);
      return Prepared{draft.revision, apply_export(draft, *shared, loc)};
    });
    const auto counts = prepared.changes.counts;
    const bool done = co_await database_.write([keys = keyring_, prepared = std::move(prepared)](db::Connection& connection) {
      if (sql::lock_draft(connection) != prepared.revision) return false;
      sql::change_draft(connection);
      sql::write_changes(connection, prepared.changes, *keys);
      return true;
    });
    if (done) co_return counts;
  }
  co_return co_await database_.write([keys = keyring_, shared, loc = std::move(loc)](db::Connection& connection) {
    sql::change_draft(connection);
    const auto changes = apply_export(sql::load_draft(connection, *keys), *shared, loc);
    sql::write_changes(connection, changes, *keys);
    return changes.counts;
  });
}

asio::awaitable<BuildStatus> SqlStore::build_status() {
  co_return co_await database_.read([](db::Connection& connection) {
    const auto rows = connection("SELECT build_state, build_message, build_changed_at FROM bot_state WHERE one = 1");
    BuildStatus status{to_state(rows->text(0, 0)), rows->text(0, 1), std::nullopt};
    if (!rows->is_null(0, 2)) status.changed_at = from_microseconds(rows->integer(0, 2));
    return status;
  });
}

asio::awaitable<void> SqlStore::set_build_status(BuildStatus status) {
  co_await database_.write([status = std::move(status)](db::Connection& connection) {
    connection("UPDATE bot_state SET build_state = $1, build_message = $2, build_changed_at = $3 WHERE one = 1",
               std::string(to_text(status.state)), status.message, to_microseconds(now()));
  });
}

}  // namespace loquat::bot
