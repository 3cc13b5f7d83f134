#include "state/api.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/json.h"
#include "core/url.h"
#include "http/errors.h"
#include "state/memory_store.h"
#include "state/retention.h"
#include "testing/await.h"

namespace loquat::state {
namespace {

using http::Method;
using http::Request;
using http::Response;
using testing::await;

/// The routes without a socket: what a handler throws becomes the answer, as in the server.
class StateApi : public ::testing::Test {
 protected:
  StateApi() {
    add_routes(router_, *store_, [this](const ThreadQuery& query) -> asio::awaitable<void> {
      erased_elsewhere_.push_back(query.thread_id);
      return nothing();
    });
  }
  static asio::awaitable<void> nothing() { co_return; }

  Response ask(Method method, std::string target, std::string body = {}, http::Headers headers = {}, bool service = false) {
    Request request;
    request.method = method;
    request.target = target;
    const auto question = target.find('?');
    request.path = target.substr(0, question);
    if (question != std::string::npos) request.query = url::parse_query(std::string_view(target).substr(question + 1));
    request.body = std::move(body);
    request.headers = std::move(headers);
    request.principal = {service ? "service" : "admin", service};
    auto match = router_.match(method, request.path);
    if (match.route == nullptr) return match.allowed.empty() ? http::make_refusal(404) : http::make_method_refusal(match.allowed);
    EXPECT_EQ(match.route->options.access, http::Access::admin);
    request.path_parameters = std::move(match.path_parameters);
    try {
      return await(match.route->handler(request));
    } catch (...) {
      return http::make_error(std::current_exception(), "id");
    }
  }
  static json::value body_of(const Response& response) { return parse_json(response.body); }
  static http::Headers header(std::string name, std::string value) {
    http::Headers headers;
    headers.add(std::move(name), std::move(value));
    return headers;
  }

