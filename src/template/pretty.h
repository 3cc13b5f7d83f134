#pragma once

#include "template/objects.h"

namespace loquat::tmpl {

/// As Python's pprint.pformat: dicts sorted, lines of at most 80 columns.
void pretty_print(Runtime& rt, const Value& value, Builder& out);

}  // namespace loquat::tmpl
