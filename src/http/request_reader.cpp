#include "http/request_reader.h"

#include <algorithm>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <limits>

#include "core/url.h"

namespace loquat::http {
namespace {

namespace beast = boost::beast;
using Code = boost::system::error_code;
using View = beast::string_view;

constexpr std::size_t read_size = 4096;
constexpr std::size_t large_read_size = std::size_t{64} * 1024;
/// A chunk's head or a trailer may not be longer.
constexpr std::size_t chunk_head_limit = std::size_t{16} * 1024;
/// What an idle connection may keep.
constexpr std::size_t kept_capacity = std::size_t{16} * 1024;

Method to_method(beast::http::verb verb) noexcept {
  switch (verb) {
    case beast::http::verb::get: return Method::get;
    case beast::http::verb::head: return Method::head;
    case beast::http::verb::post: return Method::post;
    case beast::http::verb::put: return Method::put;
    case beast::http::verb::patch: return Method::patch;
    case beast::http::verb::delete_: return Method::delete_;
    case beast::http::verb::options: return Method::options;
    case beast::http::verb::trace: return Method::trace;
    default: return Method::other;
  }
}

/// Beast's parser, writing straight into our request.
class Parser final : public beast::http::basic_parser<true> {
 public:
  explicit Parser(Request& request) : request_(request) {
    body_limit(boost::none);                                  // ours depends on the route, which is known only after the head
    header_limit(std::numeric_limits<std::uint32_t>::max());  // the reader has measured the head
  }

  std::size_t limit = 0;
  std::uint64_t bytes = 0;  ///< never more than the limit
  int version = 11;
  bool keep = true;
  bool is_over_limit = false;

 private:
  void on_request_impl(beast::http::verb verb, View /*name*/, View target, int number, Code& /*error*/) override {
    version = number;
    request_.method = to_method(verb);
    request_.target.assign(target.data(), target.size());
  }
  void on_response_impl(int /*status*/, View /*reason*/, int /*version*/, Code& /*error*/) override {}
  void on_field_impl(beast::http::field /*known*/, View name, View value, Code& /*error*/) override {
    // A trailer must not pass for a header: nobody has checked it.
    if (is_header_done()) return;
    request_.headers.add(std::string(name.data(), name.size()), std::string(value.data(), value.size()));
  }
  void on_header_impl(Code& /*error*/) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>& length, Code& /*error*/) override {
    // A claim of 64 MiB costs the client nothing, so it reserves little.
    if (length && keep) request_.body.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(*length, large_read_size)));
  }
  std::size_t on_body_impl(View body, Code& error) override { return take(body, error); }
  void on_chunk_header_impl(std::uint64_t size, View /*extensions*/, Code& error) override {
    if (size > limit - std::min<std::uint64_t>(bytes, limit)) fail(error);
  }
  std::size_t on_chunk_body_impl(std::uint64_t /*remain*/, View body, Code& error) override { return take(body, error); }
  void on_finish_impl(Code& /*error*/) override {}

  std::size_t take(View body, Code& error) {
    if (body.size() > limit - std::min<std::uint64_t>(bytes, limit)) {
      fail(error);
      return 0;
    }
    bytes += body.size();
    if (keep) request_.body.append(body.data(), body.size());
    return body.size();
  }
  void fail(Code& error) {
    is_over_limit = true;
    error = beast::http::error::body_limit;
  }

  Request& request_;
};

void split_target(Request& request) {
  const std::string_view target = request.target;
  const auto question = target.find('?');
  request.path.assign(target.substr(0, question));
  if (question != std::string_view::npos) request.query = url::parse_query(target.substr(question + 1));
}

void empty(Request& request) {
  request.method = Method::get;
  request.target.clear();
  request.path.clear();
  request.query.clear();
  request.path_parameters.clear();
  request.headers.clear();
  request.body.clear();
  if (request.body.capacity() > kept_capacity) request.body.shrink_to_fit();
  request.client_address.clear();
  request.request_id.clear();
  request.is_https = false;
  request.principal = {};
  request.route = {};
}

}  // namespace

struct RequestReader::Impl {
  enum class State : std::uint8_t { head, body, done };

  std::size_t max_head = 0;
  beast::flat_buffer buffer;
  std::size_t scanned = 0;  ///< bytes of the buffer in which the head's end is not
  State state = State::head;
  Request* request = nullptr;
  std::optional<Parser> parser;
  HeadFault fault{400, "Bad Request"};

