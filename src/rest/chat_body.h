#pragma once

#include <array>
#include <boost/describe.hpp>
#include <optional>
#include <string>

#include "chat/message.h"
#include "core/schema.h"
#include "http/message.h"

namespace loquat::rest {

/// What a client sends.
struct ChatBody {
  std::string thread_id;
  std::string text;
  std::optional<json::object> context;
};
BOOST_DESCRIBE_STRUCT(ChatBody, (), (thread_id, text, context))
constexpr auto required_members(const ChatBody*) {
  using namespace std::string_view_literals;
  return std::array{"thread_id"sv, "text"sv, "context"sv};
}
constexpr auto min_lengths(const ChatBody*) { return std::array{schema::MinLength{"thread_id", 1}}; }

/// The body's schema for the OpenAPI document.
[[nodiscard]] json::object describe_chat_body();

/// The message of a request. Throws Error(invalid) with the issues. Context members that only channels may set are dropped.
/// The header `Idempotency-Key` names the message.
[[nodiscard]] chat::UserMessage read_message(const http::Request& request);

}  // namespace loquat::rest
