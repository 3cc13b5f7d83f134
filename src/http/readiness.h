#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/json.h"
#include "http/message.h"

namespace loquat::http {

/// One thing a process needs: a database, another service.
struct Check {
  std::string name;                             ///< key in the answer: "database", "integrations", "states", "bus"
  std::function<asio::awaitable<void>()> ping;  ///< throws when it does not answer; may also never end
};

/// Answers GET /readiness. Everything is pinged at once and for at most the timeout, even by a ping that hangs; one round is
/// under way at a time, whoever asks meanwhile gets its result, and it holds for a second: so probes cannot load a
/// database. Answers hold fixed words only. Thread-safe.
class Readiness {
 public:
  struct Settings {
    std::vector<Check> checks = {};
    std::chrono::milliseconds timeout{2'000};
    std::function<json::object()> details = {};  ///< shown when not empty; does not make the process unready. Called on any loop.
  };
  explicit Readiness(Settings settings);
  ~Readiness();
  Readiness(const Readiness&) = delete;
  Readiness& operator=(const Readiness&) = delete;

  /// 200 ready, or 503 unavailable or draining. Must outlive the coroutine.
  [[nodiscard]] asio::awaitable<Response> answer();
  /// From now on 503 {"status":"draining"}.
  void start_draining() noexcept;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace loquat::http
