#include "messenger/send_format.h"

#include <string_view>

namespace loquat::messenger {
namespace {

constexpr std::string_view indent = "     ";

/// Without control characters; newlines are followed by the indentation.
std::string to_printable(std::string_view text) {
  std::string printable;
  for (const char c : text) {
    if (c == '\n') {
      printable.append(1, c).append(indent);
    } else if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F) {
      printable += c;
    }
  }
  return printable;
}

void append_line(std::string& out, std::string_view start, std::string_view text) {
  out.append(start).append(to_printable(text)).append(1, '\n');
}

void append_buttons(std::string& out, const json::value& holder) {
  const auto* buttons = find_member(holder, "buttons");
  if (buttons == nullptr || !buttons->is_array()) return;
  for (const auto& button : buttons->get_array()) {
    auto target = string_member(button, "payload");
    if (target.empty()) target = string_member(button, "url");
    append_line(out, indent, "[" + std::string(string_member(button, "title")) + "] " + std::string(target));
  }
}

void append_attachment(std::string& out, const json::value& attachment) {
  const auto type = string_member(attachment, "type");
  const auto* payload = find_member(attachment, "payload");
  if (payload == nullptr) return append_line(out, "bot: ", "(" + std::string(type) + ")");
  if (type != "template") {
    const auto* id = find_member(*payload, "attachment_id");
    const auto url = string_member(*payload, "url");
    return append_line(out, "bot: ", "(" + std::string(type) + ") " + (url.empty() && id != nullptr ? to_json(*id) : std::string(url)));
  }
  if (const auto text = string_member(*payload, "text"); !text.empty()) append_line(out, "bot: ", text);
  append_buttons(out, *payload);
  const auto* elements = find_member(*payload, "elements");
  if (elements == nullptr || !elements->is_array()) return;
  for (const auto& element : elements->get_array()) {
    append_line(out, "bot: ", string_member(element, "title"));
    if (const auto subtitle = string_member(element, "subtitle"); !subtitle.empty()) append_line(out, indent, subtitle);
    append_buttons(out, element);
  }
}

}  // namespace

std::string format_reply(const json::value& request) {
  std::string out;
  const auto* message = find_member(request, "message");
  if (message == nullptr) return out;
  if (const auto text = string_member(*message, "text"); !text.empty()) append_line(out, "bot: ", text);
  if (const auto* attachment = find_member(*message, "attachment"); attachment != nullptr && attachment->is_object())
    append_attachment(out, *attachment);
  const auto* quick_replies = find_member(*message, "quick_replies");
  if (quick_replies == nullptr || !quick_replies->is_array()) return out;
  std::string titles;
  for (const auto& reply : quick_replies->get_array()) {
    auto title = string_member(reply, "title");
    if (title.empty()) title = string_member(reply, "content_type");
    titles.append(titles.empty() ? "(" : " (").append(title).append(")");
  }
  append_line(out, indent, titles);
  return out;
}

}  // namespace loquat::messenger
