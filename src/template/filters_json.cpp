#include "template/json_text.h"
#include "template/library.h"
#include "template/pretty.h"

namespace loquat::tmpl {

namespace {

Value tojson(Runtime& rt, const Value& value, const Args& args) {
  const auto [indent] = bind<1>("tojson", args, {"indent"});
  JsonText style{.sort_keys = true, .ascii = true, .spaced = true};
  if (indent != nullptr && !indent->is(Kind::none)) {
    style.indent = std::max<std::int64_t>(index_of(*indent), 0);
    if (style.indent > 1000) {
      fail("tojson: the indent is too wide");
    }
  }
  Builder json(rt.memory);
  write_json(rt, value, json, style);
  Builder out(rt.memory);
  for (const char c : json.view()) {
    switch (c) {
      case '<': out.append("\\u003c"); break;
      case '>': out.append("\\u003e"); break;
      case '&': out.append("\\u0026"); break;
      case '\'': out.append("\\u0027"); break;
      default: out.append(c);
    }
  }
  return finish(rt, out, Str::markup | Str::json);
}

Value pprint(Runtime& rt, const Value& value, const Args& args) {
  expect_none("pprint", args);
  Builder out(rt.memory);
  pretty_print(rt, value, out);
  return finish(rt, out);
}

constexpr std::array<NamedNative, 2> table{{{"tojson", tojson}, {"pprint", pprint}}};

}  // namespace

NativeTable json_filters() noexcept { return table; }

}  // namespace loquat::tmpl
