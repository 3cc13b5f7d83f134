#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "async/batcher.h"
#include "bus/inbox_rows.h"
#include "db/sql.h"
#include "state/state.h"
#include "state/store.h"

namespace loquat::bus {

/// What became of a turn that was to be committed.
struct Committed {
  enum class Kind : std::uint8_t {
    ok,
    version_conflict,  ///< another wrote the conversation meanwhile (an erasure): load it and decide again
    known,             ///< its message id has a row already: `stored`
    lease_lost,        ///< this process may not write any more
  };
  Kind kind = Kind::ok;
  std::optional<state::State> stored = std::nullopt;
};

/// The durable operations of the bus, batched: calls of all loops form one array, one statement, one commit. Thread-safe; to be
/// called on a loop. All throw Error(unavailable) when the database is away.
class Storage {
 public:
  struct Settings {
    std::size_t batch = 256;
    /// The states live in the bus's own database and are appended in its transactions. Otherwise `external` has them.
    state::Store* external = nullptr;
  };
  /// What a commit is guarded by. The epoch grows when this process has lost everything, before its id changes: a commit of an older epoch
  /// is refused, also one that waited in the queue meanwhile. Both are called on any thread.
  struct Lease {
    std::function<std::string()> process_id;
    std::function<std::uint64_t()> epoch;
  };
  Storage(Settings settings, db::Database& database, Lease lease);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  /// Stores events; their seqs in the same order, 0 for those that became dead letters. The events are left in place.
  [[nodiscard]] asio::awaitable<std::vector<std::int64_t>> admit(std::shared_ptr<std::vector<Event>> events);

  /// Appends the turn, guarded by the lease of this epoch. `turn->version` is the one after the latest known.
  [[nodiscard]] asio::awaitable<Committed> commit(std::shared_ptr<const state::State> turn, std::uint64_t epoch);
  /// The event is answered or ignored: its row goes. False when the lease was lost.
  [[nodiscard]] asio::awaitable<bool> done(const Item& item, std::uint64_t epoch);
  [[nodiscard]] asio::awaitable<bool> save_progress(const Item& item, std::uint64_t epoch);
  [[nodiscard]] asio::awaitable<bool> park(Parking parking, std::uint64_t epoch);

  /// A sender took this event back: what the inbox and the parked keep of it has no words any more, a dead letter of it is gone.
  [[nodiscard]] asio::awaitable<void> take_back(const chat::ConversationId& conversation, const MessageId& id);

  [[nodiscard]] asio::awaitable<std::optional<state::State>> find_latest(const chat::ConversationId& conversation);
  [[nodiscard]] asio::awaitable<std::optional<state::State>> find_by_message_id(const MessageId& id);

  [[nodiscard]] db::Database& database() noexcept;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace loquat::bus
