#include "bus/inbox_rows.h"

#include <algorithm>
#include <set>

#include "core/log.h"

namespace loquat::bus {
namespace {

using db::Bytes;
using db::Connection;
using db::Dialect;
using db::Value;
using db::Values;

bool is_postgres(const Connection& connection) { return connection.dialect() == Dialect::postgres; }

std::vector<Values> one_each(const std::vector<std::int64_t>& numbers) {
  std::vector<Values> rows;
  rows.reserve(numbers.size());
  for (const auto number : numbers) rows.push_back({Value(number)});
  return rows;
}

/// Partitions as a literal list: numbers of ours, so no parameter is needed and one text serves both databases.
std::string list_of(const std::vector<std::int64_t>& numbers) {
  std::string text;
  for (const auto number : numbers) text += (text.empty() ? "" : ",") + std::to_string(number);
  return text.empty() ? "-1" : text;
}

/// Reads rows with the columns seq, conv, message_id, event, attempts, parts_sent, at, crashes. A row that cannot be read is left where it
/// is and logged: it must not stop the others.
void read_items(const db::Rows& rows, bool parked, std::vector<Item>& items) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    try {
      Item item;
      item.seq = rows.integer(i, 0);
      item.event = from_stored(rows.text(i, 1), rows.message_id(i, 2), rows.text(i, 3));
      item.attempts = static_cast<int>(rows.integer(i, 4));
      item.parts_sent = static_cast<int>(rows.integer(i, 5));
      item.admitted_ms = rows.integer(i, 6);
      item.crashes = static_cast<int>(rows.integer(i, 7));
      item.parked = parked;
      items.push_back(std::move(item));
    } catch (const Error& error) {
      log::error("bus", "an inbox row cannot be read and is left alone", {{"seq", rows.integer(i, 0)}, {"error", error.what()}});
    }
  }
}

void sort_unique(std::vector<std::int64_t>& seqs) {
  std::ranges::sort(seqs);
  const auto rest = std::ranges::unique(seqs);
  seqs.erase(rest.begin(), rest.end());
}

}  // namespace

std::int64_t now_ms() noexcept { return to_milliseconds(now()); }

std::vector<std::int64_t> insert_arrivals(Connection& connection, std::span<const Arrival> arrivals, std::span<const std::int64_t> seqs) {
  if (!is_postgres(connection)) {
    std::vector<Values> rows;
    rows.reserve(arrivals.size());
    for (std::size_t i = 0; i < arrivals.size(); ++i) {
      const auto& a = arrivals[i];
      rows.push_back({Value(seqs[i]), Value(static_cast<std::int64_t>(a.part)), Value(a.conv), db::to_value(a.message_id), Value(a.event),
                      Value(a.at_ms)});
    }
    connection.batch("INSERT INTO inbox(seq, part, conv, message_id, event, at) VALUES($1, $2, $3, $4, $5, $6)", std::move(rows));
    return {seqs.begin(), seqs.end()};
  }
  std::vector<std::int64_t> parts;
  std::vector<std::string> convs;
  std::vector<Bytes> ids;
  std::vector<std::string> events;
  std::vector<std::int64_t> times;
  for (const auto& a : arrivals) {
    parts.push_back(static_cast<std::int64_t>(a.part));
    convs.push_back(a.conv);
    ids.push_back(Bytes{std::string(a.message_id.bytes.begin(), a.message_id.bytes.end())});
    events.push_back(a.event);
    times.push_back(a.at_ms);
  }
  // The subselect keeps the arrivals' order for nextval and for RETURNING.
  const auto rows = connection.query(
      "INSERT INTO inbox(seq, part, conv, message_id, event, at) "
      "SELECT nextval('inbox_seq'), u.p::smallint, u.c, u.m, u.e, u.t FROM (SELECT * FROM unnest($1::bigint[], $2::text[], $3::bytea[], "
      "$4::text[], $5::bigint[]) WITH ORDINALITY AS x(p, c, m, e, t, n) ORDER BY n) u RETURNING seq",
      {Value(std::move(parts)), Value(std::move(convs)), Value(std::move(ids)), Value(std::move(events)), Value(std::move(times))});
  std::vector<std::int64_t> result;
  result.reserve(rows->size());
  for (std::size_t i = 0; i < rows->size(); ++i) result.push_back(rows->integer(i, 0));
  return result;
}

