#include "messenger/send_command.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <fstream>
#include <iostream>
#include <iterator>
#include <set>

#include "async/task_group.h"
#include "core/error.h"
#include "core/id.h"
#include "core/text.h"
#include "core/url.h"
#include "messenger/event.h"
#include "messenger/sandbox_secret.h"
#include "messenger/send_format.h"
#include "messenger/settings.h"

namespace loquat::messenger {
namespace {

constexpr int done = 0;
constexpr int failed = 1;
constexpr int wrong_usage = 2;

/// Ends the command with a message and an exit code.
struct Stop {
  int code;
  std::string message;
};

/// An HTTP client on a loop that runs only while a request does.
class BlockingHttp {
 public:
  http::ClientResponse send(http::ClientRequest request) {
    http::ClientResponse response;
    tasks_.spawn(loop_.get_executor(), "send", fetch(*this, std::move(request), response));
    loop_.restart();
    loop_.run();
    return response;
  }
  ~BlockingHttp() { client_.close(); }

 private:
  static asio::awaitable<void> fetch(BlockingHttp& self, http::ClientRequest request, http::ClientResponse& response) {
    response = co_await self.client_.send(std::move(request));
    self.loop_.stop();
  }

  asio::io_context loop_;
  http::Client client_{{}, {&loop_}};
  async::TaskGroup tasks_;
};

std::string read_text(const std::string& file) {
  if (file == "-") return {std::istreambuf_iterator<char>(std::cin), {}};
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw Stop{wrong_usage, "the file " + file + " cannot be read"};
  return {std::istreambuf_iterator<char>(stream), {}};
}

json::object wrap(json::value item, const std::string& page) {
  return {
      {"object", "page"},
      {"entry", json::array{json::object{{"id", page}, {"time", to_milliseconds(now())}, {"messaging", json::array{std::move(item)}}}}}};
}

json::object make_parties(const SendOptions& options) {
  return {{"sender", json::object{{"id", options.from}}},
          {"recipient", json::object{{"id", options.page}}},
          {"timestamp", to_milliseconds(now())}};
}

json::object make_item(const SendOptions& options) {
  auto item = make_parties(options);
  const auto mid = "m_" + random_hex(24);
  if (options.text) item.emplace("message", json::object{{"mid", mid}, {"text", *options.text}});
  if (options.postback) item.emplace("postback", json::object{{"mid", mid}, {"title", *options.postback}, {"payload", *options.postback}});
  return item;
}

/// A file holds a webhook's body or one item. On the sandbox every entry is the sandbox's, so that what was caught elsewhere can be tried.
std::string make_body_of_file(const SendOptions& options) {
  json::value value;
  JsonError error;
  const auto text = read_text(*options.file);
  if (!try_parse_json(text, value, error))
    throw Stop{wrong_usage, *options.file + " is no JSON: " + error.message + " at byte " + std::to_string(error.offset)};
  if (!value.is_object()) throw Stop{wrong_usage, *options.file + " holds neither a webhook's body nor an item of one (a JSON object)"};
  auto& object = value.as_object();
  if (!object.contains("entry")) {
    for (const auto& member : make_parties(options)) {
      if (!object.contains(member.key())) object.emplace(member.key(), member.value());
    }
    return to_json(wrap(std::move(value), options.page));
  }
  auto* entries = object["entry"].if_array();
  if (options.page != sandbox_page || entries == nullptr) return text;
  for (auto& entry : *entries) {
    if (entry.is_object()) entry.as_object()["id"] = options.page;
  }
  return to_json(value);
}

std::string make_body(const SendOptions& options) {
  const int given = (options.text ? 1 : 0) + (options.postback ? 1 : 0) + (options.file ? 1 : 0);
  if (given != 1) throw Stop{wrong_usage, "give one of: a text, --postback, --file"};
  return options.file ? make_body_of_file(options) : to_json(wrap(make_item(options), options.page));
}

std::string get_secret(const SendOptions& options) {
  if (options.page == sandbox_page) {
    if (auto secret = find_sandbox_secret(options.data_dir)) return *secret;
    throw Stop{failed, "there is no sandbox secret in " + options.data_dir + ": start Loquat first (./dev run), with the same DATA_DIR"};
  }
  if (options.app_secret.empty()) throw Stop{wrong_usage, "--page needs the app's secret: set APP_SECRET"};
  return options.app_secret;
}

/// What the posted body is expected to bring about.
struct Expectation {
  std::vector<MessageId> events;  ///< those that are answered
  std::set<std::string> recipients;
  std::string kinds;  ///< of what is not answered
};

Expectation expect(const std::string& body) {
  Expectation expectation;
  const auto parsed = parse_webhook(body, now());
  for (const auto& event : parsed.events) {
    if (!event.body.contains("text")) continue;
    expectation.events.push_back(event.message_id);
    expectation.recipients.insert(event.conversation.thread_id);
  }
  for (std::size_t i = 0; i < kind_count; ++i) {
    if (parsed.counts[i] != 0) expectation.kinds.append(expectation.kinds.empty() ? "" : ", ").append(to_string(static_cast<Kind>(i)));
  }
  return expectation;
}

class Session {
 public:
  Session(const SendOptions& options, const SendHttp& send, std::ostream& out) : options_(options), send_(send), out_(out) {
    while (base_.ends_with('/')) base_.pop_back();
  }

  /// The number of the last call the stand-in has taken.
  std::int64_t find_last() {
    const auto answer = get("/sandbox/replies?after=9223372036854775807");
    const auto* last = find_member(answer, "last");
    if (last == nullptr || !last->is_int64()) throw Stop{failed, "what listens on " + base_ + " is no Loquat"};
    return last->get_int64();
  }

