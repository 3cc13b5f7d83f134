#include "messenger/event_content.h"

#include <algorithm>
#include <cstdint>

#include "core/text.h"

namespace loquat::messenger {
namespace {

constexpr std::size_t max_id = 255;
constexpr std::size_t max_attachments = 20;
constexpr std::size_t max_url = 4096;
constexpr std::size_t max_short_text = 1000;

bool is_web_url(std::string_view url) noexcept {
  const auto begins = [url](std::string_view scheme) {
    return url.size() > scheme.size() && text::equal_ignoring_ascii_case(url.substr(0, scheme.size()), scheme);
  };
  return url.size() <= max_url && (begins("http://") || begins("https://")) &&
         std::ranges::none_of(url, [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7F; });
}

bool is_thumbs_up(std::int64_t sticker) noexcept {
  // One sticker in three sizes.
  return sticker == 369239263222822 || sticker == 369239343222814 || sticker == 369239383222810;
}

void copy_short_text(json::object& to, const json::value& from, std::string_view name) {
  const auto text = string_member(from, name);
  if (!text.empty() && text.size() <= max_short_text) to.emplace(name, text);
}

json::object read_attachment(const json::value& attachment) {
  json::object read;
  copy_short_text(read, attachment, "type");
  const auto* payload = find_member(attachment, "payload");
  if (payload == nullptr) return read;
  if (const auto url = string_member(*payload, "url"); is_web_url(url)) read.emplace("url", url);
  copy_short_text(read, *payload, "title");
  if (const auto* sticker = find_member(*payload, "sticker_id"); sticker != nullptr && (sticker->is_int64() || sticker->is_string()))
    read.emplace("sticker_id", *sticker);
  if (const auto* coordinates = find_member(*payload, "coordinates")) {
    const auto* latitude = find_member(*coordinates, "lat");
    const auto* longitude = find_member(*coordinates, "long");
    if (latitude != nullptr && longitude != nullptr && latitude->is_number() && longitude->is_number())
      read.emplace("coordinates", json::object{{"lat", *latitude}, {"long", *longitude}});
  }
  return read;
}

bool is_thumbs_up(const json::value& attachment) {
  const auto* sticker = find_member(attachment, "sticker_id");
  if (sticker == nullptr) return false;
  if (const auto* number = sticker->if_int64()) return is_thumbs_up(*number);
  const auto text = as_view(sticker->get_string());
  return text == "369239263222822" || text == "369239343222814" || text == "369239383222810";
}

std::string describe(const json::value& attachment) {
  if (is_thumbs_up(attachment)) return "\U0001F44D";
  if (string_member(attachment, "type") == "like_heart") return "\u2764\uFE0F";
  if (const auto* coordinates = find_member(attachment, "coordinates"))
    return to_json(*find_member(*coordinates, "lat")) + "," + to_json(*find_member(*coordinates, "long"));
  return std::string(string_member(attachment, "url"));
}

}  // namespace

const json::value* find_present(const json::value& object, std::string_view name) noexcept {
  const auto* member = find_member(object, name);
  return member == nullptr || member->is_null() ? nullptr : member;
}

bool is_true(const json::value& object, std::string_view name) noexcept {
  const auto* member = find_member(object, name);
  const auto* flag = member == nullptr ? nullptr : member->if_bool();
  return flag != nullptr && *flag;
}

std::string read_id(const json::value& object, std::string_view name) {
  const auto* member = find_member(object, name);
  if (member == nullptr) return {};
  if (member->is_int64() || member->is_uint64()) return to_json(*member);
  const auto* text = member->if_string();
  if (text == nullptr || text->empty() || text->size() > max_id) return {};
  if (std::ranges::any_of(*text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; })) return {};
  return std::string(as_view(*text));
}

std::string read_id_of(const json::value& item, std::string_view party, std::string_view name) {
  const auto* holder = find_member(item, party);
  return holder == nullptr ? std::string() : read_id(*holder, name);
}

json::array read_attachments(const json::value* attachments) {
  json::array read;
  const auto* items = attachments == nullptr ? nullptr : attachments->if_array();
  if (items == nullptr) return read;
  for (const auto& item : *items) {
    if (read.size() == max_attachments) break;
    if (auto attachment = read_attachment(item); !attachment.empty()) read.push_back(std::move(attachment));
  }
  return read;
}

std::string describe_attachments(const json::array& attachments) {
  for (const auto& attachment : attachments) {
    if (auto text = describe(attachment); !text.empty()) return text;
  }
  return {};
}

json::object read_referral(const json::value* referral) {
  json::object read;
  if (referral == nullptr) return read;
  for (const std::string_view name : {"ref", "source", "type", "ad_id"}) copy_short_text(read, *referral, name);
  return read;
}

bool is_command(std::string_view text) noexcept {
  return text.size() > 1 && text.size() <= max_short_text && text[0] == '/' && text[1] != '/' && static_cast<unsigned char>(text[1]) > 0x20;
}

}  // namespace loquat::messenger