std::vector<std::int64_t> find_pending_seqs(Connection& connection, const std::vector<std::int64_t>& parts, std::int64_t after,
                                            std::size_t limit) {
  db::Result rows;
  if (parts.size() == partition_count) {
    rows = connection("SELECT seq FROM inbox WHERE seq > $1 ORDER BY seq LIMIT $2", after, static_cast<std::int64_t>(limit));
  } else if (is_postgres(connection)) {
    rows = connection("SELECT seq FROM inbox WHERE seq > $1 AND part = ANY($3::bigint[]) ORDER BY seq LIMIT $2", after,
                      static_cast<std::int64_t>(limit), parts);
  } else {
    throw Error(Code::unavailable, "SQLite has one process", "partitions are not shared on SQLite");
  }
  std::vector<std::int64_t> seqs;
  seqs.reserve(rows->size());
  for (std::size_t i = 0; i < rows->size(); ++i) seqs.push_back(rows->integer(i, 0));
  return seqs;
}

std::vector<Item> load_inbox(Connection& connection, std::vector<std::int64_t> seqs) {
  std::vector<Item> items;
  sort_unique(seqs);
  if (is_postgres(connection)) {
    const auto rows = connection(
        "SELECT seq, conv, message_id, event, attempts, parts_sent, at, crashes FROM inbox WHERE seq = ANY($1::bigint[]) ORDER BY seq",
        std::move(seqs));
    read_items(*rows, false, items);
    return items;
  }
  for (const auto seq : seqs) {
    const auto rows = connection("SELECT seq, conv, message_id, event, attempts, parts_sent, at, crashes FROM inbox WHERE seq = $1", seq);
    read_items(*rows, false, items);
  }
  return items;
}

void delete_inbox(Connection& connection, std::vector<std::int64_t> seqs) {
  if (seqs.empty()) return;
  sort_unique(seqs);
  if (is_postgres(connection)) {
    connection("DELETE FROM inbox WHERE seq = ANY($1::bigint[])", std::move(seqs));
  } else {
    connection.batch("DELETE FROM inbox WHERE seq = $1", one_each(seqs));
  }
}

void delete_parked(Connection& connection, std::vector<std::int64_t> seqs) {
  if (seqs.empty()) return;
  sort_unique(seqs);
  connection.batch("DELETE FROM parked WHERE seq = $1", one_each(seqs));
}

void update_progress(Connection& connection, std::vector<Progress> progress) {
  std::ranges::sort(progress, {}, &Progress::seq);
  std::vector<Values> inbox;
  std::vector<Values> parked;
  for (const auto& p : progress) (p.parked ? parked : inbox).push_back({Value(p.seq), Value(static_cast<std::int64_t>(p.parts_sent))});
  if (!inbox.empty()) connection.batch("UPDATE inbox SET parts_sent = $2 WHERE seq = $1", std::move(inbox));
  if (!parked.empty()) connection.batch("UPDATE parked SET parts_sent = $2 WHERE seq = $1", std::move(parked));
}

void settle(Connection& connection, std::vector<Parking>& parkings) {
  std::set<std::string> pages;
  for (const auto& p : parkings)
    if (p.while_stopped) pages.insert(p.page);
  if (pages.empty()) return;
  std::set<std::string> stopped;
  const auto note = [&stopped](const db::Rows& rows) {
    for (std::size_t i = 0; i < rows.size(); ++i) stopped.insert(rows.text(i, 0));
  };
  if (is_postgres(connection)) {
    note(*connection("SELECT id FROM page WHERE id = ANY($1::text[]) AND state = 'stopped' ORDER BY id FOR SHARE",
                     std::vector<std::string>(pages.begin(), pages.end())));
  } else {
    for (const auto& page : pages) note(*connection("SELECT id FROM page WHERE id = $1 AND state = 'stopped'", page));
  }
  const auto now = now_ms();
  for (auto& p : parkings)
    if (p.while_stopped && !stopped.contains(p.page)) p.next_at_ms = now;
}

void park(Connection& connection, std::vector<Parking> parkings) {
  std::ranges::sort(parkings, {}, [](const Parking& p) { return p.item.seq; });
  std::vector<Values> rows;
  std::vector<std::int64_t> from_inbox;
  for (const auto& p : parkings) {
    const auto& item = p.item;
    rows.push_back({Value(item.seq), Value(static_cast<std::int64_t>(partition_of(item.event.conversation))),
                    Value(item.event.conversation.to_key()), db::to_value(item.event.message_id), Value(to_stored(item.event)),
                    Value(static_cast<std::int64_t>(item.attempts)), Value(static_cast<std::int64_t>(item.parts_sent)),
                    Value(item.admitted_ms), Value(p.page), db::to_value(p.next_at_ms), Value(p.reason),
                    Value(static_cast<std::int64_t>(item.crashes))});
    if (!item.parked) from_inbox.push_back(item.seq);
  }
  connection.batch(
      "INSERT INTO parked(seq, part, conv, message_id, event, attempts, parts_sent, at, page_id, next_at, reason, crashes) "
      "VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT(seq) DO UPDATE SET attempts = excluded.attempts, "
      "parts_sent = excluded.parts_sent, page_id = excluded.page_id, next_at = excluded.next_at, reason = excluded.reason",
      std::move(rows));
  delete_inbox(connection, std::move(from_inbox));
}

