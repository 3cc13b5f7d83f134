#include "state/adopt.h"

#include <algorithm>
#include <array>
#include <string>

#include "core/log.h"
#include "db/old_table.h"

namespace loquat::state {
namespace {

using db::Columns;
using db::Connection;
using Kind = db::OwnColumn::Kind;

struct Column {
  std::string_view name;
  std::string_view postgres;
  std::string_view sqlite;
  Kind kind = Kind::any;
  bool filled = false;
};
constexpr std::array columns_we_need = {
    Column{"channel", "text COLLATE \"C\" NOT NULL DEFAULT ''", "TEXT NOT NULL DEFAULT ''", Kind::text, true},
    Column{"account", "text COLLATE \"C\" NOT NULL DEFAULT ''", "TEXT NOT NULL DEFAULT ''", Kind::text, true},
    Column{"version", "bigint NOT NULL DEFAULT 0", "INTEGER NOT NULL DEFAULT 0", Kind::number, true},
    Column{"message_id", "uuid", "BLOB"},
    Column{"user_message", "text", "TEXT"},
    Column{"bot_message", "text", "TEXT"},
    Column{"nlu", "text", "TEXT"},
    Column{"context", "text", "TEXT"},
    Column{"intent", "text", "TEXT"},
    Column{"parameters", "text", "TEXT"},
    Column{"extracted_parameters", "text", "TEXT"},
    Column{"missing_parameters", "text", "TEXT"},
    Column{"complete", "boolean NOT NULL DEFAULT false", "INTEGER NOT NULL DEFAULT 0", Kind::any, true},
    Column{"current_node", "text", "TEXT", Kind::text},
    Column{"date", "timestamptz", "INTEGER", Kind::number, true},
    Column{"erased", "boolean NOT NULL DEFAULT false", "INTEGER NOT NULL DEFAULT 0", Kind::any, true},
    Column{"origin", "bigint", "INTEGER"},
};
/// An older service's columns of these names are not ours.
constexpr std::array<std::string_view, 6> our_own = {"channel", "account", "version", "message_id", "erased", "origin"};
constexpr std::array text_columns = {"user_message",         "bot_message",        "nlu",         "context", "intent", "parameters",
                                     "extracted_parameters", "missing_parameters", "current_node"};

void add_missing_columns(Connection& connection, const Columns& columns) {
  const bool sqlite = connection.dialect() == db::Dialect::sqlite;
  for (const auto& column : columns_we_need) {
    if (columns.contains(column.name)) continue;
    connection.script("ALTER TABLE states ADD COLUMN " + std::string(column.name) + " " +
                      std::string(sqlite ? column.sqlite : column.postgres));
  }
}

std::string type_of(const Columns& columns, std::string_view name) {
  const auto found = columns.find(name);
  return found == columns.end() ? std::string() : found->second;
}

/// The oldest row of a thread first.
std::string row_order(const Columns& columns, const std::string& place) {
  const auto id = type_of(columns, "id");
  if (id.contains("int") || id.starts_with("numeric")) return "id, " + place;
  return columns.contains("date") ? "date, " + place : place;
}

/// The user's message as a value with members. `json` columns hold texts that PostgreSQL stores but cannot take apart: U+0000 and lone
/// surrogates. Their stand-in here is U+FFFD, as in what is read; the row keeps its text.
std::string members_of_message_postgres(const std::string& type) {
  if (type != "json") return "user_message";
  return R"!((CASE WHEN user_message::text ~* '\\u(0000|d[89a-f])' THEN regexp_replace(replace(user_message::text, '\\', '\u005c'),)!"
         R"!( '\\u0000|\\ud[89ab][0-9a-f]{2}(?!\\ud[c-f][0-9a-f]{2})|(?<!\\ud[89ab][0-9a-f]{2})\\ud[c-f][0-9a-f]{2}',)!"
         R"!( '\\ufffd', 'gi')::json ELSE user_message END))!";
}

// Facebook's conversations are kept by page: the old messages carry it in their context.
std::string number_rows_postgres(const Columns& columns) {
  const auto type = type_of(columns, "user_message");
  const bool is_json = type.starts_with("json");
  const auto message = members_of_message_postgres(type);
  const std::string channel = is_json ? message + " ->> 'channel'" : R"!(substring(user_message from '"channel"\s*:\s*"([^"\\]*)"'))!";
  const std::string page =
      is_json ? message + " -> 'context' ->> 'page_id'" : R"!(substring(user_message from '"page_id"\s*:\s*"?([^"\\,} ]*)'))!";
  const auto order = row_order(columns, "ctid");
  return "WITH own AS (SELECT ctid AS place, thread_id, nullif(" + channel + ", '') AS channel, nullif(" + page +
         ", '') AS page, row_number() OVER (PARTITION BY thread_id ORDER BY " + order +
         ") AS n FROM states),"
         " last_channel AS (SELECT DISTINCT ON (thread_id) thread_id, channel FROM own WHERE channel IS NOT NULL ORDER BY thread_id, n "
         "DESC),"
         " last_page AS (SELECT DISTINCT ON (thread_id) thread_id, page FROM own WHERE page IS NOT NULL ORDER BY thread_id, n DESC)"
         " UPDATE states SET version = own.n, channel = coalesce(own.channel, last_channel.channel, ''),"
         " account = CASE WHEN coalesce(own.channel, last_channel.channel) = 'facebook' THEN coalesce(own.page, last_page.page, '') ELSE "
         "'' END"
         " FROM own LEFT JOIN last_channel USING (thread_id) LEFT JOIN last_page USING (thread_id) WHERE states.ctid = own.place";
}

/// One ALTER TABLE, which is one pass over the table.
std::string change_types_postgres(const Columns& columns) {
  std::string changes;
  const auto add = [&changes](const std::string& change) { changes += (changes.empty() ? "" : ", ") + change; };
  add("ALTER COLUMN thread_id TYPE text COLLATE \"C\" USING thread_id::text");
  for (const auto* name : text_columns) {
    const auto found = columns.find(name);
    if (found != columns.end() && found->second != "text") add("ALTER COLUMN " + std::string(name) + " TYPE text USING " + name + "::text");
  }
  for (const auto* name : {"user_message", "bot_message", "nlu", "context", "intent", "parameters", "extracted_parameters",
                           "missing_parameters", "current_node"}) {
    if (columns.contains(name)) add("ALTER COLUMN " + std::string(name) + " DROP NOT NULL");
  }
  const auto date = columns.find("date");
  if (date != columns.end() && date->second == "timestamp without time zone") {
    add("ALTER COLUMN date TYPE timestamptz USING date AT TIME ZONE 'UTC'");
  } else if (date != columns.end() && date->second != "timestamp with time zone") {
    add("ALTER COLUMN date TYPE timestamptz USING date::text::timestamptz");
  }
  const auto complete = columns.find("complete");
  if (complete != columns.end() && complete->second != "boolean") {
    add("ALTER COLUMN complete DROP DEFAULT");
    add("ALTER COLUMN complete TYPE boolean USING lower(complete::text) IN ('1', 't', 'true', 'yes', 'on')");
  }
  return changes.empty() ? std::string() : "ALTER TABLE states " + changes;
}

/// Keys that only the older service made get a default.
void give_keys_defaults_postgres(Connection& connection) {
  const auto rows = connection.query(
      "SELECT quote_ident(a.attname), format_type(a.atttypid, a.atttypmod) FROM pg_index AS i JOIN pg_attribute AS a"
      " ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) WHERE i.indrelid = 'states'::regclass AND i.indisprimary"
      " AND NOT a.atthasdef AND a.attidentity = '' AND a.attname NOT IN ('channel', 'account', 'thread_id', 'version', 'date')");
  for (std::size_t i = 0; i < rows->size(); ++i) {
    const auto name = rows->text(i, 0);
    const auto type = rows->text(i, 1);
    const auto alter = "ALTER TABLE states ALTER COLUMN " + name;
    if (type == "uuid") {
      connection.script(alter + " SET DEFAULT gen_random_uuid()");
    } else if (type == "smallint" || type == "integer" || type == "bigint") {
      connection.script(alter + " ADD GENERATED BY DEFAULT AS IDENTITY; SELECT setval(pg_get_serial_sequence('states', '" + name +
                        "'), coalesce(max(" + name + "), 0) + 1, false) FROM states");
    } else {
      connection.script(alter + " SET DEFAULT gen_random_uuid()::text");
    }
  }
}

/// Columns that only the older service filled must not refuse our rows.
void relax_other_columns_postgres(Connection& connection) {
  give_keys_defaults_postgres(connection);
  const auto rows = connection.query(
      "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = 'states'::regclass AND attnum > 0 AND NOT attisdropped AND attnotnull"
      " AND NOT atthasdef AND attidentity = '' AND attname NOT IN ('channel', 'account', 'thread_id', 'version', 'complete', 'date', "
      "'erased')");
  for (std::size_t i = 0; i < rows->size(); ++i)
    connection.script("ALTER TABLE states ALTER COLUMN " + rows->text(i, 0) + " DROP NOT NULL");
}

void adopt_old_rows_postgres(Connection& connection, const Columns& columns) {
  connection.script(number_rows_postgres(columns));
  if (const auto changes = change_types_postgres(columns); !changes.empty()) connection.script(changes);
  // 'infinity' is no time that anything else could show.
  connection.script(
      "UPDATE states SET date = now() WHERE date IS NULL OR date < '0001-01-01' OR date >= '10000-01-01'; UPDATE states SET complete = "
      "false WHERE complete IS NULL");
  relax_other_columns_postgres(connection);
}

std::vector<db::OwnColumn> own_columns_sqlite() {
  std::vector<db::OwnColumn> own = {{.name = "thread_id", .definition = "TEXT NOT NULL", .kind = Kind::text, .filled = true}};
  for (const auto& column : columns_we_need) {
    own.push_back({.name = column.name,
                   .definition = column.sqlite,
                   .kind = column.kind,
                   .filled = column.filled,
                   .value = column.name == "complete" ? "coalesce(complete, 0)" : ""});
  }
  return own;
}

void convert_dates_sqlite(Connection& connection) {
  const auto at = to_microseconds(now());
  constexpr std::size_t rows_at_once = 1'000;
  std::int64_t last = 0;
  for (;;) {
    const auto rows =
        connection("SELECT rowid, date FROM states WHERE rowid > $1 AND typeof(date) <> 'integer' ORDER BY rowid LIMIT 1000", last);
    std::vector<db::Values> updates;
    for (std::size_t i = 0; i < rows->size(); ++i) {
      last = rows->integer(i, 0);
      const auto time = rows->is_null(i, 1) ? std::nullopt : parse_iso8601(rows->text(i, 1));
      updates.push_back({last, time ? to_microseconds(*time) : at});
    }
    connection.batch("UPDATE states SET date = $2 WHERE rowid = $1", std::move(updates));
    if (rows->size() < rows_at_once) return;
  }
}

void adopt_old_rows_sqlite(Connection& connection, const Columns& columns, bool renamed) {
  const auto own = own_columns_sqlite();
  const auto order = row_order(columns, "rowid");
  // A renamed column may be part of what must be unique.
  if (renamed || db::needs_new_table_sqlite(connection, "states", own)) db::make_new_table_sqlite(connection, "states", own, order);
  connection.script(
      std::string(
          "CREATE TEMP TABLE own AS SELECT rowid AS place, thread_id,"
          " CASE WHEN json_valid(user_message) AND json_type(user_message, '$.channel') = 'text' THEN nullif(json_extract(user_message, "
          "'$.channel'), '') END AS channel,"
          " CASE WHEN json_valid(user_message) THEN nullif(CAST(json_extract(user_message, '$.context.page_id') AS TEXT), '') END AS page,"
          " row_number() OVER (PARTITION BY thread_id ORDER BY ") +
      order +
      ") AS n FROM states;"
      "CREATE INDEX temp.own_thread ON own (thread_id, n);"
      "CREATE UNIQUE INDEX temp.own_place ON own (place);"
      "UPDATE states SET version = own.n, channel = coalesce(own.channel, (SELECT x.channel FROM own AS x WHERE x.thread_id = own.thread_id"
      " AND x.channel IS NOT NULL ORDER BY x.n DESC LIMIT 1), ''), account = coalesce(own.page, (SELECT x.page FROM own AS x"
      " WHERE x.thread_id = own.thread_id AND x.page IS NOT NULL ORDER BY x.n DESC LIMIT 1), '') FROM own WHERE states.rowid = own.place;"
      "UPDATE states SET account = '' WHERE channel <> 'facebook';"
      "DROP TABLE temp.own;"
      "UPDATE states SET complete = 0 WHERE complete IS NULL");
  convert_dates_sqlite(connection);
}

void fill_threads(Connection& connection) {
  const bool sqlite = connection.dialect() == db::Dialect::sqlite;
  // The rows' own dates tell which of a thread's conversations was written last.
  connection.script(
      std::string("INSERT INTO threads (thread_id, channel, account, version, date, written) SELECT s.thread_id, s.channel, s.account,"
                  " s.version, s.date, ") +
      (sqlite ? "s.date" : "(extract(epoch FROM s.date) * 1000000)::bigint") +
      " FROM states AS s JOIN (SELECT channel, account, thread_id, max(version) AS version FROM states"
      " GROUP BY channel, account, thread_id) AS newest ON newest.channel = s.channel AND newest.account = s.account"
      " AND newest.thread_id = s.thread_id AND newest.version = s.version WHERE true ON CONFLICT DO NOTHING");
}

void make_indexes(Connection& connection) {
  connection.script(
      "CREATE UNIQUE INDEX IF NOT EXISTS states_conversation ON states (channel, account, thread_id, version);"
      "CREATE UNIQUE INDEX IF NOT EXISTS states_message_id ON states (message_id) WHERE message_id IS NOT NULL;");
  connection.script(connection.dialect() == db::Dialect::sqlite
                        ? "CREATE INDEX IF NOT EXISTS states_date ON states (date)"
                        : "CREATE INDEX IF NOT EXISTS states_date_range ON states USING brin (date)");
}

/// Before its columns are added. True when some of its own were renamed.
bool prepare_old_table(Connection& connection, Columns& columns) {
  db::require_plain_table(connection, "states");
  return db::rename_foreign_columns(connection, "states", our_own, columns);
}

}  // namespace

void adopt_states(Connection& connection) {
  auto columns = db::read_columns(connection, "states");
  // No older table has all of ours.
  const bool old = !std::ranges::all_of(our_own, [&columns](std::string_view name) { return columns.contains(name); });
  const bool renamed = old && prepare_old_table(connection, columns);
  add_missing_columns(connection, columns);
  if (old) {
    if (connection.dialect() == db::Dialect::sqlite)
      adopt_old_rows_sqlite(connection, columns, renamed);
    else
      adopt_old_rows_postgres(connection, columns);
    log::info("state", "a table of states that an older service made was adopted");
  }
  make_indexes(connection);
  if (old) fill_threads(connection);
}

}  // namespace loquat::state
