#pragma once

#include <chrono>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>

#include "http/client.h"

namespace loquat::messenger {

/// `loquat send`: plays Meta's part. Exactly one of text, postback and file must be given.
struct SendOptions {
  std::optional<std::string> text;
  std::optional<std::string> postback;
  std::optional<std::string> file;  ///< a webhook's body, or one item of one; "-" is the standard input
  std::string from = "1000000000000001";
  std::string page = "sandbox";               ///< another one: posts to the real webhook, signed with app_secret
  std::string url = "http://127.0.0.1:8000";  ///< where Loquat listens
  std::string data_dir = "./data";            ///< holds the sandbox's secret
  std::string app_secret;
  bool json = false;                              ///< every call to the Graph API as one line of JSON instead of lines for people
  std::chrono::milliseconds reply_limit{35'000};  ///< for the first reply, and for all of them
  std::chrono::milliseconds quiet{1'000};         ///< after the last reply, where the stand-in cannot say that all are out
};

/// Sends one request and waits for its answer.
using SendHttp = std::function<http::ClientResponse(http::ClientRequest)>;

/// Signs and posts a webhook, then prints the replies as they come out. Returns the exit code: 0 done, 1 failed (nothing listens,
/// refused, no reply in time), 2 wrong usage. Blocks.
[[nodiscard]] int run_send(const SendOptions& options, std::ostream& out, std::ostream& err);
/// With a transport of its own (tests).
[[nodiscard]] int run_send(const SendOptions& options, const SendHttp& send, std::ostream& out, std::ostream& err);

}  // namespace loquat::messenger
