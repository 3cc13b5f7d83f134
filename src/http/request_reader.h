#pragma once

#include <boost/asio/buffer.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "http/head.h"
#include "http/message.h"

namespace loquat::http {

/// Makes requests out of the bytes of one connection. No socket: bytes are put in, steps come out. The head is checked by
/// check_head and then parsed by Beast, as are the chunks of a body; what follows a request (pipelining) stays for
/// the next one.
///
///   reader.start(request);
///   for (auto step = reader.advance(); ...) need_more: read into prepare(), commit(n); head: choose limit_body(); ...
class RequestReader {
 public:
  enum class Step : std::uint8_t {
    need_more,
    head,  ///< once a request: method, target and headers are there
    done,  ///< the body, too
    bad,   ///< see fault(); where the request ends is not known
    head_too_large,
    body_too_large,
  };

  /// A head of more bytes than `max_head` is too large.
  explicit RequestReader(std::size_t max_head);
  ~RequestReader();
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  /// Begins the next request: empties `request` and fills it from now on. It must live until the next start().
  void start(Request& request);
  /// Where to read to, and how much came.
  [[nodiscard]] boost::asio::mutable_buffer prepare();
  void commit(std::size_t bytes);
  [[nodiscard]] Step advance();

  /// From Step::head on: a body of more bytes is too large (default: 0).
  void limit_body(std::size_t bytes) noexcept;
  /// From Step::head on: the body is read but not kept.
  void discard_body() noexcept;

  /// Whether bytes are there that no request has used.
  [[nodiscard]] bool has_bytes() const noexcept;
  [[nodiscard]] const HeadFault& fault() const noexcept;

  // From Step::head on.
  [[nodiscard]] bool keeps_alive() const noexcept;
  [[nodiscard]] bool is_http_1_0() const noexcept;
  [[nodiscard]] std::optional<std::uint64_t> content_length() const noexcept;
  /// Bytes of the body so far.
  [[nodiscard]] std::uint64_t body_bytes() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace loquat::http
