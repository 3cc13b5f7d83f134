#include "rest/conversations.h"

#include <chrono>
#include <optional>
#include <utility>

#include "core/error.h"

namespace loquat::rest {
namespace {

/// A conversation's context is stored anew with every turn; what anybody may add to it must end somewhere.
constexpr std::size_t largest_context = 256 * 1024;

/// Roughly the bytes of a value.
std::size_t size_of(const json::value& value) noexcept {
  constexpr std::size_t node = 8;
  std::size_t size = node;
  if (const auto* object = value.if_object()) {
    for (const auto& [key, member] : *object) size += key.size() + size_of(member);
  } else if (const auto* array = value.if_array()) {
    for (const auto& item : *array) size += size_of(item);
  } else if (const auto* text = value.if_string()) {
    size += text->size();
  }
  return size;
}

void check_context(const std::optional<state::State>& previous, const chat::UserMessage& message) {
  if (message.context.empty()) return;
  std::size_t size = previous ? size_of(previous->context) : 0;
  for (const auto& [key, value] : message.context) size += key.size() + size_of(value);
  if (size > largest_context) throw Error(Code::too_large, "The conversation's context is too large");
}

}  // namespace

Conversations::Conversations(state::Store& states, const dialogue::Manager& manager, ConversationLocks::Settings settings)
    : states_(states), manager_(manager), time_limit_(settings.wait_limit), locks_(settings) {}

asio::awaitable<state::State> Conversations::talk(chat::UserMessage message) {
  const auto deadline = std::chrono::steady_clock::now() + time_limit_;
  const auto guard = co_await locks_.acquire(message.conversation.to_key());
  if (message.message_id) {
    auto known = co_await states_.find_by_message_id(*message.message_id);
    if (known) co_return std::move(*known);
  }
  dialogue::Manager::CallMemory memory;
  // Another process may be faster again and again, but not for ever: its own queue is short. Without a pause, because who starts
  // later than the other finds the version taken once more.
  do {
    auto previous = co_await states_.find_latest(message.conversation);
    check_context(previous, message);
    const std::int64_t version = previous ? previous->version : 0;
    auto state = co_await manager_.decide(std::move(previous), message, &memory);
    std::optional<state::Store::Appended> appended;
    try {
      appended = co_await states_.append(std::move(state), version);
    } catch (const Error& error) {
      if (error.code() != Code::conflict) throw;
    }
    if (appended) co_return std::move(appended->state);
  } while (std::chrono::steady_clock::now() < deadline);
  throw Error(Code::unavailable, "The conversation is busy");
}

}  // namespace loquat::rest
