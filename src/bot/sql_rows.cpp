#include "bot/sql_rows.h"

#include <algorithm>

#include "bot/secrets.h"

namespace loquat::bot::sql {
namespace {

json::object parse_object(std::string_view text) {
  auto value = parse_json(text);
  if (!value.is_object()) throw Error(Code::unavailable, "the bot's data cannot be read", "a stored body is no JSON object");
  return std::move(value.get_object());
}

std::string seal_text(Kind kind, const Document& document, const crypto::Keyring& keyring) {
  return to_json(json::value(seal_document(kind, document.id, document.body, keyring)));
}

Document open_text(Kind kind, std::string id, std::int64_t version, std::string_view text, const crypto::Keyring& keyring) {
  auto body = open_document(kind, id, parse_object(text), keyring);
  return {std::move(id), version, std::move(body)};
}

json::array seal_all(Kind kind, const std::vector<Document>& documents, const crypto::Keyring& keyring) {
  json::array out;
  out.reserve(documents.size());
  for (const auto& document : documents) {
    out.push_back(with_id({document.id, 0, seal_document(kind, document.id, document.body, keyring)}));
  }
  return out;
}

std::vector<Document> open_all(Kind kind, const json::object& version, std::string_view list, const crypto::Keyring& keyring) {
  std::vector<Document> out;
  const auto* items = version.if_contains(json::string_view(list.data(), list.size()));
  if (items == nullptr || !items->is_array()) return out;
  for (const auto& item : items->get_array()) {
    json::object body;
    for (const auto& member : item.as_object()) {
      if (member.key() != "id") body.emplace(member.key(), member.value());
    }
    std::string id(string_member(item, "id"));
    auto opened = open_document(kind, id, std::move(body), keyring);
    out.push_back({std::move(id), 0, std::move(opened)});
  }
  return out;
}

json::object make_version_body(const Draft& draft, const crypto::Keyring& keyring) {
  return {{"intents", seal_all(Kind::intent, draft.intents, keyring)},
          {"entities", seal_all(Kind::entity, draft.entities, keyring)},
          {"config", seal_config("default", draft.config, keyring)}};
}

Draft read_version_body(std::string_view text, const crypto::Keyring& keyring) {
  const auto version = parse_object(text);
  Draft draft;
  draft.intents = open_all(Kind::intent, version, "intents", keyring);
  draft.entities = open_all(Kind::entity, version, "entities", keyring);
  if (const auto* config = version.if_contains("config"); config != nullptr && config->is_object()) {
    draft.config = open_config("default", config->get_object(), keyring);
  }
  return draft;
}

std::size_t rotate_documents(db::Connection& connection, Kind kind, const crypto::Keyring& keyring) {
  const auto rows = connection("SELECT id, version, body FROM bot_documents WHERE kind = $1", std::string(name_of(kind)));
  std::vector<db::Values> updates;
  for (std::size_t i = 0; i < rows->size(); ++i) {
    const auto text = rows->text(i, 2);
    if (!needs_rotation(kind, parse_object(text), keyring)) continue;
    const auto document = open_text(kind, rows->text(i, 0), rows->integer(i, 1), text, keyring);
    updates.push_back({std::string(name_of(kind)), document.id, seal_text(kind, document, keyring)});
  }
  const std::size_t count = updates.size();
  if (count > 0) connection.batch("UPDATE bot_documents SET body = $3 WHERE kind = $1 AND id = $2", std::move(updates));
  return count;
}

std::size_t rotate_configs(db::Connection& connection, const crypto::Keyring& keyring) {
  const auto rows = connection("SELECT name, body FROM bot_configs");
  std::size_t count = 0;
  for (std::size_t i = 0; i < rows->size(); ++i) {
    const auto name = rows->text(i, 0);
    auto config = parse_object(rows->text(i, 1));
    if (!config_needs_rotation(config, keyring)) continue;
    const auto sealed = seal_config(name, open_config(name, std::move(config), keyring), keyring);
    connection("UPDATE bot_configs SET body = $2 WHERE name = $1", name, to_json(json::value(sealed)));
    ++count;
  }
  return count;
}

bool version_needs_rotation(const json::object& version, const crypto::Keyring& keyring) {
  const auto* config = version.if_contains("config");
  if (config != nullptr && config->is_object() && config_needs_rotation(config->get_object(), keyring)) return true;
  const auto* intents = version.if_contains("intents");
  if (intents == nullptr || !intents->is_array()) return false;
  return std::ranges::any_of(intents->get_array(), [&](const json::value& intent) {
    return intent.is_object() && needs_rotation(Kind::intent, intent.get_object(), keyring);
  });
}

std::size_t rotate_versions(db::Connection& connection, const crypto::Keyring& keyring) {
  const auto numbers = connection("SELECT number FROM bot_versions ORDER BY number");
  std::size_t count = 0;
  for (std::size_t i = 0; i < numbers->size(); ++i) {
    const auto number = numbers->integer(i, 0);
    const auto row = connection("SELECT body FROM bot_versions WHERE number = $1", number);
    if (row->empty() || !version_needs_rotation(parse_object(row->text(0, 0)), keyring)) continue;
    const auto body = make_version_body(read_version_body(row->text(0, 0), keyring), keyring);
    connection("UPDATE bot_versions SET body = $2 WHERE number = $1", number, to_json(json::value(body)));
    ++count;
  }
  return count;
}

}  // namespace

std::string_view name_of(Kind kind) noexcept { return kind == Kind::intent ? "intent" : "entity"; }

std::int64_t lock_draft(db::Connection& connection) {
  return connection("UPDATE bot_state SET revision = revision WHERE one = 1 RETURNING revision")->integer(0, 0);
}

std::int64_t change_draft(db::Connection& connection) {
  return connection("UPDATE bot_state SET revision = revision + 1 WHERE one = 1 RETURNING revision")->integer(0, 0);
}

Draft load_draft(db::Connection& connection, const crypto::Keyring& keyring) {
  const auto rows = connection(
      "SELECT 'state' AS kind, '' AS id, 0 AS position, revision AS version, '' AS body FROM bot_state "
      "UNION ALL SELECT kind, id, position, version, body FROM bot_documents "
      "UNION ALL SELECT 'config', name, 0, version, body FROM bot_configs WHERE name = 'default' "
      "ORDER BY 1, 3, 2");
  Draft draft;
  for (std::size_t i = 0; i < rows->size(); ++i) {
    const auto kind = rows->text(i, 0);
    if (kind == "state") {
      draft.revision = rows->integer(i, 3);
    } else if (kind == "config") {
      draft.config = open_config(rows->text(i, 1), parse_object(rows->text(i, 4)), keyring);
    } else {
      const Kind which = kind == "intent" ? Kind::intent : Kind::entity;
      auto& list = which == Kind::intent ? draft.intents : draft.entities;
      list.push_back(open_text(which, rows->text(i, 1), rows->integer(i, 3), rows->text(i, 4), keyring));
    }
  }
  return draft;
}

std::vector<Document> list_documents(db::Connection& connection, Kind kind, const crypto::Keyring& keyring) {
  const auto rows =
      connection("SELECT id, version, body FROM bot_documents WHERE kind = $1 ORDER BY position, id", std::string(name_of(kind)));
  std::vector<Document> out;
  out.reserve(rows->size());
  for (std::size_t i = 0; i < rows->size(); ++i) {
    out.push_back(open_text(kind, rows->text(i, 0), rows->integer(i, 1), rows->text(i, 2), keyring));
  }
  return out;
}

std::optional<Document> find_document(db::Connection& connection, Kind kind, std::string_view id, const crypto::Keyring& keyring) {
  const auto rows =
      connection("SELECT version, body FROM bot_documents WHERE kind = $1 AND id = $2", std::string(name_of(kind)), std::string(id));
  if (rows->empty()) return std::nullopt;
  return open_text(kind, std::string(id), rows->integer(0, 0), rows->text(0, 1), keyring);
}

std::optional<AdminStore::StoredConfig> find_config(db::Connection& connection, std::string_view bot, const crypto::Keyring& keyring) {
  const auto rows = connection("SELECT version, body FROM bot_configs WHERE name = $1", std::string(bot));
  if (rows->empty()) return std::nullopt;
  return AdminStore::StoredConfig{rows->integer(0, 0), open_config(bot, parse_object(rows->text(0, 1)), keyring)};
}

void insert_documents(db::Connection& connection, Kind kind, const std::vector<Document>& documents, const crypto::Keyring& keyring) {
  if (documents.empty()) return;
  const auto last = connection("SELECT coalesce(max(position), 0) FROM bot_documents WHERE kind = $1", std::string(name_of(kind)));
  std::int64_t position = last->integer(0, 0);
  std::vector<db::Values> rows;
  rows.reserve(documents.size());
  for (const auto& document : documents) {
    rows.push_back({std::string(name_of(kind)), document.id, ++position, seal_text(kind, document, keyring)});
  }
  connection.batch("INSERT INTO bot_documents (kind, id, position, version, body) VALUES ($1, $2, $3, 1, $4)", std::move(rows));
}

void update_documents(db::Connection& connection, Kind kind, const std::vector<Document>& documents, const crypto::Keyring& keyring) {
  if (documents.empty()) return;
  std::vector<db::Values> rows;
  rows.reserve(documents.size());
  for (const auto& document : documents) rows.push_back({std::string(name_of(kind)), document.id, seal_text(kind, document, keyring)});
  connection.batch("UPDATE bot_documents SET version = version + 1, body = $3 WHERE kind = $1 AND id = $2", std::move(rows));
}

void write_changes(db::Connection& connection, const ImportChanges& changes, const crypto::Keyring& keyring) {
  for (const Kind kind : {Kind::intent, Kind::entity}) {
    std::vector<Document> updated;
    std::vector<Document> inserted;
    for (const auto& document : kind == Kind::intent ? changes.intents : changes.entities) {
      (document.version > 0 ? updated : inserted).push_back(document);
    }
    update_documents(connection, kind, updated, keyring);
    insert_documents(connection, kind, inserted, keyring);
  }
}

void upsert_config(db::Connection& connection, std::string_view bot, std::int64_t version, const json::object& config,
                   const crypto::Keyring& keyring) {
  connection(
      "INSERT INTO bot_configs (name, version, body) VALUES ($1, $2, $3) "
      "ON CONFLICT (name) DO UPDATE SET version = excluded.version, body = excluded.body",
      std::string(bot), version, to_json(json::value(seal_config(bot, config, keyring))));
}

std::int64_t insert_version(db::Connection& connection, const Draft& draft, std::string_view built_by, const crypto::Keyring& keyring) {
  const std::int64_t number = connection("SELECT coalesce(max(number), 0) + 1 FROM bot_versions")->integer(0, 0);
  std::size_t examples = 0;
  for (const auto& document : draft.intents) examples += count_examples(document.body);
  connection("INSERT INTO bot_versions (number, built_at, built_by, intents, entities, examples, body) VALUES ($1, $2, $3, $4, $5, $6, $7)",
             number, to_microseconds(now()), std::string(built_by), static_cast<std::int64_t>(draft.intents.size()),
             static_cast<std::int64_t>(draft.entities.size()), static_cast<std::int64_t>(examples),
             to_json(json::value(make_version_body(draft, keyring))));
  connection("UPDATE bot_state SET active = $1 WHERE one = 1", number);
  connection("DELETE FROM bot_versions WHERE number <= $1 AND number <> $2", number - kept_versions, number);
  return number;
}

std::optional<Definition> load_version(db::Connection& connection, std::int64_t number, const crypto::Keyring& keyring) {
  const auto rows = connection("SELECT body FROM bot_versions WHERE number = $1", number);
  if (rows->empty()) return std::nullopt;
  auto definition = to_definition(read_version_body(rows->text(0, 0), keyring));
  definition.version = number;
  return definition;
}

void ensure_default(db::Connection& connection, const crypto::Keyring& keyring) {
  lock_draft(connection);
  if (connection("SELECT active FROM bot_state WHERE one = 1")->integer(0, 0) != 0) return;
  change_draft(connection);
  Draft draft = load_draft(connection, keyring);
  const auto defaults = default_definition();
  if (draft.config.empty()) upsert_config(connection, "default", 1, defaults.config.raw, keyring);
  if (draft.intents.empty()) write_changes(connection, apply_export(draft, to_export_file(defaults), {}), keyring);
  insert_version(connection, load_draft(connection, keyring), "start", keyring);
}

std::size_t rotate_secrets(db::Connection& connection, const crypto::Keyring& keyring) {
  lock_draft(connection);
  return rotate_documents(connection, Kind::intent, keyring) + rotate_configs(connection, keyring) + rotate_versions(connection, keyring);
}

}  // namespace loquat::bot::sql
