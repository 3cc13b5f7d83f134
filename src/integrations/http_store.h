#pragma once

#include <atomic>
#include <string>

#include "http/client.h"
#include "integrations/store.h"

namespace loquat::integrations {

/// Integrations of another Loquat process, over its HTTP API. With its SERVICE_TOKEN secrets come in clear; without one they come
/// masked. Calls must come from coroutines on the client's loops.
class HttpStore final : public Store {
 public:
  /// `base`: http://host:8000, also with a prefix and with /integrations at the end. `client` must outlive the store.
  HttpStore(http::Client& client, std::string_view base, std::string service_token);

  asio::awaitable<std::vector<Integration>> list() override;
  asio::awaitable<std::optional<Integration>> find(std::string_view id) override;
  asio::awaitable<Integration> create(Integration integration) override;
  /// A PUT with If-Match of what was read; when another was faster everything again.
  asio::awaitable<Integration> update(std::string_view id, std::function<void(Integration&)> change,
                                      std::optional<std::int64_t> if_version) override;
  asio::awaitable<void> remove(std::string_view id, std::optional<std::int64_t> if_version) override;
  asio::awaitable<std::vector<std::string>> ensure_defaults() override;
  /// GET /health of the other process.
  asio::awaitable<void> ping() override;

 private:
  [[nodiscard]] asio::awaitable<http::ClientResponse> send(http::ClientRequest request);
  [[nodiscard]] http::ClientRequest make_request(std::string method, std::string_view id, const json::value* body = nullptr) const;

  http::Client& client_;
  std::string root_;  ///< without a trailing slash
  std::string token_;
  std::atomic<bool> refused_ = false;  ///< the last answer was that the token is wrong
};

/// In lists for SERVICE_TOKEN: the versions of the items, by comma.
inline constexpr const char* versions_header = "X-Integration-Versions";

}  // namespace loquat::integrations
