#include "integrations/mongo_store.h"

#include "core/error.h"
#include "core/id.h"
#include "core/log.h"
#include "db/mongo_collection.h"
#include "integrations/secrets.h"

// Results of find are named before they are looped over: clang 19 leaks temporaries that a range-for's initializer keeps alive.
// Jobs run on the pool's threads and may outlive a coroutine that is given up: they own what they use.

namespace loquat::integrations {
namespace {

using db::Bson;
using db::MongoCollection;
using db::MongoSession;
using Keys = std::shared_ptr<const crypto::Keyring>;
using Indexed = std::shared_ptr<std::atomic<bool>>;

constexpr std::string_view collection_name = "integrations";
/// How often a change starts again because another was faster.
constexpr int update_attempts = 100;

json::object settings_of(const Bson& document) {
  auto value = document.value("settings");
  return value.is_object() ? std::move(value.get_object()) : json::object();
}

std::int64_t version_of(const Bson& document) { return document.find_integer("version").value_or(1); }

Integration read_document(const Bson& document, const crypto::Keyring& keyring) {
  Integration out;
  out.id = document.describe("id");
  out.name = document.find_text("name").value_or("");
  out.description = document.find_text("description").value_or("");
  out.status = document.find_boolean("status").value_or(false);
  out.settings = open_settings(out.id, settings_of(document), keyring);
  out.version = version_of(document);
  return out;
}

void add_members(Bson& document, const Integration& integration, const crypto::Keyring& keyring) {
  document.add("id", integration.id)
      .add("name", integration.name)
      .add("description", integration.description)
      .add("status", integration.status)
      .add("settings", seal_settings(integration.id, integration.settings, keyring))
      .add("version", integration.version);
}

std::optional<Bson> find_document(MongoCollection& collection, const std::string& id) {
  return collection.find_one(Bson().add("id", id), Bson().add("_id", 1));
}

/// The very document, as long as nobody has changed it. The old store's have no version: null fits a member that is not there.
Bson same_version(const Bson& document) {
  Bson filter;
  filter.add_same("_id", document, "_id").add_same("version", document, "version");
  return filter;
}

/// The old store could make two documents with one id: then the index cannot be built, and the first of them is the one that counts.
void ensure_index(MongoCollection& collection, const Indexed& indexed) {
  if (indexed->load()) return;
  try {
    collection.ensure_index("id_1", Bson().add("id", 1), true);
  } catch (const Error& error) {
    if (error.code() != Code::conflict) throw;
    log::warning("integrations", "two integrations have the same id: rename or delete one of them", {{"error", error.log_detail()}});
  }
  indexed->store(true);
}

/// The object id that follows: one more.
std::string successor(std::string hex) {
  constexpr std::string_view digits = "0123456789abcdef";
  for (auto digit = hex.rbegin(); digit != hex.rend(); ++digit) {
    const auto value = digits.find(*digit);
    *digit = digits[(value + 1) % digits.size()];
    if (value + 1 < digits.size()) break;
  }
  return hex;
}

/// Behind all that are there: the order of the ids is that of creation, though processes make theirs within one second in any order.
db::ObjectId next_object_id(MongoCollection& collection) {
  db::ObjectId id{make_object_id()};
  const auto newest = collection.find_one(Bson(), Bson().add("_id", -1));
  const auto last = newest ? newest->find_object_id("_id") : std::nullopt;
  if (last && last->hex >= id.hex) id.hex = successor(last->hex);
  return id;
}

/// False when the id is taken.
bool insert(MongoCollection& collection, const Integration& integration, const crypto::Keyring& keyring) {
  for (int attempt = 0; attempt < update_attempts; ++attempt) {
    if (find_document(collection, integration.id)) return false;
    Bson document;
    document.add("_id", next_object_id(collection));
    add_members(document, integration, keyring);
    try {
      collection.insert(document);
      return true;
    } catch (const Error& error) {
      if (error.code() != Code::conflict) throw;  // else one of both ids was taken in between
    }
  }
  throw Error(Code::unavailable, "the integrations keep changing, try again later");
}

Integration update_document(MongoCollection& collection, const std::string& id, const std::function<void(Integration&)>& change,
                            std::optional<std::int64_t> if_version, const crypto::Keyring& keyring) {
  for (int attempt = 0; attempt < update_attempts; ++attempt) {
    const auto document = find_document(collection, id);
    if (!document) throw Error(Code::not_found, not_found_message);
    const auto current = read_document(*document, keyring);
    require_version(current.version, if_version);
    Integration next = current;
    change(next);
    next.version = current.version + 1;
    if (next.id != id && find_document(collection, next.id)) throw Error(Code::conflict, taken_message);
    Bson members;
    add_members(members, next, keyring);
    try {
      if (collection.find_and_modify(same_version(*document), Bson().add("$set", members))) return next;
    } catch (const Error& error) {
      if (error.code() == Code::conflict) throw Error(Code::conflict, taken_message);
      throw;
    }
  }
  throw Error(Code::unavailable, "the integration keeps changing, try again later");
}

/// Without looking into it: what no key opens any more can still be deleted.
void remove_document(MongoCollection& collection, const std::string& id, std::optional<std::int64_t> if_version) {
  for (int attempt = 0; attempt < update_attempts; ++attempt) {
    const auto document = find_document(collection, id);
    if (!document) throw Error(Code::not_found, not_found_message);
    require_version(version_of(*document), if_version);
    if (collection.remove_one(same_version(*document)) == 1) return;
  }
  throw Error(Code::unavailable, "the integration keeps changing, try again later");
}

}  // namespace

MongoStore::MongoStore(db::MongoPool& pool, Keys keyring) : pool_(pool), keyring_(std::move(keyring)) {}

asio::awaitable<std::vector<Integration>> MongoStore::list() {
  co_return co_await pool_.run([keys = keyring_](MongoSession& session) {
    MongoCollection collection(session, collection_name);
    std::vector<Integration> out;
    const auto documents = collection.find(Bson(), {.sort = Bson().add("_id", 1)});
    out.reserve(documents.size());
    for (const auto& document : documents) out.push_back(read_document(document, *keys));
    return out;
  });
}

asio::awaitable<std::optional<Integration>> MongoStore::find(std::string_view id) {
  co_return co_await pool_.run([keys = keyring_, id = std::string(id)](MongoSession& session) {
    MongoCollection collection(session, collection_name);
    const auto document = find_document(collection, id);
    return document ? std::optional(read_document(*document, *keys)) : std::nullopt;
  });
}

asio::awaitable<Integration> MongoStore::create(Integration integration) {
  integration.version = 1;
  const bool inserted = co_await pool_.run([keys = keyring_, indexed = indexed_, integration](MongoSession& session) {
    MongoCollection collection(session, collection_name);
    ensure_index(collection, indexed);
    return insert(collection, integration, *keys);
  });
  if (!inserted) throw Error(Code::conflict, taken_message);
  co_return integration;
}

asio::awaitable<Integration> MongoStore::update(std::string_view id, std::function<void(Integration&)> change,
                                                std::optional<std::int64_t> if_version) {
  co_return co_await pool_.run([keys = keyring_, indexed = indexed_, changing = changing_, id = std::string(id), change = std::move(change),
                                if_version](MongoSession& session) {
    const std::unique_lock lock(*changing, std::chrono::seconds(5));
    if (!lock.owns_lock()) throw Error(Code::unavailable, "the integration keeps changing, try again later");
    MongoCollection collection(session, collection_name);
    ensure_index(collection, indexed);
    return update_document(collection, id, change, if_version, *keys);
  });
}

asio::awaitable<void> MongoStore::remove(std::string_view id, std::optional<std::int64_t> if_version) {
  co_await pool_.run([id = std::string(id), if_version](MongoSession& session) {
    MongoCollection collection(session, collection_name);
    remove_document(collection, id, if_version);
  });
}

asio::awaitable<std::vector<std::string>> MongoStore::ensure_defaults() {
  co_return co_await pool_.run([keys = keyring_, indexed = indexed_](MongoSession& session) {
    MongoCollection collection(session, collection_name);
    ensure_index(collection, indexed);
    std::vector<std::string> created;
    for (const auto& integration : defaults()) {
      if (insert(collection, integration, *keys)) created.push_back(integration.id);
    }
    return created;
  });
}

asio::awaitable<void> MongoStore::ping() { co_await pool_.ping(collection_name); }

std::vector<ReadDocument> read_documents(db::MongoPool& pool, const crypto::Keyring& keyring) {
  return pool.run_blocking([&keyring](MongoSession& session) {
    std::vector<ReadDocument> out;
    MongoCollection(session, collection_name).for_each(Bson(), {.sort = Bson().add("_id", 1)}, [&](const Bson& document) {
      auto& read = out.emplace_back(document.describe("_id"));
      const auto id = document.find_text("id");
      if (document.is_null("id"))
        read.problem = "it has no id";
      else if (!id)
        read.problem = "id " + document.describe("id") + " is not a text";
      else if (id->empty())
        read.problem = "id is empty";
      if (!read.problem.empty()) return true;
      read.integration.id = *id;
      try {
        read.integration = read_document(document, keyring);
      } catch (const Error& error) {
        read.problem = "\"" + *id + "\": " + error.what() + (error.log_detail().empty() ? "" : " (" + error.log_detail() + ")");
      }
      return true;
    });
    return out;
  });
}

std::size_t rotate_secrets(db::MongoPool& pool, const crypto::Keyring& keyring) {
  return pool.run_blocking([&keyring](MongoSession& session) {
    MongoCollection collection(session, collection_name);
    std::size_t changed = 0;
    const auto documents = collection.find(Bson(), {.sort = Bson().add("_id", 1)});
    for (const auto& found : documents) {
      for (std::optional<Bson> document = found; document && needs_rotation(settings_of(*document), keyring);
           document = collection.find_one(Bson().add_same("_id", found, "_id"))) {
        const auto id = document->describe("id");
        const auto settings = seal_settings(id, open_settings(id, settings_of(*document), keyring), keyring);
        if (!collection.find_and_modify(same_version(*document), Bson().add("$set", Bson().add("settings", settings)))) continue;
        ++changed;
        break;
      }
    }
    return changed;
  });
}

}  // namespace loquat::integrations
