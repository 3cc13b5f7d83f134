#include <algorithm>
#include <deque>
#include <memory>

#include "bot/api.h"
#include "bot/api_parts.h"
#include "bot/chatlog.h"
#include "core/error.h"
#include "core/id.h"
#include "core/query_values.h"
#include "state/search_request.h"

namespace loquat::bot {
namespace {

constexpr std::int64_t most_items = 1'000;
constexpr std::size_t history_page = 500;
/// A conversation is shown with its newest turns, at most so many.
constexpr std::size_t most_turns = 20'000;

asio::awaitable<http::Response> list(state::Store& states, http::Request& request) {
  schema::Issues issues;
  const schema::QueryReader query(request.query, issues);
  const auto page = query.integer("page", 1, {.at_least = 1});
  const auto limit = query.integer("limit", 10, {.at_least = 1, .at_most = most_items});
  const auto start = query.find_time("start_date");
  const auto end = query.find_time("end_date");
  issues.throw_if_any();
  const auto found = co_await states.threads(static_cast<std::size_t>(std::min<std::int64_t>(page, 1'000'000'000)),
                                             static_cast<std::size_t>(limit), start, end);
  json::array conversations;
  for (const auto& item : found.items) {
    conversations.push_back(json::object{{"thread_id", item.thread_id}, {"date", to_iso8601(item.date)}});
  }
  co_return http::Response::json(
      json::object{{"total", found.total}, {"page", page}, {"limit", limit}, {"conversations", std::move(conversations)}});
}

state::ThreadQuery read_thread(const http::Request& request) {
  schema::Issues ignored;
  const schema::QueryReader query(request.query, ignored);
  return {request.path_parameter("thread_id"), query.find_text("channel"), query.find_text("account")};
}

asio::awaitable<http::Response> get_thread(state::Store& states, http::Request& request) {
  const auto thread = read_thread(request);
  std::deque<json::object> turns;
  std::optional<std::string> before;
  do {
    auto page = co_await states.history(thread, history_page, before);
    for (const auto& state : page.items) {
      if (!state.erased) turns.push_front(make_chatlog_turn(state));
    }
    before = std::move(page.next);
  } while (before && turns.size() < most_turns);
  if (turns.empty()) co_return http::Response::json_text(R"({"error":"Conversation not found"})");
  json::array out;
  out.reserve(turns.size());
  for (auto& turn : turns) out.push_back(std::move(turn));
  co_return http::Response::json(out);
}

asio::awaitable<bool> erase_thread(state::Store& states, const EraseThread& erase, state::ThreadQuery thread) {
  if (erase) co_return co_await erase(std::move(thread));
  co_return co_await states.erase(thread);
}

asio::awaitable<http::Response> remove_thread(state::Store& states, const EraseThread& erase, http::Request& request) {
  const auto thread = read_thread(request);
  if (co_await erase_thread(states, erase, thread)) audit(request, "conversation erased", thread.thread_id);
  co_return http::Response::empty(204);
}

state::SearchQuery read_search(const http::Request& request) {
  auto search = state::read_search(request, "q", 50, most_items);
  // A form sends what was left empty too.
  for (auto* filter : {&search.text, &search.intent, &search.channel, &search.before}) {
    if (*filter && (*filter)->empty()) filter->reset();
  }
  return search;
}

asio::awaitable<http::Response> search(state::Store& states, http::Request& request) {
  const auto page = co_await states.search(read_search(request));
  json::array items;
  for (const auto& state : page.items) items.push_back(make_search_item(state));
  co_return http::Response::json(
      json::object{{"items", std::move(items)}, {"next", page.next ? json::value(json::string(*page.next)) : json::value(nullptr)}});
}

std::string make_lines(const state::HistoryPage& page) {
  std::string lines;
  for (const auto& state : page.items) {
    append_json(lines, make_export_line(state));
    lines += '\n';
  }
  return lines;
}

struct ExportRun {
  state::Store& states;
  state::SearchQuery query;
  state::HistoryPage page;
};

asio::awaitable<void> write_export(std::shared_ptr<ExportRun> run, http::StreamWriter& writer) {
  for (;;) {
    const auto lines = make_lines(run->page);
    if (!lines.empty()) co_await writer.write(lines);
    if (!run->page.next) co_return;
    run->query.before = std::move(run->page.next);
    run->page = co_await run->states.search(run->query);
  }
}

asio::awaitable<http::Response> export_turns(state::Store& states, http::Request& request) {
  auto query = read_search(request);
  query.limit = history_page;
  // The first page is read before the head goes out: a database that is away is a 503 and not a broken file.
  auto page = co_await states.search(query);
  const auto run = std::make_shared<ExportRun>(ExportRun{states, std::move(query), std::move(page)});
  audit(request, "chat logs exported", "");
  http::Response response;
  response.headers.set("Content-Type", "application/x-ndjson");
  response.headers.set("Content-Disposition", "attachment;filename=chatlogs.jsonl");
  response.stream = [run](http::StreamWriter& writer) { return write_export(run, writer); };
  co_return response;
}

struct LabelBody {
  std::string intent_id;
};
BOOST_DESCRIBE_STRUCT(LabelBody, (), (intent_id))
constexpr auto required_members(const LabelBody* /*unused*/) { return std::array<std::string_view, 1>{"intent_id"}; }

asio::awaitable<std::optional<state::State>> find_turn(state::Store& states, const state::ThreadQuery& thread, std::int64_t version) {
  std::optional<std::string> before;
  std::size_t seen = 0;
  do {
    auto page = co_await states.history(thread, history_page, before);
    for (auto& state : page.items) {
      if (state.version == version && !state.erased) co_return std::move(state);
    }
    seen += page.items.size();
    const bool passed = !page.items.empty() && page.items.back().version < version;
    before = passed ? std::nullopt : std::move(page.next);
  } while (before && seen < most_turns);
  co_return std::nullopt;
}

/// By the id of the document, or by the intentId that bots' authors gave.
asio::awaitable<std::string> find_intent(AdminStore& admin, const std::string& wanted) {
  if (const auto id = parse_object_id(wanted)) {
    if (const auto document = co_await admin.find(Kind::intent, *id)) co_return document->id;
  }
  for (const auto& document : co_await admin.list(Kind::intent)) {
    if (string_member(document.body, "intentId") == wanted) co_return document.id;
  }
  throw Error(Code::not_found, not_found_message(Kind::intent));
}

asio::awaitable<http::Response> label(state::Store& states, AdminStore& admin, http::Request& request) {
  const auto body = schema::read_body<LabelBody>(request.body, request.headers.get("Content-Type"));
  const auto version = read_path_integer(request, "version");
  const auto turn = co_await find_turn(states, read_thread(request), version);
  if (!turn) throw Error(Code::not_found, "Conversation not found");
  std::vector<Entity> entities;
  for (const auto& document : co_await admin.list(Kind::entity)) entities.push_back(to_entity(document));
  const auto example = make_training_example(*turn, entities);
  if (!example) throw Error(Code::invalid, "the turn has no text to learn from");
  const auto id = co_await find_intent(admin, body.intent_id);
  co_await admin.update(Kind::intent, id, [example](json::object& intent) { add_example(intent, *example); }, std::nullopt);
  audit(request, "chat log entry labelled", id, {{"thread_id", request.path_parameter("thread_id")}, {"version", version}});
  co_return http::Response::json(*example);
}

const json::object text_schema{{"type", "string"}};
const json::object integer_schema{{"type", "integer"}};
const json::object date_schema{{"type", "string"}, {"format", "date-time"}};

json::object limits(std::int64_t least, std::optional<std::int64_t> most, std::int64_t fallback) {
  json::object schema{{"type", "integer"}, {"minimum", least}, {"default", fallback}};
  if (most) schema.emplace("maximum", *most);
  return schema;
}

std::vector<json::object> filter_parameters() {
  return {query_parameter("q", text_schema, "Anywhere in what the person said"),
          query_parameter("intent", text_schema),
          query_parameter("channel", text_schema),
          query_parameter("min_confidence", {{"type", "number"}}),
          query_parameter("max_confidence", {{"type", "number"}}),
          query_parameter("start_date", date_schema),
          query_parameter("end_date", date_schema),
          query_parameter("before", text_schema, "The cursor `next` of the page before"),
          query_parameter("limit", limits(1, most_items, 50))};
}

std::vector<json::object> conversation_parameters() {
  return {query_parameter("channel", text_schema), query_parameter("account", text_schema)};
}

json::object list_schema() {
  return object_schema({{"total", integer_schema},
                        {"page", integer_schema},
                        {"limit", integer_schema},
                        {"conversations", array_schema(object_schema({{"thread_id", text_schema}, {"date", date_schema}}))}});
}

void add_old_routes(http::Router& router, state::Store& states, const EraseThread& erase) {
  router.add(
      http::Method::get, "/admin/chatlogs",
      {.doc = {.summary = "List conversations, newest first",
               .tag = "chatlogs",
               .parameters = {query_parameter("page", limits(1, std::nullopt, 1)), query_parameter("limit", limits(1, most_items, 10)),
                              query_parameter("start_date", date_schema), query_parameter("end_date", date_schema)},
               .responses = {{200, list_schema()}}}},
      [&states](http::Request& request) { return list(states, request); });
  router.add(http::Method::get, "/admin/chatlogs/{thread_id}",
             {.doc = {.summary = "A conversation's turns, oldest first",
                      .tag = "chatlogs",
                      .parameters = conversation_parameters(),
                      .responses = {{200, {}}}}},
             [&states](http::Request& request) { return get_thread(states, request); });
  router.add(
      http::Method::delete_, "/admin/chatlogs/{thread_id}",
      {.doc = {.summary = "Erase a conversation", .tag = "chatlogs", .parameters = conversation_parameters(), .responses = {{204, {}}}}},
      [&states, erase](http::Request& request) { return remove_thread(states, erase, request); });
}

}  // namespace

void add_chatlog_routes(http::Router& router, state::Store& states, AdminStore& admin, EraseThread erase) {
  add_old_routes(router, states, erase);
  router.add(http::Method::get, "/admin/chatlog-search",
             {.doc = {.summary = "Search the turns of all conversations, newest first",
                      .tag = "chatlogs",
                      .parameters = filter_parameters(),
                      .responses = {{200, object_schema({{"items", array_schema({{"type", "object"}})},
                                                         {"next", {{"type", json::array{"string", "null"}}}}})}}}},
             [&states](http::Request& request) { return search(states, request); });
  router.add(http::Method::get, "/admin/chatlog-export",
             {.doc = {.summary = "Export turns as JSON Lines",
                      .tag = "chatlogs",
                      .parameters = filter_parameters(),
                      .responses = {{200, {}}},
                      .response_type = "application/x-ndjson"}},
             [&states](http::Request& request) { return export_turns(states, request); });
  router.add(http::Method::post, "/admin/chatlogs/{thread_id}/{version}/label",
             {.doc = {.summary = "Make a training example of what a person said",
                      .tag = "chatlogs",
                      .request_body = schema::describe<LabelBody>(),
                      .parameters = {integer_path_parameter("version"), query_parameter("channel", text_schema),
                                     query_parameter("account", text_schema)},
                      .responses = {{200, {{"type", "object"}}}, {404, {}}}}},
             [&states, &admin](http::Request& request) { return label(states, admin, request); });
}

}  // namespace loquat::bot
