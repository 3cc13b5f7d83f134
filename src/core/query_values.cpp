#include "core/query_values.h"

#include <ranges>

#include "core/lax_values.h"

namespace loquat::schema {
namespace {

json::array place(std::string_view name) { return {"query", json::string_view(name.data(), name.size())}; }

template <class T>
std::optional<T> read_text(const std::string& text, std::string_view name, Issues& issues, const Bounds& bounds) {
  const json::value input = json::string(text);
  const json::array loc = place(name);
  const detail::Path path{nullptr, &loc};
  T value{};
  if (!detail::read_value(input, value, path, issues)) return std::nullopt;
  if constexpr (!std::is_same_v<T, bool>) {
    if (!detail::check_bounds(value, bounds, input, path, issues)) return std::nullopt;
  }
  return value;
}

std::optional<double> as_bound(std::optional<std::int64_t> number) {
  return number ? std::optional(static_cast<double>(*number)) : std::nullopt;
}

}  // namespace

const std::string* QueryReader::last(std::string_view name) const noexcept {
  for (const auto& [key, value] : std::views::reverse(pairs_)) {
    if (key == name) return &value;
  }
  return nullptr;
}

std::optional<std::string> QueryReader::find_text(std::string_view name) const {
  const auto* text = last(name);
  return text == nullptr ? std::nullopt : std::optional(*text);
}

std::optional<std::int64_t> QueryReader::find_integer(std::string_view name, Range range) const {
  const auto* text = last(name);
  if (text == nullptr) return std::nullopt;
  return read_text<std::int64_t>(*text, name, issues_, {name, as_bound(range.at_least), as_bound(range.at_most)});
}

std::optional<double> QueryReader::find_number(std::string_view name, RealRange range) const {
  const auto* text = last(name);
  if (text == nullptr) return std::nullopt;
  return read_text<double>(*text, name, issues_, {name, range.at_least, range.at_most});
}

std::optional<bool> QueryReader::find_boolean(std::string_view name) const {
  const auto* text = last(name);
  if (text == nullptr) return std::nullopt;
  return read_text<bool>(*text, name, issues_, {});
}

std::optional<Time> QueryReader::find_time(std::string_view name) const {
  const auto* text = last(name);
  if (text == nullptr) return std::nullopt;
  const auto parsed = parse_time(*text);
  if (const auto* time = std::get_if<Time>(&parsed)) return *time;
  const auto& fault = std::get<TimeFault>(parsed);
  const bool date = fault.type == "datetime_from_date_parsing";
  issues_.add({fault.type, place(name), std::string("Input should be a valid datetime") + (date ? " or date, " : ", ") + fault.reason,
               json::string(*text), json::object{{"error", fault.reason}}});
  return std::nullopt;
}

std::string QueryReader::required_text(std::string_view name) const {
  if (const auto* text = last(name)) return *text;
  issues_.add({"missing", place(name), "Field required", nullptr});
  return {};
}

}  // namespace loquat::schema
