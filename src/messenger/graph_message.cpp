#include "messenger/graph_message.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "core/text.h"

namespace loquat::messenger {

namespace {

constexpr std::size_t text_limit = 2000;
constexpr std::size_t template_text_limit = 640;
constexpr std::size_t title_limit = 20;
constexpr std::size_t element_title_limit = 80;
constexpr std::size_t payload_limit = 1000;
constexpr std::size_t quick_reply_limit = 13;
constexpr std::size_t template_buttons = 3;
constexpr std::size_t element_limit = 10;

/// The first `limit` characters, whole graphemes.
std::string cut(std::string_view text, std::size_t limit) {
  if (text::length(text) <= limit) return text::to_valid_utf8(text);
  // Not at words: of a long title as much as fits should be seen.
  const auto parts = text::split_at_words(text, limit);
  return parts.empty() ? std::string() : parts.front();
}

bool is_web_url(std::string_view url) {
  const auto lower = text::to_lower_ascii(url.substr(0, 8));
  return lower.starts_with("http://") || lower.starts_with("https://");
}

class Builder {
 public:
  explicit Builder(const MessageId& turn) : turn_(turn) {}

  void add(const json::value& message) {
    const auto* object = message.if_object();
    if (object == nullptr) return note("a message that is no object");
    if (const auto* attachment = object->if_contains("attachment")) add_attachments(*attachment);
    const auto buttons = read_buttons(*object);
    const auto text = string_member(message, "text");
    if (buttons.empty()) {
      for (const auto& part : text::split_at_words(text, text_limit)) add_text(part);
    } else {
      add_with_buttons(text, buttons);
    }
    read_quick_replies(*object);
  }

  Parts finish() && {
    if (!quick_replies_.empty() && !messages_.empty()) messages_.back().first["quick_replies"] = std::move(quick_replies_);
    if (!quick_replies_.empty() && messages_.empty()) note("quick replies without a message");
    for (auto& [message, is_media] : messages_) {
      auto metadata = make_metadata(turn_, result_.parts.size());
      message["metadata"] = metadata;
      result_.parts.push_back({to_json(std::move(message)), std::move(metadata), is_media});
    }
    return std::move(result_);
  }

 private:
  void note(std::string text) { result_.notes.push_back(std::move(text)); }

  void add_text(std::string_view text) { messages_.emplace_back(json::object{{"text", text}}, false); }

  void add_attachments(const json::value& value) {
    if (value.is_null()) return;
    if (const auto* list = value.if_array()) {
      for (const auto& item : *list) add_attachment(item);
    } else {
      add_attachment(value);
    }
  }

  void add_attachment(const json::value& value) {
    const auto type = string_member(value, "type");
    const auto url = string_member(value, "url");
    const auto* payload = find_member(value, "payload");
    const bool has_payload = payload != nullptr && payload->is_object();
    if (type.empty() || (!has_payload && !is_web_url(url))) return note("an attachment without type, payload or web address");
    json::object attachment{{"type", type}};
    attachment["payload"] = has_payload ? *payload : json::value(json::object{{"url", url}});
    const bool is_media = type == "image" || type == "audio" || type == "video" || type == "file";
    messages_.emplace_back(json::object{{"attachment", std::move(attachment)}}, is_media);
  }

  /// The entry's payload as text; empty optional when it is too long.
  std::optional<std::string> read_payload(const json::value& entry, std::string_view title) {
    const auto* payload = find_member(entry, "payload");
    std::string text(title);
    if (payload != nullptr && payload->is_string()) text = as_view(payload->get_string());
    if (payload != nullptr && (payload->is_object() || payload->is_array())) text = to_json(*payload);
    if (text::length(text) <= payload_limit) return text;
    note("an entry with a payload that is too long");
    return std::nullopt;
  }

  std::optional<json::object> read_button(const json::value& entry) {
    if (const auto* text = entry.if_string()) {
      const auto title = as_view(*text);
      if (text::trim_ascii(title).empty() || text::length(title) > payload_limit) return std::nullopt;
      return json::object{{"type", "postback"}, {"title", cut(title, title_limit)}, {"payload", title}};
    }
    const auto* object = entry.if_object();
    if (object == nullptr) return std::nullopt;
    const auto title = text::trim_ascii(string_member(entry, "title"));
    const auto url = string_member(entry, "url");
    auto type = string_member(entry, "type");
    if (type.empty()) type = url.empty() ? "postback" : "web_url";
    json::object button = *object;  // keeps what we do not know: webview_height_ratio, messenger_extensions...
    button["type"] = type;
    if (type == "web_url" || type == "postback" || type == "phone_number") {
      if (title.empty() || (type == "web_url" && !is_web_url(url))) return std::nullopt;
      if (type != "web_url") {
        auto payload = read_payload(entry, title);
        if (!payload) return std::nullopt;
        button["payload"] = std::move(*payload);
      }
    }
    if (!title.empty()) button["title"] = cut(title, title_limit);
    return button;
  }

