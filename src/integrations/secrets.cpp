#include "integrations/secrets.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/secret.h"

namespace loquat::integrations {
namespace {

/// Calls `visit(text, path)` for every secret text that is not empty; `path` is a JSON pointer (RFC 6901).
template <class Visit>
void visit_secrets(json::value& value, bool secret, std::string& path, const Visit& visit) {
  const std::size_t length = path.size();
  if (auto* object = value.if_object()) {
    for (auto& member : *object) {
      const std::string_view name(member.key().data(), member.key().size());
      path += '/';
      for (const char c : name) {
        if (c == '~')
          path += "~0";
        else if (c == '/')
          path += "~1";
        else
          path += c;
      }
      visit_secrets(member.value(), secret || is_secret_name(name), path, visit);
      path.resize(length);
    }
  } else if (auto* array = value.if_array()) {
    for (std::size_t i = 0; i < array->size(); ++i) {
      path += '/' + std::to_string(i);
      visit_secrets((*array)[i], secret, path, visit);
      path.resize(length);
    }
  } else if (auto* text = value.if_string(); secret && text != nullptr && !text->empty()) {
    visit(*text, path);
  }
}

template <class Visit>
json::object with_secrets(json::object settings, const Visit& visit) {
  json::value value = std::move(settings);
  std::string path;
  visit_secrets(value, false, path, visit);
  return std::move(value.get_object());
}

/// What is sealed does not open anywhere else.
std::string associated(std::string_view id, const std::string& path) {
  std::string text = "integrations";
  text += '\x1f';
  text += id;
  text += '\x1f';
  return text += path;
}

/// A member as text, whether it was sent as a text or as a number: page ids come as both.
std::string to_key(const json::value& item, std::string_view name) {
  const auto* member = find_member(item, name);
  if (member == nullptr) return {};
  if (member->is_string()) return std::string(as_view(member->get_string()));
  return member->is_number() ? to_json(*member) : std::string();
}

/// Whether the two differ in nothing but secrets.
bool same_but_secrets(json::value a, json::value b, bool secret) {
  std::string path;
  const auto hide = [](json::string& text, const std::string&) { text = secret_mask; };
  visit_secrets(a, secret, path, hide);
  visit_secrets(b, secret, path, hide);
  return a == b;
}

/// Finds what was stored of the items of a list that a client sent.
class ItemMatcher {
 public:
  ItemMatcher(const json::array& sent, const json::array& stored, std::string_view list, bool secret)
      : sent_(sent), stored_(stored), by_place_(list != "pages" || secret), secret_(secret) {
    for (std::size_t i = 0; i < sent.size(); ++i) {
      auto key = find_key(sent[i], list);
      if (!key.second.empty()) keyed_[key].sent.push_back(i);
      keys_.push_back(std::move(key));
    }
    for (std::size_t i = 0; i < stored.size(); ++i) {
      for (const auto name : key_names(list)) {
        if (const auto found = keyed_.find({name, to_key(stored[i], name)}); found != keyed_.end()) found->second.stored.push_back(i);
      }
    }
  }

  const json::value* find(std::size_t at) {
    const auto& key = keys_[at];
    if (key.second.empty()) return by_place_ && sent_.size() == stored_.size() ? &stored_[at] : nullptr;
    auto& places = keyed_.at(key);
    if (places.stored.empty()) return nullptr;
    if (places.sent.size() == 1 && places.stored.size() == 1) return &stored_[places.stored.front()];
    if (!places.unchanged) places.unchanged = stand_where_they_stood(places);
    return *places.unchanged ? &stored_[at] : nullptr;
  }

 private:
  using Key = std::pair<std::string_view, std::string>;
  struct Places {
    std::vector<std::size_t> sent;
    std::vector<std::size_t> stored;
    std::optional<bool> unchanged;
  };

  /// A name that is itself a secret comes back as the mask and tells nothing.
  static Key find_key(const json::value& item, std::string_view list) {
    for (const auto name : key_names(list)) {
      if (auto key = to_key(item, name); !key.empty() && key != secret_mask) return {name, std::move(key)};
    }
    return {};
  }