  std::string_view bytes() const { return {static_cast<const char*>(buffer.cdata().data()), buffer.size()}; }

  Step refuse(std::string_view what) {
    fault = {400, what};
    return Step::bad;
  }

  Step read_head() {
    // Some clients send an empty line behind a body (RFC 9112, 2.2).
    while (bytes().starts_with("\r\n")) {
      buffer.consume(2);
      scanned = 0;
    }
    const auto all = bytes();
    const auto end = all.find("\r\n\r\n", scanned < 3 ? 0 : scanned - 3);
    if (end == std::string_view::npos) {
      scanned = all.size();
      if (all.size() >= max_head) return Step::head_too_large;
      // TLS on a plain port would wait for the deadline.
      if (!all.empty() && static_cast<unsigned char>(all.front()) < ' ' && all.front() != '\r') return refuse("Malformed request line");
      // A head with bare line feeds would never end.
      if (all.find("\n\n") == std::string_view::npos && all.find("\n\r\n") == std::string_view::npos) return Step::need_more;
      return refuse("Lines of the head must end in CR LF");
    }
    const auto head = all.substr(0, end + 4);
    if (head.size() > max_head) return Step::head_too_large;
    return parse_head(head);
  }

  Step parse_head(std::string_view head) {
    if (const auto found = check_head(head)) {
      fault = *found;
      return Step::bad;
    }
    Code error;
    parser.emplace(*request);
    const std::size_t used = parser->put({head.data(), head.size()}, error);
    if (error || !parser->is_header_done()) return refuse("Bad Request");
    buffer.consume(used);
    scanned = 0;
    split_target(*request);
    parser->eager(true);
    state = State::body;
    return Step::head;
  }

  Step read_body() {
    while (!parser->is_done()) {
      if (const auto length = parser->content_length(); length && *length > parser->limit) return Step::body_too_large;
      // What is left of a chunked body is never shorter; with less, Beast 1.81 asserts (it looks at "0 CR LF CR" twice).
      constexpr std::size_t shortest_end = 5;
      if (buffer.size() < (parser->chunked() ? shortest_end : 1)) return Step::need_more;
      Code error;
      const std::size_t used = parser->put(buffer.cdata(), error);
      buffer.consume(used);
      if (parser->is_over_limit) return Step::body_too_large;
      if (error == beast::http::error::need_more) {
        if (buffer.size() < chunk_head_limit) return Step::need_more;
        return refuse("A chunk's head is too long");
      }
      if (error) return refuse("Malformed body");
    }
    state = State::done;
    return Step::done;
  }
};

RequestReader::RequestReader(std::size_t max_head) : impl_(std::make_unique<Impl>()) { impl_->max_head = max_head; }
RequestReader::~RequestReader() = default;

void RequestReader::start(Request& request) {
  empty(request);
  impl_->request = &request;
  impl_->state = Impl::State::head;
  impl_->scanned = 0;
  if (impl_->buffer.size() == 0 && impl_->buffer.capacity() > kept_capacity) impl_->buffer = beast::flat_buffer();
}

boost::asio::mutable_buffer RequestReader::prepare() {
  const bool is_large = impl_->state == Impl::State::body && impl_->parser->bytes > read_size;
  return impl_->buffer.prepare(is_large ? large_read_size : read_size);
}

void RequestReader::commit(std::size_t bytes) { impl_->buffer.commit(bytes); }

RequestReader::Step RequestReader::advance() {
  switch (impl_->state) {
    case Impl::State::head: return impl_->read_head();
    case Impl::State::body: return impl_->read_body();
    case Impl::State::done: break;
  }
  return Step::done;
}

void RequestReader::limit_body(std::size_t bytes) noexcept { impl_->parser->limit = bytes; }
void RequestReader::discard_body() noexcept { impl_->parser->keep = false; }
bool RequestReader::has_bytes() const noexcept { return impl_->buffer.size() > 0; }
const HeadFault& RequestReader::fault() const noexcept { return impl_->fault; }
bool RequestReader::keeps_alive() const noexcept { return impl_->parser->keep_alive(); }
bool RequestReader::is_http_1_0() const noexcept { return impl_->parser->version < 11; }
std::uint64_t RequestReader::body_bytes() const noexcept { return impl_->parser->bytes; }

std::optional<std::uint64_t> RequestReader::content_length() const noexcept {
  const auto length = impl_->parser->content_length();
  return length ? std::optional<std::uint64_t>(*length) : std::nullopt;
}

}  // namespace loquat::http
