#pragma once

#include <chrono>
#include <functional>

namespace loquat::async {

/// Calls `function` once at `time` (or as soon after it as can be), on the one thread that the process has for this. It must not block nor
/// throw. For what happens seldom: who waits in a queue sets one alarm for the queue's front, not one a job. Thread-safe.
void call_at(std::chrono::steady_clock::time_point time, std::move_only_function<void()> function);

}  // namespace loquat::async
