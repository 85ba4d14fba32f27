#include "transport/ws/forwarded.hpp"

#include <gtest/gtest.h>

namespace smartvpn::ws {
namespace {

using Lines = std::vector<std::string_view>;

bool trusted(const inet::IpAddress& ip) {
  return inet::Cidr::parse("10.0.0.0/8")->contains(ip) || inet::Cidr::parse("fd00::/8")->contains(ip);
}
std::string text(const Result<inet::Endpoint>& client) { return client ? client->text() : "refused"; }
std::string xff(const Lines& lines) { return text(client_of_x_forwarded_for(lines, trusted)); }
std::string rfc7239(const Lines& lines) { return text(client_of_forwarded(lines, trusted)); }
std::string single(const Lines& lines) { return text(client_of_single(lines)); }
std::string node(std::string_view from, bool bare_v6 = true, bool hidden_ports = true) {
  auto parsed = parse_node(from, bare_v6, hidden_ports);
  return parsed ? parsed->text() : "refused";
}

TEST(Forwarded, NodesWithAndWithoutPorts) {
  EXPECT_EQ(node("192.0.2.7"), "192.0.2.7:0");
  EXPECT_EQ(node("192.0.2.7:4711"), "192.0.2.7:4711");
  EXPECT_EQ(node("2001:db8::7"), "[2001:db8::7]:0");
  EXPECT_EQ(node("[2001:db8::7]"), "[2001:db8::7]:0");
  EXPECT_EQ(node("[2001:db8::7]:65535"), "[2001:db8::7]:65535");
  EXPECT_EQ(node("192.0.2.7:_secret"), "192.0.2.7:0");
  EXPECT_EQ(node("192.0.2.7:_secret", true, false), "refused");
  EXPECT_EQ(node("2001:db8::7", false), "refused");
}

TEST(Forwarded, APortlessEndpointIsParsedAgain) {
  for (const char* from : {"192.0.2.7", "2001:db8::7"}) {
    auto client = parse_node(from, true, false);
    ASSERT_TRUE(client);
    EXPECT_EQ(inet::Endpoint::parse(client->text()), client);
  }
}

TEST(Forwarded, MappedAddressesAreIpv4) {
  EXPECT_EQ(node("::ffff:192.0.2.7"), "192.0.2.7:0");
  EXPECT_EQ(node("[::ffff:192.0.2.7]:80"), "192.0.2.7:80");
  EXPECT_EQ(xff({"198.51.100.7, ::ffff:10.1.2.3"}), "198.51.100.7:0");  // the proxy is trusted as IPv4
}

TEST(Forwarded, NoClientHasTheseAddresses) {
  for (const char* bad : {"",
                          " ",
                          ":",
                          ":80",
                          "unknown",
                          "_hidden",
                          "localhost",
                          "192.0.2",
                          "192.0.2.256",
                          "192.0.2.07",
                          "1.2.3.4.5",
                          "192.0.2.7:",
                          "192.0.2.7:65536",
                          "192.0.2.7:-1",
                          "192.0.2.7:+1",
                          "192.0.2.7: 80",
                          "192.0.2.7:80x",
                          "192.0.2.7 x",
                          "192.0.2.7/32",
                          "[192.0.2.7]",
                          "[192.0.2.7]:80",
                          "[2001:db8::7",
                          "2001:db8::7]",
                          "[2001:db8::7]80",
                          "[2001:db8::7]:",
                          "[]",
                          "[]:80",
                          "[[2001:db8::7]]",
                          "fe80::1%eth0",
                          "[fe80::1%25eth0]",
                          "0.0.0.0",
                          "::",
                          "[::]:80",
                          "224.0.0.1",
                          "ff02::1",
                          "255.255.255.255",
                          "\"192.0.2.7\"",
                          "192.0.2.7:_"})
    EXPECT_EQ(node(bad), "refused") << bad;
}

TEST(Forwarded, TheRightMostAddressThatIsNoProxysWins) {
  EXPECT_EQ(xff({"198.51.100.7"}), "198.51.100.7:0");
  EXPECT_EQ(xff({"203.0.113.9, 198.51.100.7"}), "198.51.100.7:0");
  EXPECT_EQ(xff({"203.0.113.9,198.51.100.7 ,\t10.0.0.1,10.0.0.2"}), "198.51.100.7:0");
  EXPECT_EQ(xff({"198.51.100.7:99, [fd00::1]:443"}), "198.51.100.7:99");
  EXPECT_EQ(xff({"2001:db8::7, fd00::1"}), "[2001:db8::7]:0");
}

TEST(Forwarded, WithProxiesOnlyTheLeftMostOneIsTheClient) {
  EXPECT_EQ(xff({"10.0.0.3, 10.0.0.2, 10.0.0.1"}), "10.0.0.3:0");
  EXPECT_EQ(xff({"10.0.0.3", "10.0.0.1"}), "10.0.0.3:0");
  EXPECT_EQ(rfc7239({"for=10.0.0.3, for=10.0.0.1"}), "10.0.0.3:0");
}

TEST(Forwarded, SeveralLinesAreOneListInOrder) {
  EXPECT_EQ(xff({"203.0.113.9", "198.51.100.7"}), "198.51.100.7:0");
  EXPECT_EQ(xff({"203.0.113.9, 198.51.100.7", "10.0.0.2, 10.0.0.1"}), "198.51.100.7:0");
  EXPECT_EQ(rfc7239({"for=203.0.113.9", "for=198.51.100.7", "for=10.0.0.1"}), "198.51.100.7:0");
}

TEST(Forwarded, WhatStandsLeftOfTheClientIsNotLookedAt) {
  EXPECT_EQ(xff({"garbage\x01 [[, unknown, 198.51.100.7, 10.0.0.1"}), "198.51.100.7:0");
  EXPECT_EQ(xff({"", "198.51.100.7"}), "198.51.100.7:0");
}

TEST(Forwarded, GarbageOnTheWayToTheClientIsRefused) {
  for (const char* bad : {"", ",", " , ", "198.51.100.7,", "198.51.100.7, ,10.0.0.1", "198.51.100.7, unknown",
                          "198.51.100.7, _hidden, 10.0.0.1", "198.51.100.7; 10.0.0.1", "\"198.51.100.7\""})
    EXPECT_EQ(xff({bad}), "refused") << bad;
  EXPECT_EQ(xff({"198.51.100.7", ""}), "refused");
  EXPECT_EQ(xff({}), "refused");
}

TEST(Forwarded, Rfc7239InAllItsSpellings) {
  EXPECT_EQ(rfc7239({"for=192.0.2.60;proto=http;by=203.0.113.43"}), "192.0.2.60:0");
  EXPECT_EQ(rfc7239({"For=\"[2001:db8:cafe::17]:4711\""}), "[2001:db8:cafe::17]:4711");
  EXPECT_EQ(rfc7239({"FOR=\"192.0.2.43:47011\";host=\"a,b;c=\\\"d\""}), "192.0.2.43:47011");
  EXPECT_EQ(rfc7239({"for=\"\\1\\92.0.2.43\""}), "192.0.2.43:0");
  EXPECT_EQ(rfc7239({"by=10.0.0.1 ; proto=https ; for=192.0.2.43"}), "192.0.2.43:0");
  EXPECT_EQ(rfc7239({"proto=https;;for=192.0.2.43;"}), "192.0.2.43:0");
  EXPECT_EQ(rfc7239({"for=192.0.2.43, for=198.51.100.17;by=10.0.0.1,for=10.0.0.1"}), "198.51.100.17:0");
  EXPECT_EQ(rfc7239({"for=\"192.0.2.43:_gazonk\""}), "192.0.2.43:0");
}

TEST(Forwarded, Rfc7239WithADoubtIsRefused) {
  for (const char* bad : {"",
                          ",",
                          "for",
                          "for=",
                          "=192.0.2.7",
                          "for =192.0.2.7",
                          "for= 192.0.2.7",
                          "for=unknown",
                          "for=_hidden",
                          "for=\"_SEVKISEK\"",
                          "for=192.0.2.7:80",
                          "for=[2001:db8::7]",
                          "for=2001:db8::7",
                          "for=\"2001:db8::7\"",
                          "for=\"192.0.2.7",
                          "for=\"192.0.2.7\\",
                          "for=\"192.0.2.7\"x",
                          "for=\"192.0.2.7\" x",
                          "proto=https",
                          "for=192.0.2.7, proto=https",
                          "for=192.0.2.7,",
                          "for=192.0.2.7;for=192.0.2.8",
                          "for=192.0.2.7 for=192.0.2.8",
                          "for=\"192.0.2.7, for=192.0.2.8",
                          "for=192.0.2.7/8",
                          "f(r=192.0.2.7"})
    EXPECT_EQ(rfc7239({bad}), "refused") << bad;
  EXPECT_EQ(rfc7239({}), "refused");
}

// A client that leaves a quote open swallows nothing of what the proxy appends.
TEST(Forwarded, AForgedOpenQuoteRefusesTheRequest) {
  EXPECT_EQ(rfc7239({"for=\"203.0.113.9", "for=198.51.100.7"}), "refused");
  EXPECT_EQ(rfc7239({"for=203.0.113.9;x=\", for=198.51.100.7"}), "refused");
  EXPECT_EQ(rfc7239({"for=203.0.113.9;x=\", for=198.51.100.7;host=\"vpn\""}), "refused");
  EXPECT_EQ(rfc7239({"for=203.0.113.9;x=\"", "\", for=198.51.100.7"}), "refused");
}

TEST(Forwarded, SingleValuesComeOnceAndAlone) {
  EXPECT_EQ(single({"198.51.100.7"}), "198.51.100.7:0");
  EXPECT_EQ(single({" 2001:db8::7\t"}), "[2001:db8::7]:0");
  EXPECT_EQ(single({"10.0.0.1"}), "10.0.0.1:0");
  EXPECT_EQ(single({"198.51.100.7", "198.51.100.7"}), "refused");
  for (const char* bad : {"", "198.51.100.7, 198.51.100.8", "198.51.100.7,", "unknown", "for=198.51.100.7"})
    EXPECT_EQ(single({bad}), "refused") << bad;
  EXPECT_EQ(single({}), "refused");
}

TEST(Forwarded, HugeListsAreBounded) {
  std::string proxies, pairs, strangers;
  for (size_t i = 0; i < kMaxHops; ++i) {
    proxies += (i ? ", " : "") + std::string("10.0.0.1");
    pairs += (i ? ", " : "") + std::string("for=10.0.0.1");
  }
  EXPECT_EQ(xff({proxies}), "10.0.0.1:0");
  EXPECT_EQ(rfc7239({pairs}), "10.0.0.1:0");
  EXPECT_EQ(xff({"198.51.100.7", proxies}), "refused");
  EXPECT_EQ(rfc7239({"for=198.51.100.7", pairs}), "refused");
  for (int i = 0; i < 10000; ++i) strangers += "203.0.113.9, ";
  EXPECT_EQ(xff({strangers + "198.51.100.7"}), "198.51.100.7:0");
  EXPECT_EQ(rfc7239({std::string(10000, ',')}), "refused");
}

TEST(Forwarded, ErrorsQuoteNothing) {
  for (const auto& client : {client_of_x_forwarded_for(Lines{"<script>"}, trusted), client_of_single(Lines{"<script>"}),
                             client_of_forwarded(Lines{"for=\"<script>\""}, trusted)}) {
    ASSERT_FALSE(client);
    EXPECT_EQ(client.error().text.find('<'), std::string::npos);
    EXPECT_FALSE(client.error().text.empty());
  }
}

TEST(Forwarded, HeadersGoByTheirNameInAnyCase) {
  HttpHead head(HttpHead::Kind::request, {});
  size_t consumed = 0;
  const std::string request =
      "GET / HTTP/1.1\r\nHost: a\r\nX-FORWARDED-FOR: 203.0.113.9\r\nx-forwarded-for: 198.51.100.7, 10.0.0.1\r\n"
      "Forwarded: for=198.51.100.8\r\nCF-Connecting-IP: 198.51.100.9\r\n\r\n";
  ASSERT_EQ(head.feed(as_bytes(request), consumed), HttpHead::Outcome::done);
  auto found = [&](const char* name) { return text(find_client(head, RealIpHeader::named(name), trusted)); };
  EXPECT_EQ(found("x-forwarded-for"), "198.51.100.7:0");
  EXPECT_EQ(found("forwarded"), "198.51.100.8:0");
  EXPECT_EQ(found("cf-connecting-ip"), "198.51.100.9:0");
  EXPECT_EQ(found("x-real-ip"), "refused");
  EXPECT_EQ(found("off"), "refused");
}

}  // namespace
}  // namespace smartvpn::ws
