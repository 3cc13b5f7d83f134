#include "bot/secrets.h"

#include <functional>
#include <map>

#include "core/secret.h"
#include "core/text.h"

namespace loquat::bot {
namespace {

std::string to_text(const json::string& text) { return {text.data(), text.size()}; }

/// A secret of an intent and where it stands.
struct HeaderSecret {
  std::string name;            ///< lower case
  std::size_t occurrence = 0;  ///< among headers of that name
  std::size_t index = 0;       ///< in the list
  json::value* value = nullptr;
};

json::array* find_headers(json::object& body) {
  auto* details = body.if_contains("apiDetails");
  auto* members = details == nullptr ? nullptr : details->if_object();
  auto* headers = members == nullptr ? nullptr : members->if_contains("headers");
  return headers == nullptr ? nullptr : headers->if_array();
}

/// All headers with a text value, secret or not.
std::vector<HeaderSecret> list_headers(json::object& body) {
  std::vector<HeaderSecret> found;
  auto* headers = find_headers(body);
  if (headers == nullptr) return found;
  std::map<std::string, std::size_t> seen;
  for (std::size_t i = 0; i < headers->size(); ++i) {
    auto* header = (*headers)[i].if_object();
    auto* value = header == nullptr ? nullptr : header->if_contains("headerValue");
    if (value == nullptr || !value->is_string()) continue;
    auto name = text::to_lower_ascii(text::trim_ascii(string_member((*headers)[i], "headerKey")));
    const std::size_t occurrence = seen[name]++;
    found.push_back({std::move(name), occurrence, i, value});
  }
  return found;
}

std::vector<HeaderSecret> list_secrets(json::object& body) {
  auto found = list_headers(body);
  std::erase_if(found, [](const HeaderSecret& header) { return !is_secret_header(header.name); });
  return found;
}

std::optional<std::string> find_stored(const json::object* previous, const HeaderSecret& wanted) {
  if (previous == nullptr) return std::nullopt;
  json::object copy = *previous;
  for (const auto& header : list_headers(copy)) {
    if (header.name == wanted.name && header.occurrence == wanted.occurrence) return to_text(header.value->get_string());
  }
  return std::nullopt;
}

void refuse(schema::Issues& issues, const json::array& loc, std::string_view reason, const json::value& input) {
  issues.add(schema::value_error(loc, reason, input));
}

constexpr std::string_view masked_reason = "a masked value (U+2022) cannot be stored; send the mask alone to keep the secret, or a new one";
constexpr std::string_view sealed_reason = "a secret cannot begin with enc:v1:";
constexpr std::string_view lost_reason = "there is no stored secret that the mask could stand for";

/// Calls `visit` for every text that is a secret by its member's name, with its path.
using VisitSecret = std::function<void(const std::string& path, json::value& value)>;
void visit_config(json::value& value, bool secret, const std::string& path, const VisitSecret& visit) {
  if (auto* object = value.if_object()) {
    for (auto& member : *object) {
      const std::string name(member.key().data(), member.key().size());
      visit_config(member.value(), secret || is_secret_name(name), path.empty() ? name : path + "." + name, visit);
    }
  } else if (auto* array = value.if_array()) {
    for (std::size_t i = 0; i < array->size(); ++i) visit_config((*array)[i], secret, path + "." + std::to_string(i), visit);
  } else if (secret && value.is_string()) {
    visit(path, value);
  }
}

json::object with_config_secrets(json::object config, const VisitSecret& visit) {
  json::value value = std::move(config);
  visit_config(value, false, {}, visit);
  return std::move(value.get_object());
}

std::string header_place(std::string_view id, const HeaderSecret& header) {
  return "bot_documents/" + std::string(id) + "/apiDetails.headers." + header.name;
}

std::string config_place(std::string_view name, const std::string& path) { return "bot_configs/" + std::string(name) + "/" + path; }

/// An empty text has nothing to hide, and the mask rules need to see that it is empty.
void seal(json::value& value, const std::string& place, const crypto::Keyring& keyring) {
  const auto& text = value.get_string();
  if (text.empty() || keyring.empty() || crypto::Keyring::is_sealed(as_view(text))) return;
  value = json::string(keyring.seal(as_view(text), place));
}

void open(json::value& value, const std::string& place, const crypto::Keyring& keyring) {
  if (!crypto::Keyring::is_sealed(as_view(value.get_string()))) return;
  value = json::string(keyring.open(as_view(value.get_string()), place));
}

}  // namespace

json::object mask_document(Kind kind, json::object body) {
  if (kind == Kind::entity) return body;
  for (const auto& secret : list_secrets(body)) {
    if (!secret.value->get_string().empty()) *secret.value = json::string(secret_mask);
  }
  return body;
}

json::object mask_config(const json::object& config) { return mask_secrets(json::value(config)).get_object(); }

void restore_secrets(json::object& body, const json::object* previous, LostSecret lost, const json::array& loc, schema::Issues& issues) {
  for (const auto& header : list_headers(body)) {
    const auto text = to_text(header.value->get_string());
    json::array place = loc;
    for (json::value part : {json::value("apiDetails"), json::value("headers"), json::value(header.index), json::value("headerValue")}) {
      place.push_back(std::move(part));
    }
    if (text == secret_mask) {
      const auto stored = find_stored(previous, header);
      if (!stored && lost == LostSecret::refuse) {
        refuse(issues, place, lost_reason, *header.value);
      } else {
        *header.value = json::string(stored.value_or(""));
      }
    } else if (is_secret_header(header.name) && has_mask_character(text)) {
      refuse(issues, place, masked_reason, *header.value);
    } else if (is_secret_header(header.name) && crypto::Keyring::is_sealed(text)) {
      refuse(issues, place, sealed_reason, *header.value);
    }
  }
}

void restore_config_secrets(json::object& config, const json::object& previous, const json::array& loc, schema::Issues& issues) {
  std::map<std::string, std::string> stored;
  // What GET shows for a config that says nothing about the model's key is the default, masked.
  stored["llm_settings.api_key"] = read_config_body(previous).llm_settings.api_key;
  static_cast<void>(
      with_config_secrets(previous, [&](const std::string& path, json::value& value) { stored[path] = to_text(value.get_string()); }));
  config = with_config_secrets(std::move(config), [&](const std::string& path, json::value& value) {
    const auto text = to_text(value.get_string());
    json::array place = loc;
    for (const auto part : text::split(path, '.')) place.emplace_back(json::string_view(part.data(), part.size()));
    if (text == secret_mask) {
      const auto found = stored.find(path);
      if (found == stored.end()) return refuse(issues, place, lost_reason, value);
      value = json::string(found->second);
    } else if (has_mask_character(text)) {
      refuse(issues, place, masked_reason, value);
    } else if (crypto::Keyring::is_sealed(text)) {
      refuse(issues, place, sealed_reason, value);
    }
  });
}

json::object seal_document(Kind kind, std::string_view id, json::object body, const crypto::Keyring& keyring) {
  if (kind == Kind::entity) return body;
  for (const auto& secret : list_secrets(body)) seal(*secret.value, header_place(id, secret), keyring);
  return body;
}

json::object open_document(Kind kind, std::string_view id, json::object body, const crypto::Keyring& keyring) {
  if (kind == Kind::entity) return body;
  for (const auto& secret : list_secrets(body)) open(*secret.value, header_place(id, secret), keyring);
  return body;
}

json::object seal_config(std::string_view name, json::object config, const crypto::Keyring& keyring) {
  return with_config_secrets(std::move(config),
                             [&](const std::string& path, json::value& value) { seal(value, config_place(name, path), keyring); });
}

json::object open_config(std::string_view name, json::object config, const crypto::Keyring& keyring) {
  return with_config_secrets(std::move(config),
                             [&](const std::string& path, json::value& value) { open(value, config_place(name, path), keyring); });
}

bool needs_rotation(Kind kind, const json::object& body, const crypto::Keyring& keyring) {
  if (kind == Kind::entity) return false;
  json::object copy = body;
  for (const auto& secret : list_secrets(copy)) {
    const auto& text = secret.value->get_string();
    if (!text.empty() && keyring.needs_rotation(as_view(text))) return true;
  }
  return false;
}

bool config_needs_rotation(const json::object& config, const crypto::Keyring& keyring) {
  bool needed = false;
  static_cast<void>(with_config_secrets(config, [&](const std::string& /*path*/, json::value& value) {
    const auto& text = value.get_string();
    needed = needed || (!text.empty() && keyring.needs_rotation(as_view(text)));
  }));
  return needed;
}

}  // namespace loquat::bot
