#include "messenger/event.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <optional>
#include <utility>

#include "core/text.h"
#include "messenger/event_content.h"
#include "messenger/json_scan.h"

namespace loquat::messenger {
namespace {

/// Of one body; Meta's batches have at most 1000 items. Beyond, unreadable items are only counted.
constexpr std::uint32_t most_dead_letters = 10'000;

/// Lengths in front keep ("a", "bc") and ("ab", "c") apart.
MessageId hash_fields(std::initializer_list<std::string_view> fields) {
  std::string key;
  for (const auto field : fields) key.append(std::to_string(field.size())).append(1, ':').append(field);
  return MessageId::of_key(key);
}

/// Fields of `changes` that carry the items of conversations (the dashboard's test button sends these).
bool is_conversation_field(std::string_view field) noexcept {
  return field == "messages" || field.starts_with("message_") || field.starts_with("messaging_") || field == "standby" ||
         field == "response_feedback" || field == "send_cart";
}

/// One item of a webhook.
struct Item {
  const json::value& value;
  std::string page;
  bool standby = false;
  std::string sender = {};
  bool by_user_ref = false;

  void read_sender() {
    sender = read_id_of(value, "sender", "id");
    if (!sender.empty()) return;
    sender = read_id_of(value, "sender", "user_ref");
    if (sender.empty()) sender = read_id_of(value, "optin", "user_ref");
    by_user_ref = !sender.empty();
  }
};

class Reader {
 public:
  Reader(Parsed& out, Time now, const IsOurs& is_ours, std::string_view app_id)
      : out_(out), now_(now), is_ours_(is_ours), app_id_(app_id) {}

  void read_body(const json::value& body) {
    if (string_member(body, "object") != "page") return count(Kind::other_object);
    const auto* entries = find_present(body, "entry");
    if (entries == nullptr) return;
    if (!entries->is_array()) return add_unreadable({}, to_json(*entries), "entry is not an array");
    for (const auto& entry : entries->get_array()) read_entry(entry);
  }

  /// For a text that the parser refused: what can be read of it piece by piece.
  void scan_body(std::string_view body) {
    std::string_view object;
    std::string_view entries;
    for (const auto& [name, value] : scan::members(body)) {
      if (name == "object") object = value;
      if (name == "entry") entries = value;
    }
    if (object != "\"page\"") return count(Kind::other_object);
    if (entries.empty() || entries == "null") return;
    if (entries.front() != '[') return add_unreadable({}, std::string(entries), "entry is not an array");
    for (const auto entry : scan::elements(entries)) scan_entry(entry);
  }

 private:
  void count(Kind kind) noexcept { ++out_.counts[static_cast<std::size_t>(kind)]; }

  static void add_once(std::vector<std::string>& list, const std::string& page) {
    if (std::ranges::find(list, page) == list.end()) list.push_back(page);
  }

  /// Notes the page of an entry; false when its items are not ours. An entry without an id may still have items that name a page.
  bool accept_page(const std::string& page) {
    if (page.empty()) return true;
    if (is_ours_ && !is_ours_(page)) {
      count(Kind::foreign_page);
      add_once(out_.foreign_pages, page);
      return false;
    }
    add_once(out_.pages, page);
    return true;
  }

  void read_entry(const json::value& entry) {
    if (!entry.is_object()) return add_unreadable({}, to_json(entry), "entry is not an object");
    const auto page = read_id(entry, "id");
    if (!accept_page(page)) return;
    for (const std::string_view list : {"messaging", "standby", "changes"}) {
      const auto* items = find_present(entry, list);
      if (items == nullptr) continue;
      if (!items->is_array()) {
        add_unreadable(page, to_json(*items), "a list of items is not an array");
        continue;
      }
      for (const auto& item : items->get_array()) read_listed(page, list, item);
    }
  }

  void scan_entry(std::string_view entry) {
    json::value value;
    JsonError error;
    if (try_parse_json(entry, value, error)) return read_entry(value);
    if (entry.front() != '{') return add_unreadable({}, std::string(entry), "entry is not an object");
    const auto members = scan::members(entry);
    std::string page;
    for (const auto& [name, text] : members) {
      if (name == "id" && try_parse_json(text, value, error)) page = read_id(json::object{{"id", value}}, "id");
    }
    if (!accept_page(page)) return;
    for (const auto& [name, text] : members) {
      if ((name != "messaging" && name != "standby" && name != "changes") || text == "null") continue;
      if (text.front() != '[') {
        add_unreadable(page, std::string(text), "a list of items is not an array");
        continue;
      }
      for (const auto item : scan::elements(text)) {
        if (try_parse_json(item, value, error)) {
          read_listed(page, name, value);
        } else {
          add_unreadable(page, std::string(item), error.message);
        }
      }
    }
  }

