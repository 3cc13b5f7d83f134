#pragma once

#include <string>

#include "http/client.h"
#include "state/store.h"

namespace loquat::state {

/// States of another Loquat process, over its /states. Calls must come from coroutines on the client's loops. Appends with
/// a message id, and everything that only reads, are repeated when an answer was lost; others fail as unavailable.
class HttpStore final : public Store {
 public:
  /// `base`: http://host:8000, also with a prefix and with /states at the end. `client` must outlive the store.
  HttpStore(http::Client& client, std::string_view base, std::string service_token);

  asio::awaitable<Appended> append(State state, std::optional<std::int64_t> expected_version) override;
  asio::awaitable<std::optional<State>> find_latest(const chat::ConversationId& conversation) override;
  asio::awaitable<std::optional<State>> find_latest(const ThreadQuery& query) override;
  asio::awaitable<std::optional<State>> find_by_message_id(const MessageId& id) override;
  asio::awaitable<HistoryPage> history(const ThreadQuery& query, std::size_t limit, std::optional<std::string> before) override;
  asio::awaitable<ThreadsPage> threads(std::size_t page, std::size_t limit, std::optional<Time> start, std::optional<Time> end) override;
  asio::awaitable<HistoryPage> search(const SearchQuery& query) override;
  asio::awaitable<void> redact(const chat::ConversationId& conversation, const MessageId& id) override;
  asio::awaitable<bool> erase(const ThreadQuery& query) override;
  /// The other process keeps its own house: always 0.
  asio::awaitable<std::size_t> delete_older(std::chrono::hours age, std::chrono::hours dedup_age, std::size_t limit) override;
  /// Asks the other process for a state that nobody has said anything in: touches no database, needs the token.
  asio::awaitable<void> ping() override;

 private:
  struct Call;
  [[nodiscard]] asio::awaitable<http::ClientResponse> send(Call call);
  [[nodiscard]] asio::awaitable<std::optional<State>> find_one(Call call);
  [[nodiscard]] asio::awaitable<HistoryPage> find_page(Call call);

  http::Client& client_;
  std::string root_;  ///< without a trailing slash
  std::string token_;
};

}  // namespace loquat::state
