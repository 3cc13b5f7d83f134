#include "template/urlize.h"

#include <algorithm>
#include <array>

#include "template/unicode.h"

namespace loquat::tmpl {

namespace {

[[nodiscard]] bool digit(char c) noexcept { return c >= '0' && c <= '9'; }
[[nodiscard]] bool ascii_letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

[[nodiscard]] bool starts_ignoring_case(std::string_view text, std::string_view prefix) noexcept {
  return text.size() >= prefix.size() && to_lower(text.substr(0, prefix.size())) == prefix;
}

/// [\w%-]+ or [\w%]+
[[nodiscard]] bool is_label(std::string_view text, bool hyphens) noexcept {
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_char(text, at);
    if (!is_word(c) && c != '%' && !(hyphens && c == '-')) {
      return false;
    }
  }
  return !text.empty();
}

[[nodiscard]] bool is_top_level(std::string_view text) {
  if (starts_ignoring_case(text, "xn--")) {
    const std::string_view rest = text.substr(4);
    const std::int64_t size = count_chars(rest);
    if (size >= 2 && size <= 59 && is_label(rest, false)) {
      return true;
    }
  }
  return text.size() >= 2 && text.size() <= 63 && std::ranges::all_of(text, ascii_letter);
}

/// Whether `valid` holds for every part between dots.
[[nodiscard]] bool all_labels(std::string_view host, bool (*valid)(std::string_view)) {
  while (true) {
    const std::size_t dot = std::min(host.find('.'), host.size());
    if (!valid(host.substr(0, dot))) {
      return false;
    }
    if (dot == host.size()) {
      return true;
    }
    host.remove_prefix(dot + 1);
  }
}

[[nodiscard]] bool is_known_domain(std::string_view host) {
  static constexpr std::array<std::string_view, 8> known{"com", "net", "int", "edu", "gov", "org", "info", "mil"};
  const std::size_t dot = host.rfind('.');
  if (dot == std::string_view::npos || host.size() - dot > 5 || std::ranges::find(known, to_lower(host.substr(dot + 1))) == known.end()) {
    return false;
  }
  return all_labels(host.substr(0, dot), [](std::string_view label) {
    const std::int64_t size = count_chars(label);
    return size >= 2 && size <= 63 && is_label(label, true);
  });
}

[[nodiscard]] bool is_any_domain(std::string_view host) {
  const std::size_t dot = host.rfind('.');
  if (dot == std::string_view::npos) {
    return is_top_level(host);
  }
  return is_top_level(host.substr(dot + 1)) &&
         all_labels(host.substr(0, dot), [](std::string_view label) { return is_label(label, true); });
}

[[nodiscard]] bool is_ipv4(std::string_view host) {
  return std::ranges::count(host, '.') == 3 &&
         all_labels(host, [](std::string_view label) { return !label.empty() && label.size() <= 3 && std::ranges::all_of(label, digit); });
}

/// \[([\da-f]{0,4}:){2}([\da-f]{0,4}:?){1,6}]
[[nodiscard]] bool is_ipv6(std::string_view host) {
  if (host.size() < 4 || host.front() != '[' || host.back() != ']') {
    return false;
  }
  std::string_view rest = host.substr(1, host.size() - 2);
  const auto take_hex = [&rest]() {
    std::size_t size = 0;
    while (size < rest.size() && size < 4 && (digit(rest[size]) || ((rest[size] | 0x20) >= 'a' && (rest[size] | 0x20) <= 'f'))) {
      ++size;
    }
    rest.remove_prefix(size);
  };
  for (int i = 0; i < 2; ++i) {
    take_hex();
    if (!rest.starts_with(':')) {
      return false;
    }
    rest.remove_prefix(1);
  }
  for (int i = 0; i < 6 && !rest.empty(); ++i) {
    take_hex();
    if (rest.starts_with(':')) {
      rest.remove_prefix(1);
    }
  }
  return rest.empty();
}

/// Takes :port and a path off the end; false when what follows the host is neither.
[[nodiscard]] bool split_host(std::string_view text, std::string_view& host) {
  const std::size_t bracket = text.starts_with('[') ? std::min(text.find(']'), text.size()) : 0;
  const std::size_t end = std::min(text.find_first_of(":/?#", bracket), text.size());
  host = text.substr(0, end);
  std::string_view rest = text.substr(end);
  if (rest.starts_with(':')) {
    std::size_t size = 1;
    while (size < rest.size() && size < 6 && digit(rest[size])) {
      ++size;
    }
    if (size == 1) {
      return false;
    }
    rest.remove_prefix(size);
  }
  return rest.empty() || rest.front() == '/' || rest.front() == '?' || rest.front() == '#';
}

[[nodiscard]] bool is_web_address(std::string_view text) {
  std::string_view rest = text;
  std::string_view host;
  bool scheme = false;
  for (const std::string_view prefix : {"https://", "http://"}) {
    if (starts_ignoring_case(rest, prefix)) {
      rest.remove_prefix(prefix.size());
      scheme = true;
      break;
    }
  }
  const bool www = !scheme && starts_ignoring_case(rest, "www.");
  if (!split_host(rest, host)) {
    return false;
  }
  if (scheme && (is_any_domain(host) || is_ipv4(host) || is_ipv6(host))) {
    return true;
  }
  if (www && is_any_domain(host.substr(4))) {
    return true;
  }
  return !scheme && is_known_domain(host);
}

/// ^\S+@\w[\w.-]*\.\w+$: no @ can follow the one before the domain, so it is the last.
[[nodiscard]] bool is_mail_address(std::string_view text) {
  const std::size_t at = text.rfind('@');
  if (at == std::string_view::npos || at == 0) {
    return false;
  }
  const std::string_view domain = text.substr(at + 1);
  const std::size_t dot = domain.rfind('.');
  if (dot == std::string_view::npos || dot == 0 || dot + 1 == domain.size()) {
    return false;
  }
  for (std::size_t i = 0; i < domain.size();) {
    const bool inner = i > 0 && i < dot;
    const bool last_dot = i == dot;
    const char32_t c = next_char(domain, i);
    if (!is_word(c) && !last_dot && !(inner && (c == '.' || c == '-'))) {
      return false;
    }
  }
  return true;
}

/// Takes the leading run of white space, or of anything else.
[[nodiscard]] std::string_view take_run(std::string_view& text, bool& space) {
  std::size_t end = 0;
  space = is_space(next_char(text, end));
  while (end < text.size()) {
    std::size_t after = end;
    if (is_space(next_char(text, after)) != space) {
      break;
    }
    end = after;
  }
  const std::string_view run = text.substr(0, end);
  text.remove_prefix(end);
  return run;
}

[[nodiscard]] std::size_t count_of(std::string_view text, std::string_view wanted) noexcept {
  std::size_t count = 0;
  for (std::size_t at = text.find(wanted); at != std::string_view::npos; at = text.find(wanted, at + wanted.size())) {
    ++count;
  }
  return count;
}

/// Where an address begins and ends in a word: brackets and punctuation around it do not belong to it, unless they are its own.
[[nodiscard]] std::string_view trim_punctuation(std::string_view word) {
  constexpr std::array<std::string_view, 3> opening{"(", "<", "&lt;"};
  constexpr std::array<std::string_view, 5> closing{")", ">", ".", ",", "&gt;"};
  constexpr std::array<std::pair<std::string_view, std::string_view>, 3> pairs{{{"(", ")"}, {"<", ">"}, {"&lt;", "&gt;"}}};
  for (bool found = true; found;) {
    found = false;
    for (const std::string_view open : opening) {
      if (word.starts_with(open)) {
        word.remove_prefix(open.size());
        found = true;
      }
    }
  }
  std::size_t end = word.size();
  for (bool found = true; found;) {
    found = false;
    for (const std::string_view close : closing) {
      if (word.substr(0, end).ends_with(close)) {
        end -= close.size();
        found = true;
      }
    }
  }
  for (const auto& [open, close] : pairs) {
    const std::size_t opened = count_of(word.substr(0, end), open);
    if (opened <= count_of(word.substr(0, end), close)) {
      continue;
    }
    for (std::size_t i = std::min(opened, count_of(word.substr(end), close)); i > 0; --i) {
      end = word.find(close, end) + close.size();
    }
  }
  return word.substr(0, end);
}

[[nodiscard]] std::string shorten(std::string_view text, std::int64_t limit) {
  if (limit < 0 || count_chars(text) <= limit) {
    return std::string(text);
  }
  std::size_t at = 0;
  for (std::int64_t i = 0; i < limit; ++i) {
    (void)next_char(text, at);
  }
  return std::string(text.substr(0, at)) + "...";
}

[[nodiscard]] std::string link(std::string_view middle, const UrlizeStyle& style, const std::string& attributes) {
  const std::string text(middle);
  if (is_web_address(middle)) {
    const bool full = middle.starts_with("https://") || middle.starts_with("http://");
    return "<a href=\"" + (full ? text : "https://" + text) + "\"" + attributes + ">" + shorten(middle, style.trim_limit) + "</a>";
  }
  if (middle.starts_with("mailto:") && is_mail_address(middle.substr(7))) {
    return "<a href=\"" + text + "\">" + text.substr(7) + "</a>";
  }
  if (text.find('@') != std::string::npos && !middle.starts_with("www.") && !middle.starts_with("@") &&
      text.find(':') == std::string::npos && is_mail_address(middle)) {
    return "<a href=\"mailto:" + text + "\">" + text + "</a>";
  }
  for (const std::string& scheme : style.schemes) {
    if (middle != scheme && middle.starts_with(scheme)) {
      return "<a href=\"" + text + "\"" + attributes + ">" + text + "</a>";
    }
  }
  return text;
}

}  // namespace

void urlize(std::string_view escaped, const UrlizeStyle& style, Builder& out) {
  std::string attributes = style.rel.empty() ? "" : " rel=\"" + style.rel + "\"";
  attributes += style.target.empty() ? "" : " target=\"" + style.target + "\"";
  while (!escaped.empty()) {
    bool space = false;
    const std::string_view run = take_run(escaped, space);
    if (space) {
      out.append(run);
      continue;
    }
    const std::string_view middle = trim_punctuation(run);
    const auto before = static_cast<std::size_t>(middle.data() - run.data());
    out.append(run.substr(0, before));
    out.append(link(middle, style, attributes));
    out.append(run.substr(before + middle.size()));
  }
}

}  // namespace loquat::tmpl
