#pragma once

#include <boost/asio/awaitable.hpp>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bot/definition.h"
#include "core/json.h"
#include "dialogue/text_template.h"
#include "http/client.h"

/// The call that a complete intent makes before it answers.
namespace loquat::dialogue {

namespace asio = boost::asio;

/// Said instead of the answer when the call fails.
inline constexpr std::string_view service_unavailable = "Service is not available. Please try again later.";

/// An intent's call, compiled. Immutable.
class ApiCall {
 public:
  /// `faults` gets what is wrong with it, in words for the bot's author.
  ApiCall(const bot::ApiDetails& details, std::vector<std::string>& faults);

  /// The request for these variables (`context`, `parameters`), or why there is none. What people typed stays where the author put
  /// it: URLs and JSON bodies escape it, and it never becomes a part of the host's name. Extracted parameters go into the query,
  /// unless there is a JSON body or JSON query. Pure.
  [[nodiscard]] std::expected<http::ClientRequest, std::string> prepare(const json::object& variables,
                                                                        std::string_view idempotency_key) const;

 private:
  [[nodiscard]] std::expected<std::string, std::string> render_url(const json::object& variables) const;
  /// The JSON body or query.
  [[nodiscard]] std::expected<json::value, std::string> render_json(const json::object& variables) const;
  [[nodiscard]] std::expected<void, std::string> add_headers(const json::object& variables, http::Headers& headers) const;

  std::string method_;
  TextTemplate url_;
  std::string fixed_host_;  ///< what the URL's own text says up to its first tag, when that is within the host
  std::vector<std::pair<std::string, TextTemplate>> headers_;
  std::optional<TextTemplate> json_;
};

/// How the calls of one bot's process are made.
struct ApiTransport {
  http::Client* client = nullptr;
  const http::AddressPolicy* addresses = nullptr;
  std::string proxy;
};

/// Sends it, within 30 seconds in all; an idempotent method is tried a second time when the connection or a gateway failed. Gives
/// the JSON of a 2xx answer (null for an empty body), or the fault in plain words.
[[nodiscard]] asio::awaitable<std::expected<json::value, std::string>> perform(ApiTransport transport, http::ClientRequest request);

/// What an answer says. Pure.
[[nodiscard]] std::expected<json::value, std::string> read_answer(const http::ClientResponse& response);

}  // namespace loquat::dialogue
