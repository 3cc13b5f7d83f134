#include "app/import_checkpoint.h"

#include "core/crypto.h"

namespace loquat::app {

ImportCheckpoint::ImportCheckpoint(db::Database* database, std::string source) : database_(database), source_(std::move(source)) {
  if (database_ == nullptr) return;
  // last_id is BSON in base64, {_id, left_out}: as text an _id has lost its type.
  database_->run_blocking([](db::Connection& connection) {
    connection.script("CREATE TABLE IF NOT EXISTS loquat_imports (source text PRIMARY KEY, last_id text NOT NULL, seen bigint NOT NULL)");
  });
}

std::optional<ImportCheckpoint::Place> ImportCheckpoint::load() {
  std::optional<Place> place;
  if (database_ == nullptr) return place;
  database_->run_blocking([&](db::Connection& connection) {
    place.reset();
    const auto rows = connection("SELECT last_id, seen FROM loquat_imports WHERE source = $1", source_);
    std::string bytes;
    if (rows->empty() || !crypto::base64_decode(rows->text(0, 0), bytes)) return;
    const auto document = db::Bson::from_bytes(bytes);
    if (!document || !document->has("_id")) return;
    place = {std::move(db::Bson().add_same("_id", *document, "_id")), rows->integer(0, 1), document->find_integer("left_out").value_or(0)};
  });
  return place;
}

void ImportCheckpoint::save(const Place& place) {
  if (database_ == nullptr) return;
  db::Bson document;
  document.add_same("_id", place.last, "_id").add("left_out", place.left_out);
  const auto text = crypto::base64_encode(document.bytes());
  database_->run_blocking([&](db::Connection& connection) {
    connection(
        "INSERT INTO loquat_imports (source, last_id, seen) VALUES ($1, $2, $3)"
        " ON CONFLICT (source) DO UPDATE SET last_id = excluded.last_id, seen = excluded.seen",
        source_, text, place.seen);
  });
}

void ImportCheckpoint::clear() {
  if (database_ == nullptr) return;
  database_->run_blocking([&](db::Connection& connection) { connection("DELETE FROM loquat_imports WHERE source = $1", source_); });
}

}  // namespace loquat::app