  void read_listed(const std::string& page, std::string_view list, const json::value& item) {
    if (!item.is_object()) return add_unreadable(page, to_json(item), "item is not an object");
    if (list != "changes") return read_item({.value = item, .page = page, .standby = list == "standby"});
    const auto field = string_member(item, "field");
    const auto* value = find_present(item, "value");
    if (!is_conversation_field(field)) return count(Kind::change);
    if (value == nullptr || !value->is_object()) return add_unreadable(page, to_json(item), "a change has no value");
    read_item({.value = *value, .page = page, .standby = field == "standby"});
  }

  void read_item(Item item) {
    if (item.page.empty()) {
      const bool echo = find_member(item.value, "message") != nullptr && is_true(*find_member(item.value, "message"), "is_echo");
      item.page = read_id_of(item.value, echo ? "sender" : "recipient", "id");
      if (item.page.empty()) return add_unreadable({}, to_json(item.value), "no page");
      if (!accept_page(item.page)) return;
    }
    item.read_sender();
    if (const auto* message = find_present(item.value, "message")) return read_message(item, *message);
    if (const auto* postback = find_present(item.value, "postback")) return read_postback(item, *postback);
    if (const auto* optin = find_present(item.value, "optin")) return read_optin(item, *optin);
    if (const auto* referral = find_present(item.value, "referral")) return read_referral_item(item, *referral);
    read_unanswered(item);
  }

  void read_message(const Item& item, const json::value& message) {
    if (!message.is_object()) return add_unreadable(item, "message is not an object");
    if (is_true(message, "is_echo") || item.sender == item.page) return read_echo(item, message);
    const auto mid = string_member(message, "mid");
    if (is_true(message, "is_deleted")) return read_unsend(item, mid);
    if (item.standby) return count(Kind::standby);
    if (item.sender.empty()) return add_unreadable(item, "no sender");
    const auto* text = find_present(message, "text");
    if (text != nullptr && !text->is_string()) return add_unreadable(item, "message.text is not a text");

    const auto* quick_reply = find_present(message, "quick_reply");
    const auto payload = quick_reply == nullptr ? std::string_view() : string_member(*quick_reply, "payload");
    const auto* raw_attachments = find_present(message, "attachments");
    auto attachments = read_attachments(raw_attachments);
    auto referral = read_referral(find_member(message, "referral"));
    Kind kind = Kind::message;
    std::string said(text == nullptr ? std::string_view() : as_view(text->get_string()));
    if (!payload.empty()) {
      kind = Kind::quick_reply;
      said = payload;
    } else if (said.empty()) {
      if (raw_attachments == nullptr || !raw_attachments->is_array() || raw_attachments->get_array().empty()) return count(Kind::empty);
      kind = Kind::attachment;
      said = describe_attachments(attachments);
    }
    json::object context;
    if (!attachments.empty()) context.emplace("attachments", std::move(attachments));
    if (!referral.empty()) context.emplace("referral", std::move(referral));
    admit(kind, item, mid.empty() ? identify(item, kind) : event_key(item.page, "message", mid), std::move(said), std::move(context));
  }

  void read_echo(const Item& item, const json::value& message) {
    count(Kind::echo);
    const auto metadata = string_member(message, "metadata");
    auto person = read_id_of(item.value, "recipient", "id");
    if (person.empty() || !is_reply_metadata(metadata)) return;
    if (!app_id_.empty() && read_id(message, "app_id") != app_id_) return;
    out_.reports.push_back({{std::string(channel), item.page, std::move(person)}, std::string(metadata)});
  }

  /// Also on standby: the message may have come while the conversation was ours.
  void read_unsend(const Item& item, std::string_view mid) {
    if (item.sender.empty() || mid.empty()) return add_unreadable(item, "no sender or mid");
    count(Kind::unsend);
    auto event = make_event(Kind::unsend, item, event_key(item.page, "unsend", mid));
    event.body.emplace("redacts", event_key(item.page, "message", mid).to_string());
    out_.events.push_back(std::move(event));
  }

