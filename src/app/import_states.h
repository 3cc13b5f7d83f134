#pragma once

#include <boost/asio/io_context.hpp>
#include <string>

#include "app/import_report.h"
#include "db/mongo.h"
#include "db/sql.h"
#include "state/store.h"

namespace loquat::app {

/// Copies the collection `state` of `from` into `to`, in the order of writing, and reads every state back. An imported state carries a
/// message id made of its _id, so that none is taken twice. `loop` is running on another thread. `checkpoints` (may be null) remembers
/// how far an interrupted import came; `source` names this import there. One that was not interrupted looks at every document. Throws
/// Error(unavailable) when a database goes away.
void import_states(db::MongoPool& from, state::Store& to, boost::asio::io_context& loop, db::Database* checkpoints,
                   const std::string& source, ImportReport& report);

}  // namespace loquat::app
