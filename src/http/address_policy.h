#pragma once

#include <sys/socket.h>

#include "core/network.h"
#include "http/client.h"

namespace loquat::http {

[[nodiscard]] bool is_allowed(const AddressPolicy& policy, const IpAddress& address);
/// The address of an IPv4 or IPv6 socket address; empty for other families.
[[nodiscard]] std::optional<IpAddress> find_address(const sockaddr& address) noexcept;

}  // namespace loquat::http
