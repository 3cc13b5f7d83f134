#include "state/wire.h"

#include "core/error.h"

namespace loquat::state {

void append_state_json(std::string& out, const State& state, bool full) {
  out += R"({"thread_id":)";
  append_json_string(out, state.conversation.thread_id);
  const auto add = [&out](std::string_view name, const json::value& value) {
    out += ",\"";
    out += name;
    out += "\":";
    append_json(out, value);
  };
  add("user_message", state.user_message);
  add("bot_message", state.bot_message);
  add("nlu", state.nlu);
  add("context", state.context);
  add("intent", state.intent);
  add("parameters", state.parameters);
  add("extracted_parameters", state.extracted_parameters);
  add("missing_parameters", state.missing_parameters);
  out += state.complete ? R"(,"complete":true)" : R"(,"complete":false)";
  add("current_node", state.current_node);
  out += R"(,"date":")" + to_iso8601(state.date) + R"(","version":)" + std::to_string(state.version) + R"(,"message_id":)";
  out += state.message_id ? '"' + state.message_id->to_string() + '"' : "null";
  if (full) {
    out += R"(,"channel":)";
    append_json_string(out, state.conversation.channel);
    out += R"(,"account":)";
    append_json_string(out, state.conversation.account);
    out += R"(,"origin":)" + std::to_string(state.origin) + R"(,"erased":)" + (state.erased ? "true" : "false");
  }
  out += '}';
}

std::string to_json_text(const State& state, bool full) {
  std::string out;
  out.reserve(1'024);
  append_state_json(out, state, full);
  return out;
}

State from_wire(const json::value& body) {
  const auto* version = find_member(body, "version");
  const auto* origin = find_member(body, "origin");
  const auto* erased = find_member(body, "erased");
  if (version == nullptr || !version->is_int64() || origin == nullptr || !origin->is_int64() || erased == nullptr || !erased->is_bool()) {
    throw Error(Code::unavailable, "the state service is not available, try again later",
                "an answer that is no state, or without our SERVICE_TOKEN");
  }
  State state;
  try {
    state = from_json(body);
  } catch (const Error& error) {
    throw Error(Code::unavailable, "the state service is not available, try again later",
                std::string("an answer that is no state: ") + error.issues());
  }
  state.version = version->get_int64();
  state.origin = origin->get_int64();
  state.erased = erased->get_bool();
  return state;
}

}  // namespace loquat::state
