#include "core/schema.h"

#include <cmath>

#include "core/error.h"
#include "core/json_diagnosis.h"
#include "core/lax_values.h"
#include "core/text.h"

namespace loquat::schema {
namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

Error unreadable(std::string detail) { return {Code::malformed, "There was an error parsing the body", std::move(detail)}; }

/// FastAPI: no content type, application/json, application/*+json.
bool is_json(std::string_view content_type) {
  if (content_type.empty()) return true;
  const std::string type = text::to_lower_ascii(text::trim_ascii(content_type.substr(0, content_type.find(';'))));
  return type == "application/json" || (type.starts_with("application/") && type.ends_with("+json") &&
                                        std::string_view(type).substr(12).find('/') == std::string_view::npos);
}

Issue make_issue(std::string_view type, const detail::Path& path, std::string_view message, const json::value& input) {
  return {std::string(type), path.loc(), std::string(message), input};
}

bool refuse(Issues& issues, std::string_view type, const detail::Path& path, std::string_view message, const json::value& input) {
  issues.add(make_issue(type, path, message, input));
  return false;
}

/// A bound as pydantic prints it: 0.0 is "0" in the message.
std::string plain_number(double number) {
  std::string text;
  append_python_float(text, number);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

template <class Number>
bool refuse_bound(Issues& issues, bool low, Number bound, const detail::Path& path, const json::value& input) {
  Issue issue = make_issue(
      low ? "greater_than_equal" : "less_than_equal", path,
      std::string("Input should be ") + (low ? "greater" : "less") + " than or equal to " + plain_number(static_cast<double>(bound)),
      input);
  issue.ctx = json::object{{low ? "ge" : "le", bound}};
  issues.add(std::move(issue));
  return false;
}

json::object issue_to_json(const Issue& issue) {
  json::object out{{"type", issue.type}, {"loc", issue.loc}, {"msg", issue.msg}, {"input", issue.input}};
  if (issue.ctx) out.emplace("ctx", *issue.ctx);
  return out;
}

json::value parse_json_body(std::string_view body) {
  if (body.starts_with(byte_order_mark)) body.remove_prefix(byte_order_mark.size());
  json::value value;
  JsonError error;
  if (try_parse_json(body, value, error)) return value;
  if (!text::is_valid_utf8(body)) throw unreadable("not UTF-8");
  if (error.too_deep) throw unreadable("nested too deeply");
  auto found = diagnose_json(body);
  // What only we refuse: numbers that no double holds.
  if (found.message.empty()) found = {error.message, text::length(body.substr(0, error.offset))};
  fail({"json_invalid", json::array{"body", found.character}, "JSON decode error", json::object(), json::object{{"error", found.message}}});
}

}  // namespace

json::array Issues::to_json() const {
  json::array out;
  out.reserve(issues_.size());
  for (const auto& issue : issues_) out.emplace_back(issue_to_json(issue));
  return out;
}

void Issues::throw_if_any() const {
  if (issues_.empty()) return;
  throw Error(Code::invalid, issues_.front().msg).with_issues(loquat::to_json(json::value(to_json())));
}

void fail(Issue issue) {
  Issues issues;
  issues.add(std::move(issue));
  issues.throw_if_any();
  std::unreachable();
}

Issue value_error(json::array loc, std::string_view reason, json::value input) {
  return {"value_error", std::move(loc), "Value error, " + std::string(reason), std::move(input), json::object{{"error", json::object()}}};
}

json::value parse_body(std::string_view body, std::string_view content_type) {
  json::value value;
  if (!body.empty() && is_json(content_type)) {
    value = parse_json_body(body);
  } else if (!body.empty()) {
    if (!text::is_valid_utf8(body)) throw unreadable("not UTF-8");
    return json::string(body);
  }
  if (value.is_null()) fail({"missing", json::array{"body"}, "Field required", nullptr});
  return value;
}

namespace detail {

json::array Path::loc() const {
  if (parent == nullptr) return base == nullptr ? json::array() : *base;
  json::array out = parent->loc();
  if (name.data() != nullptr) {
    out.emplace_back(json::string_view(name.data(), name.size()));
  } else {
    out.emplace_back(index);
  }
  return out;
}

bool read_value(const json::value& value, std::string& out, const Path& path, Issues& issues) {
  const auto* text = value.if_string();
  if (text == nullptr) return refuse(issues, "string_type", path, "Input should be a valid string", value);
  out.assign(text->data(), text->size());
  return true;
}

bool read_value(const json::value& value, bool& out, const Path& path, Issues& issues) {
  if (const auto* boolean = value.if_bool()) {
    out = *boolean;
    return true;
  }
  std::optional<bool> parsed;
  bool readable = false;
  if (const auto* text = value.if_string()) {
    parsed = parse_boolean(as_view(*text));
    readable = true;
  } else if (const auto* number = value.if_int64()) {
    if (*number == 0 || *number == 1) parsed = *number == 1;
    readable = true;
  } else if (const auto* real = value.if_double()) {
    if (*real == 0 || *real == 1) parsed = *real == 1;
    // A whole number that fits is tried as an integer first.
    readable = std::trunc(*real) == *real && std::fabs(*real) < 0x1p63;
  }
  if (parsed) {
    out = *parsed;
    return true;
  }
  if (readable) return refuse(issues, "bool_parsing", path, "Input should be a valid boolean, unable to interpret input", value);
  return refuse(issues, "bool_type", path, "Input should be a valid boolean", value);
}

bool read_value(const json::value& value, std::int64_t& out, const Path& path, Issues& issues) {
  std::variant<std::int64_t, NumberFault> parsed = NumberFault::too_large;
  if (const auto* number = value.if_int64()) {
    parsed = *number;
  } else if (const auto* boolean = value.if_bool()) {
    parsed = std::int64_t{*boolean ? 1 : 0};
  } else if (const auto* real = value.if_double()) {
    if (std::trunc(*real) != *real) {
      return refuse(issues, "int_from_float", path, "Input should be a valid integer, got a number with a fractional part", value);
    }
    if (*real >= -0x1p63 && *real < 0x1p63) parsed = static_cast<std::int64_t>(*real);
  } else if (const auto* text = value.if_string()) {
    parsed = parse_integer(as_view(*text));
  } else if (!value.is_uint64()) {
    return refuse(issues, "int_type", path, "Input should be a valid integer", value);
  }
  if (const auto* number = std::get_if<std::int64_t>(&parsed)) {
    out = *number;
    return true;
  }
  if (std::get<NumberFault>(parsed) == NumberFault::too_large) {
    return refuse(issues, "int_parsing_size", path, "Unable to parse input string as an integer, exceeded maximum size", value);
  }
  return refuse(issues, "int_parsing", path, "Input should be a valid integer, unable to parse string as an integer", value);
}

bool read_value(const json::value& value, double& out, const Path& path, Issues& issues) {
  double number = 0;
  if (value.is_number()) {
    number = value.to_number<double>();
  } else if (const auto* boolean = value.if_bool()) {
    number = *boolean ? 1 : 0;
  } else if (const auto* text = value.if_string()) {
    const auto parsed = parse_float(as_view(*text));
    if (!parsed) return refuse(issues, "float_parsing", path, "Input should be a valid number, unable to parse string as a number", value);
    number = *parsed;
  } else {
    return refuse(issues, "float_type", path, "Input should be a valid number", value);
  }
  // Pydantic lets these through by default, and then has no JSON for them.
  if (!std::isfinite(number)) return refuse(issues, "finite_number", path, "Input should be a finite number", value);
  out = number;
  return true;
}

bool read_value(const json::value& value, json::object& out, const Path& path, Issues& issues) {
  if (!require_dict(value, path, issues)) return false;
  out = value.get_object();
  return true;
}

bool read_value(const json::value& value, json::array& out, const Path& path, Issues& issues) {
  if (!require_list(value, path, issues)) return false;
  out = value.get_array();
  return true;
}

bool read_value(const json::value& value, json::value& out, const Path& /*path*/, Issues& /*issues*/) {
  out = value;
  return true;
}

void add_missing(const Path& path, const json::value& object, Issues& issues) {
  issues.add(make_issue("missing", path, "Field required", object));
}

bool require_list(const json::value& value, const Path& path, Issues& issues) {
  return value.is_array() || refuse(issues, "list_type", path, "Input should be a valid list", value);
}

bool require_dict(const json::value& value, const Path& path, Issues& issues) {
  return value.is_object() || refuse(issues, "dict_type", path, "Input should be a valid dictionary", value);
}

bool require_model(const json::value& value, const Path& path, Issues& issues) {
  return value.is_object() ||
         refuse(issues, "model_attributes_type", path, "Input should be a valid dictionary or object to extract fields from", value);
}

bool check_min_length(std::string_view text, std::size_t characters, const json::value& input, const Path& path, Issues& issues) {
  if (characters == 0 || text::length(text) >= characters) return true;
  Issue issue =
      make_issue("string_too_short", path,
                 "String should have at least " + std::to_string(characters) + (characters == 1 ? " character" : " characters"), input);
  issue.ctx = json::object{{"min_length", characters}};
  issues.add(std::move(issue));
  return false;
}

bool check_bounds(std::int64_t number, const Bounds& bounds, const json::value& input, const Path& path, Issues& issues) {
  const auto value = static_cast<double>(number);
  if (bounds.at_least && value < *bounds.at_least) return refuse_bound(issues, true, std::llround(*bounds.at_least), path, input);
  if (bounds.at_most && value > *bounds.at_most) return refuse_bound(issues, false, std::llround(*bounds.at_most), path, input);
  return true;
}

bool check_bounds(double number, const Bounds& bounds, const json::value& input, const Path& path, Issues& issues) {
  if (bounds.at_least && number < *bounds.at_least) return refuse_bound(issues, true, *bounds.at_least, path, input);
  if (bounds.at_most && number > *bounds.at_most) return refuse_bound(issues, false, *bounds.at_most, path, input);
  return true;
}

void add_limits(json::object& schema, std::size_t min_length, const Bounds& bounds) {
  json::object* target = &schema;
  // In "this or null" the limits belong to the first choice.
  if (auto* choices = schema.if_contains("anyOf")) target = &choices->get_array().front().get_object();
  const auto* type = target->if_contains("type");
  const bool integer = type != nullptr && *type == "integer";
  const auto number = [integer](double bound) { return integer ? json::value(std::llround(bound)) : json::value(bound); };
  if (min_length > 0) target->emplace("minLength", min_length);
  if (bounds.at_least) target->emplace("minimum", number(*bounds.at_least));
  if (bounds.at_most) target->emplace("maximum", number(*bounds.at_most));
}

}  // namespace detail
}  // namespace loquat::schema
