#include "http/address_policy.h"

#include <netinet/in.h>

#include <bit>
#include <cstring>

namespace loquat::http {

bool is_allowed(const AddressPolicy& policy, const IpAddress& address) {
  if (!policy.public_only || address.is_public()) return true;
  return contains(parse_networks(policy.allowed), address);
}

std::optional<IpAddress> find_address(const sockaddr& address) noexcept {
  if (address.sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    return IpAddress(std::bit_cast<std::array<std::uint8_t, 4>>(v4.sin_addr));
  }
  if (address.sa_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address, sizeof v6);
    return IpAddress(std::bit_cast<std::array<std::uint8_t, 16>>(v6.sin6_addr));
  }
  return std::nullopt;
}

}  // namespace loquat::http
