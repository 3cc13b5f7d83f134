#pragma once

#include "template/objects.h"

namespace loquat::tmpl {

struct JsonText {
  std::int64_t indent = -1;  ///< -1: on one line
  bool sort_keys = false;
  bool ascii = false;
  bool spaced = false;   ///< ", " and ": "
  bool lenient = false;  ///< what JSON has no word for becomes null or a string; otherwise Failure
};

/// As Python's json.dumps.
void write_json(Runtime& rt, const Value& value, Builder& out, const JsonText& style);

}  // namespace loquat::tmpl
