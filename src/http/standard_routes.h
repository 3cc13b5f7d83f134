#pragma once

#include <memory>
#include <string>

#include "http/readiness.h"
#include "http/router.h"
#include "http/server.h"

namespace loquat::http {

/// What every process serves.
struct StandardRoutes {
  std::shared_ptr<Readiness> readiness = {};  ///< null: always ready
  bool has_metrics = true;                    ///< METRICS_ENABLED; otherwise /metrics is not there
  std::string title = "Loquat";
  std::string version = LOQUAT_VERSION;
  std::string root_path = {};  ///< as in ServerSettings: the document's server URL
};

/// Adds /health, /readiness, /ready, /metrics, /openapi.json and /docs. The document describes all routes that are in
/// the router when it is first asked for; the router must outlive its routes' handlers.
void add_standard_routes(Router& router, StandardRoutes settings);

/// Adds GET and POST /login and POST /logout: an admin token becomes a session cookie. Guesses are limited by address.
void add_login_routes(Router& router, const ServerSettings& settings);

}  // namespace loquat::http
