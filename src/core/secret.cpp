#include "core/secret.h"

#include "core/text.h"

namespace loquat {
namespace {

constexpr std::string_view mask_character = "\u2022";

json::value masked(const json::value& value, bool secret) {
  if (const auto* object = value.if_object()) {
    json::object out;
    out.reserve(object->size());
    for (const auto& member : *object) {
      const std::string_view name(member.key().data(), member.key().size());
      out.emplace(member.key(), masked(member.value(), secret || is_secret_name(name)));
    }
    return out;
  }
  if (const auto* array = value.if_array()) {
    json::array out;
    out.reserve(array->size());
    for (const auto& item : *array) out.push_back(masked(item, secret));
    return out;
  }
  const auto* text = value.if_string();
  if (!secret || text == nullptr || text->empty()) return value;
  return json::string(secret_mask);
}

}  // namespace

bool is_secret_name(std::string_view name) {
  const std::string lower = text::to_lower_ascii(name);
  return lower == "secret" || lower.ends_with("_token") || lower.ends_with("_secret") || lower.contains("password") ||
         lower.contains("api_key");
}

bool is_secret_header(std::string_view name) {
  const std::string lower = text::to_lower_ascii(text::trim_ascii(name));
  return lower == "authorization" || lower == "proxy-authorization" || lower == "cookie" || lower.contains("key") ||
         lower.contains("token") || lower.contains("secret");
}

bool has_mask_character(std::string_view text) { return text.contains(mask_character); }

json::value mask_secrets(const json::value& settings) { return masked(settings, false); }

}  // namespace loquat
