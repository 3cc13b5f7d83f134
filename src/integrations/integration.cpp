#include "integrations/integration.h"

#include <algorithm>

#include "core/error.h"

namespace loquat::integrations {

const std::vector<Integration>& defaults() {
  static const std::vector<Integration> all = {
      {"facebook",
       "Facebook Messenger",
       "Connect with Facebook Messenger",
       false,
       {{"verify", "ai-chatbot-framework"}, {"secret", ""}, {"page_access_token", ""}}},
      {"chat_widget", "Chat Widget", "Add a chat widget to your website", true, {}},
  };
  return all;
}

void require_version(std::int64_t current, std::optional<std::int64_t> wanted) {
  if (wanted && *wanted != current) throw Error(Code::precondition_failed, changed_message);
}

json::value merge_patch(json::value target, const json::value& patch) {
  const auto* changes = patch.if_object();
  if (changes == nullptr) return patch;
  if (!target.is_object()) target = json::object();
  auto& members = target.get_object();
  for (const auto& change : *changes) {
    if (change.value().is_null()) {
      members.stable_erase(change.key());
      continue;
    }
    auto& member = members[change.key()];
    member = merge_patch(std::move(member), change.value());
  }
  return target;
}

std::size_t depth_of(const json::value& value) {
  std::size_t deepest = 0;
  if (const auto* object = value.if_object()) {
    for (const auto& member : *object) deepest = std::max(deepest, depth_of(member.value()));
    return deepest + 1;
  }
  if (const auto* array = value.if_array()) {
    for (const auto& item : *array) deepest = std::max(deepest, depth_of(item));
    return deepest + 1;
  }
  return 0;
}

}  // namespace loquat::integrations
