#include "state/state.h"

#include <fmt/format.h>

#include <array>
#include <boost/describe.hpp>

#include "core/lax_values.h"
#include "core/schema.h"
#include "state/rules.h"

namespace loquat::state {
namespace {

using namespace std::string_view_literals;

/// Keys stand in indexes, whose entries PostgreSQL limits to some 2,700 bytes.
constexpr std::size_t longest_key = 800;

struct Body {
  std::string thread_id;
  json::value user_message = nullptr;
  std::optional<json::array> bot_message;
  std::optional<json::object> nlu = json::object();
  std::optional<json::object> context;
  std::optional<json::object> intent;
  std::optional<json::array> parameters;
  std::optional<json::object> extracted_parameters;
  std::optional<json::array> missing_parameters;
  bool complete = false;
  std::optional<std::string> current_node = "";
  json::value date = nullptr;
  std::optional<std::string> message_id;
  std::optional<std::string> channel;
  std::optional<std::string> account;
};
BOOST_DESCRIBE_STRUCT(Body, (),
                      (thread_id, user_message, bot_message, nlu, context, intent, parameters, extracted_parameters, missing_parameters,
                       complete, current_node, date, message_id, channel, account))
constexpr auto required_members(const Body*) { return std::array{"thread_id"sv}; }
constexpr auto min_lengths(const Body*) { return std::array{schema::MinLength{"thread_id", 1}}; }

template <class T>
json::value or_null(std::optional<T>&& value) {
  if (!value) return nullptr;
  return std::move(*value);
}
template <class T>
json::value or_empty(std::optional<T>&& value) {
  if (!value) return T();
  return std::move(*value);
}

Time read_date(const json::value& value, schema::Issues& issues) {
  if (value.is_null()) return now();
  std::string text;
  if (const auto* sent = value.if_string()) {
    text = as_view(*sent);
  } else if (value.is_number()) {
    text = to_json(value);
  } else {
    issues.add({"datetime_type", {"body", "date"}, "Input should be a valid datetime", value});
    return {};
  }
  const auto parsed = schema::parse_time(text);
  if (const auto* time = std::get_if<Time>(&parsed)) return *time;
  const auto& fault = std::get<schema::TimeFault>(parsed);
  const bool date = fault.type == "datetime_from_date_parsing";
  issues.add({fault.type,
              {"body", "date"},
              std::string("Input should be a valid datetime") + (date ? " or date, " : ", ") + fault.reason,
              value,
              json::object{{"error", fault.reason}}});
  return {};
}

void check_key(std::string_view name, const std::string& text, schema::Issues& issues) {
  const json::array loc{"body", json::string_view(name.data(), name.size())};
  if (text.size() > longest_key) {
    issues.add({"string_too_long", loc, fmt::format("String should have at most {} characters", longest_key), json::string(text),
                json::object{{"max_length", longest_key}}});
  } else if (text.find('\0') != std::string::npos || text.find('\x1f') != std::string::npos) {
    issues.add(schema::value_error(loc, "must not contain the characters U+0000 and U+001F", json::string(text)));
  }
}

// Any text may serve as an idempotency key; what is no id of ours becomes one, within its conversation.
MessageId to_message_id(const chat::ConversationId& conversation, const std::string& text) {
  if (const auto id = MessageId::parse(text)) return *id;
  return message_id_of_key(conversation, text);
}

}  // namespace

json::object to_json_object(const State& state) {
  json::object out;
  out.reserve(16);
  out.emplace("thread_id", state.conversation.thread_id);
  out.emplace("user_message", state.user_message);
  out.emplace("bot_message", state.bot_message);
  out.emplace("nlu", state.nlu);
  out.emplace("context", state.context);
  out.emplace("intent", state.intent);
  out.emplace("parameters", state.parameters);
  out.emplace("extracted_parameters", state.extracted_parameters);
  out.emplace("missing_parameters", state.missing_parameters);
  out.emplace("complete", state.complete);
  out.emplace("current_node", state.current_node);
  out.emplace("date", to_iso8601(state.date));
  out.emplace("version", state.version);
  if (state.message_id) {
    out.emplace("message_id", state.message_id->to_string());
  } else {
    out.emplace("message_id", nullptr);
  }
  return out;
}

State from_json(const json::value& body) {
  schema::Issues issues;
  auto read = schema::read<Body>(body, json::array{"body"}, issues);
  State state;
  state.date = read_date(read.date, issues);
  state.conversation.thread_id = std::move(read.thread_id);
  state.conversation.channel = read.channel ? *read.channel : std::string(string_member(read.user_message, "channel"));
  state.conversation.account = read.account.value_or("");
  check_key("thread_id", state.conversation.thread_id, issues);
  check_key("channel", state.conversation.channel, issues);
  check_key("account", state.conversation.account, issues);
  issues.throw_if_any();
  if (read.message_id && !read.message_id->empty()) state.message_id = to_message_id(state.conversation, *read.message_id);
  state.user_message = std::move(read.user_message);
  state.bot_message = or_null(std::move(read.bot_message));
  state.nlu = or_null(std::move(read.nlu));
  state.context = or_empty(std::move(read.context));
  state.intent = or_empty(std::move(read.intent));
  state.parameters = or_empty(std::move(read.parameters));
  state.extracted_parameters = or_empty(std::move(read.extracted_parameters));
  state.missing_parameters = or_empty(std::move(read.missing_parameters));
  state.complete = read.complete;
  if (read.current_node)
    state.current_node = json::string(*read.current_node);
  else
    state.current_node = nullptr;
  return state;
}

}  // namespace loquat::state
