#pragma once

#include "app/import_report.h"
#include "core/crypto.h"
#include "db/mongo.h"
#include "db/sql.h"

namespace loquat::app {

/// Imports intents, entities and the configs of bots by name, keeps their ids where they are free, and makes the result live.
void import_bot(db::MongoPool& from, db::Database& to, const crypto::Keyring& keyring, ImportReport& report);

}  // namespace loquat::app
