#include "inet/inner_packet.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "support/inet_packets.hpp"

namespace smartvpn::inet {
namespace {

using namespace smartvpn::test;
namespace proto = ip_protocol;

constexpr const char *kA4 = "10.8.0.2", *kB4 = "192.0.2.9", *kA6 = "fd00:8::2", *kB6 = "2001:db8::9";

Bytes tcp4() { return tcp_packet(kA4, kB4, {.src_port = 1000, .dst_port = 443}, pattern(40)); }
Bytes udp4() { return udp_packet(kA4, 1000, kB4, 53, pattern(32)); }
Bytes udp6() { return udp_packet(kA6, 1000, kB6, 53, pattern(32)); }
Bytes udp6(const char* src, const char* dst) { return udp_packet(src, 1000, dst, 53, pattern(32)); }

Bytes with_ipv4_options(Bytes packet, Bytes options) {
  packet.insert(packet.begin() + 20, options.begin(), options.end());
  packet[0] = static_cast<uint8_t>(0x40 | (20 + options.size()) / 4);
  store_be16(packet.data() + 2, static_cast<uint16_t>(packet.size()));
  refresh_ipv4_checksum(packet.data(), 20 + options.size());
  return packet;
}

// Puts extension headers (all but their first byte, the next header, which is filled in here) between
// the IPv6 header and its payload.
struct Extension {
  uint8_t type;
  Bytes bytes;
};
Bytes with_extensions(const Bytes& packet, const std::vector<Extension>& chain) {
  Bytes out(packet.begin(), packet.begin() + 40);
  out[6] = chain.empty() ? packet[6] : chain[0].type;
  for (size_t i = 0; i < chain.size(); ++i) {
    Bytes header = chain[i].bytes;
    header[0] = i + 1 < chain.size() ? chain[i + 1].type : packet[6];
    append(out, header);
  }
  append(out, ByteView(packet).subspan(40));
  store_be16(out.data() + 4, static_cast<uint16_t>(out.size() - 40));
  return out;
}
Extension padding(uint8_t type) { return {type, {0, 0, 1, 4, 0, 0, 0, 0}}; }
Extension routing(uint8_t segments_left) { return {proto::kRouting, {0, 0, 4, segments_left, 0, 0, 0, 0}}; }

template <class Fn>
Bytes edited(Bytes packet, Fn edit, bool fix_v4 = true) {
  edit(packet);
  if (fix_v4 && packet[0] >> 4 == 4) refresh_ipv4_checksum(packet.data(), ip_header_size(packet));
  return packet;
}

Bytes quoting(const Bytes& quoted, const char* src, const char* dst) {
  return icmp_packet(src, dst, verbatim(src).is_v4() ? 3 : 1, 1,
                     ByteView(quoted).first(std::min<size_t>(48, quoted.size())));
}

struct Case {
  const char* name;
  Bytes packet;
  Drop want;
  ClassifyOptions options{};
};

std::vector<Case> ipv4_cases() {
  return {
      {"udp", udp4(), Drop::none},
      {"tcp", tcp4(), Drop::none},
      {"empty", {}, Drop::malformed_packet},
      {"one byte", {0x45}, Drop::malformed_packet},
      {"version 5", edited(udp4(), [](Bytes& p) { p[0] = 0x55; }), Drop::malformed_packet},
      {"header length 16", edited(udp4(), [](Bytes& p) { p[0] = 0x44; }), Drop::malformed_packet},
      {"header longer than packet",
       edited(
           ip_packet(kA4, kB4, 253, {}), [](Bytes& p) { p[0] = 0x4f; }, false),
       Drop::malformed_packet},
      {"total length below header", edited(udp4(), [](Bytes& p) { store_be16(p.data() + 2, 19); }),
       Drop::malformed_packet},
      {"total length beyond bytes", edited(udp4(), [](Bytes& p) { store_be16(p.data() + 2, 500); }),
       Drop::malformed_packet},
      {"bytes behind the packet", edited(udp4(), [](Bytes& p) { p.resize(p.size() + 4); }), Drop::malformed_packet},
      {"padding where allowed",
       edited(udp4(), [](Bytes& p) { p.resize(p.size() + 4); }),
       Drop::none,
       {.allow_padding = true}},
      {"header checksum wrong",
       edited(
           udp4(), [](Bytes& p) { p[10] ^= 1; }, false),
       Drop::malformed_packet},
      {"multicast source", udp_packet("224.0.0.5", 1, kB4, 2, {}), Drop::malformed_packet},
      {"broadcast source", udp_packet("255.255.255.255", 1, kB4, 2, {}), Drop::malformed_packet},
      {"multicast destination is only flagged", udp_packet(kA4, 1, "224.0.0.251", 2, {}), Drop::none},
      {"options: router alert", with_ipv4_options(udp4(), {148, 4, 0, 0}), Drop::none},
      {"options: no-op and end", with_ipv4_options(udp4(), {1, 0, 131, 9}), Drop::none},
      {"loose source route", with_ipv4_options(udp4(), {131, 7, 4, 1, 2, 3, 4, 0}), Drop::source_routing},
      {"strict source route behind a no-op", with_ipv4_options(udp4(), {1, 137, 7, 4, 1, 2, 3, 4}),
       Drop::source_routing},
      {"option longer than the header", with_ipv4_options(udp4(), {148, 9, 0, 0}), Drop::malformed_packet},
      {"option of length 1", with_ipv4_options(udp4(), {148, 1, 0, 0}), Drop::malformed_packet},
      {"tcp header cut off", ip_packet(kA4, kB4, proto::kTcp, pattern(19)), Drop::malformed_packet},
      {"tcp data offset 4", edited(tcp4(), [](Bytes& p) { p[32] = 0x40; }), Drop::malformed_packet},
      {"tcp data offset beyond packet", edited(tcp_packet(kA4, kB4, {}, {}), [](Bytes& p) { p[32] = 0xf0; }),
       Drop::malformed_packet},
      {"udp length 7", edited(udp4(), [](Bytes& p) { store_be16(p.data() + 24, 7); }), Drop::malformed_packet},
      {"udp length beyond packet", edited(udp4(), [](Bytes& p) { store_be16(p.data() + 24, 41); }),
       Drop::malformed_packet},
      {"sctp cut off", ip_packet(kA4, kB4, proto::kSctp, pattern(11)), Drop::malformed_packet},
      {"icmp cut off", ip_packet(kA4, kB4, proto::kIcmp, pattern(7)), Drop::malformed_packet},
      {"icmp echo", icmp_packet(kA4, kB4, 8, 0, pattern(8)), Drop::none},
      {"unknown protocol without payload", ip_packet(kA4, kB4, 253, {}), Drop::none},
      {"ip in ip", ip_packet(kA4, kB4, proto::kIpInIp, udp4()), Drop::none},
      {"ip in ip under port rules",
       ip_packet(kA4, kB4, proto::kIpInIp, udp4()),
       Drop::inner_tunnel,
       {.port_rules = true}},
      {"gre under port rules", ip_packet(kA4, kB4, proto::kGre, pattern(8)), Drop::inner_tunnel, {.port_rules = true}},
      {"6in4 under port rules",
       ip_packet(kA4, kB4, proto::kIpv6InIp, udp6()),
       Drop::inner_tunnel,
       {.port_rules = true}},
      {"tcp under port rules", tcp4(), Drop::none, {.port_rules = true}},
      {"icmp error about a packet of its receiver", quoting(udp_packet(kB4, 5, kA4, 6, {}), kA4, kB4), Drop::none},
      {"icmp error about somebody else's packet", quoting(udp_packet("203.0.113.1", 5, kA4, 6, {}), kA4, kB4),
       Drop::icmp_mismatch},
      {"icmp error quoting ipv6", quoting(udp6(), kA4, kB4), Drop::icmp_mismatch},
      {"icmp error quoting nothing", icmp_packet(kA4, kB4, 3, 1, {}), Drop::malformed_packet},
  };
}

std::vector<Case> ipv4_fragment_cases() {
  return {
      {"first fragment of udp", as_fragment_v4(udp4(), 0, true), Drop::none},
      {"later fragment", as_fragment_v4(udp4(), 1480, true), Drop::none},
      {"last fragment of any length", as_fragment_v4(udp_packet(kA4, 1, kB4, 2, pattern(3)), 1480, false), Drop::none},
      {"length not a multiple of 8 with more to come", as_fragment_v4(udp_packet(kA4, 1, kB4, 2, pattern(3)), 0, true),
       Drop::bad_fragment},
      {"empty piece with more to come", as_fragment_v4(ip_packet(kA4, kB4, 253, {}), 8, true), Drop::bad_fragment},
      {"tcp first fragment without whole header",
       as_fragment_v4(ip_packet(kA4, kB4, proto::kTcp, pattern(16)), 0, true), Drop::bad_fragment},
      {"tcp first fragment, options cut off",
       as_fragment_v4(edited(ip_packet(kA4, kB4, proto::kTcp, Bytes(24)), [](Bytes& p) { p[32] = 0x80; }), 0, true),
       Drop::bad_fragment},
      {"tcp fragment at offset 1", as_fragment_v4(ip_packet(kA4, kB4, proto::kTcp, pattern(32)), 8, true),
       Drop::bad_fragment},
      {"udp fragment at offset 1", as_fragment_v4(ip_packet(kA4, kB4, proto::kUdp, pattern(32)), 8, true), Drop::none},
      {"piece beyond 65535", as_fragment_v4(udp4(), 65528, false), Drop::bad_fragment},
      {"gre fragment under port rules",
       as_fragment_v4(ip_packet(kA4, kB4, proto::kGre, pattern(32)), 800, true),
       Drop::inner_tunnel,
       {.port_rules = true}},
  };
}

std::vector<Case> ipv6_cases() {
  const Extension hop = padding(proto::kHopByHop), dst = padding(proto::kDestination);
  return {
      {"udp", udp6(), Drop::none},
      {"39 bytes", edited(udp6(), [](Bytes& p) { p.resize(39); }), Drop::malformed_packet},
      {"payload length beyond bytes", edited(udp6(), [](Bytes& p) { p[5]++; }), Drop::malformed_packet},
      {"bytes behind the packet", edited(udp6(), [](Bytes& p) { p.push_back(0); }), Drop::malformed_packet},
      {"padding where allowed", edited(udp6(), [](Bytes& p) { p.push_back(0); }), Drop::none, {.allow_padding = true}},
      {"mapped source", udp6("::ffff:10.8.0.2", kB6), Drop::mapped_address},
      {"mapped destination", udp6(kA6, "::ffff:10.8.0.2"), Drop::mapped_address},
      {"compatible source", udp6("::10.8.0.2", kB6), Drop::mapped_address},
      {"compatible destination", udp6(kA6, "::10.8.0.2"), Drop::mapped_address},
      {"loopback destination", udp6(kA6, "::1"), Drop::mapped_address},
      {"unspecified destination", udp6(kA6, "::"), Drop::mapped_address},
      {"unspecified source is the router's business", udp6("::", "ff02::1"), Drop::none},
      {"multicast source", udp6("ff02::1", kB6), Drop::malformed_packet},
      {"multicast destination is only flagged", udp6(kA6, "ff02::fb"), Drop::none},
      {"hop-by-hop", with_extensions(udp6(), {hop}), Drop::none},
      {"hop-by-hop behind another", with_extensions(udp6(), {dst, hop}), Drop::malformed_packet},
      {"four extension headers", with_extensions(udp6(), {hop, dst, routing(0), dst}), Drop::none},
      {"five extension headers", with_extensions(udp6(), {hop, dst, routing(0), dst, dst}), Drop::extension_headers},
      {"routing header used up", with_extensions(udp6(), {routing(0)}), Drop::none},
      {"routing header with segments left", with_extensions(udp6(), {routing(1)}), Drop::routing_header},
      {"the same behind others", with_extensions(udp6(), {hop, dst, routing(2)}), Drop::routing_header},
      {"jumbo option", with_extensions(udp6(), {{proto::kHopByHop, {0, 0, 0xc2, 4, 0, 1, 0, 0}}}), Drop::jumbogram},
      {"jumbogram",
       edited(with_extensions(udp6(), {{proto::kHopByHop, {0, 0, 0xc2, 4, 0, 1, 0, 0}}}),
              [](Bytes& p) { store_be16(p.data() + 4, 0); }),
       Drop::jumbogram},
      {"no payload length, no jumbo option",
       edited(with_extensions(udp6(), {hop}), [](Bytes& p) { store_be16(p.data() + 4, 0); }), Drop::malformed_packet},
      {"option beyond its header", with_extensions(udp6(), {{proto::kHopByHop, {0, 0, 1, 9, 0, 0, 0, 0}}}),
       Drop::malformed_packet},
      {"extension header beyond packet", ip_packet(kA6, kB6, proto::kDestination, Bytes{17, 9, 0, 0, 0, 0, 0, 0}),
       Drop::malformed_packet},
      {"extension header cut off", ip_packet(kA6, kB6, proto::kDestination, Bytes{17, 0, 0}), Drop::malformed_packet},
      {"authentication header", with_extensions(udp6(), {{proto::kAuth, Bytes{0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                                                              0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}}}),
       Drop::none},
      {"no next header", ip_packet(kA6, kB6, proto::kNoNext, {}), Drop::none},
      {"gre under port rules",
       with_extensions(ip_packet(kA6, kB6, proto::kGre, pattern(8)), {dst}),
       Drop::inner_tunnel,
       {.port_rules = true}},
      {"first fragment of udp", fragment_v6(kA6, kB6, proto::kUdp, 0, true, ByteView(udp6()).subspan(40)), Drop::none},
      {"atomic fragment", fragment_v6(kA6, kB6, proto::kUdp, 0, false, ByteView(udp6()).subspan(40)), Drop::none},
      {"later fragment", fragment_v6(kA6, kB6, proto::kUdp, 1232, true, pattern(64)), Drop::none},
      {"tcp first fragment too short", fragment_v6(kA6, kB6, proto::kTcp, 0, true, pattern(16)), Drop::bad_fragment},
      {"tcp fragment at offset 1", fragment_v6(kA6, kB6, proto::kTcp, 8, true, pattern(16)), Drop::bad_fragment},
      {"first fragment without the whole header chain",
       fragment_v6(kA6, kB6, proto::kDestination, 0, true, Bytes{17, 3, 0, 0, 0, 0, 0, 0}), Drop::bad_fragment},
      {"piece not a multiple of 8", fragment_v6(kA6, kB6, proto::kUdp, 0, true, pattern(20)), Drop::bad_fragment},
      {"piece beyond 65535", fragment_v6(kA6, kB6, proto::kUdp, 65528, false, pattern(8)), Drop::bad_fragment},
      {"fragment inside a fragment", fragment_v6(kA6, kB6, proto::kFragment, 0, true, Bytes{17, 0, 0, 1, 0, 0, 0, 1}),
       Drop::bad_fragment},
      {"icmp error about a packet of its receiver", quoting(udp_packet(kB6, 5, kA6, 6, {}), kA6, kB6), Drop::none},
      {"icmp error about somebody else's packet", quoting(udp_packet("2001:db8::66", 5, kA6, 6, {}), kA6, kB6),
       Drop::icmp_mismatch},
      {"icmp error quoting ipv4", icmp_packet(kA6, kB6, 1, 0, tcp4()), Drop::icmp_mismatch},
      {"icmpv6 cut off", ip_packet(kA6, kB6, proto::kIcmpV6, pattern(7)), Drop::malformed_packet},
  };
}

// The table of behaviour.md, "Inner packets".
TEST(InnerPacket, EveryShapeGetsItsName) {
  for (const auto& cases : {ipv4_cases(), ipv4_fragment_cases(), ipv6_cases()}) {
    for (const Case& c : cases) {
      InnerPacket out;
      const Drop got = classify(c.packet, out, c.options);
      EXPECT_STREQ(drop_name(got), drop_name(c.want)) << c.name << " " << to_hex(c.packet);
    }
  }
}

TEST(InnerPacket, FieldsOfATcpPacket) {
  InnerPacket p;
  ASSERT_EQ(classify(tcp_packet(kA4, kB4, {.src_port = 1000, .dst_port = 443, .flags = 0x12}, pattern(5), Bytes(4)), p),
            Drop::none);
  EXPECT_EQ(p.version, 4);
  EXPECT_EQ(p.protocol, proto::kTcp);
  EXPECT_EQ(p.src, ip(kA4));
  EXPECT_EQ(p.dst, ip(kB4));
  EXPECT_TRUE(p.has_ports);
  EXPECT_EQ(p.src_port, 1000);
  EXPECT_EQ(p.dst_port, 443);
  EXPECT_EQ(p.tcp_flags, 0x12);
  EXPECT_EQ(p.transport_offset, 20);
  EXPECT_EQ(p.payload_offset, 44);
  EXPECT_EQ(p.total_length, 49u);
  EXPECT_TRUE(p.dont_fragment);
  EXPECT_FALSE(p.fragment || p.has_icmp || p.multicast || p.tunnel || p.has_quote);
}

TEST(InnerPacket, FieldsBehindExtensionHeaders) {
  InnerPacket p;
  ASSERT_EQ(classify(with_extensions(udp6(), {padding(proto::kHopByHop), padding(proto::kDestination)}), p),
            Drop::none);
  EXPECT_EQ(p.protocol, proto::kUdp);
  EXPECT_EQ(p.extension_headers, 2);
  EXPECT_EQ(p.transport_offset, 56);
  EXPECT_EQ(p.dst_port, 53);
}

TEST(InnerPacket, FieldsOfFragments) {
  InnerPacket p;
  ASSERT_EQ(classify(as_fragment_v4(udp4(), 0, true), p), Drop::none);
  EXPECT_TRUE(p.first_fragment());
  EXPECT_TRUE(p.has_ports);
  EXPECT_EQ(p.fragment_id, 7u);
  ASSERT_EQ(classify(fragment_v6(kA6, kB6, proto::kUdp, 1232, false, pattern(9), 0x12345678), p), Drop::none);
  EXPECT_TRUE(p.later_fragment());
  EXPECT_FALSE(p.has_ports);
  EXPECT_EQ(p.fragment_offset, 1232);
  EXPECT_EQ(p.fragment_id, 0x12345678u);
  EXPECT_EQ(p.fragment_data_offset, 48);
  ASSERT_EQ(classify(fragment_v6(kA6, kB6, proto::kUdp, 0, false, ByteView(udp6()).subspan(40)), p), Drop::none);
  EXPECT_TRUE(p.has_fragment_header);
  EXPECT_FALSE(p.fragment);
  EXPECT_TRUE(p.has_ports);
}

TEST(InnerPacket, FieldsOfAQuotedPacket) {
  InnerPacket p;
  ASSERT_EQ(classify(quoting(udp_packet(kB6, 53, kA6, 4000, {}), "fd00:8::7", kB6), p), Drop::none);
  ASSERT_TRUE(p.has_quote);
  EXPECT_EQ(p.quoted.src, ip(kB6));
  EXPECT_EQ(p.quoted.dst, ip(kA6));
  EXPECT_EQ(p.quoted.protocol, proto::kUdp);
  EXPECT_EQ(p.quoted.src_port, 53);
  EXPECT_EQ(p.quoted.dst_port, 4000);
}

TEST(InnerPacket, EveryCutOfAPacketIsRefused) {
  const Extension dst = padding(proto::kDestination);
  for (const Bytes& packet : {tcp4(), udp4(), udp6(), with_extensions(udp6(), {dst, dst, dst})}) {
    for (size_t size = 0; size < packet.size(); ++size) {
      Bytes cut(packet.begin(), packet.begin() + static_cast<long>(size));
      InnerPacket out;
      EXPECT_EQ(classify(cut, out), Drop::malformed_packet) << size;
    }
  }
}

std::vector<std::string> embedded(const char* text, std::vector<Cidr> nat64 = {}) {
  std::array<IpAddress, 2> out;
  const size_t count = embedded_ipv4(ip(text), nat64, out);
  std::vector<std::string> texts;
  for (size_t i = 0; i < count; ++i) texts.push_back(out[i].text());
  return texts;
}

TEST(EmbeddedIpv4, FindsTheAddressInsideTheKnownForms) {
  using Texts = std::vector<std::string>;
  EXPECT_EQ(embedded("64:ff9b::192.0.2.33"), Texts{"192.0.2.33"});
  EXPECT_EQ(embedded("2002:c000:0221::1"), Texts{"192.0.2.33"});
  EXPECT_EQ(embedded("2001:0:4136:e378:8000:63bf:3fff:fdd2"), (Texts{"192.0.2.45", "65.54.227.120"}));
  EXPECT_EQ(embedded("2001:db8::1"), Texts{});
  EXPECT_EQ(embedded("64:ff9b:1::192.0.2.33"), Texts{});
  EXPECT_EQ(embedded("10.0.0.1"), Texts{});
}

// RFC 6052, section 2.4.
TEST(EmbeddedIpv4, ConfiguredPrefixesOfEveryLength) {
  const std::pair<const char*, const char*> rows[] = {{"2001:db8::/32", "2001:db8:c000:221::"},
                                                      {"2001:db8:100::/40", "2001:db8:1c0:2:21::"},
                                                      {"2001:db8:122::/48", "2001:db8:122:c000:2:2100::"},
                                                      {"2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"},
                                                      {"2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"},
                                                      {"2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"}};
  for (auto [prefix, address] : rows) {
    EXPECT_EQ(embedded(address, {cidr(prefix)}), std::vector<std::string>{"192.0.2.33"}) << prefix;
  }
}

}  // namespace
}  // namespace smartvpn::inet
