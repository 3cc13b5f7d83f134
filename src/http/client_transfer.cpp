#include "http/client_transfer.h"

#include <algorithm>
#include <mutex>
#include <new>

#include "core/text.h"
#include "http/address_policy.h"
#include "http/client_url.h"

namespace loquat::http {

namespace {

constexpr std::size_t header_limit = 64UL * 1024;
constexpr std::size_t data_kinds = CURL_LOCK_DATA_LAST;

void initialize_once() {
  static const CURLcode result = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (result != CURLE_OK) throw std::bad_alloc();
}

template <class Value>
bool set(CURL* easy, CURLoption option, Value value) {
  return curl_easy_setopt(easy, option, value) == CURLE_OK;
}

bool is_set_by_us(std::string_view name) {
  // The length is libcurl's to say; a compressed answer is not wanted, so it is not asked for either.
  for (const auto* ours : {"content-length", "transfer-encoding", "accept-encoding", "expect", "connection"}) {
    if (text::equal_ignoring_ascii_case(name, ours)) return true;
  }
  return false;
}

}  // namespace

struct Share::Locks {
  std::array<std::mutex, data_kinds> mutexes;

  static void lock(CURL* /*easy*/, curl_lock_data data, curl_lock_access /*access*/, void* self) {
    static_cast<Locks*>(self)->mutexes.at(static_cast<std::size_t>(data)).lock();
  }
  static void unlock(CURL* /*easy*/, curl_lock_data data, void* self) {
    static_cast<Locks*>(self)->mutexes.at(static_cast<std::size_t>(data)).unlock();
  }
};

Share::Share() : locks_(std::make_unique<Locks>()) {
  initialize_once();
  handle_ = curl_share_init();
  if (handle_ == nullptr) throw std::bad_alloc();
  curl_share_setopt(handle_, CURLSHOPT_LOCKFUNC, &Locks::lock);
  curl_share_setopt(handle_, CURLSHOPT_UNLOCKFUNC, &Locks::unlock);
  curl_share_setopt(handle_, CURLSHOPT_USERDATA, locks_.get());
  curl_share_setopt(handle_, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
  curl_share_setopt(handle_, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
}

Share::~Share() { curl_share_cleanup(handle_); }

Transfer::Transfer(const Client::Settings& settings, const Share& share, SocketOwner& sockets)
    : sockets_(sockets), easy_(curl_easy_init()) {
  if (easy_ == nullptr) throw std::bad_alloc();
  set_constants(settings, share);
}

Transfer::~Transfer() {
  curl_easy_cleanup(easy_);
  curl_slist_free_all(header_list_);
}

void Transfer::set_constants(const Client::Settings& settings, const Share& share) {
  set(easy_, CURLOPT_PRIVATE, this);
  set(easy_, CURLOPT_SHARE, share.handle());
  set(easy_, CURLOPT_NOSIGNAL, 1L);
  // Without this the removal of a transfer waits for its look-up's thread, and with it the whole loop.
  set(easy_, CURLOPT_QUICK_EXIT, 1L);
  set(easy_, CURLOPT_ERRORBUFFER, error_.data());
  set(easy_, CURLOPT_PROTOCOLS_STR, "http,https");
  set(easy_, CURLOPT_FOLLOWLOCATION, 0L);
  // HTTP/2 of libcurl 7.88 loses requests, each of which would end as `unknown` (docs/outbound-http.md).
  set(easy_, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(easy_, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  set(easy_, CURLOPT_PROXY_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!settings.ca_file.empty()) set(easy_, CURLOPT_CAINFO, settings.ca_file.c_str());
  set(easy_, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(easy_, CURLOPT_USERAGENT, settings.user_agent.c_str());
  set(easy_, CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  set(easy_, CURLOPT_WRITEDATA, this);
  set(easy_, CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  set(easy_, CURLOPT_HEADERDATA, this);
  set(easy_, CURLOPT_PREREQFUNCTION, &Transfer::on_connected);
  set(easy_, CURLOPT_PREREQDATA, this);
  set(easy_, CURLOPT_OPENSOCKETFUNCTION, &Transfer::on_open_socket);
  set(easy_, CURLOPT_OPENSOCKETDATA, this);
  set(easy_, CURLOPT_CLOSESOCKETFUNCTION, &Transfer::on_close_socket);
  set(easy_, CURLOPT_CLOSESOCKETDATA, &sockets_);  // outlives the handle that opened it: connections do
}

bool Transfer::prepare(const ClientRequest& request, std::chrono::milliseconds time_left, std::chrono::seconds idle_limit) {
  request_ = &request;
  response_ = {};
  header_bytes_ = 0;
  attempts_ = 0;
  sent_before_ = 0;
  address_refused_ = too_large_ = repeat_refused_ = in_body_ = head_complete_ = false;
  error_[0] = '\0';
  const auto whole = std::max(time_left, std::chrono::milliseconds(1));
  const auto connect = std::clamp(request.connect_deadline, std::chrono::milliseconds(1), whole);
  set_proxy(request);
  return set(easy_, CURLOPT_URL, request.url.c_str()) && set(easy_, CURLOPT_TIMEOUT_MS, static_cast<long>(whole.count())) &&
         set(easy_, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(connect.count())) &&
         set(easy_, CURLOPT_MAXAGE_CONN, static_cast<long>(idle_limit.count())) &&
         set(easy_, CURLOPT_FRESH_CONNECT, request.fresh_connection ? 1L : 0L) && set_headers(request) && set_method(request);
}

bool Transfer::set_method(const ClientRequest& request) {
  const bool has_body = !request.body.empty();
  const char* custom = nullptr;
  bool ok = true;
  if (request.method == "HEAD") {
    ok = set(easy_, CURLOPT_NOBODY, 1L);
  } else if (has_body || request.method == "POST") {
    // Each of these options undoes the others, NOBODY included.
    ok = set(easy_, CURLOPT_POST, 1L) && set(easy_, CURLOPT_POSTFIELDS, request.body.c_str()) &&
         set(easy_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    if (request.method != "POST") custom = request.method.c_str();
  } else {
    ok = set(easy_, CURLOPT_HTTPGET, 1L);
    if (request.method != "GET") custom = request.method.c_str();
  }
  return ok && set(easy_, CURLOPT_CUSTOMREQUEST, custom);
}

bool Transfer::set_headers(const ClientRequest& request) {
  const bool same = header_list_ != nullptr && request.headers.all() == headers_of_list_.all();
  if (same) return true;
  curl_slist* list = nullptr;
  const auto append = [&list](const std::string& line) {
    auto* longer = curl_slist_append(list, line.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    list = longer;
  };
  append("Expect:");  // no waiting for "100 Continue"
  bool has_type = false;
  for (const auto& [name, value] : request.headers.all()) {
    if (is_set_by_us(name)) continue;
    has_type = has_type || text::equal_ignoring_ascii_case(name, "content-type");
    append(value.empty() ? name + ";" : name + ": " + value);  // "name:" would mean: do not send it
  }
  if (!has_type) append("Content-Type:");  // else libcurl says that a body is a form
  set(easy_, CURLOPT_HTTPHEADER, list);
  curl_slist_free_all(header_list_);
  header_list_ = list;
  headers_of_list_ = request.headers;
  return true;
}

void Transfer::set_proxy(const ClientRequest& request) {
  const bool policy = request.addresses != nullptr && request.addresses->public_only;
  if (!request.proxy.empty()) {
    set(easy_, CURLOPT_PROXY, request.proxy.c_str());
    set(easy_, CURLOPT_NOPROXY, "");  // every request takes it, whatever NO_PROXY says
  } else if (request.use_environment_proxy && !policy && !is_loopback_url(request.url)) {
    set(easy_, CURLOPT_PROXY, static_cast<char*>(nullptr));
    set(easy_, CURLOPT_NOPROXY, static_cast<char*>(nullptr));
  } else {
    // Through a proxy of the environment the real address could not be checked; this machine is not the proxy's.
    set(easy_, CURLOPT_PROXY, "");
    set(easy_, CURLOPT_NOPROXY, static_cast<char*>(nullptr));
  }
}

std::size_t Transfer::on_body(char* data, std::size_t size, std::size_t count, void* self) noexcept {
  auto& me = *static_cast<Transfer*>(self);
  const std::size_t bytes = size * count;
  me.in_body_ = true;
  if (bytes > me.request_->response_limit - me.response_.body.size()) {
    me.too_large_ = true;
    return 0;
  }
  me.response_.body.append(data, bytes);
  return bytes;
}

std::size_t Transfer::on_header(char* data, std::size_t size, std::size_t count, void* self) noexcept {
  auto& me = *static_cast<Transfer*>(self);
  const std::size_t bytes = size * count;
  me.header_bytes_ += bytes;
  if (me.header_bytes_ > header_limit) {
    me.too_large_ = true;
    return 0;
  }
  me.read_header(text::trim_ascii({data, bytes}));
  return bytes;
}

void Transfer::read_header(std::string_view line) {
  if (in_body_) return;  // trailers
  if (line.starts_with("HTTP/")) {
    response_.headers = {};  // what came before was an interim answer
    head_complete_ = false;
    return;
  }
  if (line.empty()) head_complete_ = true;
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return;
  response_.headers.add(std::string(line.substr(0, colon)), std::string(text::trim_ascii(line.substr(colon + 1))));
}

/// libcurl calls this when the connection stands, right before each sending of the request. It repeats a request by itself
/// when a connection it had kept dies before the first byte of an answer: usually the server had closed it for idleness, and
/// nobody has read the request. But a server that dies, or is killed, while it works on the request looks the same. So the
/// repetition is left to libcurl for idempotent methods, unless the request says otherwise, and when not one byte of the first
/// attempt went out; anything else ends as Failure::unknown and the caller, who knows what the request does, decides. It goes
/// over a new connection: libcurl would take up to five more kept ones, which have often died together. The case is rare: libcurl looks for
/// a closing before it uses a kept connection, and connections are not used close to the end of the server's idle time.
int Transfer::on_connected(void* self, char* remote_address, char* /*local_address*/, int /*remote_port*/, int /*local_port*/) noexcept {
  auto& me = *static_cast<Transfer*>(self);
  // A kept connection was perhaps opened for a request without a policy.
  if (me.request_->proxy.empty() && me.request_->addresses != nullptr) {
    const auto address = IpAddress::parse(remote_address == nullptr ? "" : remote_address);
    if (!address || !me.address_allowed(*address)) {
      me.address_refused_ = true;
      return CURL_PREREQFUNC_ABORT;
    }
  }
  const long sent = me.bytes_sent();
  if (me.attempts_ == 0) me.sent_before_ = sent;
  const bool repeatable = me.request_->may_repeat && is_idempotent(me.request_->method);
  if (me.attempts_ > 0 && sent > me.sent_before_ && !repeatable) {
    me.repeat_refused_ = true;
    return CURL_PREREQFUNC_ABORT;
  }
  ++me.attempts_;
  set(me.easy_, CURLOPT_FRESH_CONNECT, 1L);  // for a repetition
  return CURL_PREREQFUNC_OK;
}

curl_socket_t Transfer::on_open_socket(void* self, curlsocktype /*purpose*/, curl_sockaddr* address) noexcept {
  auto& me = *static_cast<Transfer*>(self);
  const bool through_proxy = !me.request_->proxy.empty();  // the operator's own; it may be anywhere
  if (!through_proxy && me.request_->addresses != nullptr) {
    const auto ip = find_address(address->addr);
    if (!ip || !me.address_allowed(*ip)) {
      me.address_refused_ = true;
      return CURL_SOCKET_BAD;
    }
  }
  return me.sockets_.open_socket(*address);
}

int Transfer::on_close_socket(void* owner, curl_socket_t socket) noexcept {
  static_cast<SocketOwner*>(owner)->close_socket(socket);
  return 0;
}

bool Transfer::address_allowed(const IpAddress& address) const { return is_allowed(*request_->addresses, address); }

long Transfer::bytes_sent() const {
  long bytes = 0;
  curl_easy_getinfo(easy_, CURLINFO_REQUEST_SIZE, &bytes);
  return bytes;
}

Failure Transfer::failure() const { return attempts_ == 0 || bytes_sent() <= sent_before_ ? Failure::not_sent : Failure::unknown; }

std::string Transfer::describe(CURLcode code) const {
  if (too_large_) return "the answer is larger than allowed";
  if (repeat_refused_) return "the connection was closed before an answer came";
  if (address_refused_) return "the address is not allowed";
  // Before the request is on its way libcurl's own words tell most (which name, which certificate), and hold no more of the
  // URL than its host.
  if (attempts_ == 0 && error_[0] != '\0') return error_.data();
  return curl_easy_strerror(code);
}

ClientResponse Transfer::finish(CURLcode code) {
  // libcurl takes a connection that ends within the head for the end of the answer.
  if (code == CURLE_OK && !head_complete_) return abort("the connection was closed before an answer came");
  if (code == CURLE_OK) {
    long status = 0;
    curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
    response_.status = static_cast<unsigned>(status);
    return std::move(response_);
  }
  return abort(describe(code));
}

ClientResponse Transfer::abort(std::string why) {
  ClientResponse response;
  response.failure = failure();
  response.error = std::move(why);
  return response;
}

}  // namespace loquat::http
