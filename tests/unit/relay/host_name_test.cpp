#include "relay/host_name.hpp"

#include <gtest/gtest.h>

namespace smartvpn::relay {
namespace {

using namespace std::string_literals;

TEST(HostName, OneNameHasOneText) {
  EXPECT_EQ(normalise_host("example.com"), "example.com");
  EXPECT_EQ(normalise_host("EXAMPLE.Com"), "example.com");
  EXPECT_EQ(normalise_host("example.com."), "example.com");
  EXPECT_EQ(normalise_host("AZ-az_09.x"), "az-az_09.x");
  EXPECT_EQ(normalise_host("localhost"), "localhost");
  EXPECT_EQ(normalise_host("-a-"), "-a-");
  EXPECT_EQ(normalise_host("xn--bcher-kva.example"), "xn--bcher-kva.example");
}

TEST(HostName, WhatIsNoNameIsNone) {
  for (std::string_view text : {"",
                                ".",
                                "..",
                                "a..b",
                                ".a",
                                "a..",
                                "*",
                                "*.a",
                                "a b",
                                " a",
                                "a ",
                                "a:1",
                                "a/b",
                                "[::1]",
                                "::1",
                                "a@b",
                                "a%b",
                                "a,b",
                                "a\\b",
                                "b\xc3\xbc"
                                "cher.example",
                                "a\x7f",
                                "a\t"})
    EXPECT_EQ(normalise_host(text), std::nullopt) << text;
  EXPECT_EQ(normalise_host("a\0b"s), std::nullopt);
  EXPECT_EQ(normalise_host("a\0"s), std::nullopt);
}

TEST(HostName, EveryByteIsLetterDigitHyphenUnderscoreOrRefused) {
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const std::string lower = "abcdefghijklmnopqrstuvwxyz0123456789-_", upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const bool good = (lower + upper + ".").find(c) != std::string::npos;
    EXPECT_EQ(normalise_host("x"s + c + "x").has_value(), good) << byte;
  }
}

TEST(HostName, AddressesAreNoNames) {
  EXPECT_EQ(normalise_host("192.0.2.1"), std::nullopt);
  EXPECT_EQ(normalise_host("192.0.2.1."), std::nullopt);
  EXPECT_EQ(normalise_host("192.0.2.1.example"), "192.0.2.1.example");
}

TEST(HostName, LengthsOfLabelsAndOfTheWhole) {
  const std::string label(63, 'a');
  EXPECT_EQ(normalise_host(label), label);
  EXPECT_EQ(normalise_host(label + "a"), std::nullopt);
  EXPECT_EQ(normalise_host("b." + label + "a.c"), std::nullopt);
  const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'b');
  ASSERT_EQ(longest.size(), 253u);
  EXPECT_EQ(normalise_host(longest), longest);
  EXPECT_EQ(normalise_host(longest + "."), longest);
  EXPECT_EQ(normalise_host(longest + "b"), std::nullopt);
  EXPECT_EQ(normalise_host(longest + ".."), std::nullopt);
}

TEST(Authority, NamesAndAddressesWithAndWithoutAPort) {
  const auto parsed = parse_authority("Name.Example.:08443");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->host, "name.example");
  EXPECT_EQ(parsed->port, 8443);
  EXPECT_EQ(parse_authority("name")->port, std::nullopt);
  EXPECT_EQ(parse_authority("name:0")->port, 0);
  EXPECT_EQ(parse_authority("name:65535")->port, 65535);
  EXPECT_EQ(host_of_authority("1.2.3.4:80"), "1.2.3.4");
  EXPECT_EQ(host_of_authority("1.2.3.4"), "1.2.3.4");
  EXPECT_EQ(host_of_authority("[2001:DB8::0:1]:80"), "2001:db8::1");
  EXPECT_EQ(host_of_authority("[2001:db8::1]"), "2001:db8::1");
  EXPECT_EQ(parse_authority("[::1]:22")->port, 22);
}

TEST(Authority, AMappedAddressIsItsIpv4Address) { EXPECT_EQ(host_of_authority("[::ffff:192.0.2.1]:1"), "192.0.2.1"); }

TEST(Authority, AnythingElseIsMalformed) {
  for (std::string_view text :
       {"",         ":",           ":80",     "a:",    "a:x",   "a:-1",         "a:+1",         "a: 1",   "a:65536",
        "a:000080", "a:99999",     "a:1:2",   "a:80 ", " a:80", "user@a:80",    "a/",           "[::1",   "::1",
        "[::1]80",  "[::1]:",      "[::1]]",  "[]",    "[]:1",  "[::1%eth0]:1", "[1.2.3.4]:80", "[a]:80", "[v1.x]",
        "[[::1]]",  "1.2.3.4.:80", "a..b:80", "*:80",  "a,b",   "http://a"})
    EXPECT_EQ(parse_authority(text).has_value(), false) << text;
  EXPECT_EQ(host_of_authority("a\0:80"s), std::nullopt);
  EXPECT_EQ(host_of_authority("a:8\0"s), std::nullopt);
}

}  // namespace
}  // namespace smartvpn::relay
