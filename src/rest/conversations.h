#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>

#include "chat/message.h"
#include "dialogue/manager.h"
#include "rest/conversation_locks.h"
#include "state/store.h"

namespace loquat::rest {

/// Turns whose caller waits for the answer: decided in order within this process, and against the version that is stored, so
/// that other processes may talk in the same conversation: a turn that loses is decided again until the locks' `wait_limit`, counted
/// from its arrival, has passed. Thread-safe.
class Conversations {
 public:
  /// Both must outlive it.
  Conversations(state::Store& states, const dialogue::Manager& manager, ConversationLocks::Settings settings);
  Conversations(state::Store& states, const dialogue::Manager& manager) : Conversations(states, manager, ConversationLocks::Settings()) {}

  /// The stored state of this turn. A message id that is known already gives the state of that time; nothing is decided or stored.
  /// Throws Error(unavailable) when a database is away, no bot is loaded yet, or others were faster all the time;
  /// Error(too_large) when the context grows beyond 256 KiB.
  [[nodiscard]] asio::awaitable<state::State> talk(chat::UserMessage message);

 private:
  state::Store& states_;
  const dialogue::Manager& manager_;
  std::chrono::milliseconds time_limit_;
  ConversationLocks locks_;
};

}  // namespace loquat::rest
