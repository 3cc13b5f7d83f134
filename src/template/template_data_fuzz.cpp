#include <cstdint>
#include <string_view>

#include "core/error.h"
#include "template/template.h"

/// A template, a zero byte, and its variables as JSON, under every escaping. With Escape::json_string, a template that is one value
/// must always give JSON.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using loquat::tmpl::Escape;
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const std::size_t zero = all.find('\0');
  if (zero == std::string_view::npos) {
    return 0;
  }
  loquat::json::value variables;
  loquat::JsonError error;
  if (!loquat::try_parse_json(all.substr(zero + 1), variables, error) || !variables.is_object()) {
    return 0;
  }
  const loquat::tmpl::Limits limits{.output_bytes = 65536, .memory_bytes = 1 << 20, .steps = 20'000, .depth = 20};
  for (const Escape escape : {Escape::none, Escape::url, Escape::json_string}) {
    try {
      (void)loquat::tmpl::Template::compile(all.substr(0, zero)).render(variables.get_object(), limits, escape);
    } catch (const loquat::Error&) {
    }
  }
  for (const char* source : {"{\"a\": \"{{ v }}\"}", "{\"a\": {{ v }}}"}) {
    const std::string text = loquat::tmpl::Template::compile(source).render(variables.get_object(), limits, Escape::json_string);
    loquat::json::value read;
    if (!loquat::try_parse_json(text, read, error) || !read.is_object() || read.get_object().size() != 1) {
      __builtin_trap();
    }
  }
  return 0;
}
