#pragma once

#include <functional>
#include <iosfwd>
#include <string>

#include "http/client.h"

namespace loquat::rest {

/// `loquat chat`: a person's terminal for the REST channel.
struct ChatOptions {
  std::string url = "http://127.0.0.1:8000";  ///< where Loquat listens, ROOT_PATH included
  std::string thread;                         ///< empty: a new one
  bool verbose = false;                       ///< shows intent and slots, through /admin/test/chat
  std::string token;                          ///< admin token, for `verbose`
  bool interactive = false;                   ///< a person at a terminal: prompt, line editing, history, hints
  std::string history_file;                   ///< kept between runs; empty: none
};

/// Sends one request and waits for its answer.
using SendHttp = std::function<http::ClientResponse(http::ClientRequest)>;

/// Reads messages line by line from `in` (with `interactive`: from the terminal, with editing and history) until its end or "/quit", and
/// prints the replies, one a line. The exit code: 0, or 1 when a message found no answer. Blocks.
[[nodiscard]] int run_chat(const ChatOptions& options, std::istream& in, std::ostream& out);
/// With a transport of its own (tests).
[[nodiscard]] int run_chat(const ChatOptions& options, const SendHttp& send, std::istream& in, std::ostream& out);

}  // namespace loquat::rest