  static std::span<const std::string_view> key_names(std::string_view list) {
    static constexpr std::array<std::string_view, 3> names = {"id", "page_id", "name"};
    return list == "pages" ? std::span(names).subspan(1, 1) : std::span(names);
  }

  [[nodiscard]] bool stand_where_they_stood(const Places& places) const {
    return sent_.size() == stored_.size() && places.sent == places.stored &&
           std::ranges::all_of(places.sent, [this](std::size_t at) { return same_but_secrets(sent_[at], stored_[at], secret_); });
  }

  const json::array& sent_;
  const json::array& stored_;
  const bool by_place_;
  const bool secret_;
  std::vector<Key> keys_;
  std::map<Key, Places> keyed_;
};

/// Reads what a client sent beside what is stored.
class Restorer {
 public:
  Restorer(json::array loc, schema::Issues& issues) : loc_(std::move(loc)), issues_(issues) {}

  void restore(json::value& sent, const json::value* stored, bool secret, std::string_view name) {
    if (auto* object = sent.if_object()) {
      for (auto& member : *object) {
        const std::string_view key(member.key().data(), member.key().size());
        loc_.emplace_back(member.key());
        restore(member.value(), stored == nullptr ? nullptr : find_member(*stored, key), secret || is_secret_name(key), key);
        loc_.pop_back();
      }
    } else if (auto* array = sent.if_array()) {
      static const json::array nothing;
      const auto* before = stored == nullptr ? nullptr : stored->if_array();
      ItemMatcher matcher(*array, before == nullptr ? nothing : *before, name, secret);
      for (std::size_t i = 0; i < array->size(); ++i) {
        loc_.emplace_back(i);
        restore((*array)[i], matcher.find(i), secret, {});
        loc_.pop_back();
      }
    } else if (auto* text = sent.if_string(); secret && text != nullptr) {
      restore_text(sent, as_view(*text), stored);
    }
  }

 private:
  void restore_text(json::value& sent, std::string_view text, const json::value* stored) {
    if (stored != nullptr && *stored == sent) return;
    if (text == secret_mask) {
      if (stored == nullptr || !stored->is_string()) return refuse("nothing is stored that this mask could stand for", sent);
      sent = *stored;
    } else if (has_mask_character(text)) {
      refuse("a secret must not contain the character U+2022 that masks are made of", sent);
    } else if (crypto::Keyring::is_sealed(text)) {
      refuse("a secret must not look like an encrypted one", sent);
    }
  }

  void refuse(std::string_view reason, const json::value& sent) { issues_.add(schema::value_error(loc_, reason, sent)); }

  json::array loc_;
  schema::Issues& issues_;
};

}  // namespace

json::object mask_settings(const json::object& settings) {
  return with_secrets(settings, [](json::string& text, const std::string&) { text = secret_mask; });
}

void restore_secrets(json::object& settings, const json::object& stored, json::array loc, schema::Issues& issues) {
  json::value sent = std::move(settings);
  const json::value before = stored;
  Restorer(std::move(loc), issues).restore(sent, &before, false, {});
  settings = std::move(sent.get_object());
}

json::object seal_settings(std::string_view id, json::object settings, const crypto::Keyring& keyring) {
  if (keyring.empty()) return settings;
  return with_secrets(std::move(settings),
                      [&](json::string& text, const std::string& path) { text = keyring.seal(as_view(text), associated(id, path)); });
}

json::object open_settings(std::string_view id, json::object settings, const crypto::Keyring& keyring) {
  return with_secrets(std::move(settings), [&](json::string& text, const std::string& path) {
    if (!crypto::Keyring::is_sealed(as_view(text))) return;
    try {
      text = keyring.open(as_view(text), associated(id, path));
    } catch (const Error& error) {
      throw Error(error.code(),
                  "a secret of the integration " + std::string(id) +
                      " cannot be opened: give its key back to SECRETS_KEY, or delete the integration and set it up again",
                  error.log_detail());
    }
  });
}

bool needs_rotation(const json::object& settings, const crypto::Keyring& keyring) {
  bool needed = false;
  std::ignore = with_secrets(
      settings, [&](const json::string& text, const std::string&) { needed = needed || keyring.needs_rotation(as_view(text)); });
  return needed;
}

}  // namespace loquat::integrations
