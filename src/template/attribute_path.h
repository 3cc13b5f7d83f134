#pragma once

#include "template/library.h"

namespace loquat::tmpl {

/// What filters take as `attribute`: "address.city", a number, or nothing.
class AttributePath {
 public:
  /// `attribute` may be null. `fallback`: replaces what is undefined on the way; null: nothing does.
  AttributePath(Runtime& rt, const Value* attribute, const Value* fallback = nullptr);
  [[nodiscard]] Value get(Runtime& rt, Value item) const;

 private:
  Vec<Value> parts_;
  Value fallback_;
};

/// Lower case for text, anything else as it is: how filters sort and compare unless case_sensitive.
[[nodiscard]] Value ignore_case(Runtime& rt, const Value& value);

/// An iterator over the items of a list made beforehand.
[[nodiscard]] Value iterate_list(Runtime& rt, List* list, std::string_view type_name = "generator");

}  // namespace loquat::tmpl
