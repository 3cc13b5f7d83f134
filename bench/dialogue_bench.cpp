// A turn of the dialogue without I/O: understand, decide, render.
#include <benchmark/benchmark.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <string>

#include "dialogue/manager.h"

namespace {

namespace asio = boost::asio;

using namespace loquat;

/// As large as bots of the old documentation are: 200 intents of 10 phrases, three entities of 100 values.
std::string make_bot() {
  std::string text = R"({"intents":[{"name":"f","intentId":"fallback","speechResponse":"Pardon?"},)"
                     R"({"name":"hello","intentId":"hello","speechResponse":"Hello {{ context.username | default('you') }}!",)"
                     R"("trainingData":[{"text":"hello there"}]},)"
                     R"({"name":"fly","intentId":"fly","speechResponse":"From {{ parameters.from }} to {{ parameters.to }} it is.",)"
                     R"("parameters":[{"name":"from","type":"e0","required":true,"prompt":"From where?"},)"
                     R"({"name":"to","type":"e0","required":true,"prompt":"{{ parameters.from }} to where?"}],)"
                     R"("trainingData":[{"text":"fly from x to y","entities":[{"value":"x","begin":9,"end":10,"name":"e0"},)"
                     R"({"value":"y","begin":14,"end":15,"name":"e0"}]}]})";
  for (int i = 0; i < 200; ++i) {
    const auto n = std::to_string(i);
    text += R"(,{"name":"i)" + n + R"(","intentId":"i)" + n + R"(","speechResponse":"Answer {{ parameters }}","trainingData":[)";
    for (int k = 0; k < 10; ++k)
      text += std::string(k == 0 ? "" : ",") + R"({"text":"phrase )" + std::to_string(k) + " of intent " + n + "\"}";
    text += "]}";
  }
  text += R"(],"entities":[)";
  for (int e = 0; e < 3; ++e) {
    text += std::string(e == 0 ? "" : ",") + R"({"name":"e)" + std::to_string(e) + R"(","entity_values":[)";
    for (int v = 0; v < 100; ++v) {
      text += std::string(v == 0 ? "" : ",") + R"({"value":"value )" + std::to_string(e * 100 + v) + R"(","synonyms":["also )" +
              std::to_string(v) + "\"]}";
    }
    text += "]}";
  }
  return text + "]}";
}

asio::awaitable<void> converse(const dialogue::Manager& manager, benchmark::State& bench, const chat::UserMessage& message,
                               const std::optional<state::State>& before) {
  for (auto _ : bench) {
    auto state = co_await manager.decide(before, message);
    benchmark::DoNotOptimize(state);
  }
}

std::optional<state::State> state_after(const dialogue::Manager& manager, const std::string& text) {
  std::optional<state::State> state;
  boost::asio::io_context loop;
  const auto run = [](const dialogue::Manager& m, std::string said, std::optional<state::State>& out) -> asio::awaitable<void> {
    const chat::UserMessage message{
        {"facebook", "page", "person"}, std::move(said), {{"username", "Ada"}, {"locale", "en_GB"}}, std::nullopt};
    out = co_await m.decide(std::nullopt, message);
  };
  boost::asio::co_spawn(loop, run(manager, text, state), [](const std::exception_ptr&) {});
  loop.run();
  return state;
}

void turn(benchmark::State& bench, const std::string& before, const std::string& text) {
  static dialogue::Manager manager({}, nullptr);
  static const bool loaded = [] {
    manager.set_bot(dialogue::compile(bot::parse_export(make_bot())));
    return true;
  }();
  benchmark::DoNotOptimize(loaded);
  const auto previous = before.empty() ? std::nullopt : state_after(manager, before);
  const chat::UserMessage message{
      {"facebook", "page", "person"}, text, {{"channel", "facebook"}, {"page_id", "page"}, {"timestamp", 1}}, MessageId::random()};
  boost::asio::io_context loop;
  boost::asio::co_spawn(loop, converse(manager, bench, message, previous), [](const std::exception_ptr&) {});
  loop.run();
}

void answer(benchmark::State& bench) { turn(bench, "hello there", "Hello there!"); }
void command(benchmark::State& bench) { turn(bench, "hello there", "/hello"); }
void slots(benchmark::State& bench) { turn(bench, "/fly", "fly from value 7 to also 42"); }
void fallback(benchmark::State& bench) { turn(bench, "hello there", "I have no idea what I could say to such a bot, do you?"); }

BENCHMARK(answer);
BENCHMARK(command);
BENCHMARK(slots);
BENCHMARK(fallback);

}  // namespace

BENCHMARK_MAIN();
