#pragma once

#include <bson/bson.h>

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/clock.h"
#include "core/json.h"

/// BSON documents and their way to and from JSON. For db/ and the mongo stores only.
namespace loquat::db {

/// 24 hex digits that stand for an object id.
struct ObjectId {
  std::string hex;
};

/// A document of our own. Members are added in order: Bson().add("id", id).add("version", 1).
class Bson {
 public:
  Bson();
  explicit Bson(const bson_t* copied);
  ~Bson();
  Bson(const Bson& other);
  Bson(Bson&& other) noexcept;
  Bson& operator=(const Bson&) = delete;
  Bson& operator=(Bson&& other) noexcept;

  Bson& add(std::string_view name, std::string_view text);
  Bson& add(std::string_view name, const char* text) { return add(name, std::string_view(text)); }
  Bson& add(std::string_view name, const std::string& text) { return add(name, std::string_view(text)); }
  Bson& add(std::string_view name, std::same_as<bool> auto value) { return add_bool(name, value); }
  Bson& add(std::string_view name, std::integral auto value)
    requires(!std::same_as<decltype(value), bool>)
  {
    return add_integer(name, static_cast<std::int64_t>(value));
  }
  /// A BSON Date: milliseconds.
  Bson& add(std::string_view name, Time time);
  /// Throws Error(invalid) for what BSON cannot hold: member names with U+0000.
  Bson& add(std::string_view name, const json::value& value);
  Bson& add(std::string_view name, const json::object& value);
  Bson& add(std::string_view name, const Bson& document);
  Bson& add(std::string_view name, std::span<const Bson> documents);
  Bson& add_null(std::string_view name);
  Bson& add(std::string_view name, const ObjectId& id);
  Bson& add_object_id(std::string_view name);  ///< a new one
  /// The value under `from` of another document, of whatever type; null when there is none.
  Bson& add_same(std::string_view name, const Bson& other, std::string_view from);

  /// What bytes() gave; empty for what is no document.
  [[nodiscard]] static std::optional<Bson> from_bytes(std::string_view bytes);
  [[nodiscard]] std::string_view bytes() const noexcept;

  [[nodiscard]] const bson_t* get() const noexcept { return document_; }
  [[nodiscard]] bool has(std::string_view name) const;
  [[nodiscard]] bool is_null(std::string_view name) const;  ///< or missing
  /// Two values are compared by $lt and its kin when this number is the same: all numbers are of one kind.
  [[nodiscard]] int kind(std::string_view name) const;
  // Of a missing member, or one of another type: empty.
  [[nodiscard]] std::optional<std::string> find_text(std::string_view name) const;
  [[nodiscard]] std::optional<std::int64_t> find_integer(std::string_view name) const;  ///< int32, int64, whole doubles
  [[nodiscard]] std::optional<bool> find_boolean(std::string_view name) const;
  [[nodiscard]] std::optional<ObjectId> find_object_id(std::string_view name) const;
  /// A Date, ISO text, or when an object id was made.
  [[nodiscard]] std::optional<Time> find_time(std::string_view name) const;
  /// Null when it is missing.
  [[nodiscard]] json::value value(std::string_view name) const;
  [[nodiscard]] std::optional<Bson> find_document(std::string_view name) const;
  /// The member as text: for messages.
  [[nodiscard]] std::string describe(std::string_view name) const;
  [[nodiscard]] json::object to_json() const;

 private:
  Bson& add_bool(std::string_view name, bool value);
  Bson& add_integer(std::string_view name, std::int64_t value);
  bson_t* document_;
};

/// Dates become ISO 8601, object ids hex digits, what JSON has no word for null.
[[nodiscard]] json::value to_json_value(const bson_iter_t& place);

}  // namespace loquat::db
