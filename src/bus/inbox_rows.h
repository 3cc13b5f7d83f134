#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bus/item.h"
#include "db/sql.h"

/// The SQL of the tables inbox and parked. Each function runs on a connection inside the caller's transaction. Multi-row
/// statements are sorted by key: unsorted, two processes deadlock.
namespace loquat::bus {

/// An event ready to be stored.
struct Arrival {
  std::string conv;
  MessageId message_id;
  std::string event;
  unsigned part = 0;
  std::int64_t at_ms = 0;
};

/// Appends to the inbox; the rows' seq, in the arrivals' order. `seqs`: those to use (SQLite), empty on PostgreSQL.
std::vector<std::int64_t> insert_arrivals(db::Connection& connection, std::span<const Arrival> arrivals,
                                          std::span<const std::int64_t> seqs);

/// Pending rows of the partitions, lowest first, from above `after`.
std::vector<std::int64_t> find_pending_seqs(db::Connection& connection, const std::vector<std::int64_t>& parts, std::int64_t after,
                                            std::size_t limit);
/// The rows of these inbox numbers that still exist, by seq.
std::vector<Item> load_inbox(db::Connection& connection, std::vector<std::int64_t> seqs);
void delete_inbox(db::Connection& connection, std::vector<std::int64_t> seqs);
void delete_parked(db::Connection& connection, std::vector<std::int64_t> seqs);

struct Progress {
  std::int64_t seq = 0;
  bool parked = false;
  int parts_sent = 0;
};
void update_progress(db::Connection& connection, std::vector<Progress> progress);

/// Moves an event to `parked`, or rewrites its row there. `next_at_ms` empty: a dead letter.
struct Parking {
  Item item;
  std::string page;
  std::optional<std::int64_t> next_at_ms;
  std::string reason;
  bool while_stopped = false;  ///< waits for its page: settle() decides
};
/// What waits for a page that is not stopped (any more) is due at once. The pages' rows stay locked until the transaction ends, so that a
/// release comes before and is seen here, or comes after and finds what is parked. To be called before anything of `parked` is touched.
void settle(db::Connection& connection, std::vector<Parking>& parkings);
void park(db::Connection& connection, std::vector<Parking> parkings);
/// Stores an event that could not be read as a dead letter at once.
void insert_dead(db::Connection& connection, const Arrival& arrival, std::int64_t seq, std::string_view page, std::string_view reason);

/// Conversations of the partitions that have parked events (dead letters do not count): they are blocked.
std::vector<std::string> find_blocked(db::Connection& connection, const std::vector<std::int64_t>& parts);
/// Of those the ones whose time has come.
std::vector<std::string> find_due(db::Connection& connection, const std::vector<std::int64_t>& parts, std::int64_t now_ms,
                                  std::size_t limit);
/// The next of a conversation's waiting parked events: first what was begun, then in the order of find_place.
std::vector<Item> load_parked(db::Connection& connection, const std::string& conv, std::size_t limit);
/// Ends a page's stop and lets its parked events go on now. False when it is not stopped.
bool release_page(db::Connection& connection, const std::string& page, std::int64_t now_ms);
/// Pages that are not stopped and for which events wait all the same: no release will come for them.
std::vector<std::string> find_unreleased(db::Connection& connection, std::int64_t now_ms);
void make_due(db::Connection& connection, const std::string& page, std::int64_t now_ms);

/// Rows of an event that its sender took back.
struct Kept {
  std::int64_t seq = 0;
  Event event;
};
std::vector<Kept> find_kept(db::Connection& connection, const std::string& conv, const MessageId& id);
/// Takes the words out of those that wait; dead letters go.
void take_back(db::Connection& connection, std::vector<Kept> rows);

/// These events were being decided when their process died.
void add_crash(db::Connection& connection, std::vector<std::int64_t> seqs);

struct Counts {
  std::int64_t pending = 0;
  std::optional<std::int64_t> oldest_ms;
  std::vector<std::pair<std::string, std::int64_t>> parked;  ///< by reason
  std::int64_t dead = 0;
};
[[nodiscard]] Counts count_rows(db::Connection& connection);

/// Removes all of a conversation. `thread_id` with channel and account optional.
void erase_conversation(db::Connection& connection, std::string_view thread_id, const std::optional<std::string>& channel,
                        const std::optional<std::string>& account);

[[nodiscard]] std::int64_t now_ms() noexcept;

}  // namespace loquat::bus
