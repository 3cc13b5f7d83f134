#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "async/task_group.h"
#include "dialogue/manager.h"
#include "http/client.h"

/// A person who talks to a bot, for tests.
namespace loquat::dialogue::test {

/// The replies, with "|" between them.
inline std::string join(const json::value& messages) {
  std::string out;
  for (const auto& message : messages.as_array()) {
    if (&message != &messages.as_array().front()) out += '|';
    out += string_member(message, "text");
  }
  return out;
}

class Talk {
 public:
  /// `bot` is a file in the export format. API calls may reach this machine.
  explicit Talk(std::string_view bot, http::AddressPolicy policy = {.public_only = true, .allowed = {"127.0.0.0/8"}})
      : policy_(std::move(policy)), client_({}, {&loop_}), manager_({.api_proxy = {}, .addresses = &policy_}, &client_) {
    use(bot);
  }
  ~Talk() { client_.close(); }
  Talk(const Talk&) = delete;
  Talk& operator=(const Talk&) = delete;

  void use(std::string_view bot) { manager_.set_bot(compile(bot::parse_export(bot))); }

  std::string say(std::string_view text, std::string_view context = "{}") {
    chat::UserMessage message{{"rest", "", "t"}, std::string(text), parse_json(context).as_object(), message_id};
    std::optional<state::State> next;
    tasks_.spawn(loop_.get_executor(), "talk", decide(manager_, state, std::move(message), memory, next));
    loop_.restart();
    loop_.run();
    if (!next) return "(no state)";
    state = std::move(*next);
    return join(state->bot_message);
  }
  /// A member of the state as JSON.
  [[nodiscard]] std::string slots() const { return to_json(state->extracted_parameters); }

  std::optional<state::State> state;
  std::optional<MessageId> message_id;
  Manager::CallMemory* memory = nullptr;

  [[nodiscard]] Manager& manager() noexcept { return manager_; }

 private:
  static asio::awaitable<void> decide(const Manager& manager, std::optional<state::State> previous, chat::UserMessage message,
                                      Manager::CallMemory* memory, std::optional<state::State>& next) {
    next = co_await manager.decide(std::move(previous), message, memory);
  }

  boost::asio::io_context loop_;
  async::TaskGroup tasks_;
  http::AddressPolicy policy_;
  http::Client client_;
  Manager manager_;
};

}  // namespace loquat::dialogue::test
