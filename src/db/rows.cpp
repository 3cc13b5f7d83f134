#include <algorithm>
#include <cstdlib>

#include "core/text.h"
#include "db/errors.h"
#include "db/sql.h"

namespace loquat::db {

std::int64_t integer_of(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) throw wrong_schema("a text that is no integer");
  return value;
}

double real_of(std::string_view text) {
  const std::string copy(text);
  char* end = nullptr;
  const double value = std::strtod(copy.c_str(), &end);
  if (copy.empty() || end != copy.c_str() + copy.size()) throw wrong_schema("a text that is no number");
  return value;
}

bool boolean_of(std::string_view text) {
  const auto word = text::to_lower_ascii(text);
  if (word == "t" || word == "true" || word == "1" || word == "y" || word == "yes" || word == "on") return true;
  if (word == "f" || word == "false" || word == "0" || word == "n" || word == "no" || word == "off") return false;
  throw wrong_schema("a text that is no boolean");
}

MessageId Rows::message_id(std::size_t row, std::size_t column) const {
  const auto value = bytes(row, column);
  MessageId id;
  if (value.size() == id.bytes.size()) {
    std::ranges::transform(value, id.bytes.begin(), [](char c) { return static_cast<std::uint8_t>(c); });
    return id;
  }
  if (const auto parsed = MessageId::parse(value)) return *parsed;
  throw wrong_schema("a message id of " + std::to_string(value.size()) + " bytes");
}

}  // namespace loquat::db
