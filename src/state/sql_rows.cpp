#include "state/sql_rows.h"

#include <algorithm>
#include <map>

namespace loquat::state {
namespace {

using db::Bytes;
using db::Values;

constexpr std::string_view insert_states_postgres =
    "INSERT INTO states (channel, account, thread_id, version, message_id, user_message, bot_message, nlu, context, intent, parameters,"
    " extracted_parameters, missing_parameters, complete, current_node, date, erased, origin)"
    " SELECT k.channel, k.account, k.thread_id, k.version, k.message_id, k.user_message, k.bot_message, k.nlu, k.context, k.intent,"
    " k.parameters, k.extracted_parameters, k.missing_parameters, k.flags & 1 <> 0, k.current_node, k.date, k.flags & 2 <> 0,"
    " nullif(k.origin, 0)"
    " FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::text[],"
    " $10::text[], $11::text[], $12::text[], $13::text[], $14::bigint[], $15::text[], $16::timestamptz[], $17::bigint[])"
    " AS k(channel, account, thread_id, version, message_id, user_message, bot_message, nlu, context, intent, parameters,"
    " extracted_parameters, missing_parameters, flags, current_node, date, origin)";

constexpr std::string_view insert_state_sqlite =
    "INSERT INTO states (channel, account, thread_id, version, message_id, user_message, bot_message, nlu, context, intent, parameters,"
    " extracted_parameters, missing_parameters, complete, current_node, date, erased, origin)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)";

constexpr std::string_view upsert_threads_postgres =
    "INSERT INTO threads (thread_id, channel, account, version, date, written)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[], $6::bigint[])"
    " ON CONFLICT (thread_id, channel, account) DO UPDATE SET version = excluded.version, date = excluded.date, written = excluded.written"
    " WHERE excluded.version > threads.version";

constexpr std::string_view upsert_thread_sqlite =
    "INSERT INTO threads (thread_id, channel, account, version, date, written) VALUES ($1, $2, $3, $4, $5, $6)"
    " ON CONFLICT (thread_id, channel, account) DO UPDATE SET version = excluded.version, date = excluded.date, written = excluded.written"
    " WHERE excluded.version > threads.version";

std::optional<Bytes> id_bytes(const State& state) {
  if (!state.message_id) return std::nullopt;
  return Bytes{std::string(state.message_id->bytes.begin(), state.message_id->bytes.end())};
}

// PostgreSQL's text has no U+0000: a node with one is stored as this mark and its JSON, and so is one that begins with the mark.
constexpr char json_mark = '\x01';

std::optional<std::string> node_column(const json::value& node) {
  if (node.is_null()) return std::nullopt;
  const auto* text = node.if_string();
  if (text == nullptr) return to_json(node);
  if (as_view(*text).contains('\0') || as_view(*text).starts_with(json_mark)) return json_mark + to_json(node);
  return std::string(*text);
}

json::value read_node(const std::string& column) {
  json::value node;
  JsonError error;
  if (column.starts_with(json_mark) && try_parse_json(std::string_view(column).substr(1), node, error) && node.is_string()) return node;
  return json::string(column);
}

using Sorted = std::vector<const State*>;

Sorted sort_by_key(std::span<const State* const> states) {
  Sorted sorted(states.begin(), states.end());
  std::ranges::sort(sorted, [](const State* a, const State* b) {
    if (const auto order = a->conversation <=> b->conversation; order != 0) return order < 0;
    return a->version < b->version;
  });
  return sorted;
}

// The newest state of each conversation; tombstones are no threads.
Sorted newest_of_each(const Sorted& sorted) {
  Sorted newest;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const bool last = i + 1 == sorted.size() || sorted[i + 1]->conversation != sorted[i]->conversation;
    if (last && !sorted[i]->erased) newest.push_back(sorted[i]);
  }
  return newest;
}

template <class Get>
auto column_of(const Sorted& states, Get get) {
  std::vector<std::remove_cvref_t<std::invoke_result_t<Get, const State&>>> column;
  column.reserve(states.size());
  for (const auto* state : states) column.push_back(get(*state));
  return column;
}

auto texts_of(const Sorted& states, json::value State::* member) {
  return column_of(states, [member](const State& s) { return to_column(s.*member); });
}

Values state_arrays(const Sorted& states) {
  Values values;
  values.reserve(17);
  values.push_back(column_of(states, [](const State& s) { return s.conversation.channel; }));
  values.push_back(column_of(states, [](const State& s) { return s.conversation.account; }));
  values.push_back(column_of(states, [](const State& s) { return s.conversation.thread_id; }));
  values.push_back(column_of(states, [](const State& s) { return s.version; }));
  values.push_back(column_of(states, id_bytes));
  for (const auto member : {&State::user_message, &State::bot_message, &State::nlu, &State::context, &State::intent, &State::parameters,
                            &State::extracted_parameters, &State::missing_parameters}) {
    values.push_back(texts_of(states, member));
  }
  values.push_back(column_of(states, [](const State& s) { return std::int64_t{(s.complete ? 1 : 0) + (s.erased ? 2 : 0)}; }));
  values.push_back(column_of(states, [](const State& s) { return node_column(s.current_node); }));
  values.push_back(column_of(states, [](const State& s) { return s.date; }));
  values.push_back(column_of(states, [](const State& s) { return s.origin; }));
  return values;
}

Values state_values(const State& s) {
  Values values;
  values.reserve(18);
  values.push_back(s.conversation.channel);
  values.push_back(s.conversation.account);
  values.push_back(s.conversation.thread_id);
  values.push_back(s.version);
  values.push_back(db::to_value(id_bytes(s)));
  for (const auto member : {&State::user_message, &State::bot_message, &State::nlu, &State::context, &State::intent, &State::parameters,
                            &State::extracted_parameters, &State::missing_parameters}) {
    values.push_back(db::to_value(to_column(s.*member)));
  }
  values.push_back(s.complete);
  values.push_back(db::to_value(node_column(s.current_node)));
  values.push_back(s.date);
  values.push_back(s.erased);
  values.push_back(s.origin == 0 ? db::Value() : db::Value(s.origin));
  return values;
}

Values thread_arrays(const Sorted& states, std::int64_t written) {
  Values values;
  values.push_back(column_of(states, [](const State& s) { return s.conversation.thread_id; }));
  values.push_back(column_of(states, [](const State& s) { return s.conversation.channel; }));
  values.push_back(column_of(states, [](const State& s) { return s.conversation.account; }));
  values.push_back(column_of(states, [](const State& s) { return s.version; }));
  values.push_back(column_of(states, [](const State& s) { return s.date; }));
  values.push_back(std::vector<std::int64_t>(states.size(), written));
  return values;
}

Values thread_values(const State& s, std::int64_t written) {
  return {s.conversation.thread_id, s.conversation.channel, s.conversation.account, s.version, s.date, written};
}

void append_postgres(db::Connection& connection, const Sorted& sorted, const Sorted& newest, std::int64_t written) {
  std::vector<db::Statement> statements;
  statements.push_back({insert_states_postgres, state_arrays(sorted)});
  if (!newest.empty()) statements.push_back({upsert_threads_postgres, thread_arrays(newest, written)});
  connection.pipeline(std::move(statements));
}

void append_sqlite(db::Connection& connection, const Sorted& sorted, const Sorted& newest, std::int64_t written) {
  std::vector<Values> rows;
  rows.reserve(sorted.size());
  for (const auto* state : sorted) rows.push_back(state_values(*state));
  connection.batch(insert_state_sqlite, std::move(rows));
  std::vector<Values> threads;
  threads.reserve(newest.size());
  for (const auto* state : newest) threads.push_back(thread_values(*state, written));
  connection.batch(upsert_thread_sqlite, std::move(threads));
}

// Old tables may hold anything; what is no JSON is shown as the text it is.
json::value read_json(const std::string& text) {
  // Most columns of most rows.
  if (text == "{}") return json::object();
  if (text == "[]") return json::array();
  json::value value;
  JsonError error;
  if (!try_parse_json(text, value, error)) return json::value(text);
  return value;
}

json::value read_member(const db::Rows& rows, std::size_t row, std::size_t column, json::value fallback) {
  if (rows.is_null(row, column)) return fallback;
  return read_json(rows.text(row, column));
}

// The five members whose null counts as left out.
json::value read_filled(const db::Rows& rows, std::size_t row, std::size_t column, json::value fallback) {
  auto value = read_member(rows, row, column, fallback);
  return value.is_null() ? fallback : value;
}

}  // namespace

