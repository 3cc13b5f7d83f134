#include "bot/schema.h"

#include <array>

namespace loquat::bot {
namespace {

// bot_state has one row. Every change of the draft updates it first, so that it is the lock between admins, imports and
// builds on every database; `revision` tells whether a draft that was read is still the current one. Times are
// microseconds since 1970.
constexpr std::string_view first = R"sql(
CREATE TABLE bot_state (
  one smallint PRIMARY KEY CHECK (one = 1),
  revision bigint NOT NULL,
  active bigint NOT NULL,
  build_state text NOT NULL,
  build_message text NOT NULL,
  build_changed_at bigint
);
INSERT INTO bot_state (one, revision, active, build_state, build_message) VALUES (1, 0, 0, 'ready', '');
CREATE TABLE bot_documents (
  kind text NOT NULL,
  id text NOT NULL,
  position bigint NOT NULL,
  version bigint NOT NULL,
  body text NOT NULL,
  PRIMARY KEY (kind, id)
);
CREATE INDEX bot_documents_position ON bot_documents (kind, position);
CREATE TABLE bot_configs (
  name text PRIMARY KEY,
  version bigint NOT NULL,
  body text NOT NULL
);
CREATE TABLE bot_versions (
  number bigint PRIMARY KEY,
  built_at bigint NOT NULL,
  built_by text NOT NULL,
  intents bigint NOT NULL,
  entities bigint NOT NULL,
  examples bigint NOT NULL,
  body text NOT NULL
);
)sql";

constexpr std::array list{db::Migration{"bot", 1, first}};

}  // namespace

std::span<const db::Migration> migrations() { return list; }

}  // namespace loquat::bot
