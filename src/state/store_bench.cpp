// Appends and reads through the SQL store as many conversations at once do, without HTTP.
//   state_bench DATABASE_URL [SECONDS] [CALLERS]
// Prints calls a second and this process's CPU time a call (the database server's own comes on top).

#include <sys/resource.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "core/log.h"
#include "db/migrate.h"
#include "state/schema.h"
#include "state/sql_store.h"
#include "state/wire.h"

namespace {

using namespace loquat;
using Clock = std::chrono::steady_clock;

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

state::State make_state(std::size_t caller) {
  const auto thread = "bench-" + std::to_string(caller);
  auto body = json::object{{"thread_id", thread},
                           {"user_message",
                            {{"thread_id", thread},
                             {"text", "I would like a table for two tonight"},
                             {"channel", "facebook"},
                             {"context", {{"page_id", "1234567890"}}}}},
                           {"bot_message", json::array{json::object{{"text", "For which time shall I book the table?"}}}},
                           {"nlu", {{"entities", {{"number", "two"}}}, {"intent", {{"intent", "book_table"}, {"confidence", 0.93}}}}},
                           {"context", {{"page_id", "1234567890"}, {"username", "Ann"}, {"timestamp", 1767323045}}},
                           {"intent", {{"id", "book_table"}}},
                           {"parameters", json::array{json::object{{"name", "people"}, {"type", "number"}, {"required", true}}}},
                           {"extracted_parameters", {{"people", "two"}}},
                           {"missing_parameters", json::array{"time"}},
                           {"current_node", "time"}};
  return state::from_json(body);
}

struct Run {
  state::Store& store;
  bool append;
  Clock::time_point end;
  std::atomic<std::size_t> calls = 0;
};

boost::asio::awaitable<void> call(Run& run, std::size_t caller) {
  const auto state = make_state(caller);
  const state::ThreadQuery query{state.conversation.thread_id, {}, {}};
  while (Clock::now() < run.end) {
    if (run.append) {
      co_await run.store.append(state, {});
    } else {
      const auto found = co_await run.store.find_latest(query);
      if (!found || state::to_json_text(*found, false).empty()) std::abort();
    }
    ++run.calls;
  }
}

void measure(state::Store& store, bool append, int seconds, std::size_t callers) {
  boost::asio::io_context loop;
  Run run{store, append, Clock::now() + std::chrono::seconds(seconds)};
  for (std::size_t i = 0; i < callers; ++i) boost::asio::co_spawn(loop, call(run, i), boost::asio::detached);
  const auto cpu = cpu_seconds();
  const auto start = Clock::now();
  loop.run();
  const double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
  const auto calls = static_cast<double>(run.calls.load());
  std::printf("%-7s %8.0f /s  %6.1f us CPU each\n", append ? "append" : "latest", calls / elapsed, (cpu_seconds() - cpu) * 1e6 / calls);
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) {
    std::fputs("state_bench DATABASE_URL [SECONDS] [CALLERS]\n", stderr);
    return 2;
  }
  log::configure(log::Level::warning, log::Format::text);
  db::DatabaseSettings settings;
  settings.url = arguments[1];
  const auto database = db::Database::open(settings);
  db::migrate(*database, state::migrations());
  const auto store = state::make_sql_store(*database);
  const int seconds = count > 2 ? std::atoi(arguments[2]) : 3;
  const auto callers = static_cast<std::size_t>(count > 3 ? std::atoi(arguments[3]) : 32);
  measure(*store, true, seconds, callers);
  measure(*store, false, seconds, callers);
  database->close();
}
