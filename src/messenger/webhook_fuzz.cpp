#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/json.h"
#include "messenger/event.h"
#include "messenger/json_scan.h"

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

/// Whatever the bytes: no crash, every event storable and addressable, and the scanner takes all that the parser takes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace loquat;
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const Time now(std::chrono::milliseconds(1'795'255'200'000));
  const auto parsed = messenger::parse_webhook(body, now);
  check(parsed.is_object || parsed.events.empty());
  for (const auto& event : parsed.events) {
    check(!event.kind.empty());
    check(event.dead_reason.empty() || event.body.contains("raw"));
    check(!event.dead_reason.empty() || !event.conversation.thread_id.empty());
    check(event.conversation.thread_id.size() <= 255 && event.conversation.account.size() <= 255);
    json::value again;
    JsonError error;
    check(try_parse_json(to_json(event.body), again, error));
  }
  json::value value;
  JsonError error;
  if (try_parse_json(body, value, error)) check(messenger::scan::is_object(body) == value.is_object());
  return 0;
}
