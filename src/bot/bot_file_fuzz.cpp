#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "bot/draft.h"
#include "core/error.h"

// A bot file is refused in plain words, or its export is taken again and gives the same export.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace loquat;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  bot::Draft draft;
  try {
    draft = bot::merge(draft, bot::apply_export(draft, bot::parse_export_file(text, {}), {}));
  } catch (const Error& error) {
    if (error.code() != Code::invalid || error.issues().empty()) std::abort();
    return 0;
  }
  static_cast<void>(bot::to_definition(draft));
  static_cast<void>(bot::make_export(draft, false));
  const auto exported = to_json(json::value(bot::make_export(draft, true)));
  const bot::Draft empty;
  const auto again = bot::merge(empty, bot::apply_export(empty, bot::parse_export_file(exported, {}), {}));
  if (to_json(json::value(bot::make_export(again, true))) != exported) std::abort();
  return 0;
}
