#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "core/json.h"
#include "template/template.h"

namespace loquat::dialogue {

/// One text of a bot: a template, or why it is none. A faulty one does not keep the rest of the bot from talking.
class TextTemplate {
 public:
  explicit TextTemplate(std::string_view source);

  /// The text, or the fault in plain words that quote no value (they go to the log).
  [[nodiscard]] std::expected<std::string, std::string> render(const json::object& variables,
                                                               tmpl::Escape escape = tmpl::Escape::none) const;
  /// Why it cannot be compiled; empty: it can.
  [[nodiscard]] const std::string& fault() const noexcept { return fault_; }
  /// Without any tag; render() then does not look at the variables.
  [[nodiscard]] bool is_plain() const noexcept { return plain_.has_value(); }

 private:
  std::optional<tmpl::Template> template_;
  std::optional<std::string> plain_;
  std::string fault_;
};

}  // namespace loquat::dialogue
