#include "messenger/graph_client.h"

#include <algorithm>
#include <boost/asio/use_awaitable.hpp>

#include "core/crypto.h"
#include "core/json.h"

namespace loquat::messenger {

namespace {

constexpr std::string_view messages_path = "me/messages";

bool is_version(std::string_view text) {
  if (text.starts_with('v')) text.remove_prefix(1);
  const auto dot = text.find('.');
  const auto is_digits = [](std::string_view part) {
    return !part.empty() && std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
  };
  return dot != std::string_view::npos && is_digits(text.substr(0, dot)) && is_digits(text.substr(dot + 1));
}

void remove_slashes(std::string_view& text) {
  while (text.ends_with('/')) text.remove_suffix(1);
}

std::string_view to_string(SenderAction action) {
  switch (action) {
    case SenderAction::mark_seen: return "mark_seen";
    case SenderAction::typing_on: return "typing_on";
    case SenderAction::typing_off: return "typing_off";
  }
  return "typing_off";
}

void append_recipient(std::string& out, const Recipient& recipient) {
  out += recipient.is_user_ref ? R"({"recipient":{"user_ref":)" : R"({"recipient":{"id":)";
  append_json_string(out, recipient.id);
  out += '}';
}

}  // namespace

std::string make_graph_base(std::string_view url, std::string_view version) {
  url = url.substr(0, url.find_first_of("?#"));
  remove_slashes(url);
  if (url.ends_with(messages_path)) url.remove_suffix(messages_path.size());
  remove_slashes(url);
  std::string_view found;
  if (const auto slash = url.rfind('/'); slash != std::string_view::npos && is_version(url.substr(slash + 1))) {
    found = url.substr(slash + 1);
    url = url.substr(0, slash);
    remove_slashes(url);
  }
  if (version.empty()) version = found.empty() ? default_graph_version : found;
  std::string base(url);
  base += '/';
  if (is_version(version) && !version.starts_with('v')) base += 'v';
  return base.append(version);
}

PageAccess::PageAccess(std::string base, std::string token, std::string app_secret) : base_(std::move(base)), token_(std::move(token)) {
  url::Pairs pairs{{"access_token", token_}};
  if (!app_secret.empty()) {
    pairs.emplace_back("appsecret_proof", crypto::Hmac(crypto::Hmac::Algorithm::sha256, app_secret).sign(token_));
  }
  credentials_ = url::build_query(pairs);
  messages_url_ = url(messages_path);
}

std::string PageAccess::url(std::string_view path, const url::Pairs& query) const {
  std::string whole = base_;
  whole.append("/").append(path).append("?");
  if (!query.empty()) whole.append(url::build_query(query)).append("&");
  return whole.append(credentials_);
}

http::ClientRequest GraphClient::make_message_request(const PageAccess& access, std::string body) const {
  constexpr std::size_t answer_limit = std::size_t{64} * 1024;
  http::ClientRequest request;
  request.method = "POST";
  request.url = access.messages_url();
  request.headers.add("Content-Type", "application/json");
  request.body = std::move(body);
  request.deadline = settings_.send_deadline;
  request.connect_deadline = settings_.connect_deadline;
  request.response_limit = answer_limit;
  return request;
}

asio::awaitable<http::ClientResponse> GraphClient::send_message(const PageAccess& access, const Recipient& recipient,
                                                                std::string_view message) {
  std::string body;
  constexpr std::size_t frame = 100;
  body.reserve(message.size() + recipient.id.size() + frame);
  append_recipient(body, recipient);
  body.append(R"(,"messaging_type":"RESPONSE","message":)").append(message).append("}");
  co_return co_await client_.send(make_message_request(access, std::move(body)));
}

asio::awaitable<http::ClientResponse> GraphClient::send_action(const PageAccess& access, const Recipient& recipient, SenderAction action) {
  std::string body;
  append_recipient(body, recipient);
  body.append(R"(,"sender_action":")").append(to_string(action)).append("\"}");
  co_return co_await client_.send(make_message_request(access, std::move(body)));
}

asio::awaitable<http::ClientResponse> GraphClient::call(const PageAccess& access, std::string_view method, std::string_view path,
                                                        const url::Pairs& query, std::string_view body) {
  http::ClientRequest request;
  request.method = method;
  request.url = access.url(path, query);
  if (!body.empty()) request.headers.add("Content-Type", "application/json");
  request.body = body;
  request.deadline = settings_.other_deadline;
  request.connect_deadline = settings_.connect_deadline;
  co_return co_await client_.send(std::move(request));
}

}  // namespace loquat::messenger
