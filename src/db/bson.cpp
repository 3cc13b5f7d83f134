#include "db/bson.h"

#include <cmath>
#include <cstdlib>
#include <utility>

#include "core/crypto.h"
#include "core/error.h"

namespace loquat::db {
namespace {

int length_of(std::string_view text) { return static_cast<int>(text.size()); }

void require(bool done) {
  if (!done) throw Error(Code::too_large, "the document is too large");
}

void append(bson_t* out, std::string_view name, const json::value& value);

void append_array(bson_t* out, std::string_view name, const json::array& items) {
  bson_t child;
  require(bson_append_array_begin(out, name.data(), length_of(name), &child));
  for (std::size_t i = 0; i < items.size(); ++i) append(&child, std::to_string(i), items[i]);
  require(bson_append_array_end(out, &child));
}

void append_object(bson_t* out, std::string_view name, const json::object& object) {
  bson_t child;
  require(bson_append_document_begin(out, name.data(), length_of(name), &child));
  for (const auto& member : object) append(&child, {member.key().data(), member.key().size()}, member.value());
  require(bson_append_document_end(out, &child));
}

// BSON has no unsigned integers; a decimal holds 34 digits.
void append_unsigned(bson_t* out, std::string_view name, std::uint64_t value) {
  bson_decimal128_t decimal;
  require(bson_decimal128_from_string(std::to_string(value).c_str(), &decimal));
  require(bson_append_decimal128(out, name.data(), length_of(name), &decimal));
}

void append(bson_t* out, std::string_view name, const json::value& value) {
  if (name.contains('\0')) throw Error(Code::invalid, "MongoDB cannot store a member whose name contains U+0000");
  const int length = length_of(name);
  switch (value.kind()) {
    case json::kind::null: return require(bson_append_null(out, name.data(), length));
    case json::kind::bool_: return require(bson_append_bool(out, name.data(), length, value.get_bool()));
    case json::kind::int64: return require(bson_append_int64(out, name.data(), length, value.get_int64()));
    case json::kind::uint64:
      if (std::in_range<std::int64_t>(value.get_uint64())) {
        return require(bson_append_int64(out, name.data(), length, static_cast<std::int64_t>(value.get_uint64())));
      }
      return append_unsigned(out, name, value.get_uint64());
    case json::kind::double_: return require(bson_append_double(out, name.data(), length, value.get_double()));
    case json::kind::string: {
      const auto text = as_view(value.get_string());
      return require(bson_append_utf8(out, name.data(), length, text.data(), length_of(text)));
    }
    case json::kind::array: return append_array(out, name, value.get_array());
    case json::kind::object: return append_object(out, name, value.get_object());
  }
}

json::value from_decimal(const bson_iter_t& place) {
  bson_decimal128_t decimal;
  bson_iter_decimal128(&place, &decimal);
  std::array<char, BSON_DECIMAL128_STRING> text{};
  bson_decimal128_to_string(&decimal, text.data());
  json::value value;
  JsonError error;
  if (!try_parse_json(text.data(), value, error) || !value.is_number()) return nullptr;
  return value;
}

json::object read_members(bson_iter_t& place) {
  json::object out;
  while (bson_iter_next(&place)) out.insert_or_assign(bson_iter_key(&place), to_json_value(place));
  return out;
}

std::string hex_of(const bson_oid_t* id) {
  std::array<char, 25> text{};
  bson_oid_to_string(id, text.data());
  return text.data();
}

json::value read_nested(const bson_iter_t& place) {
  bson_iter_t child;
  if (!bson_iter_recurse(&place, &child)) return nullptr;
  if (BSON_ITER_HOLDS_DOCUMENT(&place)) return read_members(child);
  json::array items;
  while (bson_iter_next(&child)) items.push_back(to_json_value(child));
  return items;
}

}  // namespace

json::value to_json_value(const bson_iter_t& place) {
  switch (bson_iter_type(&place)) {
    case BSON_TYPE_DOCUMENT:
    case BSON_TYPE_ARRAY: return read_nested(place);
    case BSON_TYPE_UTF8: {
      std::uint32_t length = 0;
      const char* text = bson_iter_utf8(&place, &length);
      return json::string(text, length);
    }
    case BSON_TYPE_BOOL: return bson_iter_bool(&place);
    case BSON_TYPE_INT32: return std::int64_t{bson_iter_int32(&place)};
    case BSON_TYPE_INT64: return bson_iter_int64(&place);
    case BSON_TYPE_DOUBLE: {
      const double number = bson_iter_double(&place);
      if (!std::isfinite(number)) return nullptr;
      return number;
    }
    case BSON_TYPE_DECIMAL128: return from_decimal(place);
    case BSON_TYPE_DATE_TIME: return json::string(to_iso8601(from_microseconds(bson_iter_date_time(&place) * 1'000)));
    case BSON_TYPE_OID: return json::string(hex_of(bson_iter_oid(&place)));
    case BSON_TYPE_BINARY: {
      std::uint32_t length = 0;
      const std::uint8_t* bytes = nullptr;
      bson_iter_binary(&place, nullptr, &length, &bytes);
      return json::string(crypto::base64_encode({reinterpret_cast<const char*>(bytes), length}));
    }
    default: return nullptr;
  }
}

Bson::Bson() : document_(bson_new()) {}
Bson::Bson(const bson_t* copied) : document_(bson_copy(copied)) {}
Bson::~Bson() {
  if (document_ != nullptr) bson_destroy(document_);
}
Bson::Bson(const Bson& other) : document_(bson_copy(other.document_)) {}
Bson::Bson(Bson&& other) noexcept : document_(std::exchange(other.document_, nullptr)) {}
Bson& Bson::operator=(Bson&& other) noexcept {
  std::swap(document_, other.document_);
  return *this;
}

Bson& Bson::add(std::string_view name, std::string_view text) {
  require(bson_append_utf8(document_, name.data(), length_of(name), text.empty() ? "" : text.data(), length_of(text)));
  return *this;
}
Bson& Bson::add_bool(std::string_view name, bool value) {
  require(bson_append_bool(document_, name.data(), length_of(name), value));
  return *this;
}
Bson& Bson::add_integer(std::string_view name, std::int64_t value) {
  require(bson_append_int64(document_, name.data(), length_of(name), value));
  return *this;
}
Bson& Bson::add(std::string_view name, Time time) {
  const auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(time).time_since_epoch().count();
  require(bson_append_date_time(document_, name.data(), length_of(name), milliseconds));
  return *this;
}
Bson& Bson::add(std::string_view name, const json::value& value) {
  append(document_, name, value);
  return *this;
}
Bson& Bson::add(std::string_view name, const json::object& value) {
  append_object(document_, name, value);
  return *this;
}
Bson& Bson::add(std::string_view name, const Bson& document) {
  require(bson_append_document(document_, name.data(), length_of(name), document.get()));
  return *this;
}
Bson& Bson::add(std::string_view name, std::span<const Bson> documents) {
  bson_t child;
  require(bson_append_array_begin(document_, name.data(), length_of(name), &child));
  for (std::size_t i = 0; i < documents.size(); ++i) {
    const auto index = std::to_string(i);
    require(bson_append_document(&child, index.data(), length_of(index), documents[i].get()));
  }
  require(bson_append_array_end(document_, &child));
  return *this;
}
Bson& Bson::add_null(std::string_view name) {
  require(bson_append_null(document_, name.data(), length_of(name)));
  return *this;
}
Bson& Bson::add(std::string_view name, const ObjectId& id) {
  bson_oid_t bytes;
  if (!bson_oid_is_valid(id.hex.data(), id.hex.size())) throw Error(Code::invalid, "not an object id");
  bson_oid_init_from_string(&bytes, id.hex.c_str());
  require(bson_append_oid(document_, name.data(), length_of(name), &bytes));
  return *this;
}
Bson& Bson::add_object_id(std::string_view name) {
  bson_oid_t id;
  bson_oid_init(&id, nullptr);
  require(bson_append_oid(document_, name.data(), length_of(name), &id));
  return *this;
}
Bson& Bson::add_same(std::string_view name, const Bson& other, std::string_view from) {
  bson_iter_t place;
  if (!bson_iter_init_find_w_len(&place, other.document_, from.data(), length_of(from))) return add_null(name);
  require(bson_append_iter(document_, name.data(), length_of(name), &place));
  return *this;
}

namespace {

bool find(const bson_t* document, std::string_view name, bson_iter_t& place) {
  return bson_iter_init_find_w_len(&place, document, name.data(), length_of(name));
}

}  // namespace

std::optional<Bson> Bson::from_bytes(std::string_view bytes) {
  bson_t view;
  if (!bson_init_static(&view, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size())) return std::nullopt;
  if (!bson_validate(&view, BSON_VALIDATE_NONE, nullptr)) return std::nullopt;
  return Bson(&view);
}
std::string_view Bson::bytes() const noexcept { return {reinterpret_cast<const char*>(bson_get_data(document_)), document_->len}; }

bool Bson::has(std::string_view name) const {
  bson_iter_t place;
  return find(document_, name, place);
}
bool Bson::is_null(std::string_view name) const {
  bson_iter_t place;
  return !find(document_, name, place) || BSON_ITER_HOLDS_NULL(&place);
}
int Bson::kind(std::string_view name) const {
  bson_iter_t place;
  if (!find(document_, name, place)) return BSON_TYPE_NULL;
  const auto type = bson_iter_type(&place);
  switch (type) {
    case BSON_TYPE_INT32:
    case BSON_TYPE_INT64:
    case BSON_TYPE_DECIMAL128: return BSON_TYPE_DOUBLE;
    case BSON_TYPE_SYMBOL: return BSON_TYPE_UTF8;
    default: return type;
  }
}
std::optional<std::string> Bson::find_text(std::string_view name) const {
  bson_iter_t place;
  if (!find(document_, name, place) || !BSON_ITER_HOLDS_UTF8(&place)) return std::nullopt;
  std::uint32_t length = 0;
  const char* text = bson_iter_utf8(&place, &length);
  return std::string(text, length);
}
std::optional<std::int64_t> Bson::find_integer(std::string_view name) const {
  bson_iter_t place;
  if (!find(document_, name, place) || !BSON_ITER_HOLDS_NUMBER(&place)) return std::nullopt;
  return bson_iter_as_int64(&place);
}
std::optional<bool> Bson::find_boolean(std::string_view name) const {
  bson_iter_t place;
  if (!find(document_, name, place) || !(BSON_ITER_HOLDS_BOOL(&place) || BSON_ITER_HOLDS_NUMBER(&place))) return std::nullopt;
  return bson_iter_as_bool(&place);
}
std::optional<ObjectId> Bson::find_object_id(std::string_view name) const {
  bson_iter_t place;
  if (!find(document_, name, place) || !BSON_ITER_HOLDS_OID(&place)) return std::nullopt;
  return ObjectId{hex_of(bson_iter_oid(&place))};
}
std::optional<Time> Bson::find_time(std::string_view name) const {
  bson_iter_t place;
  if (!find(document_, name, place)) return std::nullopt;
  if (BSON_ITER_HOLDS_OID(&place)) return Time(std::chrono::seconds(bson_oid_get_time_t(bson_iter_oid(&place))));
  if (BSON_ITER_HOLDS_DATE_TIME(&place)) return from_microseconds(bson_iter_date_time(&place) * 1'000);
  const auto text = find_text(name);
  return text ? parse_iso8601(*text) : std::nullopt;
}
json::value Bson::value(std::string_view name) const {
  bson_iter_t place;
  return find(document_, name, place) ? to_json_value(place) : json::value(nullptr);
}
std::optional<Bson> Bson::find_document(std::string_view name) const {
  bson_iter_t place;
  if (!find(document_, name, place) || !BSON_ITER_HOLDS_DOCUMENT(&place)) return std::nullopt;
  std::uint32_t length = 0;
  const std::uint8_t* bytes = nullptr;
  bson_iter_document(&place, &length, &bytes);
  bson_t view;
  if (!bson_init_static(&view, bytes, length)) return std::nullopt;
  return Bson(&view);
}
std::string Bson::describe(std::string_view name) const {
  const auto found = value(name);
  return found.is_string() ? std::string(as_view(found.get_string())) : loquat::to_json(found);
}
json::object Bson::to_json() const {
  bson_iter_t place;
  return bson_iter_init(&place, document_) ? read_members(place) : json::object();
}

}  // namespace loquat::db
