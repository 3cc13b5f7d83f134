#include <algorithm>
#include <chrono>
#include <mutex>
#include <string>
#include <unordered_map>

#include "core/error.h"
#include "core/network.h"
#include "core/text.h"
#include "core/url.h"
#include "http/auth.h"
#include "http/docs_page.h"
#include "http/errors.h"
#include "http/standard_routes.h"

namespace loquat::http {
namespace {

using Clock = std::chrono::steady_clock;

/// So many attempts a minute from one address; IPv6 counts by /64, which is what one household has.
class AttemptLimit {
 public:
  /// Throws Error(too_many) beyond the limit.
  void count(std::string_view address) {
    const std::string key = make_key(address);
    const auto now = Clock::now();
    const std::lock_guard lock(mutex_);
    if (windows_.size() >= most_addresses) std::erase_if(windows_, [now](const auto& entry) { return entry.second.end <= now; });
    // Under a flood from more addresses than fit, nobody logs in for a minute: better than forgetting who guesses.
    const bool is_full = windows_.size() >= most_addresses && !windows_.contains(key);
    if (is_full) throw Error(Code::too_many, "Too many attempts; try again later");
    Window& window = windows_[key];
    if (window.end <= now) window = {now + window_time, 0};
    if (++window.attempts > most_attempts) throw Error(Code::too_many, "Too many attempts; try again later");
  }
  void forgive(std::string_view address) {
    const std::lock_guard lock(mutex_);
    windows_.erase(make_key(address));
  }

 private:
  struct Window {
    Clock::time_point end;
    int attempts = 0;
  };
  static constexpr int most_attempts = 10;
  static constexpr std::chrono::minutes window_time{1};
  static constexpr std::size_t most_addresses = 10'000;

  static std::string make_key(std::string_view address) {
    const auto parsed = IpAddress::parse(address);
    if (!parsed) return std::string(address);
    const auto& bytes = parsed->bytes();
    constexpr std::size_t network_bytes = 8;
    return {reinterpret_cast<const char*>(bytes.data()), parsed->is_v4() ? bytes.size() : network_bytes};
  }

