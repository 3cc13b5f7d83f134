#include <cstdio>
#include <iostream>
#include <string>

#include "core/error.h"
#include "core/json.h"
#include "template/template.h"

/// Renders templates for the tests that compare with Jinja2. Reads JSON lines {"template", "variables", "escape"?} from standard
/// input, writes one line for each: {"output"} or {"error"}.
namespace {

using loquat::tmpl::Escape;

[[nodiscard]] Escape escape_of(std::string_view name) {
  return name == "url" ? Escape::url : name == "json_string" ? Escape::json_string : Escape::none;
}

[[nodiscard]] loquat::json::object answer(const std::string& line) {
  loquat::json::object out;
  try {
    const loquat::json::value task = loquat::parse_json(line);
    const loquat::json::value* variables = loquat::find_member(task, "variables");
    const auto compiled = loquat::tmpl::Template::compile(loquat::string_member(task, "template"));
    const loquat::json::object none;
    const bool given = variables != nullptr && variables->is_object();
    out["output"] = compiled.render(given ? variables->get_object() : none, {}, escape_of(loquat::string_member(task, "escape")));
  } catch (const loquat::Error& error) {
    out["error"] = error.what();
  }
  return out;
}

}  // namespace

int main() {
  std::ios::sync_with_stdio(false);
  std::string line;
  while (std::getline(std::cin, line)) {
    const std::string text = loquat::to_json(answer(line), {.ascii = true});
    std::cout << text << '\n' << std::flush;
  }
  return 0;
}
