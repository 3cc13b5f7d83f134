#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "async/task_group.h"
#include "http/client.h"

/// A client on a loop of its own, for tests.
namespace loquat::http::test {

using std::chrono::milliseconds;

inline asio::awaitable<void> keep_response(Client& client, ClientRequest request, ClientResponse& response) {
  response = co_await client.send(std::move(request));
}

inline ClientRequest make_request(std::string method, std::string url, std::string body = {}) {
  ClientRequest request;
  request.method = std::move(method);
  request.url = std::move(url);
  request.body = std::move(body);
  request.deadline = milliseconds(10'000);
  return request;
}

class ClientTest : public testing::Test {
 protected:
  void use(Client::Settings settings) { client = std::make_unique<Client>(settings, std::vector<asio::io_context*>{&loop}); }
  void SetUp() override { use({}); }

  /// All at once; returns when all have an outcome, which also shows that an idle client lets its loop end.
  std::vector<ClientResponse> send_all(const std::vector<ClientRequest>& requests) {
    std::vector<ClientResponse> responses(requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i) {
      tasks.spawn(loop.get_executor(), "test", keep_response(*client, requests[i], responses[i]));
    }
    loop.restart();
    loop.run();
    return responses;
  }
  ClientResponse send(const ClientRequest& request) { return send_all({request}).front(); }
  ClientResponse get(const std::string& url) { return send(make_request("GET", url)); }
  ClientResponse post(const std::string& url, const std::string& body) { return send(make_request("POST", url, body)); }

  asio::io_context loop;
  async::TaskGroup tasks;
  std::unique_ptr<Client> client;
};

}  // namespace loquat::http::test
