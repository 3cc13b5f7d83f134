#include "state/doc.h"

#include "http/entity_tag.h"

namespace loquat::state::doc {
namespace {

json::object type(std::string_view name) { return {{"type", name}}; }

json::object nullable(json::object schema) { return {{"anyOf", json::array{std::move(schema), type("null")}}}; }

json::object list_of(json::object items) { return {{"type", "array"}, {"items", std::move(items)}}; }

json::object date() { return {{"type", "string"}, {"format", "date-time"}}; }

/// Of what a conversation's key is made.
json::object key_part() { return {{"type", "string"}, {"pattern", "^[^\\u0000\\u001f]*$"}}; }

json::object members(bool answer) {
  json::object thread = key_part();
  thread["minLength"] = 1;
  json::object out{{"thread_id", std::move(thread)},
                   {"user_message", json::object{{"description", "null, or an object with thread_id, text, channel and context"}}},
                   {"bot_message", nullable(list_of(type("object")))},
                   {"nlu", nullable(type("object"))},
                   {"context", type("object")},
                   {"intent", type("object")},
                   {"parameters", list_of(json::object())},
                   {"extracted_parameters", type("object")},
                   {"missing_parameters", list_of(json::object())},
                   {"complete", type("boolean")},
                   {"current_node", nullable(type("string"))},
                   {"date", date()},
                   {"message_id", nullable(type("string"))}};
  if (answer) {
    out.emplace("version", type("integer"));
  } else {
    out.emplace("channel", key_part());
    out.emplace("account", key_part());
  }
  return out;
}

json::object state_schema(bool answer) {
  return {{"type", "object"},
          {"title", answer ? "State" : "NewState"},
          {"properties", members(answer)},
          {"required", json::array{"thread_id"}}};
}

json::object parameter(std::string_view name, std::string_view in, json::object schema, std::string_view description) {
  return {{"name", name}, {"in", in}, {"required", false}, {"description", description}, {"schema", std::move(schema)}};
}

std::vector<json::object> which_conversation() {
  return {parameter("channel", "query", type("string"), "Of conversations with the same thread_id, the one of this channel"),
          parameter("account", "query", type("string"), "Of conversations with the same thread_id, the one of this account (page)")};
}

json::object limit_schema() { return {{"type", "integer"}, {"minimum", 1}, {"maximum", 1000}, {"default", 50}}; }

http::Doc make(std::string summary, std::vector<std::pair<unsigned, json::object>> responses) {
  http::Doc out;
  out.summary = std::move(summary);
  out.tag = "states";
  out.responses = std::move(responses);
  return out;
}

http::Doc writing(std::string summary) {
  auto out = make(std::move(summary), {{201, state_schema(true)}, {200, state_schema(true)}, {409, {}}, {412, {}}});
  out.request_body = state_schema(false);
  out.parameters = {parameter("expected_version", "query", {{"type", "integer"}, {"minimum", 0}, {"maximum", INT64_MAX}},
                              "The latest version must be this one (0: none yet), else 409"),
                    http::if_match_parameter("The latest version's ETag, else 412"),
                    parameter("Idempotency-Key", "header", type("string"),
                              "The same key again gives the stored state with status 200; as message_id in the body")};
  return out;
}

}  // namespace

http::Doc append() { return writing("Append a state to its conversation"); }

http::Doc put() {
  auto out = writing("Append a state to the conversation of this thread");
  out.request_body.erase("required");
  return out;
}

http::Doc list() {
  const json::object item{{"type", "object"},
                          {"properties", json::object{{"thread_id", type("string")}, {"date", date()}, {"version", type("integer")}}}};
  auto out = make(
      "List the threads, the latest first",
      {{200,
        {{"type", "object"},
         {"properties",
          json::object{{"total", type("integer")}, {"page", type("integer")}, {"limit", type("integer")}, {"items", list_of(item)}}}}}});
  out.parameters = {parameter("page", "query", {{"type", "integer"}, {"minimum", 1}, {"maximum", 1'000'000'000}, {"default", 1}}, "From 1"),
                    parameter("limit", "query", limit_schema(), "Threads a page"),
                    parameter("start_date", "query", date(), "Only threads with a state at or after this time"),
                    parameter("end_date", "query", date(), "Only threads with a state at or before this time")};
  return out;
}

http::Doc get() {
  auto out = make("Read the latest state of a thread", {{200, state_schema(true)}, {404, {}}});
  out.parameters = which_conversation();
  return out;
}

http::Doc erase() {
  auto out = make("Erase a person's conversation everywhere", {{204, {}}});
  out.parameters = which_conversation();
  return out;
}

http::Doc init() { return make("The fresh state of a thread, not stored", {{200, state_schema(true)}}); }

http::Doc history() {
  auto out = make(
      "Read a thread's states, newest first",
      {{200,
        {{"type", "object"}, {"properties", json::object{{"items", list_of(state_schema(true))}, {"next", nullable(type("string"))}}}}}});
  out.parameters = which_conversation();
  out.parameters.push_back(parameter("limit", "query", limit_schema(), "States a page"));
  out.parameters.push_back(parameter("before", "query", type("string"), "The `next` of the page before"));
  return out;
}

http::Doc redact() {
  auto out = make("Remove the text of a message that was taken back", {{204, {}}});
  out.parameters = which_conversation();
  out.hidden = true;
  return out;
}

}  // namespace loquat::state::doc
