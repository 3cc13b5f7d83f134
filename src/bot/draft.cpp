#include "bot/draft.h"

#include <array>
#include <unordered_map>

#include "bot/secrets.h"
#include "core/error.h"
#include "core/id.h"

namespace loquat::bot {
namespace {

constexpr std::array<std::string_view, 6> required_names{"name", "intentId", "speechResponse", "url", "requestType", "value"};

bool is_required(std::string_view name) {
  for (const auto required : required_names) {
    if (required == name) return true;
  }
  return false;
}

/// Takes the nulls away that stand for a default.
void drop_nulls(json::value& value) {
  auto* object = value.if_object();
  if (object == nullptr) return;
  json::object rest;
  for (auto& member : *object) {
    const std::string_view name(member.key().data(), member.key().size());
    if (!member.value().is_null() || is_required(name)) rest.emplace(member.key(), std::move(member.value()));
  }
  *object = std::move(rest);
}

/// Dumps of the old database write an id as {"$oid": "..."}.
void flatten_id(json::value& value, std::string_view name) {
  auto* object = value.if_object();
  auto* id = object == nullptr ? nullptr : object->if_contains(json::string_view(name.data(), name.size()));
  const auto* inner = id == nullptr ? nullptr : find_member(*id, "$oid");
  if (inner != nullptr) *id = json::value(*inner);
}

/// An element of a file as the reader of bodies takes it.
json::value clean(json::value element) {
  flatten_id(element, "_id");
  if (auto* object = element.if_object()) {
    // A null apiDetails takes the stored one away; the other nulls stand for defaults and are dropped after the merge.
    for (const std::string_view list : {"parameters", "labeledSentences", "entity_values"}) {
      auto* items = object->if_contains(json::string_view(list.data(), list.size()));
      if (items == nullptr || !items->is_array()) continue;
      for (auto& item : items->get_array()) {
        flatten_id(item, "id");
        drop_nulls(item);
      }
    }
    if (auto* details = object->if_contains("apiDetails")) drop_nulls(*details);
  }
  return element;
}

/// `stored` with the members that `element` has.
json::value merge_members(const json::object* stored, const json::value& element) {
  json::value merged = element;
  if (stored != nullptr && element.is_object()) {
    json::object members = *stored;
    for (const auto& member : element.get_object()) members[member.key()] = member.value();
    merged = std::move(members);
  }
  drop_nulls(merged);
  return merged;
}

class Importer {
 public:
  Importer(Kind kind, const std::vector<Document>& stored) : kind_(kind), stored_(stored) {
    for (std::size_t i = 0; i < stored.size(); ++i) {
      by_name_.try_emplace(std::string(name_of(stored[i].body)), Place{false, i});
    }
  }

  void take(const json::value& raw, const json::array& loc, schema::Issues& issues) {
    const auto element = clean(raw);
    const std::string name(string_member(element, "name"));
    const auto found = by_name_.find(name);
    const bool known = found != by_name_.end() && element.is_object() && find_member(element, "name") != nullptr;
    const json::object* previous = known ? &body_at(found->second) : nullptr;
    const std::size_t before = issues.all().size();
    auto body = read_document(kind_, merge_members(previous, element), loc, issues);
    if (issues.all().size() != before) return;
    restore_secrets(body, previous, LostSecret::clear, loc, issues);
    give_ids(body, previous);
    if (known) {
      put(found->second, std::move(body));
    } else {
      by_name_.try_emplace(name, Place{true, changed_.size()});
      changed_.push_back({make_object_id(), 0, std::move(body)});
      ++created_;
    }
  }

  [[nodiscard]] std::vector<Document> take_changed() { return std::move(changed_); }
  [[nodiscard]] std::size_t created() const noexcept { return created_; }

 private:
  struct Place {
    bool is_changed = false;  ///< index into changed_, else into stored_
    std::size_t index = 0;
  };

  static std::string_view name_of(const json::object& body) {
    const auto* name = body.if_contains("name");
    return name == nullptr || !name->is_string() ? std::string_view() : as_view(name->get_string());
  }
  [[nodiscard]] const json::object& body_at(const Place& place) const {
    return place.is_changed ? changed_[place.index].body : stored_[place.index].body;
  }
  void put(Place& place, json::object body) {
    if (!place.is_changed) {
      const auto& stored = stored_[place.index];
      place = {true, changed_.size()};
      changed_.push_back({stored.id, stored.version, {}});
    }
    changed_[place.index].body = std::move(body);
  }

