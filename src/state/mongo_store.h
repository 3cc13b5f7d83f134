#pragma once

#include <atomic>
#include <memory>

#include "db/mongo.h"
#include "state/store.h"

namespace loquat::state {

/// States in MongoDB's collection `state`. Ours have an _id of channel, account, thread and version. Documents of the old store are read
/// as they are: they belong to every conversation of their thread, come before ours and are numbered in the order of their _id.
class MongoStore final : public Store {
 public:
  /// `pool` must outlive the store.
  explicit MongoStore(db::MongoPool& pool) : pool_(pool) {}

  asio::awaitable<Appended> append(State state, std::optional<std::int64_t> expected_version) override;
  asio::awaitable<std::optional<State>> find_latest(const chat::ConversationId& conversation) override;
  asio::awaitable<std::optional<State>> find_latest(const ThreadQuery& query) override;
  asio::awaitable<std::optional<State>> find_by_message_id(const MessageId& id) override;
  asio::awaitable<HistoryPage> history(const ThreadQuery& query, std::size_t limit, std::optional<std::string> before) override;
  asio::awaitable<ThreadsPage> threads(std::size_t page, std::size_t limit, std::optional<Time> start, std::optional<Time> end) override;
  asio::awaitable<HistoryPage> search(const SearchQuery& query) override;
  asio::awaitable<void> redact(const chat::ConversationId& conversation, const MessageId& id) override;
  asio::awaitable<bool> erase(const ThreadQuery& query) override;
  asio::awaitable<std::size_t> delete_older(std::chrono::hours age, std::chrono::hours dedup_age, std::size_t limit) override;
  asio::awaitable<void> ping() override;

  /// Makes Dates of some of the dates that other writers stored as texts: how many, 0 when there are none (left). Filters, order and
  /// retention do not see texts.
  asio::awaitable<std::size_t> adopt_dates();

 private:
  db::MongoPool& pool_;
  std::shared_ptr<std::atomic<bool>> indexed_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace loquat::state