void insert_dead(Connection& connection, const Arrival& arrival, std::int64_t seq, std::string_view page, std::string_view reason) {
  connection.query(
      "INSERT INTO parked(seq, part, conv, message_id, event, at, page_id, next_at, reason) VALUES($1, $2, $3, $4, $5, $6, $7, NULL, $8)",
      {Value(seq), Value(static_cast<std::int64_t>(arrival.part)), Value(arrival.conv), db::to_value(arrival.message_id),
       Value(arrival.event), Value(arrival.at_ms), Value(std::string(page)), Value(std::string(reason))});
}

std::vector<std::string> find_blocked(Connection& connection, const std::vector<std::int64_t>& parts) {
  const std::string sql = "SELECT DISTINCT conv FROM parked WHERE next_at IS NOT NULL AND part IN (" + list_of(parts) + ")";
  const auto rows = connection.query(sql);
  std::vector<std::string> convs;
  convs.reserve(rows->size());
  for (std::size_t i = 0; i < rows->size(); ++i) convs.push_back(rows->text(i, 0));
  return convs;
}

std::vector<std::string> find_due(Connection& connection, const std::vector<std::int64_t>& parts, std::int64_t now, std::size_t limit) {
  const std::string sql =
      "SELECT DISTINCT conv FROM parked WHERE next_at IS NOT NULL AND next_at <= $1 AND part IN (" + list_of(parts) + ") LIMIT $2";
  const auto rows = connection.query(sql, {Value(now), Value(static_cast<std::int64_t>(limit))});
  std::vector<std::string> convs;
  convs.reserve(rows->size());
  for (std::size_t i = 0; i < rows->size(); ++i) convs.push_back(rows->text(i, 0));
  return convs;
}

std::vector<Item> load_parked(Connection& connection, const std::string& conv, std::size_t limit) {
  struct Waiting {
    std::int64_t seq = 0;
    std::int64_t timestamp_ms = 0;
  };
  // The timestamp is the second member of to_stored(), behind a word.
  const auto rows = connection(
      is_postgres(connection)
          ? "SELECT seq, reason = 'behind', coalesce(substring(event from '\"ts\":(-?[0-9]+)')::bigint, 0) FROM parked WHERE conv = $1 AND "
            "next_at IS NOT NULL ORDER BY seq"
          : "SELECT seq, reason = 'behind', CAST(substr(event, instr(event, '\"ts\":') + 5, 20) AS INTEGER) FROM parked WHERE conv = $1 "
            "AND "
            "next_at IS NOT NULL ORDER BY seq",
      conv);
  std::vector<Waiting> begun;
  std::vector<Waiting> behind;
  for (std::size_t i = 0; i < rows->size(); ++i) {
    const Waiting next{rows->integer(i, 0), rows->integer(i, 2)};
    if (rows->boolean(i, 1)) {
      behind.insert(find_place(behind, next.timestamp_ms, [](const Waiting& w) { return w.timestamp_ms; }), next);
    } else {
      begun.push_back(next);
    }
  }
  begun.insert(begun.end(), behind.begin(), behind.end());
  begun.resize(std::min(begun.size(), limit));
  std::vector<std::int64_t> seqs;
  seqs.reserve(begun.size());
  for (const auto& next : begun) seqs.push_back(next.seq);
  std::vector<Item> items;
  if (is_postgres(connection)) {
    read_items(
        *connection("SELECT seq, conv, message_id, event, attempts, parts_sent, at, crashes FROM parked WHERE seq = ANY($1::bigint[]) "
                    "ORDER BY array_position($1::bigint[], seq)",
                    std::move(seqs)),
        true, items);
    return items;
  }
  for (const auto seq : seqs)
    read_items(*connection("SELECT seq, conv, message_id, event, attempts, parts_sent, at, crashes FROM parked WHERE seq = $1", seq), true,
               items);
  return items;
}

bool release_page(Connection& connection, const std::string& page, std::int64_t now) {
  if (connection("UPDATE page SET state = 'ok' WHERE id = $1 AND state = 'stopped'", page)->affected() == 0) return false;
  make_due(connection, page, now);
  return true;
}

