#pragma once

#include <string>
#include <string_view>

#include "core/json.h"
#include "core/schema.h"
#include "integrations/integration.h"

/// What clients send about an integration, read with pydantic's rules. Pure. Everything throws Error(invalid) with FastAPI's issues.
namespace loquat::integrations {

/// The members of the request bodies. `settings` null means {}.
struct Body {
  std::string id;
  std::string name;
  std::string description;
  bool status = false;
  std::optional<json::object> settings;
};

/// An update, to be applied to what is stored.
class Change {
 public:
  Change(Body body, schema::Present present, bool merge) : body_(std::move(body)), present_(std::move(present)), merge_(merge) {}

  /// Sets the members that were sent. May be called more than once, on any thread.
  void apply(Integration& integration) const;

 private:
  Body body_;
  schema::Present present_;
  bool merge_;  ///< settings merge by RFC 7396
};

/// POST.
[[nodiscard]] Integration read_new(std::string_view text, std::string_view content_type);
/// PUT: id, name and description must be there.
[[nodiscard]] Change read_put(std::string_view text, std::string_view content_type);
/// PATCH, also as application/merge-patch+json.
[[nodiscard]] Change read_patch(std::string_view text, std::string_view content_type);

// For the OpenAPI document.
[[nodiscard]] json::object new_schema();
[[nodiscard]] json::object put_schema();
[[nodiscard]] json::object patch_schema();
[[nodiscard]] json::object integration_schema();

}  // namespace loquat::integrations
