#include "state/schema.h"

#include <array>

#include "state/adopt.h"

namespace loquat::state {
namespace {

// Keys are compared by their bytes: no locale, no cost.
constexpr std::string_view create_postgres = R"(
CREATE TABLE IF NOT EXISTS states (
  channel text COLLATE "C" NOT NULL DEFAULT '',
  account text COLLATE "C" NOT NULL DEFAULT '',
  thread_id text COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  message_id uuid,
  user_message text,
  bot_message text,
  nlu text,
  context text,
  intent text,
  parameters text,
  extracted_parameters text,
  missing_parameters text,
  complete boolean NOT NULL DEFAULT false,
  current_node text,
  date timestamptz NOT NULL DEFAULT now(),
  erased boolean NOT NULL DEFAULT false,
  origin bigint
);
CREATE TABLE IF NOT EXISTS threads (
  thread_id text COLLATE "C" NOT NULL,
  channel text COLLATE "C" NOT NULL,
  account text COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  date timestamptz NOT NULL,
  written bigint NOT NULL,
  PRIMARY KEY (thread_id, channel, account)
) WITH (fillfactor = 70))";

// Times are integer microseconds. `written`: when, by the writer's clock, the conversation's newest row was stored.
constexpr std::string_view create_sqlite = R"(
CREATE TABLE IF NOT EXISTS states (
  channel TEXT NOT NULL DEFAULT '',
  account TEXT NOT NULL DEFAULT '',
  thread_id TEXT NOT NULL,
  version INTEGER NOT NULL,
  message_id BLOB,
  user_message TEXT,
  bot_message TEXT,
  nlu TEXT,
  context TEXT,
  intent TEXT,
  parameters TEXT,
  extracted_parameters TEXT,
  missing_parameters TEXT,
  complete INTEGER NOT NULL DEFAULT 0,
  current_node TEXT,
  date INTEGER NOT NULL,
  erased INTEGER NOT NULL DEFAULT 0,
  origin INTEGER
);
CREATE TABLE IF NOT EXISTS threads (
  thread_id TEXT NOT NULL,
  channel TEXT NOT NULL,
  account TEXT NOT NULL,
  version INTEGER NOT NULL,
  date INTEGER NOT NULL,
  written INTEGER NOT NULL,
  PRIMARY KEY (thread_id, channel, account)
) WITHOUT ROWID;)";

constexpr std::array<db::Migration, 1> all = {{{"state", 1, create_postgres, create_sqlite, adopt_states}}};

}  // namespace

std::span<const db::Migration> migrations() { return all; }

}  // namespace loquat::state
