// A load generator for the benchmarks: keep-alive connections on loopback, a different body in every request (a fixed one would
// only meet the deduplication), signed as Meta does.
//
// usage: load HOST PORT KIND CONNECTIONS SECONDS [RATE]
//   KIND: webhook             POST /webhook of 1 KB, one text message each, of 5000 people
//         get:PATH            GET PATH
//         put-state           PUT /states/{one of 500}, a state of 1 KB
//         get-state           GET /states/{one of 500}
//         patch-integration   PATCH /integrations/chat_widget
//   RATE: requests a second, sent by the clock whether answers come or not (open loop): then the latency counts from the moment a
//         request was due. Without it each connection sends as soon as it has its answer (closed loop).
// Prints one JSON line: requests, errors, seconds, p50_ms, p99_ms. LOAD_TOKEN is sent as bearer token.
#include <algorithm>
#include <boost/asio.hpp>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "core/crypto.h"

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;

struct Settings {
  std::string host;
  std::string kind;
  std::string path;
  std::uint16_t port = 0;
  int connections = 1;
  double seconds = 1;
  double rate = 0;
  std::string token;
};

struct Totals {
  std::uint64_t requests = 0;
  std::uint64_t errors = 0;
  std::vector<std::uint32_t> microseconds;
};

class Requests {
 public:
  explicit Requests(const Settings& settings) : settings_(settings), run_(std::to_string(Clock::now().time_since_epoch().count())) {
    if (!settings.token.empty()) extra_ = "Authorization: Bearer " + settings.token + "\r\n";
  }

  std::string next() {
    const auto number = number_++;
    if (settings_.kind == "webhook") return webhook(number);
    if (settings_.kind == "put-state") {
      const std::string id = "t" + std::to_string(number % 500);
      return with_body("PUT", "/states/" + id, state(id), "");
    }
    if (settings_.kind == "get-state") return without_body("/states/t" + std::to_string(number % 500));
    if (settings_.kind == "patch-integration")
      return with_body("PATCH", "/integrations/chat_widget", R"({"description":"change )" + std::to_string(number) + "\"}", "");
    return without_body(settings_.path);
  }

 private:
  std::string webhook(std::uint64_t number) {
    static const std::vector<std::string> texts{"hello", "opening hours", "where are you", "thanks", "something else entirely"};
    // A body is 1 KB, as those of the bare limits are.
    static const std::string long_text(780, 'x');
    const auto now =
        std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count());
    const std::string body = R"({"object":"page","entry":[{"id":"1","time":)" + now + R"(,"messaging":[{"sender":{"id":"9)" +
                             std::to_string(100000 + number % 5000) + R"("},"recipient":{"id":"1"},"timestamp":)" + now +
                             R"(,"message":{"mid":"m_)" + run_ + "_" + std::to_string(number) + R"(","text":")" +
                             texts[number % texts.size()] + " " + long_text + R"("}}]}]})";
    return with_body("POST", "/webhook", body, "X-Hub-Signature-256: sha256=" + hmac_.sign(body) + "\r\n");
  }

  static std::string state(const std::string& id) {
    return R"({"thread_id":")" + id + R"(","user_message":{"thread_id":")" + id +
           R"(","text":"hello","channel":"rest","context":{}},"bot_message":[{"text":")" + std::string(400, 'x') +
           R"("}],"nlu":{"entities":{},"intent":{"intent":"greet","confidence":1.0}},"context":{"user":"a","note":")" +
           std::string(300, 'y') +
           R"("},"intent":{"id":"greet"},"parameters":[],"extracted_parameters":{},"missing_parameters":[],"complete":true,"current_node":""})";
  }

  std::string with_body(const std::string& method, const std::string& path, const std::string& body, const std::string& headers) {
    return method + " " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" + extra_ + headers +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  std::string without_body(const std::string& path) { return "GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\n" + extra_ + "\r\n"; }

  const Settings& settings_;
  const std::string run_;
  std::string extra_;
  std::uint64_t number_ = 0;
  loquat::crypto::Hmac hmac_{loquat::crypto::Hmac::Algorithm::sha256, "appsecret"};
};