  std::unique_ptr<Store> store_ = make_memory_store();
  http::Router router_;
  std::vector<std::string> erased_elsewhere_;
};

constexpr const char* hello = R"({"thread_id": "t", "user_message": {"text": "hi", "channel": "rest"}, "date": "2026-01-02T03:04:05"})";

TEST_F(StateApi, AppendsAndReads) {
  const auto made = ask(Method::post, "/states", hello);
  EXPECT_EQ(made.status, 201U);
  EXPECT_EQ(made.headers.get("ETag"), "\"1\"");
  EXPECT_EQ(
      made.body,
      R"({"thread_id":"t","user_message":{"text":"hi","channel":"rest"},"bot_message":null,"nlu":{},"context":{},"intent":{},"parameters":[],)"
      R"("extracted_parameters":{},"missing_parameters":[],"complete":false,"current_node":"","date":"2026-01-02T03:04:05+00:00",)"
      R"("version":1,"message_id":null})");
  const auto read = ask(Method::get, "/states/t/");
  EXPECT_EQ(read.status, 200U);
  EXPECT_EQ(read.body, made.body);
  EXPECT_EQ(read.headers.get("ETag"), "\"1\"");
  const auto put = ask(Method::put, "/states/t", R"({"thread_id": "other", "user_message": {"channel": "rest"}})");
  EXPECT_EQ(put.status, 201U);
  EXPECT_EQ(body_of(put).at("thread_id"), "t");
  EXPECT_EQ(body_of(put).at("version"), 2);
  EXPECT_EQ(body_of(ask(Method::put, "/states/new", "{}")).at("version"), 1);
}

TEST_F(StateApi, UnknownThreads) {
  const auto answer = ask(Method::get, "/states/none");
  EXPECT_EQ(answer.status, 404U);
  EXPECT_EQ(answer.body, R"({"detail":"State not found"})");
  EXPECT_EQ(ask(Method::get, "/states/none/history").body, R"({"items":[],"next":null})");
  EXPECT_EQ(ask(Method::delete_, "/states/none").status, 204U);
}

TEST_F(StateApi, RefusesWhatIsNoState) {
  EXPECT_EQ(ask(Method::post, "/states", "{}").status, 422U);
  EXPECT_EQ(ask(Method::post, "/states", "[]").status, 422U);
  EXPECT_EQ(ask(Method::post, "/states", "").status, 422U);
  EXPECT_EQ(ask(Method::put, "/states/t", "{").status, 422U);
  EXPECT_EQ(ask(Method::put, "/states/t", R"({"context": 5})").status, 422U);
  EXPECT_EQ(ask(Method::post, "/states?expected_version=x", hello).status, 422U);
  EXPECT_EQ(ask(Method::post, "/states?expected_version=-1", hello).status, 422U);
  EXPECT_EQ(ask(Method::get, "/states/t").status, 404U);
}

TEST_F(StateApi, ExpectedVersionAndIfMatch) {
  EXPECT_EQ(ask(Method::post, "/states?expected_version=1", hello).status, 409U);
  EXPECT_EQ(ask(Method::post, "/states", hello, header("If-Match", "*")).status, 412U);
  EXPECT_EQ(ask(Method::post, "/states?expected_version=0", hello, header("If-None-Match", "*")).status, 201U);
  EXPECT_EQ(ask(Method::post, "/states", hello, header("If-None-Match", "*")).status, 412U);
  EXPECT_EQ(ask(Method::post, "/states?expected_version=0", hello).status, 409U);
  EXPECT_EQ(ask(Method::post, "/states", hello, header("If-Match", "\"1\"")).status, 201U);
  for (const auto* wrong : {"\"1\"", "\"0\"", "W/\"2\"", "\"x\"", "\"1\", \"3\"", ""}) {
    EXPECT_EQ(ask(Method::put, "/states/t", hello, header("If-Match", wrong)).status, 412U) << wrong;
  }
  EXPECT_EQ(ask(Method::put, "/states/t", hello, header("If-Match", "\"1\", \"2\"")).status, 201U);
  EXPECT_EQ(ask(Method::put, "/states/t", hello, header("If-Match", "*")).status, 201U);
  EXPECT_EQ(ask(Method::put, "/states/t?expected_version=3", hello, header("If-Match", "\"4\"")).status, 412U);
  EXPECT_EQ(ask(Method::put, "/states/t?expected_version=4", hello, header("If-Match", "\"4\"")).status, 201U);
  EXPECT_EQ(body_of(ask(Method::get, "/states/t")).at("version"), 5);
}

TEST_F(StateApi, IdempotencyKeys) {
  const auto first = ask(Method::post, "/states", hello, header("Idempotency-Key", "order 17"));
  EXPECT_EQ(first.status, 201U);
  ask(Method::post, "/states", hello);
  for (const auto* target : {"/states", "/states?expected_version=0", "/states?expected_version=9"}) {
    const auto again =
        ask(Method::post, target, R"({"thread_id": "t", "channel": "rest", "context": {"x": 1}})", header("Idempotency-Key", "order 17"));
    EXPECT_EQ(again.status, 200U);
    EXPECT_EQ(again.body, first.body);
    EXPECT_EQ(again.headers.get("ETag"), "\"1\"");
  }
  auto headers = header("Idempotency-Key", "order 17");
  headers.add("If-Match", "\"99\"");
  EXPECT_EQ(ask(Method::post, "/states", hello, headers).status, 200U);
  // Another thread may use the same key, and the body's id goes before the header's.
  EXPECT_EQ(ask(Method::put, "/states/u", hello, header("Idempotency-Key", "order 17")).status, 201U);
  const auto id = std::string(32, 'a');
  EXPECT_EQ(body_of(ask(Method::put, "/states/u", R"({"message_id": ")" + id + "\"}", header("Idempotency-Key", "k"))).at("message_id"),
            json::string(id));
}

TEST_F(StateApi, Init) {
  const auto answer = ask(Method::post, "/states/t/init");
  EXPECT_EQ(answer.status, 200U);
  const auto body = body_of(answer);
  EXPECT_EQ(body.at("thread_id"), "t");
  EXPECT_EQ(body.at("context"), json::value(json::object()));
  EXPECT_EQ(body.at("version"), 0);
  EXPECT_EQ(body.as_object().size(), 14U);
  EXPECT_EQ(ask(Method::get, "/states/t").status, 404U);
}

TEST_F(StateApi, ConversationsWithOneId) {
  ask(Method::post, "/states", R"({"thread_id": "t", "channel": "facebook", "account": "1", "context": {"n": 1}})");
  ask(Method::post, "/states", R"({"thread_id": "t", "user_message": {"channel": "rest"}, "context": {"n": 2}})");
  const auto n = [&](const std::string& query) { return body_of(ask(Method::get, "/states/t" + query)).at("context").at("n").as_int64(); };
  EXPECT_EQ(n(""), 2);
  EXPECT_EQ(n("?channel=facebook"), 1);
  EXPECT_EQ(n("?account=1"), 1);
  EXPECT_EQ(n("?channel=rest&account="), 2);
  EXPECT_EQ(ask(Method::get, "/states/t?channel=sms").status, 404U);
}

TEST_F(StateApi, HistoryPages) {
  for (int i = 0; i < 5; ++i) ask(Method::post, "/states", hello);
  const auto first = body_of(ask(Method::get, "/states/t/history?limit=2"));
  ASSERT_EQ(first.at("items").as_array().size(), 2U);
  EXPECT_EQ(first.at("items").at(0).at("version"), 5);
  const auto next = std::string(first.at("next").as_string());
  const auto second = body_of(ask(Method::get, "/states/t/history?limit=3&before=" + next));
  EXPECT_EQ(second.at("items").at(0).at("version"), 3);
  EXPECT_TRUE(second.at("next").is_null());
  for (const auto* wrong : {"limit=0", "limit=1001", "limit=x", "before=zzz"}) {
    EXPECT_EQ(ask(Method::get, std::string("/states/t/history?") + wrong).status, 422U) << wrong;
  }
}

TEST_F(StateApi, ThreadList) {
  ask(Method::post, "/states", R"({"thread_id": "a", "date": "2026-01-01T00:00:00Z"})");
  ask(Method::post, "/states", R"({"thread_id": "b", "date": "2026-01-03T00:00:00Z"})");
  EXPECT_EQ(ask(Method::get, "/states").body,
            R"({"total":2,"page":1,"limit":50,"items":[{"thread_id":"b","date":"2026-01-03T00:00:00+00:00","version":1},)"
            R"({"thread_id":"a","date":"2026-01-01T00:00:00+00:00","version":1}]})");
  EXPECT_EQ(body_of(ask(Method::get, "/states/?page=2&limit=1")).at("items").at(0).at("thread_id"), "a");
  EXPECT_EQ(body_of(ask(Method::get, "/states?start_date=2026-01-02")).at("total"), 1);
  EXPECT_EQ(body_of(ask(Method::get, "/states?end_date=2026-01-02T00:00:00")).at("items").at(0).at("thread_id"), "a");
  for (const auto* wrong : {"page=0", "limit=0", "start_date=soon"})
    EXPECT_EQ(ask(Method::get, std::string("/states?") + wrong).status, 422U) << wrong;
}

TEST_F(StateApi, Erasure) {
  ask(Method::post, "/states", hello);
  const auto answer = ask(Method::delete_, "/states/t");
  EXPECT_EQ(answer.status, 204U);
  EXPECT_EQ(answer.body, "");
  EXPECT_EQ(erased_elsewhere_, std::vector<std::string>{"t"});
  EXPECT_EQ(ask(Method::get, "/states/t").status, 404U);
  EXPECT_EQ(ask(Method::get, "/states/t/history").body, R"({"items":[],"next":null})");
  EXPECT_EQ(ask(Method::delete_, "/states/t").status, 204U);
  EXPECT_EQ(body_of(ask(Method::post, "/states", hello)).at("version"), 3);
}

TEST_F(StateApi, OnlyOtherProcessesSeeWhatIsOurs) {
  const auto* body = R"({"thread_id": "t", "origin": 5, "channel": "c", "account": "a"})";
  EXPECT_EQ(body_of(ask(Method::post, "/states", body)).as_object().size(), 14U);
  EXPECT_EQ(body_of(ask(Method::get, "/states/t?full=true")).as_object().size(), 14U);
  EXPECT_EQ(body_of(ask(Method::get, "/states/t", "", {}, true)).at("origin"), 0) << "taken from other processes only";
  ask(Method::post, "/states", body, {}, true);
  const auto seen = body_of(ask(Method::get, "/states/t?full=true", "", {}, true));
  EXPECT_EQ(seen.at("origin"), 5);
  EXPECT_EQ(seen.at("account"), "a");
  ask(Method::delete_, "/states/t");
  EXPECT_EQ(ask(Method::get, "/states/t?channel=c&account=a&exact=true").status, 404U);
  EXPECT_EQ(body_of(ask(Method::get, "/states/t?channel=c&account=a&exact=true", "", {}, true)).at("erased"), true);
}

TEST_F(StateApi, Methods) {
  EXPECT_EQ(ask(Method::patch, "/states/t").status, 405U);
  EXPECT_EQ(ask(Method::get, "/states/t/init").status, 405U);
  EXPECT_EQ(ask(Method::get, "/states/t/nothing").status, 404U);
}

TEST(Retention, DeletesBatchByBatch) {
  const auto store = make_memory_store();
  for (int i = 0; i < 1'203; ++i) {
    State state;
    state.conversation = {"", "", "t"};
    state.date = now() - std::chrono::days(100);
    await(store->append(std::move(state), {}));
  }
  async::TaskGroup tasks;
  EXPECT_EQ(await(delete_expired(*store, tasks, std::chrono::hours(24 * 30), std::chrono::hours(24 * 8))), 1'202U);
  EXPECT_EQ(await(delete_expired(*store, tasks, std::chrono::hours(24 * 30), std::chrono::hours(24 * 8))), 0U);
  tasks.stop();
  await(run_retention(*store, tasks, std::chrono::hours(1), std::chrono::hours(1)));
}

}  // namespace
}  // namespace loquat::state
