#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace loquat {

/// An IPv4 or IPv6 address. IPv4 is kept as IPv4-mapped IPv6 (::ffff:a.b.c.d), so both spellings of it are equal.
class IpAddress {
 public:
  /// ::
  IpAddress() = default;
  explicit IpAddress(const std::array<std::uint8_t, 16>& v6) noexcept : bytes_(v6) {}
  explicit IpAddress(const std::array<std::uint8_t, 4>& v4) noexcept;

  /// "192.0.2.1", "2001:db8::1", "[2001:db8::1]"; a zone ("%eth0") is dropped. No short IPv4 forms ("127.1").
  [[nodiscard]] static std::optional<IpAddress> parse(std::string_view text);

  [[nodiscard]] bool is_v4() const noexcept;
  [[nodiscard]] const std::array<std::uint8_t, 16>& bytes() const noexcept { return bytes_; }
  /// IPv4 in dotted form.
  [[nodiscard]] std::string to_string() const;

  /// Whether it belongs to a host of the public internet: not private, shared, loopback, link-local, multicast,
  /// documentation or reserved (the special-purpose registries of RFC 6890 and its updates). An address that carries
  /// an IPv4 one (mapped, NAT64, 6to4, ISATAP) is only as public as that one; Teredo and everything that is not global
  /// unicast is not public.
  [[nodiscard]] bool is_public() const noexcept;
  [[nodiscard]] bool is_loopback() const noexcept;

  auto operator<=>(const IpAddress&) const = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
};

/// A network in CIDR form.
class IpNetwork {
 public:
  /// "10.0.0.0/8", "fd00::/8"; without a prefix length the one address. Bits beyond the prefix do not count.
  [[nodiscard]] static std::optional<IpNetwork> parse(std::string_view text);
  [[nodiscard]] bool contains(const IpAddress& address) const noexcept;

 private:
  IpAddress base_;
  unsigned prefix_ = 128;  ///< of the 128 bits; an IPv4 /8 is 104
};

/// Parses each; those that are no networks are left out (settings are checked where they are read).
[[nodiscard]] std::vector<IpNetwork> parse_networks(std::span<const std::string> texts);
[[nodiscard]] bool contains(std::span<const IpNetwork> networks, const IpAddress& address) noexcept;

}  // namespace loquat
