#include "http/audit.h"

namespace loquat::http {

void audit(const Request& request, std::string_view what, std::string_view id, std::initializer_list<log::Field> more) {
  // The log takes a fixed list.
  const log::Field who("who", request.principal.name);
  const log::Field request_id("request_id", request.request_id);
  const auto* extra = more.begin();
  switch (more.size()) {
    case 0: return log::info("audit", what, {who, {"what", what}, {"id", id}, request_id});
    case 1: return log::info("audit", what, {who, {"what", what}, {"id", id}, request_id, extra[0]});
    default: return log::info("audit", what, {who, {"what", what}, {"id", id}, request_id, extra[0], extra[1]});
  }
}

}  // namespace loquat::http
