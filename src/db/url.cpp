#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <memory>
#include <string>

#include "core/text.h"
#include "core/url.h"
#include "db/sql.h"

namespace loquat::db {
namespace {

[[noreturn]] void refuse(const std::string& message) { throw Error(Code::invalid, message); }

bool is_hex(char c) noexcept { return std::isxdigit(static_cast<unsigned char>(c)) != 0; }

// SQLAlchemy takes user names and passwords more leniently than libpq: a stray %, a slash or an @ in the password.
std::string encode_credential(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool escape_already = c == '%' && i + 2 < text.size() && is_hex(text[i + 1]) && is_hex(text[i + 2]);
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("-._~!$&'()*+,;=").contains(c);
    if (plain || escape_already) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += digits[byte >> 4U];
      out += digits[byte & 15U];
    }
  }
  return out;
}

struct Authority {
  std::string_view user;
  std::string_view password;
  bool has_user = false;
  bool has_password = false;
  std::string_view rest;  // hosts, path, query
};

Authority split_authority(std::string_view text) {
  const auto end = std::min(text.find_first_of("/?"), text.size());
  auto at = text.substr(0, end).rfind('@');
  const auto colon = text.find_first_of(":/@?");
  if (at == std::string_view::npos && colon < text.size() && text[colon] == ':') {
    // A slash or question mark inside the password, unless the colon belongs to a port.
    const auto after = text.substr(colon + 1, end - colon - 1);
    const bool port =
        std::ranges::all_of(after, [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0 || c == ',' || c == ':'; });
    if (!port && !text.starts_with('[')) at = text.find('@', colon);
  }
  Authority out;
  out.rest = text;
  if (at == std::string_view::npos) return out;
  const auto credentials = text.substr(0, at);
  const auto separator = credentials.find(':');
  out.has_user = true;
  out.user = credentials.substr(0, separator);
  out.has_password = separator != std::string_view::npos;
  if (out.has_password) out.password = credentials.substr(separator + 1);
  out.rest = text.substr(at + 1);
  return out;
}

// Settings of Python's drivers and pools that mean nothing to libpq.
constexpr std::array dropped_parameters = {"prepared_statement_cache_size",
                                           "statement_cache_size",
                                           "prepared_statement_name_func",
                                           "async_fallback",
                                           "command_timeout",
                                           "max_cached_statement_lifetime",
                                           "max_cacheable_statement_size",
                                           "pool_size",
                                           "max_overflow",
                                           "pool_timeout",
                                           "pool_recycle",
                                           "pool_pre_ping",
                                           "prepare_threshold"};

std::string libpq_parameter(std::string_view parameter) {
  const auto equals = parameter.find('=');
  const auto name = parameter.substr(0, equals);
  const auto value = equals == std::string_view::npos ? std::string_view() : parameter.substr(equals + 1);
  if (std::ranges::find(dropped_parameters, name) != dropped_parameters.end()) return {};
  if (name == "timeout") return "connect_timeout=" + std::string(value);
  if (name != "ssl") return std::string(parameter);
  const auto word = text::to_lower_ascii(value);
  if (word == "true" || word == "1" || word == "on" || word == "yes") return "sslmode=require";
  if (word == "false" || word == "0" || word == "off" || word == "no") return "sslmode=disable";
  return "sslmode=" + word;
}

std::string libpq_uri(std::string_view after_scheme) {
  const auto authority = split_authority(after_scheme);
  std::string out = "postgresql://";
  if (authority.has_user) {
    out += encode_credential(authority.user);
    if (authority.has_password) out += ":" + encode_credential(authority.password);
    out += '@';
  }
  const auto question = authority.rest.find('?');
  out += authority.rest.substr(0, question);
  if (question == std::string_view::npos) return out;
  char separator = '?';
  for (const auto parameter : text::split(authority.rest.substr(question + 1), '&')) {
    const auto kept = libpq_parameter(parameter);
    if (kept.empty()) continue;
    out += separator + kept;
    separator = '&';
  }
  return out;
}

bool is_port(std::string_view text) noexcept {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port >= 1 && port <= 65535;
}

