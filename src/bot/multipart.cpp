#include "bot/multipart.h"

#include "core/error.h"
#include "core/text.h"
#include "core/url.h"

namespace loquat::bot {
namespace {

constexpr std::size_t most_parts = 1'000;
constexpr std::size_t most_head_bytes = 8 * 1024;
constexpr std::size_t most_boundary_bytes = 200;
constexpr std::string_view line_end = "\r\n";

[[noreturn]] void refuse(std::string_view message) { throw Error(Code::malformed, std::string(message)); }
[[noreturn]] void refuse_data() { refuse("Invalid multipart data."); }

/// A quoted string's text, `at` behind the opening quote; afterwards behind the closing one.
std::string take_quoted(std::string_view text, std::size_t& at) {
  std::string out;
  while (at < text.size() && text[at] != '"') {
    if (text[at] == '\\' && at + 1 < text.size() && (text[at + 1] == '"' || text[at + 1] == '\\')) ++at;
    out += text[at++];
  }
  if (at < text.size()) ++at;
  return out;
}

/// The value of `name` among the parameters behind the first ';'.
std::optional<std::string> find_option(std::string_view header, std::string_view name) {
  std::size_t at = header.find(';');
  while (at != std::string_view::npos && at < header.size()) {
    ++at;
    const std::size_t equals = header.find_first_of("=;", at);
    if (equals == std::string_view::npos || header[equals] == ';') {
      at = equals;
      continue;
    }
    const auto key = text::trim_ascii(header.substr(at, equals - at));
    at = equals + 1;
    while (at < header.size() && (header[at] == ' ' || header[at] == '\t')) ++at;
    std::string value;
    if (at < header.size() && header[at] == '"') {
      value = take_quoted(header, ++at);
      at = header.find(';', at);
    } else {
      const std::size_t end = header.find(';', at);
      value = text::trim_ascii(header.substr(at, end == std::string_view::npos ? end : end - at));
      at = end;
    }
    if (text::equal_ignoring_ascii_case(key, name)) return value;
  }
  return std::nullopt;
}

/// filename*=UTF-8''%e2%82%ac.json (RFC 5987)
std::optional<std::string> find_extended_filename(std::string_view disposition) {
  const auto value = find_option(disposition, "filename*");
  if (!value) return std::nullopt;
  const std::size_t quote = value->rfind('\'');
  return url::percent_decode(std::string_view(*value).substr(quote == std::string::npos ? 0 : quote + 1));
}

/// The field of a part's head, of several the first. All lines must be fields.
std::string_view find_field(std::string_view head, std::string_view name) {
  std::optional<std::string_view> found;
  while (!head.empty()) {
    const std::size_t end = head.find(line_end);
    const auto line = head.substr(0, end);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || line.substr(0, colon).find_first_of(" \t") != std::string_view::npos) refuse_data();
    if (!found && text::equal_ignoring_ascii_case(line.substr(0, colon), name)) found = text::trim_ascii(line.substr(colon + 1));
    head.remove_prefix(end == std::string_view::npos ? head.size() : end + line_end.size());
  }
  return found.value_or(std::string_view());
}

FormPart make_part(std::string_view head, std::string_view content) {
  const auto disposition = find_field(head, "Content-Disposition");
  auto name = find_option(disposition, "name");
  if (!name) refuse("The Content-Disposition header field \"name\" must be provided.");
  auto filename = find_option(disposition, "filename");
  if (!filename) filename = find_extended_filename(disposition);
  return {text::to_valid_utf8(*name), filename ? std::optional(text::to_valid_utf8(*filename)) : std::nullopt, content};
}

/// The next delimiter from `from` on that is followed by a line end or "--"; npos when there is none.
std::size_t find_delimiter(std::string_view body, std::string_view delimiter, std::size_t from) {
  for (std::size_t at = body.find(delimiter, from); at != std::string_view::npos; at = body.find(delimiter, at + 1)) {
    const auto behind = body.substr(at + delimiter.size(), 2);
    if (behind == line_end || behind == "--") return at;
  }
  return std::string_view::npos;
}

std::string boundary_of(std::string_view content_type) {
  const auto boundary = find_option(content_type, "boundary");
  if (!boundary || boundary->empty() || boundary->size() > most_boundary_bytes) refuse("Missing boundary in multipart.");
  return *boundary;
}

}  // namespace

std::vector<FormPart> parse_multipart(std::string_view content_type, std::string_view body) {
  const auto type = text::trim_ascii(content_type.substr(0, content_type.find(';')));
  if (!text::equal_ignoring_ascii_case(type, "multipart/form-data")) return {};
  const std::string delimiter = std::string(line_end) + "--" + boundary_of(content_type);
  while (body.starts_with('\r') || body.starts_with('\n')) body.remove_prefix(1);
  std::vector<FormPart> parts;
  if (body.empty()) return parts;
  const auto first = std::string_view(delimiter).substr(line_end.size());
  if (!body.starts_with(first)) refuse_data();
  std::size_t at = first.size();
  while (body.substr(at, 2) != "--") {
    if (at == body.size()) return parts;
    if (body.substr(at, 2) != line_end) refuse_data();
    at += line_end.size();
    const auto rest = body.substr(at, most_head_bytes);
    const std::size_t head_end = rest.find("\r\n\r\n");
    if (head_end == std::string_view::npos) {
      if (rest.size() == most_head_bytes) refuse_data();
      return parts;
    }
    const std::size_t content = at + head_end + 4;
    // An empty content shares its line end with the delimiter's.
    const std::size_t end = find_delimiter(body, delimiter, content - line_end.size());
    auto part = make_part(rest.substr(0, head_end),
                          end == std::string_view::npos || end < content ? std::string_view() : body.substr(content, end - content));
    if (end == std::string_view::npos) return parts;
    if (parts.size() == most_parts) refuse("Too many fields. Maximum number of fields is 1000.");
    parts.push_back(std::move(part));
    at = end + delimiter.size();
  }
  return parts;
}

}  // namespace loquat::bot