std::vector<std::string> find_unreleased(Connection& connection, std::int64_t now) {
  const auto rows = connection(
      "SELECT DISTINCT page_id FROM parked WHERE next_at > $1 AND reason IN ('page_stopped', 'no_token', 'disabled') AND page_id NOT IN "
      "(SELECT id FROM page WHERE state = 'stopped')",
      now);
  std::vector<std::string> pages;
  pages.reserve(rows->size());
  for (std::size_t i = 0; i < rows->size(); ++i) pages.push_back(rows->text(i, 0));
  return pages;
}

void make_due(Connection& connection, const std::string& page, std::int64_t now) {
  if (is_postgres(connection)) {
    connection(
        "UPDATE parked SET next_at = $2 WHERE seq IN (SELECT seq FROM parked WHERE page_id = $1 AND next_at > $2 ORDER BY seq FOR UPDATE)",
        page, now);
  } else {
    connection("UPDATE parked SET next_at = $2 WHERE page_id = $1 AND next_at > $2", page, now);
  }
}

std::vector<Kept> find_kept(Connection& connection, const std::string& conv, const MessageId& id) {
  std::vector<Kept> kept;
  for (const auto* sql : {"SELECT seq, event FROM inbox WHERE conv = $1 AND message_id = $2",
                          "SELECT seq, event FROM parked WHERE conv = $1 AND message_id = $2"}) {
    const auto rows = connection.query(sql, {Value(conv), db::to_value(id)});
    for (std::size_t i = 0; i < rows->size(); ++i) {
      try {
        kept.push_back({rows->integer(i, 0), from_stored(conv, id, rows->text(i, 1))});
      } catch (const Error&) {  // not ours to read, but to be taken back all the same
        Event event;
        event.conversation = chat::ConversationId::from_key(conv);
        event.message_id = id;
        kept.push_back({rows->integer(i, 0), std::move(event)});
      }
    }
  }
  return kept;
}

void take_back(Connection& connection, std::vector<Kept> rows) {
  std::ranges::sort(rows, {}, &Kept::seq);
  for (auto& [seq, event] : rows) {
    take_back(event);
    const auto text = to_stored(event);
    connection("UPDATE inbox SET event = $2 WHERE seq = $1", seq, text);
    connection("DELETE FROM parked WHERE seq = $1 AND next_at IS NULL", seq);
    connection("UPDATE parked SET event = $2 WHERE seq = $1", seq, text);
  }
}

void add_crash(Connection& connection, std::vector<std::int64_t> seqs) {
  if (seqs.empty()) return;
  sort_unique(seqs);
  connection.batch("UPDATE inbox SET crashes = crashes + 1 WHERE seq = $1", one_each(seqs));
  connection.batch("UPDATE parked SET crashes = crashes + 1 WHERE seq = $1", one_each(seqs));
}

Counts count_rows(Connection& connection) {
  Counts counts;
  counts.pending = connection("SELECT count(*) FROM inbox")->integer(0, 0);
  const auto oldest = connection("SELECT at FROM inbox ORDER BY seq LIMIT 1");
  if (!oldest->empty()) counts.oldest_ms = oldest->integer(0, 0);
  const auto parked = connection("SELECT reason, count(*) FROM parked WHERE next_at IS NOT NULL GROUP BY reason");
  for (std::size_t i = 0; i < parked->size(); ++i) counts.parked.emplace_back(parked->text(i, 0), parked->integer(i, 1));
  counts.dead = connection("SELECT count(*) FROM parked WHERE next_at IS NULL")->integer(0, 0);
  return counts;
}

void erase_conversation(Connection& connection, std::string_view thread_id, const std::optional<std::string>& channel,
                        const std::optional<std::string>& account) {
  if (channel && account) {
    const auto key = chat::ConversationId{*channel, *account, std::string(thread_id)}.to_key();
    connection("DELETE FROM inbox WHERE conv = $1", key);
    connection("DELETE FROM parked WHERE conv = $1", key);
    return;
  }
  // Without channel and account: every conversation of that thread id. The key ends in the separator and the thread id.
  const std::string ending = std::string(1, '\x1F') + std::string(thread_id);
  const auto beginning = channel ? *channel + '\x1F' : std::string();
  for (const char* table : {"inbox", "parked"}) {
    const std::string sql = std::string("DELETE FROM ") + table +
                            " WHERE substr(conv, length(conv) - length($1) + 1) = $1 AND substr(conv, 1, length($2)) = $2";
    connection.query(sql, {Value(ending), Value(beginning)});
  }
}

}  // namespace loquat::bus
