#include "db/postgres_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "db/errors.h"
#include "db/postgres_types.h"

namespace loquat::db {
namespace {

[[noreturn]] void refuse(const char* why) { throw Error(Code::invalid, "the database refuses these values", why); }

void check_text(std::string_view text) {
  if (text.contains('\0')) throw Error(Code::invalid, "a text must not contain the character U+0000");
}

std::string integer_bytes(std::int64_t value, Oid type) {
  std::string out;
  if (type == pg::int8) {
    pg::append(out, value);
  } else if (type == pg::int4) {
    if (!std::in_range<std::int32_t>(value)) refuse("integer out of range");
    pg::append(out, static_cast<std::int32_t>(value));
  } else {
    if (!std::in_range<std::int16_t>(value)) refuse("smallint out of range");
    pg::append(out, static_cast<std::int16_t>(value));
  }
  return out;
}

std::string real_bytes(double value) {
  std::string out;
  pg::append(out, std::bit_cast<std::uint64_t>(value));
  return out;
}

std::string time_bytes(Time time) {
  std::string out;
  pg::append(out, to_microseconds(time) - pg::epoch_microseconds);
  return out;
}

std::string hex_text(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out = "\\x";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += digits[byte >> 4U];
    out += digits[byte & 15U];
  }
  return out;
}

bool is_text(Oid type) noexcept {
  return type == pg::text || type == pg::varchar || type == pg::bpchar || type == pg::json || type == pg::unknown || type == pg::name;
}

// Elements of arrays: length (-1: null), then the value in the element type's binary form.
void append_element(std::string& out, std::string_view bytes) {
  pg::append(out, static_cast<std::int32_t>(bytes.size()));
  out += bytes;
}
void append_item(std::string& out, std::int64_t value, Oid element) { append_element(out, integer_bytes(value, element)); }
void append_item(std::string& out, const std::string& value, Oid element) {
  if (element != pg::bytea) check_text(value);
  append_element(out, element == pg::jsonb ? "\1" + value : value);
}
void append_item(std::string& out, const Bytes& value, Oid element) {
  if (element == pg::uuid && value.data.size() != 16) refuse("a uuid has 16 bytes");
  append_element(out, value.data);
}
void append_item(std::string& out, Time value, Oid /*element*/) { append_element(out, time_bytes(value)); }
template <class T>
void append_item(std::string& out, const std::optional<T>& value, Oid element) {
  if (value) return append_item(out, *value, element);
  pg::append(out, std::int32_t{-1});
}

Oid element_type(Oid array) {
  switch (array) {
    case pg::int8_array: return pg::int8;
    case pg::int4_array: return pg::int4;
    case pg::int2_array: return pg::int2;
    case pg::text_array: return pg::text;
    case pg::varchar_array: return pg::varchar;
    case pg::json_array: return pg::json;
    case pg::jsonb_array: return pg::jsonb;
    case pg::bytea_array: return pg::bytea;
    case pg::uuid_array: return pg::uuid;
    case pg::timestamptz_array: return pg::timestamptz;
    case pg::timestamp_array: return pg::timestamp;
    default: throw away("the statement does not take an array there, or one of another type: " + std::to_string(array));
  }
}

template <class T>
constexpr bool element_fits(Oid element) {
  if constexpr (std::is_same_v<T, std::int64_t>) return element == pg::int8 || element == pg::int4 || element == pg::int2;
  if constexpr (std::is_same_v<T, std::string>) return is_text(element) || element == pg::jsonb || element == pg::bytea;
  if constexpr (std::is_same_v<T, Bytes>) return element == pg::bytea || element == pg::uuid;
  if constexpr (std::is_same_v<T, Time>) return element == pg::timestamptz || element == pg::timestamp;
  return false;
}

template <class T>
struct Plain {
  using Type = T;
};
template <class T>
struct Plain<std::optional<T>> {
  using Type = T;
};

template <class T>
std::string array_bytes(const std::vector<T>& items, Oid type) {
  const Oid element = element_type(type);
  if (!element_fits<typename Plain<T>::Type>(element)) throw away("an array of the wrong type for the statement: " + std::to_string(type));
  std::string out;
  pg::append(out, std::int32_t{items.empty() ? 0 : 1});
  pg::append(out, std::int32_t{std::is_same_v<T, typename Plain<T>::Type> ? 0 : 1});
  pg::append(out, static_cast<std::uint32_t>(element));
  if (items.empty()) return out;
  pg::append(out, static_cast<std::int32_t>(items.size()));
  pg::append(out, std::int32_t{1});
  for (const auto& item : items) append_item(out, item, element);
  return out;
}

}  // namespace

struct Parameters::Encoder {
  Parameters& to;
  Oid type;

  void operator()(std::monostate) const {
    to.values_.push_back(nullptr);
    to.lengths_.push_back(0);
    to.formats_.push_back(0);
  }
  void operator()(bool flag) const {
    if (type == pg::boolean) return to.add_binary(std::string(1, flag ? '\1' : '\0'));
    if (type == pg::int2 || type == pg::int4 || type == pg::int8) return (*this)(std::int64_t{flag ? 1 : 0});
    to.add_text(flag ? "true" : "false");
  }
  void operator()(std::int64_t number) const {
    if (type == pg::int2 || type == pg::int4 || type == pg::int8) return to.add_binary(integer_bytes(number, type));
    to.add_text(std::to_string(number));
  }
  void operator()(double number) const {
    if (type == pg::float8) return to.add_binary(real_bytes(number));
    to.add_text(fmt::format("{}", number));
  }
  void operator()(const std::string& text) const {
    if (type == pg::bytea) return to.add_view(text, true);
    check_text(text);
    to.add_view(text, is_text(type));
  }
  void operator()(const Bytes& bytes) const {
    if (type == pg::bytea) return to.add_view(bytes.data, true);
    if (type != pg::uuid) return to.add_text(hex_text(bytes.data));
    if (bytes.data.size() != 16) refuse("a uuid has 16 bytes");
    to.add_view(bytes.data, true);
  }
  void operator()(Time time) const {
    if (type == pg::timestamptz || type == pg::timestamp) return to.add_binary(time_bytes(time));
    to.add_text(to_iso8601(time));
  }
  template <class T>
  void operator()(const std::vector<T>& items) const {
    to.add_binary(array_bytes(items, type));
  }
};

Parameters::Parameters(const Values& values, std::span<const Oid> types) {
  if (values.size() != types.size()) {
    throw away("the statement takes " + std::to_string(types.size()) + " parameters, given are " + std::to_string(values.size()));
  }
  values_.reserve(values.size());
  lengths_.reserve(values.size());
  formats_.reserve(values.size());
  storage_.reserve(values.size());  // never moved: short texts lie inside the strings
  for (std::size_t i = 0; i < values.size(); ++i) std::visit(Encoder{*this, types[i]}, values[i]);
}

void Parameters::add_view(const std::string& bytes, bool binary) {
  values_.push_back(bytes.c_str());
  lengths_.push_back(static_cast<int>(bytes.size()));
  formats_.push_back(binary ? 1 : 0);
}
void Parameters::add_text(const std::string& text) { add_view(storage_.emplace_back(text), false); }
void Parameters::add_binary(std::string bytes) { add_view(storage_.emplace_back(std::move(bytes)), true); }

}  // namespace loquat::db
