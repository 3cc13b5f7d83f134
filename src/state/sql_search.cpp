#include "state/sql_search.h"

#include <algorithm>

#include "state/rules.h"
#include "state/sql_rows.h"

namespace loquat::state {
namespace {

constexpr std::size_t most_rows_searched = 5'000;
constexpr std::size_t rows_a_step = 500;
// The years 1 and 10000: both databases keep times beyond.
constexpr Time lowest_date(std::chrono::microseconds(-62'135'596'800'000'000));
constexpr Time highest_date(std::chrono::microseconds(253'402'300'800'000'000));

const std::string& columns() {
  static const std::string text(state_columns());
  return text;
}

std::vector<chat::ConversationId> find_conversations(db::Connection& connection, const ThreadQuery& query) {
  const auto rows = connection(
      "SELECT channel, account FROM threads WHERE thread_id = $1 AND ($2::text IS NULL OR channel = $2::text)"
      " AND ($3::text IS NULL OR account = $3::text) ORDER BY written DESC, version DESC",
      query.thread_id, db::to_value(query.channel), db::to_value(query.account));
  std::vector<chat::ConversationId> found;
  found.reserve(rows->size());
  for (std::size_t row = 0; row < rows->size(); ++row) found.push_back({rows->text(row, 0), rows->text(row, 1), query.thread_id});
  return found;
}

std::vector<std::optional<State>> find_rows_by_thread_sqlite(db::Connection& connection, std::span<const ThreadQuery> queries) {
  static const auto sql =
      "SELECT " + columns() +
      " FROM (SELECT * FROM threads AS x WHERE x.thread_id = $1 AND ($2::text IS NULL OR x.channel = $2::text)"
      " AND ($3::text IS NULL OR x.account = $3::text) ORDER BY x.written DESC, x.version DESC LIMIT 1) AS t"
      " CROSS JOIN states AS s ON s.channel = t.channel AND s.account = t.account AND s.thread_id = t.thread_id AND s.version = t.version";
  std::vector<std::optional<State>> found;
  found.reserve(queries.size());
  for (const auto& query : queries) {
    const auto rows = connection(sql, query.thread_id, db::to_value(query.channel), db::to_value(query.account));
    found.push_back(rows->empty() ? std::nullopt : std::optional(read_state(*rows, 0)));
  }
  return found;
}

}  // namespace

std::vector<std::optional<State>> find_rows_by_thread(db::Connection& connection, std::span<const ThreadQuery> queries) {
  static const auto sql =
      "SELECT k.i, " + columns() +
      " FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS k(thread_id, channel, account, i)"
      " CROSS JOIN LATERAL (SELECT * FROM threads AS x WHERE x.thread_id = k.thread_id AND (k.channel IS NULL OR x.channel = k.channel)"
      " AND (k.account IS NULL OR x.account = k.account) ORDER BY x.written DESC, x.version DESC LIMIT 1) AS t"
      " CROSS JOIN LATERAL (SELECT * FROM states AS y WHERE y.channel = t.channel AND y.account = t.account AND y.thread_id = t.thread_id"
      " AND y.version = t.version) AS s";
  if (connection.dialect() == db::Dialect::sqlite) return find_rows_by_thread_sqlite(connection, queries);
  std::vector<std::string> threads;
  std::vector<std::optional<std::string>> channels;
  std::vector<std::optional<std::string>> accounts;
  for (const auto& query : queries) {
    threads.push_back(query.thread_id);
    channels.push_back(query.channel);
    accounts.push_back(query.account);
  }
  std::vector<std::optional<State>> found(queries.size());
  const auto rows = connection(sql, std::move(threads), std::move(channels), std::move(accounts));
  for (std::size_t row = 0; row < rows->size(); ++row)
    found.at(static_cast<std::size_t>(rows->integer(row, 0)) - 1) = read_state(*rows, row, 1);
  return found;
}

HistoryPage read_history(db::Connection& connection, const ThreadQuery& query, std::size_t limit,
                         const std::optional<HistoryCursor>& cursor) {
  static const auto sql =
      "SELECT " + columns() +
      " FROM states AS s WHERE s.channel = $1 AND s.account = $2 AND s.thread_id = $3 AND s.version < $4 AND NOT s.erased"
      " ORDER BY s.version DESC LIMIT $5";
  HistoryPage page;
  auto conversation = cursor ? cursor->conversation : chat::ConversationId();
  if (conversation.thread_id.empty()) {
    const auto found = find_conversations(connection, query);
    if (found.empty()) return page;
    conversation = found.front();
  }
  const auto below = cursor ? cursor->version : std::numeric_limits<std::int64_t>::max();
  const auto rows =
      connection(sql, conversation.channel, conversation.account, conversation.thread_id, below, static_cast<std::int64_t>(limit) + 1);
  for (std::size_t row = 0; row < std::min(rows->size(), limit); ++row) page.items.push_back(read_state(*rows, row));
  if (rows->size() > limit && !page.items.empty()) page.next = to_text(HistoryCursor{conversation, page.items.back().version});
  return page;
}

ThreadsPage read_threads(db::Connection& connection, std::size_t page, std::size_t limit, std::optional<Time> start,
                         std::optional<Time> end) {
  // Without dates the small table tells all; with them a thread counts when it has a state in between.
  static const std::string all = "SELECT thread_id, max(date) AS date, max(version) AS version FROM threads GROUP BY thread_id";
  static const std::string between =
      "SELECT thread_id, max(date) AS date, max(version) AS version FROM states WHERE date >= $1 AND date <= $2 AND NOT erased GROUP BY "
      "thread_id";
  const bool bounded = start || end;
  const auto& source = bounded ? between : all;
  db::Values bounds;
  if (bounded) bounds = {start.value_or(from_microseconds(0)), end.value_or(now() + std::chrono::days(36'500))};
  const auto total = connection.query("SELECT count(*) FROM (" + source + ") AS t", bounds);
  const auto place = std::string(bounded ? "$3 OFFSET $4" : "$1 OFFSET $2");
  bounds.push_back(static_cast<std::int64_t>(limit));
  bounds.push_back(static_cast<std::int64_t>((page - 1) * limit));
  const auto rows =
      connection.query("SELECT thread_id, date, version FROM (" + source + ") AS t ORDER BY date DESC, thread_id LIMIT " + place, bounds);
  ThreadsPage out;
  out.total = total->integer(0, 0);
  for (std::size_t row = 0; row < rows->size(); ++row) out.items.push_back({rows->text(row, 0), rows->time(row, 1), rows->integer(row, 2)});
  return out;
}

namespace {

/// The rows between two times, newest first, behind the cursor.
db::Result read_window(db::Connection& connection, Time from, const SearchCursor& behind) {
  static const auto sql = "SELECT " + columns() +
                          " FROM states AS s WHERE s.date >= $1 AND s.date <= $2 AND NOT s.erased"
                          " AND (s.date, s.channel, s.account, s.thread_id, s.version) < ($2, $3, $4, $5, $6)"
                          " ORDER BY s.date DESC, s.channel DESC, s.account DESC, s.thread_id DESC, s.version DESC LIMIT $7";
  return connection(sql, from, behind.date, behind.conversation.channel, behind.conversation.account, behind.conversation.thread_id,
                    behind.version, static_cast<std::int64_t>(rows_a_step));
}

}  // namespace

// Window by window back in time, each wider while they are empty: an index on ranges of dates (BRIN) serves that, and no
// step sorts the whole table.
HistoryPage search_rows(db::Connection& connection, const SearchQuery& query, const std::optional<SearchCursor>& cursor) {
  HistoryPage page;
  const auto lower = query.start_date.value_or(lowest_date);
  SearchCursor behind{query.end_date ? *query.end_date + std::chrono::microseconds(1) : highest_date, {}, 0};
  if (cursor && cursor->date <= behind.date) behind = *cursor;
  std::chrono::microseconds width = std::chrono::hours(1);
  std::size_t searched = 0;
  while (behind.date >= lower) {
    const auto from = std::max(lower, std::min(behind.date, now()) - width);
    const auto rows = read_window(connection, from, behind);
    for (std::size_t row = 0; row < rows->size(); ++row) {
      auto state = read_state(*rows, row);
      behind = cursor_of(state);
      if (!matches(state, query)) continue;
      page.items.push_back(std::move(state));
      if (page.items.size() == query.limit) {
        page.next = to_text(behind);
        return page;
      }
    }
    searched += rows->size();
    if (rows->size() < rows_a_step) {
      if (from == lower) return page;
      behind = {from, {}, 0};
      width *= 4;
    }
    if (searched >= most_rows_searched) {
      page.next = to_text(behind);
      return page;
    }
  }
  return page;
}

void redact_row(db::Connection& connection, const chat::ConversationId& conversation, const MessageId& id) {
  auto state = std::move(find_rows_by_message_id(connection, std::span(&id, 1)).front());
  if (!state || state->conversation != conversation || state->erased) return;
  const auto attachments = redact_state(*state);
  connection("UPDATE states SET user_message = $1, nlu = $2, context = $3 WHERE message_id = $4",
             db::to_value(to_column(state->user_message)), db::to_value(to_column(state->nlu)), db::to_value(to_column(state->context)),
             db::to_value(id));
  if (attachments.is_null()) return;
  const auto later = connection(
      "SELECT version, context FROM states WHERE channel = $1 AND account = $2 AND thread_id = $3 AND version > $4 ORDER BY version",
      conversation.channel, conversation.account, conversation.thread_id, state->version);
  for (std::size_t i = 0; i < later->size(); ++i) {
    json::value context;
    JsonError ignored;
    if (later->is_null(i, 1) || !try_parse_json(later->text(i, 1), context, ignored) || !redact_context(context, attachments)) return;
    connection("UPDATE states SET context = $1 WHERE channel = $2 AND account = $3 AND thread_id = $4 AND version = $5",
               db::to_value(to_column(context)), conversation.channel, conversation.account, conversation.thread_id, later->integer(i, 0));
  }
}

bool erase_rows(db::Connection& connection, const ThreadQuery& query) {
  const auto conversations = find_conversations(connection, query);
  const auto newest = find_latest_rows(connection, conversations);
  std::vector<State> tombstones;
  for (std::size_t i = 0; i < conversations.size(); ++i) {
    if (newest[i] && !newest[i]->erased) tombstones.push_back(make_tombstone(conversations[i], newest[i]->version + 1));
  }
  std::vector<const State*> rows;
  std::vector<db::Values> keys;
  for (const auto& tombstone : tombstones) {
    rows.push_back(&tombstone);
    keys.push_back({tombstone.conversation.channel, tombstone.conversation.account, tombstone.conversation.thread_id});
  }
  append_rows(connection, rows);
  connection.batch(
      "UPDATE states SET user_message = NULL, bot_message = NULL, nlu = NULL, context = NULL, intent = NULL, parameters = NULL,"
      " extracted_parameters = NULL, missing_parameters = NULL, current_node = NULL, complete = false, erased = true"
      " WHERE channel = $1 AND account = $2 AND thread_id = $3",
      keys);
  connection.batch("DELETE FROM threads WHERE channel = $1 AND account = $2 AND thread_id = $3", std::move(keys));
  return !rows.empty();
}

std::size_t delete_rows(db::Connection& connection, Time before, std::size_t limit) {
  const std::string place = connection.dialect() == db::Dialect::sqlite ? "rowid" : "ctid";
  const auto result = connection("DELETE FROM states WHERE " + place + " IN (SELECT s." + place +
                                     " FROM states AS s WHERE s.date < $1 AND EXISTS (SELECT 1 FROM states AS n WHERE n.channel = s.channel"
                                     " AND n.account = s.account AND n.thread_id = s.thread_id AND n.version > s.version) LIMIT $2)",
                                 before, static_cast<std::int64_t>(limit));
  return static_cast<std::size_t>(result->affected());
}

}  // namespace loquat::state