  Kind kind_;
  const std::vector<Document>& stored_;
  std::vector<Document> changed_;
  std::unordered_map<std::string, Place> by_name_;
  std::size_t created_ = 0;
};

json::array at(const json::array& loc, std::string_view name) {
  json::array out = loc;
  out.emplace_back(json::string_view(name.data(), name.size()));
  return out;
}

/// "intents.3.intentId: Field required", for people at a terminal; clients get the issues.
void throw_if_any(const schema::Issues& issues, std::size_t skip) {
  if (issues.empty()) return;
  const auto& first = issues.all().front();
  std::string place;
  for (std::size_t i = skip; i < first.loc.size(); ++i) {
    if (!place.empty()) place += '.';
    const auto* text = first.loc[i].if_string();
    place += text != nullptr ? std::string(as_view(*text)) : to_json(first.loc[i]);
  }
  throw Error(Code::invalid, place.empty() ? first.msg : place + ": " + first.msg).with_issues(to_json(json::value(issues.to_json())));
}

json::array take_list(const json::value& file, std::string_view name, const json::array& loc, schema::Issues& issues) {
  const auto* list = find_member(file, name);
  if (list == nullptr || list->is_null()) return {};
  if (list->is_array()) return list->get_array();
  issues.add({"list_type", at(loc, name), "Input should be a valid list", *list});
  return {};
}

void replace_or_append(std::vector<Document>& documents, const std::vector<Document>& changes) {
  std::unordered_map<std::string_view, std::size_t> by_id;
  for (std::size_t i = 0; i < documents.size(); ++i) by_id.emplace(documents[i].id, i);
  std::vector<Document> added;
  for (const auto& change : changes) {
    const auto found = by_id.find(change.id);
    if (found == by_id.end()) {
      added.push_back(change);
    } else {
      documents[found->second] = change;
    }
  }
  for (auto& document : added) documents.push_back(std::move(document));
}

}  // namespace

Definition to_definition(const Draft& draft) {
  Definition definition;
  definition.intents.reserve(draft.intents.size());
  for (const auto& document : draft.intents) definition.intents.push_back(to_intent(document));
  definition.entities.reserve(draft.entities.size());
  for (const auto& document : draft.entities) definition.entities.push_back(to_entity(document));
  definition.config = read_config(draft.config);
  return definition;
}

ExportFile parse_export_file(std::string_view text, const json::array& loc) {
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  schema::Issues issues;
  json::value file;
  JsonError error;
  if (!try_parse_json(text, file, error)) {
    const std::string reason = error.message + " at byte " + std::to_string(error.offset);
    issues.add({"json_invalid", loc, "JSON decode error: " + reason, json::object(), json::object{{"error", reason}}});
    throw_if_any(issues, loc.size());
  }
  if (!file.is_object()) {
    issues.add({"dict_type", loc, "Input should be a valid dictionary", file.is_array() ? json::value(json::array()) : file});
    throw_if_any(issues, loc.size());
  }
  ExportFile out{take_list(file, "intents", loc, issues), take_list(file, "entities", loc, issues)};
  throw_if_any(issues, loc.size());
  return out;
}

ExportFile to_export_file(const Definition& definition) {
  ExportFile file;
  for (const auto& intent : definition.intents) file.intents.push_back(to_document(intent).body);
  for (const auto& entity : definition.entities) file.entities.push_back(to_document(entity).body);
  return file;
}

std::string to_export_text(const Definition& definition) {
  auto file = to_export_file(definition);
  return to_json(json::value(json::object{{"intents", std::move(file.intents)}, {"entities", std::move(file.entities)}}));
}

ImportChanges apply_export(const Draft& draft, const ExportFile& file, const json::array& loc) {
  schema::Issues issues;
  Importer intents(Kind::intent, draft.intents);
  Importer entities(Kind::entity, draft.entities);
  // A file of nothing but faults is not answered with as many issues.
  constexpr std::size_t most_issues = 100;
  const auto run = [&](Importer& importer, const json::array& elements, std::string_view name) {
    auto place = at(loc, name);
    place.emplace_back(0);
    for (std::size_t i = 0; i < elements.size() && issues.all().size() < most_issues; ++i) {
      place.back() = i;
      importer.take(elements[i], place, issues);
    }
  };
  run(intents, file.intents, "intents");
  run(entities, file.entities, "entities");
  throw_if_any(issues, loc.size());
  ImportChanges changes;
  changes.counts = {intents.created(), entities.created()};
  changes.intents = intents.take_changed();
  changes.entities = entities.take_changed();
  return changes;
}

Draft merge(Draft draft, const ImportChanges& changes) {
  replace_or_append(draft.intents, changes.intents);
  replace_or_append(draft.entities, changes.entities);
  return draft;
}

json::object make_export(const Draft& draft, bool with_secrets) {
  json::array intents;
  for (const auto& document : draft.intents) {
    auto body = with_secrets ? document.body : mask_document(Kind::intent, document.body);
    intents.push_back(without_parameter_ids(std::move(body)));
  }
  json::array entities;
  for (const auto& document : draft.entities) entities.push_back(document.body);
  return {{"intents", std::move(intents)}, {"entities", std::move(entities)}};
}

}  // namespace loquat::bot
