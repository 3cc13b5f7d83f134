#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "db/bson.h"
#include "db/mongo.h"

struct _mongoc_collection_t;  // NOLINT(bugprone-reserved-identifier)

/// The few things that we ask of MongoDB. For db/ and the mongo stores only. Errors as MongoPool says.
namespace loquat::db {

/// Runs a command on the session's database and returns the answer.
Bson run_command(MongoSession& session, const Bson& command);
[[nodiscard]] bool has_collection(MongoSession& session, std::string_view name);

struct MongoFind {
  std::optional<Bson> sort = std::nullopt;
  std::int64_t limit = 0;  ///< 0: all
  std::int64_t batch = 0;  ///< documents a round trip; 0: as the server likes
};

class MongoCollection {
 public:
  MongoCollection(MongoSession& session, std::string_view name);
  ~MongoCollection();
  MongoCollection(const MongoCollection&) = delete;
  MongoCollection& operator=(const MongoCollection&) = delete;

  [[nodiscard]] std::vector<Bson> find(const Bson& filter, const MongoFind& how = {});
  [[nodiscard]] std::optional<Bson> find_one(const Bson& filter, std::optional<Bson> sort = std::nullopt);
  /// Hands the documents on one by one until `visit` returns false.
  void for_each(const Bson& filter, const MongoFind& how, const std::function<bool(const Bson&)>& visit);
  [[nodiscard]] std::vector<Bson> aggregate(std::span<const Bson> stages);
  [[nodiscard]] std::int64_t count(const Bson& filter);

  void insert(const Bson& document);
  /// How many documents matched.
  std::int64_t update_many(const Bson& filter, const Bson& update);
  std::int64_t remove_one(const Bson& filter);
  std::int64_t remove_many(const Bson& filter);
  /// Alters one document and returns it as it is then; empty when none matched.
  [[nodiscard]] std::optional<Bson> find_and_modify(const Bson& filter, const Bson& update);
  /// Calls `changed` for every change by anyone, until `go_on`, asked at least every second, says no. False at once where the server has
  /// no change streams (it is no replica set). `started` is called when no later change can be missed.
  bool watch(const std::function<bool()>& go_on, const std::function<void()>& started, const std::function<void()>& changed);
  /// Does nothing when it is there already.
  void ensure_index(std::string_view name, const Bson& keys, bool unique);
  void drop();

 private:
  MongoSession& session_;
  std::string name_;
  _mongoc_collection_t* collection_;
};

}  // namespace loquat::db
