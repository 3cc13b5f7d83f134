#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "state/state.h"

namespace loquat::state {

namespace asio = boost::asio;

/// Chooses among conversations that share a thread_id; without channel or account the one written last.
struct ThreadQuery {
  std::string thread_id;
  std::optional<std::string> channel;
  std::optional<std::string> account;
};

struct HistoryPage {
  std::vector<State> items;         ///< newest first
  std::optional<std::string> next;  ///< cursor for the next page
};

struct ThreadSummary {
  std::string thread_id;
  Time date;
  std::int64_t version = 0;
};
struct ThreadsPage {
  std::int64_t total = 0;
  std::vector<ThreadSummary> items;  ///< latest first
};

/// Filters of the chat logs' search and export.
struct SearchQuery {
  std::optional<std::string> text;  ///< anywhere in the user's text, case-insensitively
  std::optional<std::string> intent;
  std::optional<std::string> channel;
  std::optional<double> min_confidence;
  std::optional<double> max_confidence;
  std::optional<Time> start_date;
  std::optional<Time> end_date;
  std::optional<std::string> before;  ///< cursor
  std::size_t limit = 50;
};

/// Port of the conversation states. Append-only. Thread-safe. All functions throw Error(unavailable) when the database is away.
class Store {
 public:
  virtual ~Store() = default;

  struct Appended {
    State state;
    bool existed = false;  ///< the message id was known: this is the stored row, nothing was appended
  };
  /// Appends one state as the next version. Looks the message id up first: a known one gives its stored row, however long ago,
  /// whatever the version. Then `expected_version` (0: the conversation must be new), when given, must be the latest:
  /// else Error(conflict). Safe to repeat after an unknown outcome when there is a message id.
  virtual asio::awaitable<Appended> append(State state, std::optional<std::int64_t> expected_version) = 0;

  /// The newest row of this very conversation, tombstones included (the caller needs the version).
  virtual asio::awaitable<std::optional<State>> find_latest(const chat::ConversationId& conversation) = 0;
  /// The newest row by thread; a tombstone counts as none.
  virtual asio::awaitable<std::optional<State>> find_latest(const ThreadQuery& query) = 0;
  virtual asio::awaitable<std::optional<State>> find_by_message_id(const MessageId& id) = 0;

  virtual asio::awaitable<HistoryPage> history(const ThreadQuery& query, std::size_t limit, std::optional<std::string> before) = 0;
  /// Old chat-log list: threads with their latest date, newest first. `page` from 1.
  virtual asio::awaitable<ThreadsPage> threads(std::size_t page, std::size_t limit, std::optional<Time> start, std::optional<Time> end) = 0;
  virtual asio::awaitable<HistoryPage> search(const SearchQuery& query) = 0;

  /// A person took a message back: removes its text from the stored row (user_message.text becomes "", nlu {}), and its attachments from
  /// that row and from the contexts of the rows after it. Nothing when there is no such row. Over HTTP: DELETE
  /// /states/{thread_id}/messages/{message_id}, 204.
  virtual asio::awaitable<void> redact(const chat::ConversationId& conversation, const MessageId& id) = 0;

  /// Erases all conversations that match: their rows' contents go, a tombstone as version n + 1 stays. True when there were some.
  virtual asio::awaitable<bool> erase(const ThreadQuery& query) = 0;

  /// Deletes at most `limit` rows older than `age`, never a conversation's newest one, never one younger than `dedup_age`.
  /// Returns how many.
  virtual asio::awaitable<std::size_t> delete_older(std::chrono::hours age, std::chrono::hours dedup_age, std::size_t limit) = 0;

  virtual asio::awaitable<void> ping() = 0;
};

/// Called by the api after Store::erase, for what other folders keep of that conversation (the bus: inbox, parked, dead letters).
/// Given to the api by app/.
using AlsoErase = std::function<asio::awaitable<void>(const ThreadQuery&)>;

}  // namespace loquat::state
