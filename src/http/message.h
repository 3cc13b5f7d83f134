#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/json.h"

/// What travels between the server, the router and the handlers. No socket, no Beast: handlers can be called in tests.
namespace loquat::http {

namespace asio = boost::asio;

enum class Method : std::uint8_t { get, head, post, put, patch, delete_, options, trace, other };
[[nodiscard]] std::string_view to_string(Method method) noexcept;

/// Header fields in order; names compare without case.
class Headers {
 public:
  void add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }
  /// Replaces every field of that name by one.
  void set(std::string name, std::string value);
  /// The first field of that name.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept;
  /// The first field's value, or empty.
  [[nodiscard]] std::string_view get(std::string_view name) const noexcept { return find(name).value_or(std::string_view()); }
  [[nodiscard]] std::size_t count(std::string_view name) const noexcept;
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& all() const noexcept { return fields_; }
  void clear() noexcept { fields_.clear(); }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

/// Decoded parameters in the order sent.
using Parameters = std::vector<std::pair<std::string, std::string>>;
/// Of repeated ones the last, as FastAPI does.
[[nodiscard]] std::optional<std::string_view> find_parameter(const Parameters& parameters, std::string_view name) noexcept;

/// Who asks: filled by the server before the handler runs.
struct Principal {
  std::string name;         ///< the token's name, "admin"; "anonymous" without authentication; empty on public paths
  bool is_service = false;  ///< SERVICE_TOKEN: another process of this installation; the only one that gets secrets in clear
};

struct Request {
  Method method = Method::get;
  std::string target;          ///< as sent: path and query
  std::string path;            ///< as sent without the query, ROOT_PATH taken off; still percent-encoded
  Parameters query;            ///< decoded
  Parameters path_parameters;  ///< decoded, by the names in the route's pattern
  Headers headers;
  std::string body;
  std::string client_address;  ///< after TRUSTED_PROXIES
  std::string request_id;
  bool is_https = false;  ///< by X-Forwarded-Proto of a trusted proxy
  Principal principal;
  std::string_view route;  ///< the pattern that matched, for metrics and logs

  /// The value of `{name}` in the route's pattern. The name must be in the pattern.
  [[nodiscard]] const std::string& path_parameter(std::string_view name) const;
};

/// Writes a response's body piece by piece (server-sent events). Each write has the server's write deadline; throws when
/// the client has gone.
class StreamWriter {
 public:
  virtual ~StreamWriter() = default;
  virtual asio::awaitable<void> write(std::string_view bytes) = 0;
};

struct Response {
  unsigned status = 200;
  Headers headers;
  std::string body;
  /// When set, the body is what this writes, chunked; `body` is ignored. Runs after the handler has returned.
  std::function<asio::awaitable<void>(StreamWriter&)> stream;

  [[nodiscard]] static Response json(const json::value& value, unsigned status = 200);
  /// A text that is JSON already.
  [[nodiscard]] static Response json_text(std::string text, unsigned status = 200);
  [[nodiscard]] static Response text(std::string text, unsigned status = 200);
  [[nodiscard]] static Response html(std::string text, unsigned status = 200);
  /// 204, or another status without a body.
  [[nodiscard]] static Response empty(unsigned status = 204);
};

}  // namespace loquat::http
