#include "state/mongo_documents.h"

namespace loquat::state {
namespace {

using db::Bson;

/// A member that must be of a kind, or its default. The old store wrote null for what was not set.
json::value read_as(const Bson& document, std::string_view name, json::kind kind) {
  auto value = document.value(name);
  if (value.kind() == kind) return value;
  if (kind == json::kind::array) return json::array();
  return json::object();
}

/// null and what is of the kind stay as they are.
json::value read_or_null(const Bson& document, std::string_view name, json::kind kind, json::value missing) {
  if (!document.has(name)) return missing;
  auto value = document.value(name);
  if (value.kind() == kind || value.is_null()) return value;
  return missing;
}

}  // namespace

Bson to_document(const State& state, std::int64_t written, std::string_view token) {
  const auto& conversation = state.conversation;
  Bson id;
  id.add("c", conversation.channel).add("a", conversation.account).add("t", conversation.thread_id).add("v", state.version);
  Bson out;
  out.add("_id", id)
      .add("thread_id", conversation.thread_id)
      .add("channel", conversation.channel)
      .add("account", conversation.account)
      .add("version", state.version);
  if (state.message_id) out.add("message_id", state.message_id->to_string());
  if (state.origin != 0) out.add("origin", state.origin);
  out.add("user_message", state.user_message)
      .add("bot_message", state.bot_message)
      .add("nlu", state.nlu)
      .add("context", state.context)
      .add("intent", state.intent)
      .add("parameters", state.parameters)
      .add("extracted_parameters", state.extracted_parameters)
      .add("missing_parameters", state.missing_parameters)
      .add("complete", state.complete)
      .add("current_node", state.current_node)
      .add("date", state.date)
      .add("date_us", to_microseconds(state.date))
      .add("erased", state.erased)
      .add("written", written)
      .add("token", token);
  return out;
}

Time read_date(const Bson& document) {
  if (const auto exact = document.find_integer("date_us")) return from_microseconds(*exact);
  if (const auto date = document.find_time("date")) return *date;
  return document.find_time("_id").value_or(Time());
}

chat::ConversationId conversation_of(const Bson& document) {
  chat::ConversationId id{{}, {}, document.describe("thread_id")};
  if (!document.is_null("version")) {
    id.channel = document.find_text("channel").value_or("");
    id.account = document.find_text("account").value_or("");
    return id;
  }
  const auto message = document.value("user_message");
  id.channel = string_member(message, "channel");
  if (id.channel != "facebook") return id;
  const auto* context = find_member(message, "context");
  const auto* page = context == nullptr ? nullptr : find_member(*context, "page_id");
  if (page != nullptr && page->is_string()) id.account = as_view(page->get_string());
  if (page != nullptr && page->is_number()) id.account = to_json(*page);
  return id;
}

State from_document(const Bson& document, std::int64_t old_version, const std::optional<chat::ConversationId>& conversation) {
  State state;
  const bool ours = !document.is_null("version");
  state.conversation = ours || !conversation ? conversation_of(document) : *conversation;
  state.version = ours ? document.find_integer("version").value_or(0) : old_version;
  if (const auto id = document.find_text("message_id")) state.message_id = MessageId::parse(*id);
  state.origin = document.find_integer("origin").value_or(0);
  state.user_message = document.value("user_message");
  state.bot_message = read_or_null(document, "bot_message", json::kind::array, nullptr);
  state.nlu = read_or_null(document, "nlu", json::kind::object, json::object());
  state.context = read_as(document, "context", json::kind::object);
  state.intent = read_as(document, "intent", json::kind::object);
  state.parameters = read_as(document, "parameters", json::kind::array);
  state.extracted_parameters = read_as(document, "extracted_parameters", json::kind::object);
  state.missing_parameters = read_as(document, "missing_parameters", json::kind::array);
  state.complete = document.find_boolean("complete").value_or(false);
  state.current_node = read_or_null(document, "current_node", json::kind::string, json::string());
  state.date = read_date(document);
  state.erased = document.find_boolean("erased").value_or(false);
  return state;
}

Bson ours_of(const chat::ConversationId& conversation) {
  Bson filter;
  filter.add("thread_id", conversation.thread_id).add("channel", conversation.channel).add("account", conversation.account);
  filter.add("version", Bson().add("$gt", 0));
  return filter;
}

Bson old_of(std::string_view thread_id) {
  Bson filter;
  filter.add("thread_id", thread_id).add_null("version");
  return filter;
}

}  // namespace loquat::state
