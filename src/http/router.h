#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "http/message.h"

namespace loquat::http {

/// Who may call a route. The server checks it before the handler runs.
enum class Access : std::uint8_t {
  open,      ///< anybody: health, the webhooks, the REST channel
  loopback,  ///< anybody on this machine: the sandbox
  admin,     ///< a named admin token, the login cookie, or SERVICE_TOKEN
};

/// What the OpenAPI document says of a route. Schemas are JSON Schema objects (see schema::describe).
struct Doc {
  std::string summary = {};
  std::string tag = {};
  json::object request_body = {};                                 ///< schema of the JSON body; empty: none
  std::string request_type = "application/json";                  ///< or multipart/form-data
  std::vector<json::object> parameters = {};                      ///< OpenAPI parameter objects beside the path's own
  std::vector<std::pair<unsigned, json::object>> responses = {};  ///< status -> schema ({} for no or any body)
  std::string response_type = "application/json";                 ///< of a 2xx answer; another one is described as text
  bool deprecated = false;                                        ///< second spellings of a path
  bool hidden = false;                                            ///< what is between processes of an installation, and the page itself
};

struct Options {
  Access access = Access::admin;
  std::size_t body_limit = std::size_t{1} << 20U;  ///< bytes; a larger body is 413
  Doc doc = {};
};

using Handler = std::function<asio::awaitable<Response>(Request&)>;

/// Routes by method and pattern: "/states/{thread_id}/history". A parameter is one segment; "{path*}" at the end takes the rest.
/// A trailing slash makes no difference. A literal segment wins over a parameter. Filled before the server starts,
/// then only read (by all I/O threads).
class Router {
 public:
  Router();
  ~Router();
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;

  void add(Method method, std::string pattern, Options options, Handler handler);

  struct Route {
    Method method;
    std::string pattern;
    Options options;
    Handler handler;
  };
  struct Match {
    const Route* route = nullptr;      ///< null: see allowed
    Parameters path_parameters;        ///< decoded
    std::vector<Method> allowed = {};  ///< methods this path has when none matched (405); empty: unknown path (404)
  };
  [[nodiscard]] Match match(Method method, std::string_view path) const;
  [[nodiscard]] const std::vector<std::unique_ptr<Route>>& routes() const noexcept;

 private:
  struct Node;
  std::unique_ptr<Node> root_;
  std::vector<std::unique_ptr<Route>> routes_;
};

/// The OpenAPI 3.1 document of all routes that are not hidden.
[[nodiscard]] json::object make_openapi(const Router& router, std::string_view title, std::string_view version, std::string_view root_path);

}  // namespace loquat::http
