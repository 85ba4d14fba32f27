#include "inet/address.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <random>

namespace smartvpn::inet {
namespace {

TEST(IpAddress, ParsesAndPrintsBothFamilies) {
  const char* same[] = {
      "0.0.0.0", "192.0.2.7", "255.255.255.255", "::", "::1", "2001:db8::7", "fe80::1:0:0:1", "1:0:0:2::3"};
  for (auto text : same) {
    auto ip = IpAddress::parse(text);
    ASSERT_TRUE(ip) << text;
    EXPECT_EQ(ip->text(), text);
  }
  EXPECT_EQ(IpAddress::parse("2001:DB8:0:0:0:0:0:7")->text(), "2001:db8::7");
  for (auto text :
       {"", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "1.2.3.4 ", ":", ":::", "1::2::3", "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::8:9", "12345::", "fe80::1%eth0", "[::1]", "::1.2.3", "::g", "1:"})
    EXPECT_FALSE(IpAddress::parse(text)) << text;
}

TEST(IpAddress, MappedAddressIsIpv4Everywhere) {
  auto mapped = IpAddress::parse("::ffff:192.0.2.7");
  ASSERT_TRUE(mapped);
  EXPECT_EQ(*mapped, *IpAddress::parse("192.0.2.7"));
  EXPECT_EQ(Cidr::parse("::ffff:10.0.0.0/104"), Cidr::parse("10.0.0.0/8"));
  EXPECT_FALSE(Cidr::parse("::ffff:10.0.0.0/95"));
}

TEST(IpAddress, AgreesWithInetPtonOnRandomTexts) {
  std::mt19937 random(7);
  const std::string alphabet = "0123456789abcdef::::..";
  for (int i = 0; i < 200000; ++i) {
    std::string text;
    size_t length = random() % 20;
    for (size_t k = 0; k < length; ++k) text += alphabet[random() % alphabet.size()];
    uint8_t v4[4], v6[16];
    bool is4 = inet_pton(AF_INET, text.c_str(), v4) == 1;
    bool is6 = inet_pton(AF_INET6, text.c_str(), v6) == 1;
    EXPECT_EQ(IpAddress::parse(text).has_value(), is4 || is6) << text;
  }
}

TEST(IpAddress, PrintsLikeInetNtop) {
  std::mt19937 random(11);
  for (int i = 0; i < 20000; ++i) {
    std::array<uint8_t, 16> bytes{};
    for (auto& b : bytes) b = random() % 3 ? 0 : static_cast<uint8_t>(random());
    bytes[0] |= 0x20;
    char text[64];
    inet_ntop(AF_INET6, bytes.data(), text, sizeof text);
    EXPECT_EQ(IpAddress::v6(bytes).text(), text);
  }
}

TEST(Endpoint, NeedsAPortAndBracketsAroundIpv6) {
  EXPECT_EQ(Endpoint::parse("192.0.2.7:443")->text(), "192.0.2.7:443");
  EXPECT_EQ(Endpoint::parse("[2001:db8::7]:443")->text(), "[2001:db8::7]:443");
  for (auto text : {"192.0.2.7", "2001:db8::7:443", "[192.0.2.7]:443", "192.0.2.7:65536", "192.0.2.7:", "[::1]443"})
    EXPECT_FALSE(Endpoint::parse(text)) << text;
}

TEST(Cidr, ContainsOverlapsAndLast) {
  auto net = *Cidr::parse("10.8.0.0/24");
  EXPECT_TRUE(net.contains(*IpAddress::parse("10.8.0.255")));
  EXPECT_FALSE(net.contains(*IpAddress::parse("10.8.1.0")));
  EXPECT_FALSE(net.contains(*IpAddress::parse("::1")));
  EXPECT_EQ(net.last().text(), "10.8.0.255");
  EXPECT_TRUE(net.overlaps(*Cidr::parse("10.0.0.0/8")));
  EXPECT_EQ(Cidr::parse("10.8.0.7/24")->text(), "10.8.0.0/24");
  EXPECT_FALSE(Cidr::parse("10.8.0.7/24", false));
  EXPECT_EQ(Cidr::parse("fd00::/64")->last().text(), "fd00::ffff:ffff:ffff:ffff");
  EXPECT_EQ(IpAddress::parse("10.0.0.255")->plus(2).text(), "10.0.1.1");
  EXPECT_EQ(IpAddress::parse("fd00::ffff")->plus(1).text(), "fd00::1:0");
}

}  // namespace
}  // namespace smartvpn::inet