  void read_postback(const Item& item, const json::value& postback) {
    if (!postback.is_object()) return add_unreadable(item, "postback is not an object");
    if (item.standby) return count(Kind::standby);
    if (item.sender.empty()) return add_unreadable(item, "no sender");
    const auto* payload = find_present(postback, "payload");
    if (payload != nullptr && !payload->is_string()) return add_unreadable(item, "postback.payload is not a text");
    std::string said(payload == nullptr ? std::string_view() : as_view(payload->get_string()));
    // Without a payload: what the person saw on the button.
    if (said.empty()) said = string_member(postback, "title");
    if (said.empty()) return count(Kind::empty);
    json::object context{{"is_postback", true}};
    if (auto referral = read_referral(find_member(postback, "referral")); !referral.empty())
      context.emplace("referral", std::move(referral));
    const auto mid = string_member(postback, "mid");
    admit(Kind::postback, item, mid.empty() ? identify(item, Kind::postback) : event_key(item.page, "postback", mid), std::move(said),
          std::move(context));
  }

  void read_optin(const Item& item, const json::value& optin) {
    if (!optin.is_object()) return add_unreadable(item, "optin is not an object");
    if (item.standby) return count(Kind::standby);
    if (item.sender.empty()) return add_unreadable(item, "no sender");
    for (const std::string_view name : {"payload", "ref"}) {
      const auto text = string_member(optin, name);
      if (is_command(text)) return admit(Kind::optin, item, identify(item, Kind::optin), std::string(text), {});
    }
    count(Kind::empty);
  }

  void read_referral_item(const Item& item, const json::value& referral) {
    if (!referral.is_object()) return add_unreadable(item, "referral is not an object");
    if (item.standby) return count(Kind::standby);
    if (item.sender.empty()) return add_unreadable(item, "no sender");
    const auto ref = string_member(referral, "ref");
    if (!is_command(ref)) return count(Kind::empty);
    admit(Kind::referral, item, identify(item, Kind::referral), std::string(ref), {{"referral", read_referral(&referral)}});
  }

  /// Items that never enter the dialogue.
  void read_unanswered(const Item& item) {
    static constexpr std::array<std::pair<std::string_view, Kind>, 13> members{{{"delivery", Kind::delivery},
                                                                                {"read", Kind::read},
                                                                                {"reaction", Kind::reaction},
                                                                                {"message_edit", Kind::edit},
                                                                                {"pass_thread_control", Kind::handover},
                                                                                {"take_thread_control", Kind::handover},
                                                                                {"request_thread_control", Kind::handover},
                                                                                {"app_roles", Kind::app_roles},
                                                                                {"account_linking", Kind::account_linking},
                                                                                {"policy_enforcement", Kind::policy_enforcement},
                                                                                {"response_feedback", Kind::feedback},
                                                                                {"messaging_feedback", Kind::feedback},
                                                                                {"order", Kind::order}}};
    for (const auto& [name, kind] : members) {
      const auto* member = find_present(item.value, name);
      if (member == nullptr) continue;
      if (kind == Kind::policy_enforcement) add_policy_notice(item.page, *member);
      return count(item.standby ? Kind::standby : kind);
    }
    count(item.standby ? Kind::standby : Kind::unknown);
  }

  void add_policy_notice(const std::string& page, const json::value& policy) {
    constexpr std::size_t most = 500;
    std::string text = "Meta enforces a policy on the page: ";
    text.append(string_member(policy, "action").substr(0, most)).append(": ").append(string_member(policy, "reason").substr(0, most));
    out_.notices.push_back({page, text::to_valid_utf8(text)});
  }

  bus::Event make_event(Kind kind, const Item& item, const MessageId& id) {
    bus::Event event;
    event.conversation = {std::string(channel), item.page, item.sender};
    event.message_id = id;
    event.kind = to_string(kind);
    if (const auto* timestamp = find_member(item.value, "timestamp")) event.timestamp_ms = normalize_timestamp(*timestamp, now_);
    return event;
  }

  void admit(Kind kind, const Item& item, const MessageId& id, std::string text, json::object context) {
    count(kind);
    auto event = make_event(kind, item, id);
    context.emplace("channel", json::string_view(channel.data(), channel.size()));
    context.emplace("page_id", item.page);
    context.emplace("timestamp", event.timestamp_ms == 0 ? json::value(nullptr) : json::value(event.timestamp_ms));
    event.body.reserve(3);
    event.body.emplace("text", std::move(text));
    event.body.emplace("context", std::move(context));
    if (item.by_user_ref) event.body.emplace("recipient", "user_ref");
    out_.events.push_back(std::move(event));
  }

  /// The key of an item without a mid.
  static MessageId identify(const Item& item, Kind kind) {
    const auto* timestamp = find_member(item.value, "timestamp");
    return hash_fields(
        {"page", item.page, item.sender, to_string(kind), timestamp == nullptr ? std::string() : to_json(*timestamp), to_json(item.value)});
  }

