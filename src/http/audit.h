#pragma once

#include <initializer_list>
#include <string_view>

#include "core/log.h"
#include "http/message.h"

namespace loquat::http {

/// One line of the log "audit": who changed what, by which request. Never with a secret. At most two more fields. Thread-safe.
void audit(const Request& request, std::string_view what, std::string_view id, std::initializer_list<log::Field> more = {});

}  // namespace loquat::http
