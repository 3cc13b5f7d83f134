#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bot/definition.h"
#include "chat/message.h"
#include "state/state.h"

namespace loquat::http {
class Client;
struct AddressPolicy;
}  // namespace loquat::http

namespace loquat::dialogue {

namespace asio = boost::asio;

/// A bot ready to talk: its intents with compiled templates, and its interpreter. Immutable, shared by all loops.
class CompiledBot;

/// Compiles a definition. A template that is none does not keep the rest of the bot from talking: the fallback answers in its place, and
/// faults_of names it. Throws Error(invalid) for a definition that cannot be served at all: such a version never is.
[[nodiscard]] std::shared_ptr<const CompiledBot> compile(const bot::Definition& definition);
/// What a new version has to pass: compile() serves a bot with a broken template (that intent answers with the fallback), but none
/// with a syntax error is published; an unknown filter or test is. Throws Error(invalid) that names the intent and the fault.
void check(const bot::Definition& definition);
[[nodiscard]] std::int64_t version_of(const CompiledBot& bot) noexcept;
/// What is wrong with the bot's templates and API calls, for its author: "Intent order: answer: unknown filter 'uper' (line 1)".
[[nodiscard]] const std::vector<std::string>& faults_of(const CompiledBot& bot) noexcept;

/// Decides turns. Stores nothing: the caller loads the previous state and appends the next one, which is the only effect of a
/// turn. Thread-safe.
class Manager {
 public:
  struct Settings {
    std::string api_proxy;                           ///< API_PROXY
    const http::AddressPolicy* addresses = nullptr;  ///< for API calls
    std::chrono::milliseconds bot_wait{3'000};       ///< how long a turn waits for the first bot to be loaded
  };
  /// `client` makes the API calls; null: they answer "Service is not available".
  Manager(Settings settings, http::Client* client);
  ~Manager();
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  /// Swaps the bot without disturbing running turns.
  void set_bot(std::shared_ptr<const CompiledBot> bot) noexcept;
  [[nodiscard]] std::shared_ptr<const CompiledBot> bot() const noexcept;

  /// Holds the results of a turn's API call, so that deciding the turn again after a version conflict does not call twice.
  struct CallMemory {
    std::optional<json::value> result;  ///< empty: there was no call, or it failed
    std::string key;                    ///< the Idempotency-Key
    std::string call;                   ///< which request that was; another one (the slots differ now) is made
  };

  /// One turn: `previous` is the conversation's latest state (empty: none, or a tombstone's successor). The result has the
  /// twelve members and `conversation`, `message_id`, `version` = previous + 1. Never throws for what the bot or the
  /// person did: a failing template, API call or a deleted intent gives the fallback or the "not available" answer. Throws
  /// Error(unavailable) only when no bot is loaded yet, and none comes within `bot_wait`.
  [[nodiscard]] asio::awaitable<state::State> decide(std::optional<state::State> previous, const chat::UserMessage& message,
                                                     CallMemory* memory = nullptr) const;

 private:
  [[nodiscard]] asio::awaitable<std::shared_ptr<const CompiledBot>> wait_for_bot() const;

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace loquat::dialogue
