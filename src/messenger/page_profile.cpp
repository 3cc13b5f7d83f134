#include "messenger/page_profile.h"

#include <set>
#include <utility>

#include "core/error.h"
#include "core/text.h"

namespace loquat::messenger {

namespace {

constexpr std::size_t payload_limit = 1000;
constexpr std::size_t greeting_limit = 160;
constexpr std::size_t menu_limit = 20;
constexpr std::size_t menu_title_limit = 30;
constexpr std::size_t ice_breaker_limit = 4;
constexpr std::size_t question_limit = 80;

class Reader {
 public:
  Profile read(const json::value& file) {
    const auto* object = file.if_object();
    if (object == nullptr) {
      complain("the file", "must be a JSON object");
      return {};
    }
    if (object->empty()) complain("the file", "sets nothing");
    for (const auto& [name, value] : *object) read_property(std::string(name), value);
    return std::move(profile_);
  }

  [[nodiscard]] const std::string& problems() const { return problems_; }

 private:
  void complain(const std::string& place, const std::string& problem) {
    if (!problems_.empty()) problems_ += '\n';
    problems_ += place + ": " + problem;
  }

  void read_property(const std::string& name, const json::value& value) {
    const bool known = name == "get_started" || name == "greeting" || name == "persistent_menu" || name == "ice_breakers";
    if (!known) return complain(name, "is not known; known are get_started, greeting, persistent_menu and ice_breakers");
    if (value.is_null()) return profile_.remove.push_back(name);
    if (name == "get_started") read_get_started(value);
    if (name == "greeting") read_greeting(value);
    if (name == "persistent_menu") read_menu(value);
    if (name == "ice_breakers") read_ice_breakers(value);
  }

  /// A text member that must be there, with 1 to `limit` characters.
  void check_text(const json::value& object, std::string_view name, std::size_t limit, const std::string& place) {
    const auto where = place + "." + std::string(name);
    const auto* member = find_member(object, name);
    if (member == nullptr || !member->is_string()) return complain(where, "must be a text");
    const auto length = text::length(as_view(member->get_string()));
    if (length == 0) complain(where, "is empty");
    if (length > limit) complain(where, "has " + std::to_string(length) + " characters, at most " + std::to_string(limit) + " are allowed");
  }

  void read_get_started(const json::value& value) {
    json::value property = value.is_string() ? json::value(json::object{{"payload", value}}) : value;
    check_text(property, "payload", payload_limit, "get_started");
    profile_.set["get_started"] = std::move(property);
  }

  /// Checks that each entry has a locale of its own and that one is "default"; `check` sees each entry.
  template <class Check>
  void read_locales(const std::string& name, const json::value& value, Check check) {
    const auto* list = value.if_array();
    if (list == nullptr || list->empty()) return complain(name, "must be a list with at least one entry");
    std::set<std::string, std::less<>> locales;
    for (std::size_t i = 0; i < list->size(); ++i) {
      const auto place = name + "[" + std::to_string(i) + "]";
      const auto locale = string_member((*list)[i], "locale");
      if (locale.empty()) complain(place + ".locale", "must be \"default\" or a locale such as \"de_DE\"");
      if (!locale.empty() && !locales.emplace(locale).second) complain(place + ".locale", "is there twice");
      check((*list)[i], place);
    }
    if (!locales.contains("default")) complain(name, "needs an entry with the locale \"default\"");
  }

  void read_greeting(const json::value& value) {
    json::value property = value;
    if (value.is_string()) property = json::array{json::object{{"locale", "default"}, {"text", value}}};
    read_locales("greeting", property,
                 [this](const json::value& entry, const std::string& place) { check_text(entry, "text", greeting_limit, place); });
    profile_.set["greeting"] = std::move(property);
  }

  void read_menu(const json::value& value) {
    read_locales("persistent_menu", value, [this](const json::value& entry, const std::string& place) {
      read_list(entry, place, menu_limit, [this](const json::value& item, const std::string& where) { check_menu_item(item, where); });
    });
    profile_.set["persistent_menu"] = value;
  }

  template <class Check>
  void read_list(const json::value& entry, const std::string& place, std::size_t limit, Check check) {
    const auto where = place + ".call_to_actions";
    const auto* member = find_member(entry, "call_to_actions");
    const auto* list = member == nullptr ? nullptr : member->if_array();
    if (list == nullptr || list->empty()) return complain(where, "must be a list with at least one entry");
    check_count(where, list->size(), limit);
    for (std::size_t i = 0; i < list->size(); ++i) check((*list)[i], where + "[" + std::to_string(i) + "]");
  }

  void check_count(const std::string& where, std::size_t count, std::size_t limit) {
    if (count > limit) complain(where, "has " + std::to_string(count) + " entries, at most " + std::to_string(limit) + " are allowed");
  }

  void check_menu_item(const json::value& item, const std::string& place) {
    const auto type = string_member(item, "type");
    check_text(item, "title", menu_title_limit, place);
    if (type == "postback") {
      check_text(item, "payload", payload_limit, place);
    } else if (type == "web_url") {
      const auto url = text::to_lower_ascii(string_member(item, "url"));
      if (!url.starts_with("https://") && !url.starts_with("http://")) complain(place + ".url", "must be a web address");
    } else {
      complain(place + ".type", "must be \"postback\" or \"web_url\"");
    }
  }

  void check_question(const json::value& item, const std::string& place) {
    check_text(item, "question", question_limit, place);
    check_text(item, "payload", payload_limit, place);
  }

  void read_ice_breakers(const json::value& value) {
    const auto* list = value.if_array();
    const bool by_locale = list != nullptr && !list->empty() && find_member(list->front(), "call_to_actions") != nullptr;
    const auto check = [this](const json::value& item, const std::string& place) { check_question(item, place); };
    if (by_locale) {
      read_locales("ice_breakers", value, [this, &check](const json::value& entry, const std::string& place) {
        read_list(entry, place, ice_breaker_limit, check);
      });
    } else if (list == nullptr || list->empty()) {
      complain("ice_breakers", "must be a list with at least one entry");
    } else {
      check_count("ice_breakers", list->size(), ice_breaker_limit);
      for (std::size_t i = 0; i < list->size(); ++i) check((*list)[i], "ice_breakers[" + std::to_string(i) + "]");
    }
    profile_.set["ice_breakers"] = value;
  }

  Profile profile_;
  std::string problems_;
};

}  // namespace

Profile parse_profile(std::string_view text) {
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  json::value file;
  JsonError error;
  if (!try_parse_json(text, file, error)) {
    throw Error(Code::invalid, "the file is no JSON: " + error.message + " at byte " + std::to_string(error.offset));
  }
  Reader reader;
  auto profile = reader.read(file);
  if (!reader.problems().empty()) throw Error(Code::invalid, reader.problems());
  return profile;
}

}  // namespace loquat::messenger
