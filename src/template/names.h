#pragma once

#include "template/ast.h"

namespace loquat::tmpl {

/// Decides for every name of a parsed template where its value is found, with Jinja2's scoping (idtracking.py and compiler.py):
/// `for`, `macro`, `call`, `with`, `filter` and block `set` have variables of their own, which start as copies of the outer ones when
/// they assign to them; `if` has none. Throws Failure; `line` then tells where.
void bind_names(Ast& ast, int& line);

}  // namespace loquat::tmpl
