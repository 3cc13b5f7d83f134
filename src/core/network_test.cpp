#include "core/network.h"

#include <gtest/gtest.h>

namespace loquat {
namespace {

IpAddress address(std::string_view text) {
  const auto parsed = IpAddress::parse(text);
  EXPECT_TRUE(parsed) << text;
  return parsed.value_or(IpAddress());
}

TEST(IpAddress, ReadsBothFamiliesAndPrintsThem) {
  EXPECT_EQ(address("192.0.2.1").to_string(), "192.0.2.1");
  EXPECT_EQ(address("::ffff:192.0.2.1"), address("192.0.2.1"));
  EXPECT_EQ(address("[2001:DB8::1]").to_string(), "2001:db8::1");
  EXPECT_EQ(address("fe80::1%eth0").to_string(), "fe80::1");
  for (const auto* wrong : {"", "127.1", "1.2.3.4.5", "256.1.1.1", "::g", "1.2.3.4 ", "host", "0x7f.0.0.1", ":::"}) {
    EXPECT_FALSE(IpAddress::parse(wrong)) << wrong;
  }
  EXPECT_FALSE(IpAddress::parse(std::string_view("1.2.3.4\0", 8)));
}

TEST(IpAddress, KnowsWhatIsPublic) {
  for (const auto* text :
       {"8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.0", "100.63.255.255", "100.128.0.0", "192.0.1.0", "198.17.255.255", "198.20.0.0",
        "223.255.255.255", "2606:4700::1111", "2a00::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:0808:0808::1", "2001:200::1"}) {
    EXPECT_TRUE(address(text).is_public()) << text;
  }
  for (const auto* text : {"0.0.0.0",
                           "0.1.2.3",
                           "10.0.0.1",
                           "100.64.0.1",
                           "100.127.255.255",
                           "127.0.0.1",
                           "127.255.255.255",
                           "169.254.169.254",
                           "172.16.0.1",
                           "172.31.255.255",
                           "192.0.0.1",
                           "192.0.2.1",
                           "192.88.99.1",
                           "192.168.1.1",
                           "198.18.0.1",
                           "198.19.255.255",
                           "198.51.100.7",
                           "203.0.113.9",
                           "224.0.0.1",
                           "239.255.255.250",
                           "240.0.0.1",
                           "255.255.255.255",
                           "::",
                           "::1",
                           "::127.0.0.1",
                           "::ffff:127.0.0.1",
                           "::ffff:10.0.0.1",
                           "64:ff9b::7f00:1",
                           "64:ff9b::169.254.169.254",
                           "64:ff9b:1::1",
                           "100::1",
                           "2002:7f00:1::",
                           "2002:0a00:0001::1",
                           "2001::1",
                           "2001:0:4136:e378::1",
                           "2001:db8::1",
                           "2001:20::1",
                           "3fff::1",
                           "5f00::1",
                           "fc00::1",
                           "fd12:3456::1",
                           "fe80::1",
                           "fec0::1",
                           "ff02::1",
                           "2a00::5efe:10.0.0.1",
                           "2a00::200:5efe:127.0.0.1"}) {
    EXPECT_FALSE(address(text).is_public()) << text;
  }
}

TEST(IpAddress, KnowsLoopback) {
  EXPECT_TRUE(address("127.8.9.1").is_loopback());
  EXPECT_TRUE(address("::1").is_loopback());
  EXPECT_TRUE(address("::ffff:127.0.0.1").is_loopback());
  EXPECT_FALSE(address("128.0.0.1").is_loopback());
  EXPECT_FALSE(address("::").is_loopback());
  EXPECT_FALSE(address("1::1").is_loopback());
}

bool in(std::string_view network, std::string_view text) {
  const auto parsed = IpNetwork::parse(network);
  EXPECT_TRUE(parsed) << network;
  return parsed && parsed->contains(address(text));
}

TEST(IpNetwork, ContainsWhatItsPrefixSays) {
  EXPECT_TRUE(in("10.0.0.0/8", "10.255.1.2"));
  EXPECT_FALSE(in("10.0.0.0/8", "11.0.0.0"));
  EXPECT_TRUE(in("172.16.99.1/12", "172.31.0.1"));
  EXPECT_FALSE(in("172.16.0.0/12", "172.32.0.1"));
  EXPECT_TRUE(in("127.0.0.1", "::ffff:127.0.0.1"));
  EXPECT_FALSE(in("127.0.0.1", "127.0.0.2"));
  EXPECT_TRUE(in("0.0.0.0/0", "8.8.8.8"));
  EXPECT_FALSE(in("0.0.0.0/0", "2001:db8::1"));
  EXPECT_TRUE(in("::/0", "2001:db8::1"));
  EXPECT_FALSE(in("::/0", "8.8.8.8"));
  EXPECT_TRUE(in("fd00::/8", "fdff::1"));
  EXPECT_TRUE(in("2001:db8::/33", "2001:db8:7fff::1"));
  EXPECT_FALSE(in("2001:db8::/33", "2001:db8:8000::1"));
  EXPECT_TRUE(in("::ffff:10.0.0.0/104", "10.1.1.1"));
}

TEST(IpNetwork, RefusesWhatIsNone) {
  for (const auto* wrong : {"", "/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "::/129", "loopback", "10.0.0.0/8/8"}) {
    EXPECT_FALSE(IpNetwork::parse(wrong)) << wrong;
  }
}

TEST(IpNetworks, AreSearchedTogether) {
  const std::vector<std::string> texts{"10.0.0.0/8", "nonsense", "::1"};
  const auto networks = parse_networks(texts);
  EXPECT_EQ(networks.size(), 2U);
  EXPECT_TRUE(contains(networks, address("10.2.3.4")));
  EXPECT_TRUE(contains(networks, address("::1")));
  EXPECT_FALSE(contains(networks, address("192.168.0.1")));
  EXPECT_FALSE(contains({}, address("10.2.3.4")));
}

}  // namespace
}  // namespace loquat
