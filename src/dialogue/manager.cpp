#include "dialogue/manager.h"

#include <chrono>
#include <mutex>
#include <utility>

#include "async/task_group.h"
#include "core/error.h"
#include "core/log.h"
#include "core/metrics.h"
#include "dialogue/compiled_bot.h"
#include "dialogue/policy.h"

namespace loquat::dialogue {
namespace {

using Clock = std::chrono::steady_clock;
using Result = std::expected<json::value, std::string>;

constexpr std::chrono::milliseconds glance{20};
constexpr std::string_view built_in_fallback = "Sorry, I did not get that.";

metrics::Counter& turns(const char* outcome) {
  return metrics::counter("dialogue_turns_total", "Turns decided, by how they ended", {{"outcome", outcome}});
}

struct Metrics {
  metrics::Counter& answered = turns("answered");
  metrics::Counter& asked = turns("asked");
  metrics::Counter& fallback = turns("fallback");
  metrics::Counter& cancelled = turns("cancelled");
  metrics::Counter& call_failed = turns("call_failed");
  metrics::Counter& template_failed = turns("template_failed");
  metrics::Histogram& duration = metrics::histogram("dialogue_turn_duration_seconds", "Time to decide a turn, API call included");
};

void warn(std::string_view what, std::string_view intent, std::string_view fault) {
  log::warning("dialogue", what, {{"intent", intent}, {"fault", fault}});
}

/// What a template sees, lent by the state: nothing is copied.
class Variables {
 public:
  explicit Variables(state::State& state) : state_(state) {
    object_.reserve(3);
    object_["context"] = std::move(state.context);
    object_["parameters"] = std::move(state.extracted_parameters);
  }
  ~Variables() {
    state_.context = std::move(object_["context"]);
    state_.extracted_parameters = std::move(object_["parameters"]);
  }
  Variables(const Variables&) = delete;
  Variables& operator=(const Variables&) = delete;

  void set_result(const json::value& result) { object_["result"] = result; }
  [[nodiscard]] const json::object& object() const noexcept { return object_; }

 private:
  state::State& state_;
  json::object object_;
};

}  // namespace

struct Manager::Impl {
  Impl(Settings s, http::Client* client) : transport{client, s.addresses, std::move(s.api_proxy)}, bot_wait(s.bot_wait) {}

  ApiTransport transport;
  std::chrono::milliseconds bot_wait;
  Metrics metrics;
  mutable std::mutex mutex;
  std::shared_ptr<const CompiledBot> bot;

  [[nodiscard]] asio::awaitable<nlu::Meaning> understand(const CompiledBot& compiled, std::string_view text) const;
  [[nodiscard]] asio::awaitable<Result> call(const ApiCall& api, const json::object& variables, const chat::UserMessage& message,
                                             CallMemory& memory) const;
  [[nodiscard]] asio::awaitable<void> speak(const CompiledBot& compiled, Turn& turn, const chat::UserMessage& message,
                                            CallMemory* memory) const;
  [[nodiscard]] json::array fall_back(const CompiledBot& compiled, const json::object& variables) const;
};

Manager::Manager(Settings settings, http::Client* client) : impl_(std::make_unique<Impl>(std::move(settings), client)) {}
Manager::~Manager() = default;

void Manager::set_bot(std::shared_ptr<const CompiledBot> bot) noexcept {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->bot.swap(bot);
  }
  // The old bot, if this was its last user, goes here: outside the lock.
}

std::shared_ptr<const CompiledBot> Manager::bot() const noexcept {
  const std::lock_guard lock(impl_->mutex);
  return impl_->bot;
}

asio::awaitable<nlu::Meaning> Manager::Impl::understand(const CompiledBot& compiled, std::string_view text) const {
  nlu::Meaning meaning;
  if (const auto command = find_command(text)) {
    meaning.intent = *command;
    meaning.confidence = 1.0;
    meaning.entities = compiled.interpreter().find_entities(text);
  } else if (!text.empty()) {
    std::string fault;
    try {
      meaning = co_await compiled.interpreter().interpret(text);
    } catch (const std::exception& error) {
      fault = error.what();
    }
    if (!fault.empty()) log::error("dialogue", "a message could not be interpreted", {{"fault", fault}});
  }
  co_return meaning;
}