std::string_view state_columns() noexcept {
  return "s.channel, s.account, s.thread_id, s.version, s.message_id, s.user_message, s.bot_message, s.nlu, s.context, s.intent,"
         " s.parameters, s.extracted_parameters, s.missing_parameters, s.complete, s.current_node, s.date, s.erased, s.origin";
}

std::optional<std::string> to_column(const json::value& value) {
  if (value.is_null()) return std::nullopt;
  if (const auto* object = value.if_object(); object != nullptr && object->empty()) return "{}";
  if (const auto* array = value.if_array(); array != nullptr && array->empty()) return "[]";
  return to_json(value);
}

State read_state(const db::Rows& rows, std::size_t row, std::size_t first) {
  State state;
  std::size_t column = first;
  state.conversation.channel = rows.text(row, column++);
  state.conversation.account = rows.text(row, column++);
  state.conversation.thread_id = rows.text(row, column++);
  state.version = rows.integer(row, column++);
  if (!rows.is_null(row, column)) state.message_id = rows.message_id(row, column);
  ++column;
  state.user_message = read_member(rows, row, column++, nullptr);
  state.bot_message = read_member(rows, row, column++, nullptr);
  state.nlu = read_member(rows, row, column++, nullptr);
  state.context = read_filled(rows, row, column++, json::object());
  state.intent = read_filled(rows, row, column++, json::object());
  state.parameters = read_filled(rows, row, column++, json::array());
  state.extracted_parameters = read_filled(rows, row, column++, json::object());
  state.missing_parameters = read_filled(rows, row, column++, json::array());
  state.complete = !rows.is_null(row, column) && rows.boolean(row, column);
  ++column;
  if (rows.is_null(row, column)) {
    state.current_node = nullptr;
  } else {
    state.current_node = read_node(rows.text(row, column));
  }
  ++column;
  state.date = rows.time(row, column++);
  state.erased = rows.boolean(row, column++);
  state.origin = rows.is_null(row, column) ? 0 : rows.integer(row, column);
  return state;
}