  std::vector<json::object> read_buttons(const json::object& message) {
    std::vector<json::object> buttons;
    const auto* list = message.if_contains("buttons");
    if (list == nullptr || !list->is_array()) return buttons;
    for (const auto& entry : list->get_array()) {
      if (auto button = read_button(entry)) {
        buttons.push_back(std::move(*button));
      } else {
        note("a button that is none");
      }
    }
    if (buttons.size() > template_buttons * element_limit) {
      note("more buttons than fit");
      buttons.resize(template_buttons * element_limit);
    }
    return buttons;
  }

  void add_with_buttons(std::string_view text, const std::vector<json::object>& buttons) {
    auto texts = text::split_at_words(text, text_limit);
    if (texts.empty() || buttons.size() > template_buttons) return add_generic(texts, buttons);
    if (text::length(texts.back()) > template_text_limit) {
      const auto last = std::move(texts.back());
      texts.pop_back();
      std::ranges::move(text::split_at_words(last, template_text_limit), std::back_inserter(texts));
    }
    for (std::size_t i = 0; i + 1 < texts.size(); ++i) add_text(texts[i]);
    add_template({{"template_type", "button"}, {"text", texts.back()}, {"buttons", json::array(buttons.begin(), buttons.end())}});
  }

  /// Three buttons an element. The text is the elements' title where it fits, else it goes before them.
  void add_generic(const std::vector<std::string>& texts, const std::vector<json::object>& buttons) {
    const bool is_title = texts.size() == 1 && text::length(texts.front()) <= element_title_limit;
    if (!is_title) {
      for (const auto& text : texts) add_text(text);
    }
    json::array elements;
    for (std::size_t i = 0; i < buttons.size(); i += template_buttons) {
      const auto begin = buttons.begin() + static_cast<std::ptrdiff_t>(i);
      const auto end = buttons.begin() + static_cast<std::ptrdiff_t>(std::min(i + template_buttons, buttons.size()));
      std::string title = is_title ? texts.front() : std::string();
      if (!is_title) {
        for (auto button = begin; button != end; ++button) {
          title += (title.empty() ? "" : " / ");
          if (const auto* name = button->if_contains("title"); name != nullptr && name->is_string()) title += as_view(name->get_string());
        }
        title = title.empty() ? "\u2026" : cut(title, element_title_limit);
      }
      elements.push_back(json::object{{"title", title}, {"buttons", json::array(begin, end)}});
    }
    add_template({{"template_type", "generic"}, {"elements", std::move(elements)}});
  }

  void add_template(json::object payload) {
    messages_.emplace_back(json::object{{"attachment", json::object{{"type", "template"}, {"payload", std::move(payload)}}}}, false);
  }

  void read_quick_replies(const json::object& message) {
    const auto* list = message.if_contains("quick_replies");
    if (list == nullptr || !list->is_array()) return;
    for (const auto& entry : list->get_array()) {
      auto reply = read_quick_reply(entry);
      if (!reply) {
        note("a quick reply that is none");
      } else if (quick_replies_.size() == quick_reply_limit) {
        note("more quick replies than thirteen");
        break;
      } else {
        quick_replies_.push_back(std::move(*reply));
      }
    }
  }

  std::optional<json::object> read_quick_reply(const json::value& entry) {
    if (const auto* text = entry.if_string()) return read_quick_reply(json::object{{"title", *text}});
    auto type = string_member(entry, "content_type");
    if (type.empty()) type = "text";
    if (type == "user_phone_number" || type == "user_email") return json::object{{"content_type", type}};
    const auto title = text::trim_ascii(string_member(entry, "title"));
    if (type != "text" || title.empty()) return std::nullopt;
    auto payload = read_payload(entry, title);
    if (!payload) return std::nullopt;
    // Meta refuses an empty payload; the title is what the person has seen.
    if (payload->empty()) payload = std::string(title.substr(0, payload_limit));
    json::object reply{{"content_type", "text"}, {"title", cut(title, title_limit)}, {"payload", std::move(*payload)}};
    if (const auto image = string_member(entry, "image_url"); is_web_url(image)) reply["image_url"] = image;
    return reply;
  }

  const MessageId& turn_;
  std::vector<std::pair<json::object, bool>> messages_;
  json::array quick_replies_;
  Parts result_;
};

}  // namespace

std::string make_metadata(const MessageId& turn, std::size_t number) { return turn.to_string() + ":" + std::to_string(number); }

Parts make_parts(const json::array& bot_messages, const MessageId& turn) {
  Builder builder(turn);
  for (const auto& message : bot_messages) builder.add(message);
  return std::move(builder).finish();
}

}  // namespace loquat::messenger
