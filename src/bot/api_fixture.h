#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <map>

#include "bot/api.h"
#include "bot/memory_store.h"
#include "bot/schema.h"
#include "bot/sql_store.h"
#include "core/error.h"
#include "core/url.h"
#include "db/migrate.h"
#include "http/errors.h"
#include "state/memory_store.h"
#include "testing/await.h"
#include "testing/postgres.h"
#include "testing/temporary.h"

/// The api over each of the stores, called as the server does it but without a socket. Shared by its tests.
namespace loquat::bot {

using http::Method;
using loquat::testing::await;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

inline constexpr std::string_view mask = "\u2022\u2022\u2022\u2022\u2022\u2022\u2022\u2022";
inline constexpr std::string_view success = R"({"status":"success"})";

struct Answer {
  unsigned status = 0;
  http::Headers headers;
  std::string body;

  [[nodiscard]] json::value json() const { return parse_json(body); }
};

class Collector final : public http::StreamWriter {
 public:
  asio::awaitable<void> write(std::string_view bytes) override {
    text.append(bytes);
    co_return;
  }
  std::string text;
};

/// Calls the routes as the server does, without a socket.
class BotApi : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "memory") {
      auto made = std::make_shared<MemoryStore>();
      connect(made, *made, *made);
    } else {
      std::string url = directory_.sqlite_url();
      if (GetParam() == "postgres") {
        LOQUAT_NEED_POSTGRES(made);
        url = made;
      }
      database_ = db::Database::open({.url = url});
      db::migrate(*database_, migrations());
      auto made = std::make_shared<SqlStore>(*database_, std::make_shared<const crypto::Keyring>());
      connect(made, *made, *made);
    }
    await(store_->ensure_default());
  }
  void TearDown() override {
    if (database_) database_->close();
  }

  template <class Made>
  void connect(std::shared_ptr<Made> owner, Store& store, AdminStore& admin) {
    owner_ = std::move(owner);
    store_ = &store;
    admin_ = &admin;
    states_ = state::make_memory_store();
    builder_ = std::make_unique<Builder>(store, admin, tasks_, [this](const Definition& definition) {
      if (!refuse_build_.empty()) throw Error(Code::invalid, refuse_build_);
      built_intents_ = definition.intents.size();
    });
    add_public_routes(router_);
    add_document_routes(router_, admin);
    add_bot_routes(router_, store, admin, *builder_, 1U << 20U);
    add_train_routes(router_, store, admin, *builder_, 1U << 20U);
    add_chatlog_routes(router_, *states_, admin);
  }

  Answer call(Method method, std::string_view target, std::string_view body = {}, std::map<std::string, std::string> headers = {}) {
    http::Request request;
    request.method = method;
    request.target = target;
    const auto question = target.find('?');
    request.path = target.substr(0, question);
    if (question != std::string_view::npos) request.query = url::parse_query(target.substr(question + 1));
    for (auto& [name, value] : headers) request.headers.add(name, value);
    if (!body.empty() && !request.headers.find("Content-Type")) request.headers.add("Content-Type", "application/json");
    request.body = body;
    request.request_id = "r1";
    request.principal = {"admin", false};
    const auto match = router_.match(method, request.path);
    if (match.route == nullptr) return {match.allowed.empty() ? 404U : 405U, {}, {}};
    request.path_parameters = match.path_parameters;
    return run(*match.route, request);
  }

  Answer run(const http::Router::Route& route, http::Request& request) {
    http::Response response;
    try {
      response = await(route.handler(request));
      if (response.stream) {
        Collector collector;
        await(response.stream(collector));
        response.body = collector.text;
      }
    } catch (...) {
      response = http::make_error(std::current_exception(), request.request_id);
    }
    return {response.status, response.headers, response.body};
  }

  std::string create(std::string_view name, std::string_view more = {}) {
    const auto answer = call(Method::post, "/admin/intents/",
                             R"({"name":")" + std::string(name) + R"(","intentId":")" + std::string(name) + R"(","speechResponse":"r")" +
                                 std::string(more) + "}");
    EXPECT_EQ(answer.status, 200U) << answer.body;
    return std::string(string_member(answer.json(), "id"));
  }

  Answer import(std::string_view file, std::string_view bot = "default") {
    return call(Method::post, "/admin/bots/" + std::string(bot) + "/import",
                "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"bot.json\"\r\n\r\n" + std::string(file) + "\r\n--b--\r\n",
                {{"Content-Type", "multipart/form-data; boundary=b"}});
  }

  void append_turn(std::string thread, std::string_view text, std::string_view intent = "order", double confidence = 0.5) {
    state::State state;
    state.conversation = {"rest", "", std::move(thread)};
    const auto latest = await(states_->find_latest(state.conversation));
    state.version = latest ? latest->version + 1 : 1;
    state.user_message = json::object{
        {"thread_id", state.conversation.thread_id}, {"text", json::string(text)}, {"channel", "rest"}, {"context", json::object()}};
    state.bot_message = parse_json(R"([{"text":"a"},{"text":"b"}])");
    state.nlu =
        json::object{{"entities", json::object()}, {"intent", json::object{{"intent", json::string(intent)}, {"confidence", confidence}}}};
    state.intent = json::object{{"id", json::string(intent)}};
    await(states_->append(state, std::nullopt));
  }

  loquat::testing::TemporaryDirectory directory_;
  std::unique_ptr<db::Database> database_;
  std::shared_ptr<void> owner_;
  Store* store_ = nullptr;
  AdminStore* admin_ = nullptr;
  std::unique_ptr<state::Store> states_;
  async::TaskGroup tasks_;
  std::unique_ptr<Builder> builder_;
  std::string refuse_build_;
  std::size_t built_intents_ = 0;
  http::Router router_;
};

}  // namespace loquat::bot