void append_rows(db::Connection& connection, std::span<const State* const> states) {
  if (states.empty()) return;
  const auto sorted = sort_by_key(states);
  const auto newest = newest_of_each(sorted);
  const auto written = to_microseconds(now());
  if (connection.dialect() == db::Dialect::postgres) return append_postgres(connection, sorted, newest, written);
  append_sqlite(connection, sorted, newest, written);
}

std::vector<std::optional<State>> find_latest_rows(db::Connection& connection, std::span<const chat::ConversationId> conversations) {
  static const auto postgres =
      "SELECT k.i, " + std::string(state_columns()) +
      " FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS k(channel, account, thread_id, i)"
      " CROSS JOIN LATERAL (SELECT * FROM states AS x WHERE x.channel = k.channel AND x.account = k.account AND x.thread_id = k.thread_id"
      " ORDER BY x.version DESC LIMIT 1) AS s";
  static const auto sqlite =
      "SELECT " + std::string(state_columns()) +
      " FROM states AS s WHERE s.channel = $1 AND s.account = $2 AND s.thread_id = $3 ORDER BY s.version DESC LIMIT 1";
  std::vector<std::optional<State>> found(conversations.size());
  if (conversations.empty()) return found;
  if (connection.dialect() == db::Dialect::sqlite) {
    for (std::size_t i = 0; i < conversations.size(); ++i) {
      const auto& one = conversations[i];
      const auto rows = connection(sqlite, one.channel, one.account, one.thread_id);
      if (!rows->empty()) found[i] = read_state(*rows, 0);
    }
    return found;
  }
  std::vector<std::string> channels;
  std::vector<std::string> accounts;
  std::vector<std::string> threads;
  for (const auto& one : conversations) {
    channels.push_back(one.channel);
    accounts.push_back(one.account);
    threads.push_back(one.thread_id);
  }
  const auto rows = connection(postgres, std::move(channels), std::move(accounts), std::move(threads));
  for (std::size_t row = 0; row < rows->size(); ++row)
    found.at(static_cast<std::size_t>(rows->integer(row, 0)) - 1) = read_state(*rows, row, 1);
  return found;
}

std::vector<std::optional<State>> find_rows_by_message_id(db::Connection& connection, std::span<const MessageId> ids) {
  static const auto postgres = "SELECT " + std::string(state_columns()) + " FROM states AS s WHERE s.message_id = ANY($1::uuid[])";
  static const auto sqlite = "SELECT " + std::string(state_columns()) + " FROM states AS s WHERE s.message_id = $1";
  std::vector<std::optional<State>> found(ids.size());
  if (ids.empty()) return found;
  if (connection.dialect() == db::Dialect::sqlite) {
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const auto rows = connection(sqlite, db::to_value(ids[i]));
      if (!rows->empty()) found[i] = read_state(*rows, 0);
    }
    return found;
  }
  std::vector<Bytes> wanted;
  wanted.reserve(ids.size());
  for (const auto& id : ids) wanted.push_back(Bytes{std::string(id.bytes.begin(), id.bytes.end())});
  const auto rows = connection(postgres, std::move(wanted));
  std::map<MessageId, State> by_id;
  for (std::size_t row = 0; row < rows->size(); ++row) {
    auto state = read_state(*rows, row);
    by_id.emplace(*state.message_id, std::move(state));
  }
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (const auto one = by_id.find(ids[i]); one != by_id.end()) found[i] = one->second;
  }
  return found;
}

}  // namespace loquat::state
