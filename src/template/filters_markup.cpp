#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/text.h"
#include "template/entities.h"
#include "template/library.h"
#include "template/unicode.h"
#include "template/urlize.h"

namespace loquat::tmpl {

namespace {

Value escape_filter(Runtime& rt, const Value& value, const Args& args) {
  expect_none("escape", args);
  return escape_value(rt, value);
}

Value forceescape(Runtime& rt, const Value& value, const Args& args) {
  expect_none("forceescape", args);
  return escape_value(rt, to_str(rt, value));
}

Value safe(Runtime& rt, const Value& value, const Args& args) {
  expect_none("safe", args);
  return rt.keep(text_of(rt, value), Str::markup | Str::raw);
}

/// Removes what stands between two marks, again and again; what is not closed stays.
[[nodiscard]] std::string without(std::string_view text, std::string_view open, std::string_view close) {
  std::string out;
  std::size_t at = 0;
  while (true) {
    const std::size_t start = text.find(open, at);
    const std::size_t end = start == std::string_view::npos ? start : text.find(close, start);
    if (end == std::string_view::npos) {
      out += text.substr(at);
      return out;
    }
    out += text.substr(at, start - at);
    at = end + close.size();
  }
}

Value striptags(Runtime& rt, const Value& value, const Args& args) {
  expect_none("striptags", args);
  const std::string_view text = text_of(rt, value);
  rt.charge_bytes(text.size() * 4);
  rt.memory.check(text.size() * 2);
  const std::string bare = without(without(text, "<!--", "-->"), "<", ">");
  std::string single;
  std::string_view rest = strip_space(bare);
  for (std::size_t at = 0; at < rest.size();) {
    const std::size_t space = leading_space(rest.substr(at));
    if (space != 0) {
      single += ' ';
      at += space;
      continue;
    }
    const std::size_t start = at;
    (void)next_char(rest, at);
    single += rest.substr(start, at - start);
  }
  return rt.str(unescape_html(single));
}

Value xmlattr(Runtime& rt, const Value& value, const Args& args) {
  const auto [autospace] = bind<1>("xmlattr", args, {"autospace"});
  if (!value.is(Kind::dict)) {
    fail("'" + std::string(type_name(value)) + "' object has no attribute 'items'");
  }
  Builder out(rt.memory);
  for (const Entry& entry : entries_of(rt, *value.dict)) {
    rt.charge(1);
    if (entry.value.is(Kind::none) || entry.value.is_undefined()) {
      continue;
    }
    const std::string_view key = string_of(entry.key);
    if (key.find_first_of(" \t\n\r\f\v/>=") != std::string_view::npos) {
      fail("Invalid character in attribute name: '" + std::string(key) + "'");
    }
    if (out.size() != 0 || flag_or(rt, autospace, true)) {
      out.append(' ');
    }
    out.append(escape_value(rt, entry.key).text());
    out.append("=\"");
    out.append(escape_value(rt, entry.value).text());
    out.append('"');
  }
  return finish(rt, out, rt.autoescape() ? Str::markup : std::uint8_t{0});
}

void quote(std::string_view text, bool query, Builder& out) {
  for (const char c : text) {
    const bool plain = text::is_ascii_alphanumeric(c) || c == '_' || c == '.' || c == '-' || c == '~' || (!query && c == '/');
    if (plain) {
      out.append(c);
    } else if (query && c == ' ') {
      out.append('+');
    } else {
      out.append(fmt::format("%{:02X}", static_cast<unsigned char>(c)));
    }
  }
}

Value urlencode(Runtime& rt, const Value& value, const Args& args) {
  expect_none("urlencode", args);
  Builder out(rt.memory);
  if (value.is_string() || !is_iterable(value)) {
    quote(text_of(rt, value), false, out);
    return finish(rt, out, Str::urlencoded);
  }
  Value pairs = value;
  if (value.is(Kind::dict)) {
    pairs = Value{Kind::view};
    pairs.view = rt.memory.make<View>(View{value.dict, View::What::items});
  }
  Cursor cursor(rt, pairs);
  for (Value item; cursor.next(rt, item);) {
    if (!is_iterable(item)) {
      fail("cannot unpack non-iterable " + std::string(type_name(item)) + " object");
    }
    const List* pair = to_list(rt, item);
    if (pair->items.size() != 2) {
      fail("urlencode needs pairs of names and values");
    }
    if (out.size() != 0) {
      out.append('&');
    }
    quote(text_of(rt, pair->items[0]), true, out);
    out.append('=');
    quote(text_of(rt, pair->items[1]), true, out);
  }
  return finish(rt, out, Str::urlencoded);
}

[[nodiscard]] std::string html_escaped(Runtime& rt, std::string_view text) {
  Builder out(rt.memory);
  escape_html(text, out);
  return std::string(out.view());
}

[[nodiscard]] std::string make_rel(Runtime& rt, const Value* rel, bool nofollow) {
  std::set<std::string> parts{"noopener"};
  if (nofollow) {
    parts.insert("nofollow");
  }
  if (rel != nullptr && truthy(rt, *rel)) {
    std::string_view rest = string_of(*rel);
    while (true) {
      rest.remove_prefix(leading_space(rest));
      if (rest.empty()) {
        break;
      }
      const std::size_t end = std::min(rest.find_first_of(" \t\n\r\f\v"), rest.size());
      parts.emplace(rest.substr(0, end));
      rest.remove_prefix(end);
    }
  }
  std::string joined;
  for (const std::string& part : parts) {
    joined += (joined.empty() ? "" : " ") + part;
  }
  return html_escaped(rt, joined);
}

/// ^[\w.+-]{2,}:/{0,2}$
[[nodiscard]] bool is_scheme(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || text.substr(colon + 1).find_first_not_of('/') != std::string_view::npos ||
      text.size() - colon > 3) {
    return false;
  }
  std::int64_t size = 0;
  for (std::size_t at = 0; at < colon; ++size) {
    const char32_t c = next_char(text, at);
    if (!is_word(c) && c != '.' && c != '+' && c != '-') {
      return false;
    }
  }
  return size >= 2;
}

Value urlize_filter(Runtime& rt, const Value& value, const Args& args) {
  const auto [limit, nofollow, target, rel, schemes] =
      bind<5>("urlize", args, {"trim_url_limit", "nofollow", "target", "rel", "extra_schemes"});
  UrlizeStyle style;
  if (limit != nullptr && !limit->is(Kind::none)) {
    style.trim_limit = std::max<std::int64_t>(index_of(*limit), 0);
  }
  style.rel = make_rel(rt, rel, flag_or(rt, nofollow, false));
  if (target != nullptr && truthy(rt, *target)) {
    style.target = html_escaped(rt, text_of(rt, *target));
  }
  if (schemes != nullptr && !schemes->is(Kind::none)) {
    Cursor cursor(rt, *schemes);
    for (Value scheme; cursor.next(rt, scheme);) {
      if (!is_scheme(string_of(scheme))) {
        fail("'" + std::string(scheme.text()) + "' is not a valid URI scheme prefix.");
      }
      style.schemes.emplace_back(scheme.text());
    }
  }
  const Value escaped = escape_value(rt, value);
  rt.charge_bytes(escaped.string->size * (16 + style.schemes.size()));
  rt.memory.check(escaped.string->size * 8);
  Builder out(rt.memory);
  urlize(escaped.text(), style, out);
  return finish(rt, out, rt.autoescape() ? Str::markup : std::uint8_t{0});
}

constexpr std::array<NamedNative, 8> table{{{"e", escape_filter},
                                            {"escape", escape_filter},
                                            {"forceescape", forceescape},
                                            {"safe", safe},
                                            {"striptags", striptags},
                                            {"xmlattr", xmlattr},
                                            {"urlencode", urlencode},
                                            {"urlize", urlize_filter}}};

}  // namespace

NativeTable markup_filters() noexcept { return table; }

}  // namespace loquat::tmpl
