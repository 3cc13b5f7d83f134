#include "state/cursor.h"

#include <charconv>

#include "core/error.h"
#include "core/schema.h"
#include "core/text.h"

namespace loquat::state {
namespace {

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out += digits[static_cast<unsigned char>(c) >> 4U];
    out += digits[static_cast<unsigned char>(c) & 15U];
  }
  return out;
}

std::optional<std::string> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    unsigned byte = 0;
    const auto [end, error] = std::from_chars(text.data() + i, text.data() + i + 2, byte, 16);
    if (error != std::errc() || end != text.data() + i + 2) return std::nullopt;
    out += static_cast<char>(byte);
  }
  return out;
}

std::optional<std::int64_t> to_integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

[[noreturn]] void refuse(std::string_view text) {
  schema::fail(schema::value_error({"query", "before"}, "not a cursor of this list", json::string(text)));
}

std::int64_t require_integer(std::string_view part, std::string_view text) {
  const auto value = to_integer(part);
  if (!value) refuse(text);
  return *value;
}

}  // namespace

std::string to_text(const HistoryCursor& cursor) {
  return std::to_string(cursor.version) + '.' + to_hex(cursor.conversation.channel) + '.' + to_hex(cursor.conversation.account);
}

HistoryCursor parse_history_cursor(std::string_view text, std::string_view thread_id) {
  const auto parts = text::split(text, '.');
  if (parts.size() != 1 && parts.size() != 3) refuse(text);
  HistoryCursor cursor;
  cursor.version = require_integer(parts[0], text);
  if (parts.size() == 1) return cursor;
  auto channel = from_hex(parts[1]);
  auto account = from_hex(parts[2]);
  if (!channel || !account) refuse(text);
  cursor.conversation = {std::move(*channel), std::move(*account), std::string(thread_id)};
  return cursor;
}

std::string to_text(const SearchCursor& cursor) {
  return std::to_string(to_microseconds(cursor.date)) + '.' + std::to_string(cursor.version) + '.' + to_hex(cursor.conversation.to_key());
}

SearchCursor parse_search_cursor(std::string_view text) {
  const auto parts = text::split(text, '.');
  if (parts.size() != 3) refuse(text);
  const auto key = from_hex(parts[2]);
  if (!key) refuse(text);
  SearchCursor cursor;
  cursor.date = from_microseconds(require_integer(parts[0], text));
  cursor.version = require_integer(parts[1], text);
  cursor.conversation = chat::ConversationId::from_key(*key);
  return cursor;
}

SearchCursor cursor_of(const State& state) { return {state.date, state.conversation, state.version}; }

bool matches(const State& state, const SearchQuery& query) {
  if (state.erased || !state.user_message.is_object()) return false;
  if (query.start_date && state.date < *query.start_date) return false;
  if (query.end_date && state.date > *query.end_date) return false;
  if (query.channel && state.conversation.channel != *query.channel && string_member(state.user_message, "channel") != *query.channel)
    return false;
  if (query.text && !text::fold(string_member(state.user_message, "text")).contains(text::fold(*query.text))) return false;
  const auto* predicted = find_member(state.nlu, "intent");
  if (query.intent && string_member(state.intent, "id") != *query.intent &&
      (predicted == nullptr || string_member(*predicted, "intent") != *query.intent)) {
    return false;
  }
  if (!query.min_confidence && !query.max_confidence) return true;
  const auto* confidence = predicted == nullptr ? nullptr : find_member(*predicted, "confidence");
  if (confidence == nullptr || !confidence->is_number()) return false;
  const auto number = confidence->to_number<double>();
  return (!query.min_confidence || number >= *query.min_confidence) && (!query.max_confidence || number <= *query.max_confidence);
}

}  // namespace loquat::state
