#include "app/import_bot.h"

#include <map>
#include <set>

#include "bot/sql_rows.h"
#include "core/error.h"
#include "db/mongo_collection.h"
#include "dialogue/manager.h"

namespace loquat::app {
namespace {

using bot::Document;
using bot::Draft;
using bot::Kind;
using db::Bson;
using db::MongoCollection;
using db::MongoSession;

struct Element {
  std::string id;  ///< the _id as text
  std::string name;
  json::value body;
};

std::vector<Element> read_all(MongoSession& session, std::initializer_list<std::string_view> names) {
  std::vector<Element> out;
  for (const auto name : names) {
    if (!db::has_collection(session, name)) continue;
    const auto documents = MongoCollection(session, name).find(Bson(), {.sort = Bson().add("_id", 1)});
    for (const auto& document : documents)
      out.push_back({document.describe("_id"), document.find_text("name").value_or(""), document.to_json()});
    break;
  }
  return out;
}

bot::ExportFile file_of(Kind kind, json::array elements) {
  bot::ExportFile file;
  (kind == Kind::intent ? file.intents : file.entities) = std::move(elements);
  return file;
}

std::string reason_of(const Error& error) {
  if (error.issues().empty()) return error.what();
  const auto issues = parse_json(error.issues());
  std::string text;
  for (const auto& issue : issues.as_array()) {
    std::string place;
    if (const auto* loc = find_member(issue, "loc"); loc != nullptr && loc->is_array()) {
      for (const auto& part : loc->get_array())
        place += (place.empty() ? "" : ".") + (part.is_string() ? std::string(as_view(part.get_string())) : to_json(part));
    }
    text += (text.empty() ? "" : "; ") + place + ": " + std::string(string_member(issue, "msg"));
  }
  return text;
}

/// The elements that alone would be taken; the others are reported.
std::vector<const Element*> check(Kind kind, const std::vector<Element>& elements, const Draft& draft, ImportReport& report) {
  std::vector<const Element*> good;
  for (const auto& element : elements) {
    try {
      (void)bot::apply_export(draft, file_of(kind, {element.body}), {});
      good.push_back(&element);
    } catch (const Error& error) {
      if (error.code() == Code::unavailable) throw;
      report.misfit(element.id, reason_of(error));
    }
  }
  return good;
}

std::set<std::string> ids_of(const std::vector<Document>& documents) {
  std::set<std::string> ids;
  for (const auto& document : documents) ids.insert(document.id);
  return ids;
}

/// New documents keep the id they had.
void keep_ids(std::vector<Document>& changed, const std::vector<const Element*>& elements, const std::vector<Document>& stored) {
  auto taken = ids_of(stored);
  std::map<std::string, std::string> old_ids;
  for (const auto* element : elements) {
    if (const auto id = parse_object_id(element->id)) old_ids.insert_or_assign(element->name, *id);
  }
  for (auto& document : changed) {
    const auto old = old_ids.find(std::string(string_member(document.body, "name")));
    if (document.version == 0 && old != old_ids.end() && taken.insert(old->second).second) document.id = old->second;
  }
}

bool is_same(const std::vector<Document>& stored, const Document& next) {
  for (const auto& document : stored) {
    if (document.id == next.id) return document.body == next.body;
  }
  return false;
}

/// Drops what would not change anything, so that a second import counts it as there.
void drop_same(std::vector<Document>& changed, const std::vector<Document>& stored) {
  std::erase_if(changed, [&](const Document& document) { return is_same(stored, document); });
}

struct Found {
  std::vector<Element> intents;
  std::vector<Element> entities;
  std::vector<Element> bots;
};

/// The known settings of a bot; null when the document has none.
json::value config_of(const Element& bot) {
  for (const std::string_view name : {"nlu_config", "config"}) {
    if (const auto* config = find_member(bot.body, name); config != nullptr && config->is_object()) return *config;
  }
  return nullptr;
}

bool import_configs(db::Connection& connection, const std::vector<Element>& bots, const crypto::Keyring& keyring, ImportReport& report) {
  bool any = false;
  for (const auto& bot : bots) {
    const auto config = config_of(bot);
    schema::Issues issues;
    if (config.is_object()) bot::check_config(config.get_object(), {}, issues);
    if (bot.name.empty() || !config.is_object() || !issues.empty()) {
      report.misfit(bot.id, bot.name.empty()      ? "a bot without a name"
                            : !config.is_object() ? "a bot without nlu_config"
                                                  : issues.all().front().msg);
      continue;
    }
    const auto stored = bot::sql::find_config(connection, bot.name, keyring);
    if (stored && stored->config == config.get_object()) {
      report.known();
      continue;
    }
    bot::sql::upsert_config(connection, bot.name, stored ? stored->version + 1 : 1, config.get_object(), keyring);
    report.done();
    any = true;
  }
  return any;
}

/// In one transaction; true when something has changed.
bool apply(db::Connection& connection, const Found& found, const crypto::Keyring& keyring, ImportReport& report) {
  bot::sql::ensure_default(connection, keyring);
  bot::sql::change_draft(connection);
  const auto draft = bot::sql::load_draft(connection, keyring);
  const auto intents = check(Kind::intent, found.intents, draft, report);
  const auto entities = check(Kind::entity, found.entities, draft, report);
  bot::ExportFile file;
  for (const auto* element : intents) file.intents.push_back(element->body);
  for (const auto* element : entities) file.entities.push_back(element->body);
  auto changes = bot::apply_export(draft, file, {});
  keep_ids(changes.intents, intents, draft.intents);
  keep_ids(changes.entities, entities, draft.entities);
  drop_same(changes.intents, draft.intents);
  drop_same(changes.entities, draft.entities);
  const auto written = changes.intents.size() + changes.entities.size();
  for (std::size_t i = 0; i < written; ++i) report.done();
  // Of several with one name the last counts; the others are in it.
  for (std::size_t i = written; i < intents.size() + entities.size(); ++i) report.known();
  if (written != 0) bot::sql::write_changes(connection, changes, keyring);
  const bool configured = import_configs(connection, found.bots, keyring, report);
  return written != 0 || configured;
}

}  // namespace

void import_bot(db::MongoPool& from, db::Database& to, const crypto::Keyring& keyring, ImportReport& report) {
  const auto found = from.run_blocking([](MongoSession& session) {
    return Found{read_all(session, {"intent", "intents"}), read_all(session, {"entity", "entities"}), read_all(session, {"bot", "bots"})};
  });
  report.begin("bot", static_cast<std::int64_t>(found.intents.size() + found.entities.size() + found.bots.size()));
  std::string cannot_be_served;
  std::vector<std::string> faults;
  to.run_blocking([&](db::Connection& connection) {
    if (!apply(connection, found, keyring, report)) return;
    const auto draft = bot::sql::load_draft(connection, keyring);
    try {
      faults = dialogue::faults_of(*dialogue::compile(bot::to_definition(draft)));
      bot::sql::insert_version(connection, draft, "import-mongodb", keyring);
    } catch (const Error& error) {
      if (error.code() == Code::unavailable) throw;
      cannot_be_served = reason_of(error);
    }
  });
  report.end();
  for (const auto& fault : faults) report.note("bot: " + fault);
  if (!cannot_be_served.empty()) report.note("bot: it was imported as a draft, which cannot be built yet: " + cannot_be_served);
}

}  // namespace loquat::app
