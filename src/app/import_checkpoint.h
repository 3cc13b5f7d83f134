#pragma once

#include <optional>
#include <string>

#include "db/bson.h"
#include "db/sql.h"

namespace loquat::app {

/// How far an import came that was cut off: a row of the table `loquat_imports`, in the database that it writes to. A finished import
/// leaves none.
class ImportCheckpoint {
 public:
  /// A place among the documents whose _id is of one type: an order of several types cannot be gone on in, because $gt and its kin match
  /// values of one type only.
  struct Place {
    db::Bson last;              ///< {_id}, of its type
    std::int64_t seen = 0;      ///< documents of this type up to there, itself included
    std::int64_t left_out = 0;  ///< of them
  };

  /// `database` may be null: then nothing is kept. `source` names the import.
  ImportCheckpoint(db::Database* database, std::string source);
  [[nodiscard]] std::optional<Place> load();
  void save(const Place& place);
  void clear();

 private:
  db::Database* database_;
  std::string source_;
};

}  // namespace loquat::app
