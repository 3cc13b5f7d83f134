#include "bus/dead_letters.h"

#include <ostream>

#include "bus/inbox_rows.h"
#include "core/clock.h"

namespace loquat::bus {
namespace {

constexpr std::string_view columns =
    "SELECT seq, conv, message_id, event, attempts, at, page_id, reason, crashes FROM parked WHERE next_at IS NULL ";

DeadLetter read_letter(const db::Rows& rows, std::size_t row) {
  DeadLetter letter;
  letter.id = rows.integer(row, 0);
  try {
    letter.event = from_stored(rows.text(row, 1), rows.message_id(row, 2), rows.text(row, 3));
  } catch (const Error&) {
    letter.event.conversation = chat::ConversationId::from_key(rows.text(row, 1));
    letter.event.body = {{"raw", rows.text(row, 3)}};
  }
  letter.attempts = static_cast<int>(rows.integer(row, 4) + rows.integer(row, 8));
  letter.admitted_ms = rows.integer(row, 5);
  letter.page = rows.text(row, 6);
  letter.reason = rows.text(row, 7);
  return letter;
}

json::object to_object(const DeadLetter& letter) {
  return {{"id", letter.id},
          {"date", to_iso8601(Time(std::chrono::milliseconds(letter.admitted_ms)))},
          {"reason", letter.reason},
          {"attempts", letter.attempts},
          {"channel", letter.event.conversation.channel},
          {"page", letter.page},
          {"thread_id", letter.event.conversation.thread_id},
          {"kind", letter.event.kind},
          {"message_id", letter.event.message_id.to_string()},
          {"body", letter.event.body}};
}

void print_letter(std::ostream& out, const DeadLetter& letter) {
  out << letter.id << "  " << to_rfc3339(Time(std::chrono::milliseconds(letter.admitted_ms))) << "  " << letter.reason << "  "
      << letter.event.conversation.channel << "/" << letter.page << "/" << letter.event.conversation.thread_id << "  " << letter.event.kind
      << "\n";
}

/// In the order of their numbers, some at a time: there may be many.
template <class Use>
void for_each(db::Database& database, const Use& use) {
  constexpr std::size_t at_once = 1'000;
  std::int64_t after = 0;
  for (;;) {
    const auto letters = list_dead_letters(database, at_once, after);
    for (const auto& letter : letters) use(letter);
    if (letters.size() < at_once) return;
    after = letters.back().id;
  }
}

int list_all(const DeadLettersOptions& options, db::Database& database, std::ostream& out) {
  bool none = true;
  if (options.json) out << "[";
  for_each(database, [&](const DeadLetter& letter) {
    if (!options.json) {
      print_letter(out, letter);
    } else {
      out << (none ? "" : ",") << to_json(to_object(letter));
    }
    none = false;
  });
  if (options.json) out << "]\n";
  if (none && !options.json) out << "There are no dead letters.\n";
  return 0;
}

}  // namespace

std::vector<DeadLetter> list_dead_letters(db::Database& database, std::size_t limit, std::int64_t after) {
  std::vector<DeadLetter> letters;
  database.run_blocking([&](db::Connection& c) {
    letters.clear();
    const auto rows = c.query(std::string(columns) + "AND seq > $1 ORDER BY seq LIMIT $2",
                              {db::Value(after), db::Value(static_cast<std::int64_t>(limit))});
    for (std::size_t i = 0; i < rows->size(); ++i) letters.push_back(read_letter(*rows, i));
  });
  return letters;
}

std::optional<DeadLetter> find_dead_letter(db::Database& database, std::int64_t id) {
  std::optional<DeadLetter> letter;
  database.run_blocking([&](db::Connection& c) {
    const auto rows = c.query(std::string(columns) + "AND seq = $1", {db::Value(id)});
    if (!rows->empty()) letter = read_letter(*rows, 0);
  });
  return letter;
}

bool replay_dead_letter(db::Database& database, std::int64_t id) {
  bool found = false;
  database.run_blocking([&](db::Connection& c) {
    const auto rows = c("SELECT conv, event FROM parked WHERE seq = $1 AND next_at IS NULL", id);
    found = !rows->empty();
    if (!found) return;
    const auto new_id = MessageId::random();
    const auto stored = rows->text(0, 1);
    const auto event = from_stored(rows->text(0, 0), new_id, stored);
    if (event.body.contains("raw"))
      throw Error(Code::invalid, "dead letter " + std::to_string(id) + " could not be read when it came; it cannot be replayed");
    const Arrival arrival{rows->text(0, 0), new_id, stored, partition_of(event.conversation), now_ms()};
    const std::vector<std::int64_t> seqs{to_microseconds(now())};
    insert_arrivals(c, std::span(&arrival, 1), seqs);
    c("DELETE FROM parked WHERE seq = $1 AND next_at IS NULL", id);
  });
  return found;
}

bool drop_dead_letter(db::Database& database, std::int64_t id) {
  bool found = false;
  database.run_blocking(
      [&](db::Connection& c) { found = c("DELETE FROM parked WHERE seq = $1 AND next_at IS NULL", id)->affected() == 1; });
  return found;
}

int run_dead_letters(const DeadLettersOptions& options, db::Database& database, std::ostream& out, std::ostream& err) {
  if (options.action == "list") return list_all(options, database, out);
  auto ids = options.ids;
  if (options.all) for_each(database, [&ids](const DeadLetter& letter) { ids.push_back(letter.id); });
  if (ids.empty() && !options.all) {
    err << "loquat dead-letters " << options.action << ": give the numbers that `loquat dead-letters list` shows, or --all\n";
    return 2;
  }
  std::size_t done = 0;
  for (const auto id : ids) {
    try {
      if (options.action == "show") {
        const auto letter = find_dead_letter(database, id);
        if (letter) out << to_json(to_object(*letter)) << "\n";
        done += letter ? 1 : 0;
        if (!letter) err << "There is no dead letter " << id << ".\n";
        continue;
      }
      const bool replay = options.action == "replay";
      const bool found = replay ? replay_dead_letter(database, id) : drop_dead_letter(database, id);
      done += found ? 1 : 0;
      if (!found) err << "There is no dead letter " << id << ".\n";
      if (found && !options.json) out << (replay ? "replayed " : "dropped ") << id << "\n";
    } catch (const Error& error) {
      if (error.code() == Code::unavailable) throw;
      err << error.what() << "\n";
    }
  }
  if (options.json && options.action != "show") out << to_json(json::object{{"done", done}, {"failed", ids.size() - done}}) << "\n";
  if (done == ids.size()) return 0;
  return done == 0 ? 1 : 3;
}

}  // namespace loquat::bus
