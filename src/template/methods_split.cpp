#include <algorithm>
#include <cstring>
#include <limits>

#include "template/library.h"
#include "template/text_search.h"
#include "template/unicode.h"

/// Methods of str that cut it into lists, and the searches they need.
namespace loquat::tmpl {

namespace {

struct SplitArgs {
  const Value* separator;
  std::int64_t limit;
};

[[nodiscard]] SplitArgs split_args(const Args& args) {
  const auto [separator, limit] = bind<2>("split", args, {"sep", "maxsplit"});
  if (separator != nullptr && !separator->is(Kind::none) && string_of(*separator).empty()) {
    fail("empty separator");
  }
  const bool blank = separator == nullptr || separator->is(Kind::none);
  const std::int64_t given = index_or(limit, -1);
  return {blank ? nullptr : separator, given < 0 ? std::numeric_limits<std::int64_t>::max() : given};
}

void split_blank(Runtime& rt, const Value& self, std::int64_t limit, List& out) {
  std::string_view rest = self.text();
  rest.remove_prefix(leading_space(rest));
  while (!rest.empty()) {
    if (limit-- == 0) {
      out.items.push(rt.memory, part_of(rt, self, rest));
      return;
    }
    std::size_t end = 0;
    while (end < rest.size()) {
      std::size_t next = end;
      if (is_space(next_char(rest, next))) {
        break;
      }
      end = next;
    }
    out.items.push(rt.memory, part_of(rt, self, rest.substr(0, end)));
    rest.remove_prefix(end);
    rest.remove_prefix(leading_space(rest));
  }
}

void rsplit_blank(Runtime& rt, const Value& self, std::int64_t limit, List& out) {
  std::string_view rest = self.text();
  rest.remove_suffix(trailing_space(rest));
  while (!rest.empty()) {
    if (limit-- == 0) {
      out.items.push(rt.memory, part_of(rt, self, rest));
      break;
    }
    std::size_t start = rest.size();
    while (start > 0) {
      const std::size_t before = previous_char(rest, start);
      std::size_t at = before;
      if (is_space(next_char(rest, at))) {
        break;
      }
      start = before;
    }
    out.items.push(rt.memory, part_of(rt, self, rest.substr(start)));
    rest = rest.substr(0, start);
    rest.remove_suffix(trailing_space(rest));
  }
  std::reverse(out.items.begin(), out.items.end());
}

Value split(Runtime& rt, const Value& self, const Args& args) {
  auto [separator, limit] = split_args(args);
  rt.charge_bytes(self.string->size);
  List* out = rt.make_list();
  if (separator == nullptr) {
    split_blank(rt, self, limit, *out);
    return Value(out, Kind::list);
  }
  const std::string_view text = self.text();
  const std::string_view by = separator->text();
  std::size_t start = 0;
  for (std::size_t at = find_in(text, by); at != npos && limit > 0; at = find_in(text, by, start), --limit) {
    out->items.push(rt.memory, part_of(rt, self, text.substr(start, at - start)));
    start = at + by.size();
  }
  out->items.push(rt.memory, part_of(rt, self, text.substr(start)));
  return Value(out, Kind::list);
}

Value rsplit(Runtime& rt, const Value& self, const Args& args) {
  auto [separator, limit] = split_args(args);
  rt.charge_bytes(self.string->size);
  List* out = rt.make_list();
  if (separator == nullptr) {
    rsplit_blank(rt, self, limit, *out);
    return Value(out, Kind::list);
  }
  std::string_view rest = self.text();
  const std::string_view by = separator->text();
  for (std::size_t at = rfind_in(rt, rest, by); at != npos && limit > 0; at = rfind_in(rt, rest, by), --limit) {
    out->items.push(rt.memory, part_of(rt, self, rest.substr(at + by.size())));
    rest = rest.substr(0, at);
  }
  out->items.push(rt.memory, part_of(rt, self, rest));
  std::reverse(out->items.begin(), out->items.end());
  return Value(out, Kind::list);
}

Value splitlines(Runtime& rt, const Value& self, const Args& args) {
  const auto [keepends] = bind<1>("splitlines", args, {"keepends"});
  return Value(split_lines(rt, self, index_or(keepends, 0) != 0), Kind::list);
}

constexpr std::array<NamedNative, 3> table{{{"split", split}, {"rsplit", rsplit}, {"splitlines", splitlines}}};

}  // namespace

NativeTable split_methods() noexcept { return table; }

List* split_lines(Runtime& rt, const Value& self, bool keep_ends) {
  const std::string_view text = self.text();
  rt.charge_bytes(text.size());
  List* out = rt.make_list();
  std::size_t start = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t before = at;
    const char32_t c = next_char(text, at);
    if (!is_line_break(c)) {
      continue;
    }
    at += static_cast<std::size_t>(c == '\r' && at < text.size() && text[at] == '\n');
    out->items.push(rt.memory, part_of(rt, self, text.substr(start, (keep_ends ? at : before) - start)));
    start = at;
  }
  if (start < text.size()) {
    out->items.push(rt.memory, part_of(rt, self, text.substr(start)));
  }
  return out;
}

std::size_t find_in(std::string_view text, std::string_view wanted, std::size_t from) noexcept {
  if (from > text.size()) {
    return npos;
  }
  if (wanted.empty()) {
    return from;
  }
  const void* found = memmem(text.data() + from, text.size() - from, wanted.data(), wanted.size());
  return found == nullptr ? npos : static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

std::size_t rfind_in(Runtime& rt, std::string_view text, std::string_view wanted) {
  if (wanted.empty()) {
    return text.size();
  }
  if (wanted.size() == 1) {
    return text.rfind(wanted.front());
  }
  for (std::size_t end = text.size(); end >= wanted.size(); --end) {
    if (text[end - 1] == wanted.back() && text[end - wanted.size()] == wanted.front()) {
      rt.charge_bytes(wanted.size());
      if (text.substr(end - wanted.size(), wanted.size()) == wanted) {
        return end - wanted.size();
      }
    }
  }
  return npos;
}

}  // namespace loquat::tmpl
