#include "http/router.h"

#include <algorithm>
#include <array>
#include <map>
#include <stdexcept>

#include "core/text.h"
#include "core/url.h"

namespace loquat::http {
namespace {

/// Deeper paths match no route; no pattern comes near.
constexpr std::size_t most_segments = 32;
constexpr std::size_t method_count = 9;

struct Segments {
  std::array<std::string_view, most_segments> raw;
  std::size_t count = 0;
  bool too_many = false;
};

/// "/a/b/" and "/a/b" are the segments a and b; "/" has none. Inner empty segments stay: "//a" is not "/a".
Segments split_path(std::string_view path) {
  Segments segments;
  if (path.starts_with('/')) path.remove_prefix(1);
  if (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  if (path.empty()) return segments;
  for (;;) {
    if (segments.count == most_segments) {
      segments.too_many = true;
      return segments;
    }
    const auto slash = path.find('/');
    segments.raw.at(segments.count++) = path.substr(0, slash);
    if (slash == std::string_view::npos) return segments;
    path.remove_prefix(slash + 1);
  }
}

/// Decoded, or empty when no resource can have that name: a NUL, or bytes that are no UTF-8.
std::optional<std::string> decode_segment(std::string_view raw) {
  std::string text = raw.find('%') == std::string_view::npos ? std::string(raw) : url::percent_decode(raw);
  if (text.find('\0') != std::string::npos || !text::is_valid_utf8(text)) return std::nullopt;
  return text;
}

/// What the names of a route's parameters stand for in one request: segments, or a tail from one on.
struct Captures {
  std::array<std::size_t, most_segments> segment{};
  std::size_t count = 0;
};

}  // namespace

struct Router::Node {
  struct Target {
    const Route* route = nullptr;
    std::vector<std::string> names;
  };
  using Targets = std::array<Target, method_count>;

  std::vector<std::pair<std::string, std::unique_ptr<Node>>> literals;
  std::unique_ptr<Node> parameter;
  Targets here;
  Targets rest;  ///< of patterns that end in {name*} here

  /// What a search carries along.
  struct Search {
    Method method;
    const Segments& segments;
    Captures captures = {};
    const Target* found = nullptr;
    std::size_t rest_from = 0;  ///< first segment of the tail when `found` is a rest target
    bool is_rest = false;
    std::array<bool, method_count> allowed = {};
  };

  /// True when the method wanted is among these targets; notes which there are otherwise, of the most specific pattern only: that is the
  /// path the OpenAPI document names.
  static bool take(const Targets& targets, Search& search) {
    const auto& wanted = targets.at(static_cast<std::size_t>(search.method));
    if (wanted.route != nullptr) {
      search.found = &wanted;
      return true;
    }
    if (std::ranges::find(search.allowed, true) != search.allowed.end()) return false;
    for (std::size_t i = 0; i < method_count; ++i) search.allowed.at(i) = targets.at(i).route != nullptr;
    return false;
  }

  bool search(std::size_t at, Search& state) const {
    if (at == state.segments.count) return take(here, state);
    const std::string_view raw = state.segments.raw.at(at);
    if (const auto* literal = find_literal(raw); literal != nullptr && literal->search(at + 1, state)) return true;
    if (parameter && !raw.empty()) {
      state.captures.segment.at(state.captures.count++) = at;
      if (parameter->search(at + 1, state)) return true;
      --state.captures.count;
    }
    if (!take(rest, state)) return false;
    state.is_rest = true;
    state.rest_from = at;
    return true;
  }

  const Node* find_literal(std::string_view raw) const {
    std::string decoded;
    if (raw.find('%') != std::string_view::npos) raw = decoded = url::percent_decode(raw);
    for (const auto& [name, node] : literals) {
      if (name == raw) return node.get();
    }
    return nullptr;
  }

  Node& literal(std::string_view name) {
    for (auto& [key, node] : literals) {
      if (key == name) return *node;
    }
    return *literals.emplace_back(std::string(name), std::make_unique<Node>()).second;
  }
};

Router::Router() : root_(std::make_unique<Node>()) {}
Router::~Router() = default;

void Router::add(Method method, std::string pattern, Options options, Handler handler) {
  routes_.push_back(std::make_unique<Route>(Route{method, std::move(pattern), std::move(options), std::move(handler)}));
  const Route& route = *routes_.back();
  const Segments segments = split_path(route.pattern);
  if (segments.too_many || !route.pattern.starts_with('/')) throw std::logic_error("not a pattern: " + route.pattern);
  Node* node = root_.get();
  Node::Target target{&route, {}};
  bool is_rest = false;
  for (std::size_t i = 0; i < segments.count; ++i) {
    std::string_view segment = segments.raw.at(i);
    if (!segment.starts_with('{') || !segment.ends_with('}')) {
      node = &node->literal(segment);
      continue;
    }
    segment = segment.substr(1, segment.size() - 2);
    is_rest = segment.ends_with('*');
    if (is_rest && i + 1 != segments.count) throw std::logic_error("{name*} must be last: " + route.pattern);
    if (is_rest) segment.remove_suffix(1);
    target.names.emplace_back(segment);
    if (is_rest) break;
    if (!node->parameter) node->parameter = std::make_unique<Node>();
    node = node->parameter.get();
  }
  auto& place = (is_rest ? node->rest : node->here).at(static_cast<std::size_t>(method));
  if (place.route != nullptr) throw std::logic_error("two handlers for " + std::string(to_string(method)) + " " + route.pattern);
  place = std::move(target);
}

Router::Match Router::match(Method method, std::string_view path) const {
  const Segments segments = split_path(path);
  Match match;
  if (!path.starts_with('/') || segments.too_many) return match;
  Node::Search state{.method = method, .segments = segments};
  if (!root_->search(0, state)) {
    for (std::size_t i = 0; i < method_count; ++i) {
      if (state.allowed.at(i)) match.allowed.push_back(static_cast<Method>(i));
    }
    return match;
  }
  const auto& names = state.found->names;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const bool is_tail = state.is_rest && i + 1 == names.size();
    std::string_view raw = segments.raw.at(is_tail ? state.rest_from : state.captures.segment.at(i));
    if (is_tail) raw = std::string_view(raw.data(), static_cast<std::size_t>(path.data() + path.size() - raw.data()));
    auto value = decode_segment(raw);
    if (!value) return {};
    match.path_parameters.emplace_back(names[i], std::move(*value));
  }
  match.route = state.found->route;
  return match;
}

const std::vector<std::unique_ptr<Router::Route>>& Router::routes() const noexcept { return routes_; }

}  // namespace loquat::http
