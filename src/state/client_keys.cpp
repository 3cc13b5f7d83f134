#include "state/client_keys.h"

#include "core/error.h"
#include "state/rules.h"

namespace loquat::state {

asio::awaitable<Store::Appended> append_of_client(Store& store, State state, std::optional<std::int64_t> expected_version) {
  if (!state.message_id) co_return co_await store.append(std::move(state), expected_version);
  State again = state;
  try {
    co_return co_await store.append(std::move(state), expected_version);
  } catch (const Error& error) {
    if (!is_foreign_message_id(error)) throw;
  }
  again.message_id = message_id_of_key(again.conversation, again.message_id->to_string());
  co_return co_await store.append(std::move(again), expected_version);
}

}  // namespace loquat::state
