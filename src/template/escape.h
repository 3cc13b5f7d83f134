#pragma once

#include <string_view>

#include "template/memory.h"
#include "template/template.h"
#include "template/value.h"

namespace loquat::tmpl {

/// Writes the output of a rendering under one of the Escape modes, keeping track of where in a JSON text it stands.
class Escaper {
 public:
  explicit Escaper(Escape mode) noexcept : mode_(mode) {}
  [[nodiscard]] bool active() const noexcept { return mode_ != Escape::none; }

  /// Literal text of the template.
  void literal(std::string_view text, Builder& out);
  /// What an expression gave.
  void value(Runtime& rt, const Value& value, Builder& out);

 private:
  void url(Runtime& rt, const Value& value, Builder& out);
  void json(Runtime& rt, const Value& value, Builder& out);

  Escape mode_;
  bool in_string_ = false;
  bool after_backslash_ = false;
};

}  // namespace loquat::tmpl