  std::mutex mutex_;
  std::unordered_map<std::string, Window> windows_;
};

struct Login {
  explicit Login(const ServerSettings& settings) : authenticator(settings), root_path(settings.root_path) {}
  const Authenticator authenticator;
  const std::string root_path;
  AttemptLimit limit;
};

constexpr std::string_view style =
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;display:grid;place-items:center;min-height:90vh;margin:0}"
    "form{width:min(22rem,90vw)}label,input,button{display:block;width:100%;box-sizing:border-box}input{padding:.5rem;margin:.25rem 0 "
    "1rem;font:inherit}button{padding:.6rem;font:inherit;cursor:pointer}p[role=alert]{color:#b3362b}";

std::string make_login_page(const Login& login, std::string_view next, std::string_view problem) {
  std::string body = "<form method=\"post\" action=\"" + login.root_path + "/login\"><h1>Loquat</h1>";
  if (!problem.empty()) body += "<p role=\"alert\">" + std::string(problem) + "</p>";
  // `next` is percent-encoded again, so nothing in it can end the attribute.
  body += "<input type=\"hidden\" name=\"next\" value=\"" + url::percent_encode(next) + "\">";
  body +=
      "<label for=\"token\">Admin token</label><input id=\"token\" name=\"token\" type=\"password\" autocomplete=\"current-password\" "
      "required autofocus><button>Log in</button></form>";
  return make_page("Log in", style, body, {});
}

/// Only a path of ours: "//elsewhere" and "/\elsewhere" are addresses of others to a browser, which drops tabs and line ends first.
std::string own_path(std::string_view next, const std::string& root_path) {
  const bool is_plain = std::ranges::none_of(next, [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == '\\'; });
  const bool is_own = is_plain && next.starts_with('/') && !next.starts_with("//");
  return is_own ? std::string(next) : root_path + "/";
}

void forbid_storing(Response& response) {
  response.headers.add("Content-Security-Policy", make_page_policy({}));
  response.headers.add("Cache-Control", "no-store");
}

std::string make_cookie(std::string_view value, bool is_secure, std::chrono::seconds time) {
  std::string cookie(session_cookie);
  cookie += "=" + std::string(value) + "; Path=/; HttpOnly; SameSite=Strict; Max-Age=" + std::to_string(time.count());
  if (is_secure) cookie += "; Secure";
  return cookie;
}

asio::awaitable<Response> show_login(std::shared_ptr<Login> login, Request& request) {
  const auto next = find_parameter(request.query, "next").value_or("");
  const std::string_view hint = login->authenticator.has_tokens() ? "" : "No admin token is set: there is nothing to log in to.";
  Response response = Response::html(make_login_page(*login, next, hint));
  forbid_storing(response);
  co_return response;
}

struct Attempt {
  std::string token;
  std::string next;
  bool is_form = false;
};

Attempt read_attempt(const Request& request) {
  Attempt attempt;
  attempt.is_form = text::to_lower_ascii(request.headers.get("Content-Type")).starts_with("application/x-www-form-urlencoded");
  if (attempt.is_form) {
    const auto form = url::parse_query(request.body);
    attempt.token = find_parameter(form, "token").value_or("");
    attempt.next = url::percent_decode(find_parameter(form, "next").value_or(""));
  } else {
    attempt.token = string_member(parse_json(request.body), "token");
  }
  // Pasted tokens bring blanks along.
  attempt.token = text::trim_ascii(attempt.token);
  return attempt;
}

asio::awaitable<Response> log_in(std::shared_ptr<Login> login, Request& request) {
  // Another site must not be able to log a person in as somebody else either.
  if (!is_own_origin(request.headers, login->authenticator.origins())) throw Error(Code::forbidden, "Not allowed from this origin");
  const Attempt attempt = read_attempt(request);
  login->limit.count(request.client_address);
  const auto session = login->authenticator.make_session(attempt.token, now());
  if (!session) {
    if (!attempt.is_form) throw Error(Code::unauthenticated, "Invalid token");
    Response refusal = make_error_page(Code::unauthenticated, make_login_page(*login, attempt.next, "That is not an admin token."));
    forbid_storing(refusal);
    co_return refusal;
  }
  login->limit.forgive(request.client_address);
  Response response = attempt.is_form ? Response::empty(303) : Response::json({{"name", session->name}});
  if (attempt.is_form) response.headers.add("Location", own_path(attempt.next, login->root_path));
  response.headers.add("Set-Cookie", make_cookie(session->cookie, request.is_https, Authenticator::session_time));
  response.headers.add("Cache-Control", "no-store");
  co_return response;
}

asio::awaitable<Response> log_out(std::shared_ptr<Login> login, Request& request) {
  if (!is_own_origin(request.headers, login->authenticator.origins())) throw Error(Code::forbidden, "Not allowed from this origin");
  Response response = Response::empty(204);
  response.headers.add("Set-Cookie", make_cookie("", request.is_https, std::chrono::seconds(0)));
  co_return response;
}

Options make_options(std::string summary) {
  Doc doc;
  doc.summary = std::move(summary);
  doc.tag = "login";
  return {.access = Access::open, .body_limit = std::size_t{16} * 1024, .doc = std::move(doc)};
}

}  // namespace

void add_login_routes(Router& router, const ServerSettings& settings) {
  auto login = std::make_shared<Login>(settings);
  Options page = make_options("The login page");
  page.doc.responses = {{200, {}}};
  page.doc.response_type = "text/html";
  page.doc.parameters = {{{"name", "next"},
                          {"in", "query"},
                          {"required", false},
                          {"description", "Where to go when logged in: a path of this server"},
                          {"schema", {{"type", "string"}}}}};
  router.add(Method::get, "/login", std::move(page), [login](Request& request) { return show_login(login, request); });
  Options entry = make_options("Exchanges an admin token for a session cookie (the login page posts the same as a form, and is sent on)");
  entry.doc.request_body = {
      {"type", "object"}, {"required", json::array{"token"}}, {"properties", json::object{{"token", json::object{{"type", "string"}}}}}};
  json::object name{{"type", "object"}, {"properties", json::object{{"name", json::object{{"type", "string"}}}}}};
  entry.doc.responses = {{200, std::move(name)}, {401, {}}, {403, {}}, {429, {}}};
  router.add(Method::post, "/login", std::move(entry), [login](Request& request) { return log_in(login, request); });
  Options exit = make_options("Ends the session of this browser");
  exit.doc.responses = {{204, {}}, {403, {}}};
  router.add(Method::post, "/logout", std::move(exit), [login](Request& request) { return log_out(login, request); });
}

}  // namespace loquat::http