  void add_unreadable(const Item& item, std::string_view reason) {
    add_unreadable(item.page, to_json(item.value), reason, item.sender);
    // A message has its own id, by which its sender may take it back.
    const auto* message = find_present(item.value, "message");
    if (message == nullptr || item.sender.empty() || is_true(*message, "is_deleted") || out_.count(Kind::unreadable) > most_dead_letters)
      return;
    if (const auto mid = string_member(*message, "mid"); !mid.empty()) out_.events.back().message_id = event_key(item.page, "message", mid);
  }

  void add_unreadable(const std::string& page, const std::string& raw, std::string_view reason, const std::string& sender = {}) {
    count(Kind::unreadable);
    if (out_.count(Kind::unreadable) > most_dead_letters) return;
    bus::Event event;
    event.conversation = {std::string(channel), page, sender};
    event.message_id = hash_fields({"page", page, to_string(Kind::unreadable), raw});
    event.kind = to_string(Kind::unreadable);
    event.dead_reason = reason;
    event.body.emplace("raw", text::to_valid_utf8(raw));
    out_.events.push_back(std::move(event));
  }

  Parsed& out_;
  const Time now_;
  const IsOurs& is_ours_;
  const std::string_view app_id_;
};

/// What a number means by its size: seconds until the year 5138, milliseconds until 5138, else microseconds.
std::int64_t to_plausible_milliseconds(std::int64_t value, Time now) noexcept {
  if (value <= 0) return 0;
  if (value < 100'000'000'000) value *= 1000;
  if (value >= 100'000'000'000'000) value /= 1000;
  const auto latest = to_milliseconds(now + std::chrono::days(1));
  return value > latest ? 0 : value;
}

}  // namespace

std::string_view to_string(Kind kind) noexcept {
  static constexpr std::array<std::string_view, kind_count> names{
      "message",  "quick_reply", "postback", "referral", "optin",   "attachment",   "unsend",          "unreadable",         "echo",
      "delivery", "read",        "reaction", "edit",     "standby", "handover",     "account_linking", "policy_enforcement", "app_roles",
      "feedback", "order",       "empty",    "change",   "unknown", "foreign_page", "other_object"};
  return names[static_cast<std::size_t>(kind)];
}

std::int64_t normalize_timestamp(const json::value& value, Time now) noexcept {
  if (const auto* number = value.if_int64()) return to_plausible_milliseconds(*number, now);
  if (const auto* number = value.if_double()) {
    const bool fits = std::isfinite(*number) && *number > 0 && *number < 9e18;
    return fits ? to_plausible_milliseconds(static_cast<std::int64_t>(*number), now) : 0;
  }
  const auto* string = value.if_string();
  if (string == nullptr) return 0;
  std::int64_t number = 0;
  const auto* end = string->data() + string->size();
  const auto [stop, failure] = std::from_chars(string->data(), end, number);
  return failure == std::errc() && stop == end ? to_plausible_milliseconds(number, now) : 0;
}

MessageId event_key(std::string_view page, std::string_view kind, std::string_view mid) { return hash_fields({"page", page, kind, mid}); }

bool is_reply_metadata(std::string_view metadata) noexcept {
  constexpr std::size_t id_digits = 32;
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return metadata.size() > id_digits + 1 && metadata.size() <= id_digits + 6 && metadata[id_digits] == ':' &&
         std::ranges::all_of(metadata.substr(0, id_digits), is_hex) &&
         std::ranges::all_of(metadata.substr(id_digits + 1), [](char c) { return c >= '0' && c <= '9'; });
}

Parsed parse_webhook(std::string_view body, Time now, const IsOurs& is_ours, std::string_view app_id) {
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  if (body.starts_with(byte_order_mark)) body.remove_prefix(byte_order_mark.size());
  Parsed parsed;
  // The document is read, used and dropped: what events keep is copied out of it.
  std::array<unsigned char, 16 * 1024> buffer;
  json::monotonic_resource memory(buffer.data(), buffer.size());
  const json::storage_ptr storage(&memory);
  json::value root(storage);
  JsonError error;
  if (try_parse_json(body, root, error)) {
    parsed.is_object = root.is_object();
    if (parsed.is_object) Reader(parsed, now, is_ours, app_id).read_body(root);
  } else if (scan::is_object(body)) {
    parsed.is_object = true;
    Reader(parsed, now, is_ours, app_id).scan_body(body);
  }
  return parsed;
}

}  // namespace loquat::messenger
