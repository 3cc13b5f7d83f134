#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

#include "async/pool.h"
#include "core/error.h"

struct _mongoc_client_t;  // NOLINT(bugprone-reserved-identifier): libmongoc's own name, so that its headers stay in db/ and the mongo
                          // stores

namespace loquat::db {

namespace asio = boost::asio;

struct MongoSettings {
  std::string uri = {};       ///< mongodb://... or mongodb+srv://...
  std::string database = {};  ///< empty: the one in the URI, else "chatbot"
  std::size_t max_pool_size = 100;
  std::chrono::milliseconds pool_timeout{5'000};
  std::chrono::milliseconds server_timeout{2'000};   ///< to find a server, to connect
  std::chrono::milliseconds socket_timeout{10'000};  ///< a server that hangs counts as away
  std::string name = "mongodb";                      ///< label of the pool's metrics
};

/// Thrown (as Code::unavailable) when the server refuses the user or the password of the URI, or asks for them where the URI has none.
class CredentialsRefused final : public Error {
 public:
  using Error::Error;
};

/// A session with the server; used by one thread at a time.
struct MongoSession {
  _mongoc_client_t& client;
  const std::string& database;
};

/// One MongoDB of the process: libmongoc's pool of clients behind threads of our own. What the URI says (timeouts, write concern) wins over
/// the settings; without it writes are acknowledged by a majority, journaled. Reconnects by itself. Thread-safe.
///
/// Errors, all loquat::Error: Code::conflict for a unique key that is taken, Code::invalid for documents the server refuses,
/// Code::unavailable for everything that time may heal; a write that ended so may have happened.
class MongoPool {
 public:
  /// Does not connect yet. Throws Error(invalid) for a URI that is none.
  explicit MongoPool(MongoSettings settings);
  ~MongoPool();
  MongoPool(const MongoPool&) = delete;
  MongoPool& operator=(const MongoPool&) = delete;

  /// Runs `function(MongoSession&)` on a thread of the pool. It may outlive a coroutine that is given up: it owns what it uses.
  template <class Function>
  [[nodiscard]] asio::awaitable<std::invoke_result_t<Function&, MongoSession&>> run(Function function);
  /// The same on the calling thread: command-line tools and tests.
  template <class Function>
  std::invoke_result_t<Function&, MongoSession&> run_blocking(Function function);

  /// Throws as a call would. It reads from the collection: MongoDB's own ping succeeds without credentials, too.
  [[nodiscard]] asio::awaitable<void> ping(std::string_view collection);
  [[nodiscard]] const std::string& database() const noexcept;
  void close();

 private:
  struct State;
  /// A client of libmongoc's pool, given back at the end.
  class Lease {
   public:
    explicit Lease(State& state);
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    [[nodiscard]] MongoSession session() const;

   private:
    State& state_;
    _mongoc_client_t* client_;
  };

  std::shared_ptr<State> state_;
  std::unique_ptr<async::Pool> threads_;
};

template <class Function>
asio::awaitable<std::invoke_result_t<Function&, MongoSession&>> MongoPool::run(Function function) {
  auto job = [state = state_, function = std::move(function)](async::Pool::Worker* /*none*/) mutable {
    const Lease lease(*state);
    MongoSession session = lease.session();
    return function(session);
  };
  co_return co_await threads_->run(std::move(job));
}

template <class Function>
std::invoke_result_t<Function&, MongoSession&> MongoPool::run_blocking(Function function) {
  const Lease lease(*state_);
  MongoSession session = lease.session();
  return function(session);
}

}  // namespace loquat::db
