#include "rest/conversations.h"

#include <optional>
#include <utility>

#include "core/error.h"

namespace loquat::rest {
namespace {

/// Others' turns in the same conversation, in another process, may be faster this often.
constexpr int most_attempts = 10;

}  // namespace

Conversations::Conversations(state::Store& states, const dialogue::Manager& manager, ConversationLocks::Settings settings)
    : states_(states), manager_(manager), locks_(settings) {}

asio::awaitable<state::State> Conversations::talk(chat::UserMessage message) {
  const auto guard = co_await locks_.acquire(message.conversation.to_key());
  if (message.message_id) {
    auto known = co_await states_.find_by_message_id(*message.message_id);
    if (known) co_return std::move(*known);
  }
  dialogue::Manager::CallMemory memory;
  for (int attempt = 0; attempt < most_attempts; ++attempt) {
    auto previous = co_await states_.find_latest(message.conversation);
    const std::int64_t version = previous ? previous->version : 0;
    auto state = co_await manager_.decide(std::move(previous), message, &memory);
    std::optional<state::Store::Appended> appended;
    try {
      appended = co_await states_.append(std::move(state), version);
    } catch (const Error& error) {
      if (error.code() != Code::conflict) throw;
    }
    if (appended) co_return std::move(appended->state);
  }
  throw Error(Code::unavailable, "The conversation is busy");
}

}  // namespace loquat::rest
