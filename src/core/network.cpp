#include "core/network.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace loquat {

namespace {

constexpr std::array<std::uint8_t, 12> mapped_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct Block4 {
  std::uint32_t base;
  unsigned prefix;
};

constexpr std::uint32_t v4(unsigned a, unsigned b, unsigned c, unsigned d) { return a << 24U | b << 16U | c << 8U | d; }

/// IANA's special-purpose IPv4 addresses that are not globally reachable, and what is no unicast.
constexpr std::array not_public_v4{
    Block4{v4(0, 0, 0, 0), 8},      Block4{v4(10, 0, 0, 0), 8},     Block4{v4(100, 64, 0, 0), 10}, Block4{v4(127, 0, 0, 0), 8},
    Block4{v4(169, 254, 0, 0), 16}, Block4{v4(172, 16, 0, 0), 12},  Block4{v4(192, 0, 0, 0), 24},  Block4{v4(192, 0, 2, 0), 24},
    Block4{v4(192, 88, 99, 0), 24}, Block4{v4(192, 168, 0, 0), 16}, Block4{v4(198, 18, 0, 0), 15}, Block4{v4(198, 51, 100, 0), 24},
    Block4{v4(203, 0, 113, 0), 24}, Block4{v4(224, 0, 0, 0), 4},    Block4{v4(240, 0, 0, 0), 4},
};

bool is_public_v4(std::uint32_t address) {
  return std::ranges::none_of(not_public_v4, [address](const Block4& block) {
    const std::uint32_t mask = ~std::uint32_t{0} << (32U - block.prefix);
    return (address & mask) == block.base;
  });
}

/// The IPv4 address in four bytes of an IPv6 one.
std::uint32_t embedded(const std::array<std::uint8_t, 16>& bytes, std::size_t at) {
  return v4(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
}

bool starts_with(const std::array<std::uint8_t, 16>& bytes, std::initializer_list<std::uint8_t> prefix) {
  return std::equal(prefix.begin(), prefix.end(), bytes.begin());
}

bool is_public_v6(const std::array<std::uint8_t, 16>& b) {
  if (starts_with(b, {0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0})) return is_public_v4(embedded(b, 12));  // NAT64
  if ((b[0] & 0xe0U) != 0x20U) return false;                              // only 2000::/3 is global unicast
  if (starts_with(b, {0x20, 0x02})) return is_public_v4(embedded(b, 2));  // 6to4
  if (b[0] == 0x20 && b[1] == 0x01 && b[2] < 0x02) return false;          // 2001::/23: Teredo, ORCHID, benchmarks...
  if (starts_with(b, {0x20, 0x01, 0x0d, 0xb8})) return false;             // documentation
  if (b[0] == 0x3f && b[1] == 0xff && b[2] < 0x10) return false;          // documentation, 3fff::/20
  if ((b[8] & 0xfdU) == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe) return is_public_v4(embedded(b, 12));  // ISATAP
  return true;
}

}  // namespace

IpAddress::IpAddress(const std::array<std::uint8_t, 4>& v4_bytes) noexcept {
  std::ranges::copy(mapped_prefix, bytes_.begin());
  std::ranges::copy(v4_bytes, bytes_.begin() + 12);
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']') text = text.substr(1, text.size() - 2);
  const bool v6 = text.find(':') != std::string_view::npos;
  if (v6) text = text.substr(0, text.find('%'));
  const std::string copy(text);  // inet_pton wants a terminator
  if (copy.size() != std::char_traits<char>::length(copy.c_str())) return std::nullopt;
  if (v6) {
    std::array<std::uint8_t, 16> bytes{};
    if (inet_pton(AF_INET6, copy.c_str(), bytes.data()) != 1) return std::nullopt;
    return IpAddress(bytes);
  }
  std::array<std::uint8_t, 4> bytes{};
  if (inet_pton(AF_INET, copy.c_str(), bytes.data()) != 1) return std::nullopt;
  return IpAddress(bytes);
}

bool IpAddress::is_v4() const noexcept { return std::equal(mapped_prefix.begin(), mapped_prefix.end(), bytes_.begin()); }

std::string IpAddress::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (is_v4()) {
    inet_ntop(AF_INET, bytes_.data() + 12, text.data(), text.size());
  } else {
    inet_ntop(AF_INET6, bytes_.data(), text.data(), text.size());
  }
  return text.data();
}

bool IpAddress::is_public() const noexcept { return is_v4() ? is_public_v4(embedded(bytes_, 12)) : is_public_v6(bytes_); }

bool IpAddress::is_loopback() const noexcept {
  if (is_v4()) return bytes_[12] == 127;
  return std::all_of(bytes_.begin(), bytes_.end() - 1, [](std::uint8_t byte) { return byte == 0; }) && bytes_[15] == 1;
}

std::optional<IpNetwork> IpNetwork::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  IpNetwork network;
  network.base_ = *address;
  if (slash == std::string_view::npos) return network;
  const auto digits = text.substr(slash + 1);
  // "::ffff:10.0.0.0/104" is IPv6 notation: its prefix counts from the first of the 128 bits.
  const bool v4_notation = text.substr(0, slash).find(':') == std::string_view::npos;
  unsigned prefix = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
  if (error != std::errc() || end != digits.data() + digits.size() || prefix > (v4_notation ? 32U : 128U)) return std::nullopt;
  network.prefix_ = v4_notation ? prefix + 96 : prefix;
  return network;
}

bool IpNetwork::contains(const IpAddress& address) const noexcept {
  // "::/0" means IPv6: without this every IPv4 address, being mapped, would be in it.
  if (address.is_v4() && !base_.is_v4()) return false;
  const auto whole = prefix_ / 8;
  const auto& a = address.bytes();
  const auto& b = base_.bytes();
  if (!std::equal(a.begin(), a.begin() + whole, b.begin())) return false;
  const auto rest = prefix_ % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xffU << (8U - rest));
  return (a[whole] & mask) == (b[whole] & mask);
}

std::vector<IpNetwork> parse_networks(std::span<const std::string> texts) {
  std::vector<IpNetwork> networks;
  for (const auto& text : texts) {
    if (const auto network = IpNetwork::parse(text)) networks.push_back(*network);
  }
  return networks;
}

bool contains(std::span<const IpNetwork> networks, const IpAddress& address) noexcept {
  return std::ranges::any_of(networks, [&address](const IpNetwork& network) { return network.contains(address); });
}

}  // namespace loquat
