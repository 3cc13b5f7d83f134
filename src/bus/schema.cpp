#include "bus/schema.h"

#include <array>

namespace loquat::bus {
namespace {

// `seq` orders what was admitted: a message that was acknowledged before another was sent has the smaller one. PostgreSQL takes
// it from a sequence without cache; SQLite's single process from the clock (see SqlBus). The inbox holds only what is
// pending, so its primary key is the only index it needs.
constexpr std::string_view first_postgres = R"sql(
CREATE SEQUENCE IF NOT EXISTS inbox_seq;
CREATE TABLE IF NOT EXISTS inbox(
  seq bigint PRIMARY KEY,
  part smallint NOT NULL,
  conv text NOT NULL,
  message_id bytea NOT NULL,
  event text NOT NULL,
  attempts smallint NOT NULL DEFAULT 0,
  crashes smallint NOT NULL DEFAULT 0,
  parts_sent smallint NOT NULL DEFAULT 0,
  at bigint NOT NULL
) WITH (autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_scale_factor = 0);
CREATE TABLE IF NOT EXISTS parked(
  seq bigint PRIMARY KEY,
  part smallint NOT NULL,
  conv text NOT NULL,
  message_id bytea NOT NULL,
  event text NOT NULL,
  attempts smallint NOT NULL DEFAULT 0,
  crashes smallint NOT NULL DEFAULT 0,
  parts_sent smallint NOT NULL DEFAULT 0,
  at bigint NOT NULL,
  page_id text NOT NULL DEFAULT '',
  next_at bigint,
  reason text NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS parked_page ON parked(page_id);
CREATE INDEX IF NOT EXISTS parked_next_at ON parked(next_at);
CREATE INDEX IF NOT EXISTS parked_conv ON parked(conv);
CREATE TABLE IF NOT EXISTS process(
  id text PRIMARY KEY,
  alive_until timestamptz NOT NULL,
  state text NOT NULL
);
CREATE TABLE IF NOT EXISTS partition(
  part smallint PRIMARY KEY,
  owner text
);
INSERT INTO partition(part) SELECT generate_series(0, 63) ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS page(
  id text PRIMARY KEY,
  state text NOT NULL DEFAULT 'ok',
  until bigint NOT NULL DEFAULT 0,
  reason text NOT NULL DEFAULT '',
  usage bigint NOT NULL DEFAULT 0,
  token_hash text NOT NULL DEFAULT ''
);
)sql";

constexpr std::string_view first_sqlite = R"sql(
CREATE TABLE IF NOT EXISTS inbox(
  seq INTEGER PRIMARY KEY,
  part integer NOT NULL,
  conv text NOT NULL,
  message_id blob NOT NULL,
  event text NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  crashes integer NOT NULL DEFAULT 0,
  parts_sent integer NOT NULL DEFAULT 0,
  at integer NOT NULL
);
CREATE TABLE IF NOT EXISTS parked(
  seq INTEGER PRIMARY KEY,
  part integer NOT NULL,
  conv text NOT NULL,
  message_id blob NOT NULL,
  event text NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  crashes integer NOT NULL DEFAULT 0,
  parts_sent integer NOT NULL DEFAULT 0,
  at integer NOT NULL,
  page_id text NOT NULL DEFAULT '',
  next_at integer,
  reason text NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS parked_page ON parked(page_id);
CREATE INDEX IF NOT EXISTS parked_next_at ON parked(next_at);
CREATE INDEX IF NOT EXISTS parked_conv ON parked(conv);
CREATE TABLE IF NOT EXISTS process(
  id text PRIMARY KEY,
  alive_until integer NOT NULL,
  state text NOT NULL
);
CREATE TABLE IF NOT EXISTS page(
  id text PRIMARY KEY,
  state text NOT NULL DEFAULT 'ok',
  until integer NOT NULL DEFAULT 0,
  reason text NOT NULL DEFAULT '',
  usage integer NOT NULL DEFAULT 0,
  token_hash text NOT NULL DEFAULT ''
);
)sql";

constexpr std::array list{db::Migration{.feature = "bus", .number = 1, .sql = first_postgres, .sqlite = first_sqlite}};

}  // namespace

std::span<const db::Migration> migrations() { return list; }

}  // namespace loquat::bus