  void post(const std::string& path, const std::string& body, const std::string& secret) {
    http::ClientRequest request;
    request.method = "POST";
    request.url = base_ + path;
    request.headers.add("Content-Type", "application/json");
    request.headers.add("X-Hub-Signature-256", SignatureChecker(secret).sign(body));
    request.body = body;
    const auto response = send(std::move(request));
    if (response.status == 200) return;
    std::string hint;
    if (response.status == 403)
      hint = path == "/sandbox/webhook" ? " (does it run with the same DATA_DIR?)" : " (is APP_SECRET the secret it runs with?)";
    throw Stop{failed, "not accepted: " + std::to_string(response.status) + " " + detail_of(response.body) + hint};
  }

  /// Prints the replies until all are out; false when none came.
  bool print_replies(std::int64_t after, const Expectation& expectation) {
    const auto start = std::chrono::steady_clock::now();
    auto last_reply = start;
    bool any = false;
    std::string events;
    // More than fit in a request line are not asked for; the quiet after the last reply ends the wait then.
    if (expectation.events.size() <= 100) {
      for (const auto& id : expectation.events) events += "&event=" + id.to_string();
    }
    for (;;) {
      const auto answer = get("/sandbox/replies?wait=250&after=" + std::to_string(after) + events);
      const auto* replies = find_member(answer, "replies");
      if (replies == nullptr || !replies->is_array()) throw Stop{failed, "the sandbox's answer cannot be read"};
      for (const auto& reply : replies->get_array()) {
        if (const auto* number = find_member(reply, "number"); number != nullptr && number->is_int64())
          after = std::max(after, number->get_int64());
        if (!expectation.recipients.contains(std::string(string_member(reply, "recipient")))) continue;
        last_reply = std::chrono::steady_clock::now();
        any = print(reply, expectation.recipients.size() > 1) || any;
      }
      const auto* all = find_member(answer, "done");
      if (all != nullptr && all->is_bool() && all->get_bool() && replies->get_array().empty()) return any;
      const auto time = std::chrono::steady_clock::now();
      if ((any && time - last_reply >= options_.quiet) || time - start >= options_.reply_limit) return any;
    }
  }

 private:
  /// True when it was a message, no typing or seen mark.
  bool print(const json::value& reply, bool with_recipient) {
    const auto* request = find_member(reply, "request");
    if (request == nullptr) return false;
    if (options_.json) {
      out_ << to_json(*request) << '\n' << std::flush;
    } else {
      const auto text = format_reply(*request);
      if (with_recipient && !text.empty()) out_ << "to " << string_member(reply, "recipient") << ":\n";
      out_ << text << std::flush;
    }
    return find_member(*request, "message") != nullptr;
  }

  json::value get(const std::string& path_and_query) {
    http::ClientRequest request;
    request.url = base_ + path_and_query;
    const auto response = send(std::move(request));
    if (response.status == 404)
      throw Stop{failed, "there is no sandbox on " + base_ +
                             ": SANDBOX is off, HOST is no loopback address, or the messenger service does not run there"};
    json::value value;
    JsonError error;
    if (response.status != 200 || !try_parse_json(response.body, value, error))
      throw Stop{failed, "the sandbox answered " + std::to_string(response.status) + " " + detail_of(response.body)};
    return value;
  }

  http::ClientResponse send(http::ClientRequest request) {
    request.use_environment_proxy = options_.page != sandbox_page;
    auto response = send_(std::move(request));
    if (response.failure == http::Failure::not_sent)
      throw Stop{failed, "nothing listens on " + base_ + " (" + response.error + "); start it with ./dev run, or say where with --url"};
    if (response.failure == http::Failure::unknown) throw Stop{failed, "the connection to " + base_ + " was lost: " + response.error};
    return response;
  }

  static std::string detail_of(const std::string& body) {
    json::value value;
    JsonError error;
    if (!try_parse_json(body, value, error)) return body.substr(0, 200);
    const auto detail = string_member(value, "detail");
    return detail.empty() ? body.substr(0, 200) : std::string(detail);
  }

  const SendOptions& options_;
  const SendHttp& send_;
  std::ostream& out_;
  std::string base_ = options_.url;
};

void run(const SendOptions& options, const SendHttp& send, std::ostream& out) {
  const auto body = make_body(options);
  const auto secret = get_secret(options);
  Session session(options, send, out);
  if (options.page != sandbox_page) {
    session.post("/webhook", body, secret);
    if (!options.json) out << "accepted; the replies go to the Graph API\n";
    return;
  }
  const auto expectation = expect(body);
  const auto last = session.find_last();
  session.post("/sandbox/webhook", body, secret);
  if (expectation.events.empty()) {
    if (!options.json)
      out << "accepted; nothing in it is answered" << (expectation.kinds.empty() ? "" : " (" + expectation.kinds + ")") << '\n';
    return;
  }
  if (!session.print_replies(last, expectation))
    throw Stop{failed, "accepted, but no reply came (an event that was sent before, or is older than a day, is not answered again)"};
}

}  // namespace

int run_send(const SendOptions& options, const SendHttp& send, std::ostream& out, std::ostream& err) {
  try {
    run(options, send, out);
    return done;
  } catch (const Stop& stop) {
    err << "loquat send: " << stop.message << '\n';
    return stop.code;
  } catch (const Error& error) {
    err << "loquat send: " << error.what() << '\n';
    return failed;
  }
}

int run_send(const SendOptions& options, std::ostream& out, std::ostream& err) {
  BlockingHttp http;
  return run_send(options, [&http](http::ClientRequest request) { return http.send(std::move(request)); }, out, err);
}

}  // namespace loquat::messenger
