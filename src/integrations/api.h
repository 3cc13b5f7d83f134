#pragma once

#include "http/router.h"
#include "integrations/store.h"

namespace loquat::integrations {

/// /integrations and, the same, /admin/integrations. `store` must outlive the router. Secrets are masked in every answer but those to
/// SERVICE_TOKEN.
void add_routes(http::Router& router, Store& store);

}  // namespace loquat::integrations
