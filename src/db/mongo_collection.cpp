#include "db/mongo_collection.h"

#include <mongoc/mongoc.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <thread>

#include "core/error.h"
#include "db/errors.h"

namespace loquat::db {
namespace {

struct FreeCursor {
  void operator()(mongoc_cursor_t* cursor) const noexcept { mongoc_cursor_destroy(cursor); }
};
using Cursor = std::unique_ptr<mongoc_cursor_t, FreeCursor>;

/// An answer that the library writes into a document of ours.
struct Reply {
  ~Reply() { bson_destroy(&document); }
  bson_t document = BSON_INITIALIZER;
};

struct Database {
  explicit Database(MongoSession& session) : get(mongoc_client_get_database(&session.client, session.database.c_str())) {}
  ~Database() { mongoc_database_destroy(get); }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  mongoc_database_t* get;
};

bool is_duplicate(const bson_error_t& error) {
  return error.domain == MONGOC_ERROR_SERVER && (error.code == 11000 || error.code == 11001 || error.code == 12582);
}

/// What the server says of a document that it will never take: bad values, names with $ or dots (before 5.0), too large, nested too deeply.
bool is_refusal(const bson_error_t& error) {
  constexpr std::array<std::uint32_t, 8> codes = {2, 15, 52, 55, 57, 10334, 17280, 17419};
  return error.domain == MONGOC_ERROR_SERVER && std::ranges::find(codes, error.code) != codes.end();
}

bool is_refused_login(const bson_error_t& error) {
  if (error.domain == MONGOC_ERROR_SCRAM) return true;
  if (error.domain == MONGOC_ERROR_CLIENT) return error.code == MONGOC_ERROR_CLIENT_AUTHENTICATE;
  return error.domain == MONGOC_ERROR_SERVER && (error.code == 13 || error.code == 18);
}

[[noreturn]] void fail(const bson_error_t& error) {
  const std::string detail =
      "MongoDB domain " + std::to_string(error.domain) + " code " + std::to_string(error.code) + ": " + error.message;
  if (is_duplicate(error)) throw Error(Code::conflict, "it exists already", detail);
  if (is_refusal(error)) throw Error(Code::invalid, "the database cannot store these values", detail);
  if (is_refused_login(error)) throw CredentialsRefused(Code::unavailable, away({}).what(), detail);
  throw away(detail);
}

void require(bool done, const bson_error_t& error) {
  if (!done) fail(error);
}

// libmongoc refuses members with an empty name otherwise; servers take them.
Bson without_validation() { return std::move(Bson().add("validate", false)); }

Bson find_options(const MongoFind& how) {
  Bson options;
  if (how.sort) options.add("sort", *how.sort);
  if (how.limit > 0) options.add("limit", how.limit);
  if (how.batch > 0) options.add("batchSize", how.batch);
  return options;
}

std::int64_t count_of(const bson_t& reply, const char* name) { return Bson(&reply).find_integer(name).value_or(0); }

}  // namespace

Bson run_command(MongoSession& session, const Bson& command) {
  const Database database(session);
  Reply reply;
  bson_error_t error;
  require(mongoc_database_command_with_opts(database.get, command.get(), nullptr, nullptr, &reply.document, &error), error);
  return Bson(&reply.document);
}

bool has_collection(MongoSession& session, std::string_view name) {
  const Database database(session);
  bson_error_t error{};
  const bool found = mongoc_database_has_collection(database.get, std::string(name).c_str(), &error);
  if (!found && error.code != 0) fail(error);
  return found;
}

MongoCollection::MongoCollection(MongoSession& session, std::string_view name)
    : session_(session), name_(name), collection_(mongoc_client_get_collection(&session.client, session.database.c_str(), name_.c_str())) {}

MongoCollection::~MongoCollection() { mongoc_collection_destroy(collection_); }

void MongoCollection::for_each(const Bson& filter, const MongoFind& how, const std::function<bool(const Bson&)>& visit) {
  const Bson options = find_options(how);
  const Cursor cursor(mongoc_collection_find_with_opts(collection_, filter.get(), options.get(), nullptr));
  const bson_t* document = nullptr;
  while (mongoc_cursor_next(cursor.get(), &document)) {
    if (!visit(Bson(document))) return;
  }
  bson_error_t error;
  if (mongoc_cursor_error(cursor.get(), &error)) fail(error);
}

std::vector<Bson> MongoCollection::find(const Bson& filter, const MongoFind& how) {
  std::vector<Bson> found;
  for_each(filter, how, [&found](const Bson& document) {
    found.push_back(document);
    return true;
  });
  return found;
}

std::optional<Bson> MongoCollection::find_one(const Bson& filter, std::optional<Bson> sort) {
  auto found = find(filter, {.sort = std::move(sort), .limit = 1});
  return found.empty() ? std::nullopt : std::optional(std::move(found.front()));
}

std::vector<Bson> MongoCollection::aggregate(std::span<const Bson> stages) {
  const Bson pipeline = std::move(Bson().add("pipeline", stages));
  const Cursor cursor(mongoc_collection_aggregate(collection_, MONGOC_QUERY_NONE, pipeline.get(), nullptr, nullptr));
  std::vector<Bson> found;
  const bson_t* document = nullptr;
  while (mongoc_cursor_next(cursor.get(), &document)) found.emplace_back(document);
  bson_error_t error;
  if (mongoc_cursor_error(cursor.get(), &error)) fail(error);
  return found;
}

std::int64_t MongoCollection::count(const Bson& filter) {
  bson_error_t error;
  const auto number = mongoc_collection_count_documents(collection_, filter.get(), nullptr, nullptr, nullptr, &error);
  require(number >= 0, error);
  return number;
}

void MongoCollection::insert(const Bson& document) {
  bson_error_t error;
  require(mongoc_collection_insert_one(collection_, document.get(), without_validation().get(), nullptr, &error), error);
}

std::int64_t MongoCollection::update_many(const Bson& filter, const Bson& update) {
  Reply reply;
  bson_error_t error;
  const bool done =
      mongoc_collection_update_many(collection_, filter.get(), update.get(), without_validation().get(), &reply.document, &error);
  require(done, error);
  return count_of(reply.document, "matchedCount");
}

std::int64_t MongoCollection::remove_one(const Bson& filter) {
  Reply reply;
  bson_error_t error;
  const bool done = mongoc_collection_delete_one(collection_, filter.get(), nullptr, &reply.document, &error);
  require(done, error);
  return count_of(reply.document, "deletedCount");
}

std::int64_t MongoCollection::remove_many(const Bson& filter) {
  Reply reply;
  bson_error_t error;
  const bool done = mongoc_collection_delete_many(collection_, filter.get(), nullptr, &reply.document, &error);
  require(done, error);
  return count_of(reply.document, "deletedCount");
}

std::optional<Bson> MongoCollection::find_and_modify(const Bson& filter, const Bson& update) {
  mongoc_find_and_modify_opts_t* options = mongoc_find_and_modify_opts_new();
  mongoc_find_and_modify_opts_set_update(options, update.get());
  mongoc_find_and_modify_opts_set_flags(options, MONGOC_FIND_AND_MODIFY_RETURN_NEW);
  Reply reply;
  bson_error_t error;
  const bool done = mongoc_collection_find_and_modify_with_opts(collection_, filter.get(), options, &reply.document, &error);
  mongoc_find_and_modify_opts_destroy(options);
  require(done, error);
  return Bson(&reply.document).find_document("value");
}

bool MongoCollection::watch(const std::function<bool()>& go_on, const std::function<void()>& started,
                            const std::function<void()>& changed) {
  struct Free {
    void operator()(mongoc_change_stream_t* stream) const noexcept { mongoc_change_stream_destroy(stream); }
  };
  constexpr std::uint32_t no_replica_set = 40573;
  constexpr std::uint32_t unknown_stage = 40324;
  const Bson options = std::move(Bson().add("maxAwaitTimeMS", 500));
  const std::unique_ptr<mongoc_change_stream_t, Free> stream(mongoc_collection_watch(collection_, Bson().get(), options.get()));
  const bson_t* document = nullptr;
  bson_error_t error;
  const auto check = [&] {
    if (!mongoc_change_stream_error_document(stream.get(), &error, &document)) return true;
    if (error.code == no_replica_set || error.code == unknown_stage) return false;
    fail(error);
  };
  if (!check()) return false;
  started();
  while (go_on()) {
    const auto asked = std::chrono::steady_clock::now();
    while (mongoc_change_stream_next(stream.get(), &document)) changed();
    if (!check()) return false;
    // A server that answers at once instead of waiting must not make us spin.
    constexpr std::chrono::milliseconds least(100);
    const auto took = std::chrono::steady_clock::now() - asked;
    if (took < least) std::this_thread::sleep_for(least - took);
  }
  return true;
}

void MongoCollection::ensure_index(std::string_view name, const Bson& keys, bool unique) {
  Bson index;
  index.add("key", keys).add("name", name);
  if (unique) index.add("unique", true);
  const std::array indexes = {std::move(index)};
  run_command(session_, Bson().add("createIndexes", name_).add("indexes", std::span<const Bson>(indexes)));
}

void MongoCollection::drop() {
  bson_error_t error;
  constexpr std::uint32_t not_found = 26;
  if (!mongoc_collection_drop(collection_, &error) && error.code != not_found) fail(error);
}

}  // namespace loquat::db
