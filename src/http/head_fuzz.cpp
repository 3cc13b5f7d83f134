#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "http/head.h"
#include "http/request_reader.h"

namespace {

using loquat::http::Request;
using loquat::http::RequestReader;

constexpr std::size_t max_head = 1024;
constexpr std::size_t max_body = 512;

/// All requests that a reader finds in the bytes, as text. What is refused ends the list, as does the bytes' end: how many
/// bytes it takes to see that a chunk is malformed may depend on the pieces.
std::string read_all(std::string_view bytes, std::size_t piece) {
  RequestReader reader(max_head);
  Request request;
  std::string seen;
  reader.start(request);
  for (;;) {
    switch (reader.advance()) {
      case RequestReader::Step::need_more: {
        if (bytes.empty()) return seen;
        const auto buffer = reader.prepare();
        const std::size_t count = std::min({piece, bytes.size(), buffer.size()});
        std::memcpy(buffer.data(), bytes.data(), count);
        reader.commit(count);
        bytes.remove_prefix(count);
        break;
      }
      case RequestReader::Step::head:
        if (request.headers.count("Host") > 1 || request.headers.count("Transfer-Encoding") > 1) std::abort();
        if (request.headers.find("Transfer-Encoding") && request.headers.find("Content-Length")) std::abort();
        reader.limit_body(max_body);
        break;
      case RequestReader::Step::done:
        if (request.body.size() > max_body) std::abort();
        seen += request.target + "\n";
        for (const auto& [name, value] : request.headers.all()) seen += name + ":" + value + "\n";
        seen += request.body + "\n";
        reader.start(request);
        break;
      default: return seen;
    }
  }
}

}  // namespace

/// The raw bytes of a connection: what is read must not depend on how the network cuts them.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Longer inputs reach the limit of a chunk's head, where the pieces do matter.
  constexpr std::size_t most = 8'000;
  if (size > most) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)loquat::http::check_head(bytes);
  const std::string whole = read_all(bytes, size);
  if (read_all(bytes, 1) != whole || read_all(bytes, 5) != whole) std::abort();
  return 0;
}