/// Reads one response; its status, 0 when the connection was closed.
asio::awaitable<int> read_response(tcp::socket& socket, std::string& buffer) {
  boost::system::error_code failure;
  auto token = asio::redirect_error(asio::use_awaitable, failure);
  const auto head = co_await asio::async_read_until(socket, asio::dynamic_buffer(buffer), "\r\n\r\n", token);
  if (failure) co_return 0;
  const int status = std::atoi(buffer.c_str() + 9);
  std::string lower = buffer.substr(0, head);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::size_t length = 0;
  if (const auto at = lower.find("content-length:"); at != std::string::npos)
    length = static_cast<std::size_t>(std::atoll(lower.c_str() + at + 15));
  while (buffer.size() < head + length) {
    const auto missing = head + length - buffer.size();
    co_await asio::async_read(socket, asio::dynamic_buffer(buffer), asio::transfer_exactly(missing), token);
    if (failure) co_return 0;
  }
  buffer.erase(0, head + length);
  co_return status;
}

asio::awaitable<void> run_connection(const Settings& settings, Requests& requests, Totals& totals, int number, Clock::time_point begin,
                                     Clock::time_point end) {
  tcp::socket socket(co_await asio::this_coro::executor);
  co_await socket.async_connect({asio::ip::make_address(settings.host), settings.port}, asio::use_awaitable);
  socket.set_option(tcp::no_delay(true));
  std::string buffer;
  const auto interval =
      settings.rate > 0 ? std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(settings.connections / settings.rate))
                        : Clock::duration::zero();
  auto due = begin + (interval * number) / settings.connections;
  while (Clock::now() < end) {
    if (interval.count() > 0) {
      if (Clock::now() < due) {
        asio::steady_timer timer(socket.get_executor(), due);
        co_await timer.async_wait(asio::use_awaitable);
      }
    } else {
      due = Clock::now();
    }
    const auto request = requests.next();
    boost::system::error_code failure;
    co_await asio::async_write(socket, asio::buffer(request), asio::redirect_error(asio::use_awaitable, failure));
    const int status = failure ? 0 : co_await read_response(socket, buffer);
    if (status == 0) {
      ++totals.errors;
      co_return;
    }
    ++totals.requests;
    if (status >= 400) ++totals.errors;
    totals.microseconds.push_back(
        static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - due).count()));
    due += interval;
  }
}

double percentile(std::vector<std::uint32_t>& values, double share) {
  if (values.empty()) return 0;
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(static_cast<double>(values.size() - 1) * share);
  std::ranges::nth_element(values, at);
  return *at / 1000.0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 6) {
    std::cerr << "usage: load HOST PORT KIND CONNECTIONS SECONDS [RATE]\n";
    return 2;
  }
  Settings settings;
  settings.host = arguments[1];
  settings.port = static_cast<std::uint16_t>(std::atoi(arguments[2]));
  settings.kind = arguments[3];
  if (settings.kind.starts_with("get:")) settings.path = settings.kind.substr(4);
  settings.connections = std::atoi(arguments[4]);
  settings.seconds = std::atof(arguments[5]);
  if (count > 6) settings.rate = std::atof(arguments[6]);
  if (const char* token = std::getenv("LOAD_TOKEN"); token != nullptr) settings.token = token;
  Requests requests(settings);
  Totals totals;
  asio::io_context loop(1);
  const auto begin = Clock::now();
  const auto end = begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(settings.seconds));
  for (int i = 0; i < settings.connections; ++i)
    asio::co_spawn(loop, run_connection(settings, requests, totals, i, begin, end), [&totals](const std::exception_ptr& failure) {
      if (failure) ++totals.errors;
    });
  loop.run();
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  std::cout << R"({"requests":)" << totals.requests << R"(,"errors":)" << totals.errors << R"(,"seconds":)" << seconds << R"(,"p50_ms":)"
            << percentile(totals.microseconds, 0.5) << R"(,"p99_ms":)" << percentile(totals.microseconds, 0.99) << "}\n";
  return 0;
}