asio::awaitable<Result> Manager::Impl::call(const ApiCall& api, const json::object& variables, const chat::UserMessage& message,
                                            CallMemory& memory) const {
  if (memory.key.empty()) memory.key = message.message_id.value_or(MessageId::random()).to_string();
  auto request = api.prepare(variables, memory.key);
  if (!request) co_return std::unexpected(request.error());
  std::string what = request->method + ' ' + request->url + ' ' + request->body;
  if (memory.call == what) {
    if (memory.result) co_return *memory.result;
    co_return std::unexpected("the call failed before");
  }
  auto result = co_await perform(transport, *std::move(request));
  memory.call = std::move(what);
  memory.result = result ? std::optional(*result) : std::nullopt;
  co_return result;
}

/// What the bot says when it does not know better.
json::array Manager::Impl::fall_back(const CompiledBot& compiled, const json::object& variables) const {
  if (const auto number = compiled.rules().find(fallback_intent)) {
    const auto text = compiled.intent(*number).answer.render(variables);
    if (text) return split_messages(*text);
    warn("a template failed: answer", fallback_intent, text.error());
  }
  return split_messages(built_in_fallback);
}

asio::awaitable<void> Manager::Impl::speak(const CompiledBot& compiled, Turn& turn, const chat::UserMessage& message,
                                           CallMemory* memory) const {
  auto& state = turn.state;
  if (!turn.intent) {
    metrics.fallback.add();
    state.bot_message = split_messages(built_in_fallback);
    co_return;
  }
  const auto& id = compiled.rules().intent(*turn.intent).id;
  const auto& intent = compiled.intent(*turn.intent);
  Variables variables(state);
  if (!turn.ask && intent.call) {
    CallMemory own;
    const auto result = co_await call(*intent.call, variables.object(), message, memory == nullptr ? own : *memory);
    if (!result) {
      warn("an API call failed", id, result.error());
      metrics.call_failed.add();
      state.bot_message = split_messages(service_unavailable);
      co_return;
    }
    variables.set_result(*result);
  }
  const auto text = (turn.ask ? intent.prompts[*turn.ask] : intent.answer).render(variables.object());
  if (!text) {
    warn(turn.ask ? "a template failed: prompt" : "a template failed: answer", id, text.error());
    metrics.template_failed.add();
    state.bot_message = fall_back(compiled, variables.object());
    co_return;
  }
  (turn.ask ? metrics.asked : id == fallback_intent ? metrics.fallback : id == cancel_intent ? metrics.cancelled : metrics.answered).add();
  state.bot_message = split_messages(*text);
}

/// A process takes messages a moment before its first bot is loaded.
asio::awaitable<std::shared_ptr<const CompiledBot>> Manager::wait_for_bot() const {
  const auto end = Clock::now() + impl_->bot_wait;
  for (;;) {
    if (auto compiled = bot()) co_return compiled;
    if (Clock::now() >= end) throw Error(Code::unavailable, "The bot is not loaded yet");
    co_await async::sleep_for(glance);
  }
}

asio::awaitable<state::State> Manager::decide(std::optional<state::State> previous, const chat::UserMessage& message,
                                              CallMemory* memory) const {
  const auto started = Clock::now();
  auto compiled = bot();
  if (!compiled) compiled = co_await wait_for_bot();
  auto state = begin_turn(std::move(previous), message, now());
  const auto meaning = co_await impl_->understand(*compiled, message.text);
  auto turn = next(compiled->rules(), std::move(state), message.text, meaning);
  co_await impl_->speak(*compiled, turn, message, memory);
  impl_->metrics.duration.observe(Clock::now() - started);
  co_return std::move(turn.state);
}

}  // namespace loquat::dialogue
