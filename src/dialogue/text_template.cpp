#include "dialogue/text_template.h"

#include "core/error.h"

namespace loquat::dialogue {
namespace {

/// A template's error may quote what a person wrote ("invalid literal for int(): '...'"), and that is not for the log.
std::string without_quotes(std::string_view text) {
  std::string out;
  for (;;) {
    const auto open = text.find('\'');
    out += text.substr(0, open);
    if (open == std::string_view::npos) return out;
    const auto close = text.rfind('\'');
    if (close == open) return out + "'...";
    out += "'...'";
    text.remove_prefix(close + 1);
  }
}

}  // namespace

TextTemplate::TextTemplate(std::string_view source) {
  try {
    template_ = tmpl::Template::compile(source);
    if (template_->is_plain()) plain_ = template_->render({});
  } catch (const Error& error) {
    template_.reset();
    plain_.reset();
    fault_ = error.what();
  }
}

std::expected<std::string, std::string> TextTemplate::render(const json::object& variables, tmpl::Escape escape) const {
  if (plain_) return *plain_;
  if (!template_) return std::unexpected(fault_);
  try {
    return template_->render(variables, {}, escape);
  } catch (const std::exception& error) {
    return std::unexpected(without_quotes(error.what()));
  }
}

}  // namespace loquat::dialogue
