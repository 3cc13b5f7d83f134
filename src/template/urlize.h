#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "template/memory.h"

namespace loquat::tmpl {

struct UrlizeStyle {
  std::int64_t trim_limit = -1;  ///< code points of the shown address, -1: all
  std::string rel;
  std::string target;
  std::vector<std::string> schemes;
};

/// Makes the web and mail addresses of an HTML-escaped text clickable, as Jinja2's utils.urlize. Takes linear time.
void urlize(std::string_view escaped, const UrlizeStyle& style, Builder& out);

}  // namespace loquat::tmpl