/// What libpq would find out only when it connects.
void check_values(const PQconninfoOption* options) {
  constexpr std::array<std::string_view, 6> ssl_modes{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"};
  for (const auto* option = options; option->keyword != nullptr; ++option) {
    const std::string_view name = option->keyword;
    const std::string_view value = option->val == nullptr ? "" : option->val;
    if (value.empty()) continue;
    if (name == "port" && !std::ranges::all_of(text::split(value, ','), [](auto port) { return port.empty() || is_port(port); })) {
      refuse("a PostgreSQL URL's port is a number from 1 to 65535, not " + std::string(value));
    }
    if (name == "sslmode" && std::ranges::find(ssl_modes, value) == ssl_modes.end()) {
      refuse("a PostgreSQL URL's sslmode is disable, allow, prefer, require, verify-ca or verify-full, not " + std::string(value));
    }
  }
}

/// libpq's own opinion, before anything connects. Its words may hold the password: only those on a parameter are passed on.
void check_uri(const std::string& uri) {
  char* raw = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(PQconninfoParse(uri.c_str(), &raw), PQconninfoFree);
  const std::unique_ptr<char, decltype(&PQfreemem)> words(raw, PQfreemem);
  if (options) return check_values(options.get());
  const std::string_view text = words ? words.get() : "";
  constexpr std::string_view parameter = "invalid URI query parameter: ";
  if (text.starts_with(parameter))
    refuse("a PostgreSQL URL has no parameter " + std::string(text::trim_ascii(text.substr(parameter.size()))));
  refuse("this is no PostgreSQL URL: postgresql://user:password@host:5432/name");
}

std::string sqlite_path(std::string_view after_scheme) {
  const auto path = after_scheme.substr(0, after_scheme.find('?'));
  if (path.empty() || path == "/" || path == "/:memory:" || path == ":memory:") return ":memory:";
  if (!path.starts_with('/')) {
    refuse(
        "a SQLite URL has three slashes before a relative path and four before an absolute one: sqlite:///relative.db, "
        "sqlite:////absolute.db");
  }
  return std::string(path.substr(1));
}

[[noreturn]] void refuse_scheme(std::string_view scheme) {
  const auto base = scheme.substr(0, scheme.find('+'));
  if (base == "mysql" || base == "mariadb") {
    refuse(
        "MySQL is not supported as a database: use PostgreSQL (postgresql://...), MongoDB (mongodb://...) or SQLite (sqlite:///file.db)");
  }
  if (base == "dynamodb") {
    refuse(
        "DynamoDB is not supported as a database: use PostgreSQL (postgresql://...), MongoDB (mongodb://...) or SQLite "
        "(sqlite:///file.db)");
  }
  if (base == "redis" || base == "rediss") {
    refuse(
        "Redis is not supported as a database: use PostgreSQL (postgresql://...), MongoDB (mongodb://...) or SQLite (sqlite:///file.db)");
  }
  refuse("\"" + std::string(scheme) +
         "\" is not a database that is supported: use sqlite:///file.db, postgresql://..., mongodb://..., http(s)://... or memory://");
}

std::string masked_parameter(std::string_view parameter) {
  const auto equals = parameter.find('=');
  if (equals == std::string_view::npos) return std::string(parameter);
  constexpr std::array words = {"pass", "secret", "token", "credential", "apikey", "api_key", "authmechanismproperties"};
  const auto name = text::to_lower_ascii(url::percent_decode(parameter.substr(0, equals)));
  const bool hide = std::ranges::any_of(words, [&name](std::string_view word) { return name.contains(word); });
  return hide ? std::string(parameter.substr(0, equals)) + "=***" : std::string(parameter);
}

}  // namespace

Url parse_url(std::string_view url) {
  url = text::trim_ascii(url);
  const auto colon = url.find("://");
  if (colon == std::string_view::npos || colon == 0) {
    refuse("a database is given as a URL: sqlite:///file.db, postgresql://user:password@host/name, mongodb://... or memory://");
  }
  const auto scheme = text::to_lower_ascii(url.substr(0, colon));
  const auto rest = url.substr(colon + 3);
  if (scheme == "memory") return {Url::Kind::memory, std::string(url)};
  if (scheme == "sqlite" || scheme == "sqlite3" || scheme.starts_with("sqlite+")) return {Url::Kind::sqlite, sqlite_path(rest)};
  if (scheme == "postgres" || scheme == "postgresql" || scheme.starts_with("postgresql+") || scheme.starts_with("postgres+")) {
    auto uri = libpq_uri(rest);
    check_uri(uri);
    return {Url::Kind::postgres, std::move(uri)};
  }
  if (scheme == "mongodb" || scheme == "mongodb+srv") return {Url::Kind::mongodb, std::string(url)};
  if (scheme == "http" || scheme == "https") return {Url::Kind::http, std::string(url)};
  refuse_scheme(scheme);
}

std::string without_password(std::string_view url) {
  const auto colon = url.find("://");
  const auto begin = colon == std::string_view::npos ? 0 : colon + 3;
  const auto authority = split_authority(url.substr(begin));
  std::string out(url.substr(0, begin));
  if (authority.has_user) {
    out += authority.user;
    if (authority.has_password) out += ":***";
    out += '@';
  }
  // An @ that is left, but for one in a parameter's value, belongs to a password with a slash, a question mark or an @ of its own.
  auto rest = authority.rest;
  if (const auto at = rest.substr(0, rest.find('=')).rfind('@'); at != std::string_view::npos) {
    out += "***";
    rest.remove_prefix(at);
  }
  const auto question = rest.find('?');
  out += rest.substr(0, question);
  if (question == std::string_view::npos) return out;
  char separator = '?';
  for (const auto parameter : text::split(rest.substr(question + 1), '&')) {
    out += separator + masked_parameter(parameter);
    separator = '&';
  }
  return out;
}

}  // namespace loquat::db
