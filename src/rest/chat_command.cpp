#include "rest/chat_command.h"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <istream>
#include <ostream>
#include <utility>

#include "async/task_group.h"
#include "core/id.h"
#include "core/json.h"
#include "core/text.h"
#include "rest/line_reader.h"

namespace loquat::rest {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::milliseconds deadline{65'000};

/// An HTTP client on a loop that runs only while a request does.
class BlockingHttp {
 public:
  http::ClientResponse send(http::ClientRequest request) {
    http::ClientResponse response;
    tasks_.spawn(loop_.get_executor(), "chat", fetch(*this, std::move(request), response));
    loop_.restart();
    loop_.run();
    return response;
  }
  BlockingHttp() = default;
  ~BlockingHttp() { client_.close(); }
  BlockingHttp(const BlockingHttp&) = delete;
  BlockingHttp& operator=(const BlockingHttp&) = delete;

 private:
  static asio::awaitable<void> fetch(BlockingHttp& self, http::ClientRequest request, http::ClientResponse& response) {
    response = co_await self.client_.send(std::move(request));
    self.loop_.stop();
  }

  asio::io_context loop_;
  http::Client client_{{}, {&loop_}};
  async::TaskGroup tasks_;
};

/// What a terminal would obey is shown instead: the bot's words are not its commands.
std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7F) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

class Chat {
 public:
  Chat(ChatOptions options, const SendHttp& send, std::ostream& out) : options_(std::move(options)), send_(send), out_(out) {
    while (options_.url.ends_with('/')) options_.url.pop_back();
    if (options_.thread.empty()) options_.thread = "chat-" + random_hex(8);
  }

  int run(LineReader& lines) {
    if (options_.interactive) out_ << "Thread " << printable(options_.thread) << " at " << options_.url << ". /quit ends.\n" << std::flush;
    bool failed = false;
    while (auto line = lines.read()) {
      if (text::trim_ascii(*line).empty()) continue;
      if (text::trim_ascii(*line) == "/quit") break;
      if (!say(*line)) failed = true;
      out_ << std::flush;
    }
    return failed ? 1 : 0;
  }

 private:
  bool say(const std::string& line) {
    http::ClientRequest request;
    request.method = "POST";
    request.url = options_.url + (options_.verbose ? "/admin/test/chat" : "/bots/channels/rest/webhook");
    request.headers.add("Content-Type", "application/json");
    // So that a lost answer can be asked for again without being said twice.
    request.headers.add("Idempotency-Key", random_hex(16));
    if (options_.verbose && !options_.token.empty()) request.headers.add("Authorization", "Bearer " + options_.token);
    const json::object body{{"thread_id", json::string_view(options_.thread.data(), options_.thread.size())},
                            {"text", json::string_view(line.data(), line.size())},
                            {"context", json::object()}};
    request.body = to_json(body);
    request.deadline = deadline;
    auto response = send_(request);
    if (response.failure == http::Failure::unknown) response = send_(std::move(request));
    if (response.failure != http::Failure::none) return fail("No answer from " + options_.url + ": " + response.error);
    json::value answer;
    JsonError error;
    if (!try_parse_json(response.body, answer, error)) return fail(fmt::format("Status {}, and the answer is no JSON", response.status));
    if (response.status != 200) return refuse(response.status, answer);
    show(answer);
    return true;
  }

  bool fail(const std::string& why) {
    out_ << printable(why) << '\n';
    return false;
  }

  bool refuse(unsigned status, const json::value& answer) {
    const auto* detail = find_member(answer, "detail");
    const auto* text = detail == nullptr ? nullptr : detail->if_string();
    std::string why = text != nullptr ? std::string(as_view(*text)) : detail != nullptr ? to_json(*detail) : to_json(answer);
    if (status == 401 && options_.verbose) why += " (-v needs an admin token)";
    return fail(fmt::format("Status {}: {}", status, why));
  }

  void show(const json::value& answer) {
    const auto* member = options_.verbose ? find_member(answer, "bot_message") : &answer;
    const auto* replies = member == nullptr ? nullptr : member->if_array();
    if (replies != nullptr) {
      for (const auto& reply : *replies) {
        out_ << (options_.interactive ? "bot> " : "") << printable(string_member(reply, "text")) << '\n';
      }
    }
    if (options_.verbose) show_state(answer);
  }

  void show_state(const json::value& state) {
    const auto text = [&](const char* name) {
      const auto* member = find_member(state, name);
      return member == nullptr ? std::string("null") : to_json(*member);
    };
    const auto* intent = find_member(state, "intent");
    const auto* nlu = find_member(state, "nlu");
    const auto* predicted = nlu == nullptr ? nullptr : find_member(*nlu, "intent");
    const auto understood = predicted == nullptr ? std::string_view() : string_member(*predicted, "intent");
    const auto* confidence = predicted == nullptr ? nullptr : find_member(*predicted, "confidence");
    out_ << printable(fmt::format("     intent {} (understood {} at {})", intent == nullptr ? "" : string_member(*intent, "id"),
                                  understood.empty() ? "nothing" : understood, confidence == nullptr ? "?" : to_json(*confidence)))
         << '\n';
    out_ << printable("     slots " + text("extracted_parameters") + " missing " + text("missing_parameters")) << '\n';
  }

  ChatOptions options_;
  const SendHttp& send_;
  std::ostream& out_;
};

}  // namespace

int run_chat(const ChatOptions& options, const SendHttp& send, std::istream& in, std::ostream& out) {
  const auto lines = options.interactive ? make_terminal_reader("you> ", options.history_file) : make_stream_reader(in);
  return Chat(options, send, out).run(*lines);
}

int run_chat(const ChatOptions& options, std::istream& in, std::ostream& out) {
  BlockingHttp http;
  return run_chat(options, [&http](http::ClientRequest request) { return http.send(std::move(request)); }, in, out);
}

}  // namespace loquat::rest
