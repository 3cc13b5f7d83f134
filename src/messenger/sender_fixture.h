#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "async/task_group.h"
#include "http/client_test_server.h"
#include "messenger/graph_client.h"

namespace loquat::messenger::test {

template <class T>
asio::awaitable<void> keep(asio::awaitable<T> task, T& result) {
  result = co_await std::move(task);
}

/// A client against a stand-in of the Graph API that records what it is asked.
class GraphTest : public testing::Test {
 protected:
  /// What the stand-in answers a request; by default what Meta says to a message.
  using Answer = std::function<std::string(const std::string& request)>;

  GraphTest()
      : server(http::test::Server::answering([this](const std::string& request) {
          const std::lock_guard lock(mutex);
          requests.push_back(request);
          return answer(request);
        })),
        client({}, {&loop}),
        graph(client, {.send_deadline = std::chrono::milliseconds(2'000),
                       .connect_deadline = std::chrono::milliseconds(2'000),
                       .other_deadline = std::chrono::milliseconds(2'000)}),
        access(make_graph_base(server.url(), "v25.0"), "TOKEN", "SECRET") {}

  template <class T>
  T run(asio::awaitable<T> task) {
    T result{};
    tasks.spawn(loop.get_executor(), "test", keep(std::move(task), result));
    loop.restart();
    loop.run();
    return result;
  }
  void run(asio::awaitable<void> task) {
    tasks.spawn(loop.get_executor(), "test", std::move(task));
    loop.restart();
    loop.run();
  }

  /// The requests that came so far.
  std::vector<std::string> asked() {
    const std::lock_guard lock(mutex);
    return requests;
  }
  static std::string body_of(const std::string& request) { return request.substr(request.find("\r\n\r\n") + 4); }

  std::mutex mutex;
  std::vector<std::string> requests;
  Answer answer = [](const std::string&) { return http::test::make_answer(R"({"recipient_id":"7","message_id":"m_1"})"); };
  http::test::Server server;
  asio::io_context loop;
  async::TaskGroup tasks;
  http::Client client;
  GraphClient graph;
  PageAccess access;
};

}  // namespace loquat::messenger::test
