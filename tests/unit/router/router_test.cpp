#include "router/router.hpp"

#include <gtest/gtest.h>

#include "support/inet_packets.hpp"

namespace smartvpn::router {
namespace {

using namespace smartvpn::test;
namespace proto = inet::ip_protocol;

constexpr uint64_t kAliceSession = 101, kBobSession = 102;
const Time kNow = Time{} + seconds(1000);

Router make_router(RouterOptions options = {}) {
  Router router(options, 1);
  auto& table = router.table();
  table.set_network({{cidr("10.8.0.0/24"), cidr("fd00:8::/64")},
                     {ip("10.8.0.1"), ip("fd00:8::1")},
                     {ip("192.0.2.1"), ip("2001:db8::1")}});
  for (const char* text : {"10.8.0.2", "fd00:8::2", "10.20.0.0/16"}) table.add_client(cidr(text), 1);
  for (const char* text : {"10.8.0.3", "fd00:8::3"}) table.add_client(cidr(text), 2);
  for (const char* text : {"10.8.0.4", "fd00:8::4", "10.40.0.0/16"}) table.add_client(cidr(text), 3);  // never live
  for (const char* text : {"10.8.0.2", "fd00:8::2", "10.20.0.0/16"}) table.attach(cidr(text), kAliceSession, 1);
  for (const char* text : {"10.8.0.3", "fd00:8::3"}) table.attach(cidr(text), kBobSession, 2);
  return router;
}

RouterOptions with_client_to_client() {
  RouterOptions options;
  options.client_to_client = true;
  return options;
}

inet::InnerPacket classified(const Bytes& packet) {
  inet::InnerPacket out;
  EXPECT_EQ(inet::classify(packet, out), Drop::none) << to_hex(packet);
  return out;
}

Verdict sent(Router& router, const Bytes& packet, uint64_t session = kAliceSession) {
  return router.from_client(session, classified(packet), kNow);
}
std::string drop_of(const Verdict& verdict) { return drop_name(verdict.drop); }

Bytes udp(const char* src, const char* dst, uint16_t port = 9999) {
  return udp_packet(src, 4000, dst, port, pattern(16));
}

TEST(Router, ToTheInternetGoesToTheEngine) {
  Router router = make_router();
  for (const Bytes& packet :
       {udp("10.8.0.2", "8.8.8.8"), udp("10.20.1.1", "8.8.8.8"), udp("fd00:8::2", "2001:db8:1::9")}) {
    const Verdict verdict = sent(router, packet);
    EXPECT_EQ(drop_of(verdict), "none");
    EXPECT_TRUE(verdict.to_engine);
    EXPECT_FALSE(verdict.to_host || verdict.to_all || verdict.session != 0);
  }
}

TEST(Router, ASessionSendsFromItsOwnAddressesOnly) {
  Router router = make_router(with_client_to_client());
  for (const char* src :
       {"10.8.0.3", "10.8.0.4", "10.8.0.99", "10.8.0.1", "192.0.2.1", "9.9.9.9", "10.21.0.1", "127.0.0.1"}) {
    EXPECT_EQ(drop_of(sent(router, udp(src, "8.8.8.8"))), "spoofed_source") << src;
  }
  for (const char* src : {"fd00:8::3", "fd00:8::1", "2001:db8:1::9", "fd00:8::99"}) {
    EXPECT_EQ(drop_of(sent(router, udp(src, "2001:db8:1::8"))), "spoofed_source") << src;
  }
  EXPECT_EQ(drop_of(sent(router, udp("10.8.0.2", "8.8.8.8"), 0)), "spoofed_source");
}

TEST(Router, TheDevicesOwnNoiseIsNotSpoofing) {
  Router router = make_router();
  const Bytes noise[] = {
      icmp_packet("::", "ff02::1:ff00:2", 135, 0, pattern(16)),    // duplicate address detection
      icmp_packet("fe80::1", "ff02::2", 133, 0, pattern(8)),       // router solicitation
      icmp_packet("fe80::1", "fe80::2", 136, 0, pattern(16)),      // neighbour advertisement
      icmp_packet("fd00:8::2", "fd00:8::1", 135, 0, pattern(16)),  // with a source of its own
      icmp_packet("fe80::1", "ff02::16", 143, 0, pattern(16)),     // MLDv2
      icmp_packet("::", "ff02::16", 143, 0, pattern(16)),
      ip_packet("10.8.0.2", "224.0.0.22", proto::kIgmp, pattern(16)),
      ip_packet("0.0.0.0", "224.0.0.22", proto::kIgmp, pattern(16)),
      udp_packet("0.0.0.0", 68, "255.255.255.255", 67, pattern(16)),  // DHCP
      udp_packet("fe80::1", 546, "ff02::1:2", 547, pattern(16)),
      udp_packet("fe80::1", 5353, "ff02::fb", 5353, pattern(16)),  // mDNS
      udp_packet("169.254.7.7", 137, "255.255.255.255", 137, pattern(16)),
  };
  for (const Bytes& packet : noise) EXPECT_EQ(drop_of(sent(router, packet)), "neighbour_noise") << to_hex(packet);
  // Not every packet with such a source is harmless chatter.
  EXPECT_EQ(drop_of(sent(router, udp("fe80::1", "2001:db8:1::9"))), "spoofed_source");
  EXPECT_EQ(drop_of(sent(router, udp("0.0.0.0", "8.8.8.8"))), "spoofed_source");
  EXPECT_EQ(drop_of(sent(router, udp("::", "2001:db8:1::9"))), "spoofed_source");
}

TEST(Router, ClientToClientIsClosedForEveryRegisteredClientLiveOrNotAndThePool) {
  Router router = make_router();
  for (const char* dst : {"10.8.0.3", "10.8.0.4", "10.40.7.7", "10.20.1.1", "10.8.0.2", "10.8.0.200"}) {
    EXPECT_EQ(drop_of(sent(router, udp("10.8.0.2", dst))), "client_to_client") << dst;
  }
  for (const char* dst :
       {"fd00:8::3", "fd00:8::4", "fd00:8::abcd", "64:ff9b::10.8.0.3", "64:ff9b::10.8.0.200", "2002:a08:3::1"}) {
    EXPECT_EQ(drop_of(sent(router, udp("fd00:8::2", dst))), "client_to_client") << dst;
  }
}

TEST(Router, ClientToClientOpenGoesStraightToTheSession) {
  Router router = make_router(with_client_to_client());
  for (const Bytes& packet : {udp("10.8.0.2", "10.8.0.3"), udp("fd00:8::2", "fd00:8::3")}) {
    const Verdict verdict = sent(router, packet);
    EXPECT_EQ(drop_of(verdict), "none");
    EXPECT_EQ(verdict.session, kBobSession);
    EXPECT_EQ(verdict.client, 2u);
    EXPECT_FALSE(verdict.to_engine);
  }
  EXPECT_EQ(sent(router, udp("10.8.0.3", "10.20.5.5"), kBobSession).session, kAliceSession);
  // Offline, unassigned, and back to the sender: nowhere to go.
  for (const char* dst : {"10.8.0.4", "10.40.1.1", "10.8.0.200", "10.20.1.1"}) {
    EXPECT_EQ(drop_of(sent(router, udp("10.8.0.2", dst))), "no_route") << dst;
  }
}

TEST(Router, ThisMachineIsClosedButForItsServices) {
  Router router = make_router();
  auto open = [&](const Bytes& packet) {
    const Verdict verdict = sent(router, packet);
    return verdict.drop == Drop::none && verdict.to_engine && verdict.to_host;
  };
  for (const Bytes& packet :
       {udp("10.8.0.2", "10.8.0.1", 53), udp("fd00:8::2", "fd00:8::1", 53),
        tcp_packet("10.8.0.2", "10.8.0.1", {.src_port = 1, .dst_port = 53}, {}),
        icmp_packet("10.8.0.2", "10.8.0.1", 8, 0, pattern(8)), icmp_packet("10.8.0.2", "10.8.0.1", 0, 0, pattern(8)),
        icmp_packet("fd00:8::2", "fd00:8::1", 128, 0, pattern(8))}) {
    EXPECT_TRUE(open(packet)) << to_hex(packet);
  }
  for (const Bytes& packet :
       {udp("10.8.0.2", "10.8.0.1", 54), udp("10.8.0.2", "192.0.2.1", 53), udp("fd00:8::2", "2001:db8::1", 53),
        tcp_packet("10.8.0.2", "10.8.0.1", {.src_port = 1, .dst_port = 22}, {}),
        icmp_packet("10.8.0.2", "192.0.2.1", 8, 0, pattern(8)), icmp_packet("10.8.0.2", "10.8.0.1", 13, 0, pattern(8)),
        ip_packet("10.8.0.2", "10.8.0.1", proto::kEsp, pattern(16)), udp("10.8.0.2", "127.0.0.1", 53),
        udp("10.8.0.2", "0.0.0.0", 53), udp("fd00:8::2", "64:ff9b::192.0.2.1", 53),
        udp("fd00:8::2", "64:ff9b::127.0.0.1", 53)}) {
    EXPECT_EQ(drop_of(sent(router, packet)), "host_service") << to_hex(packet);
  }
}

TEST(Router, HostServicesAreConfiguration) {
  RouterOptions options;
  HostService web;
  web.protocol = proto::kTcp;
  web.first_port = 80;
  web.last_port = 90;
  web.addresses = {ip("192.0.2.1")};
  options.host_services = {web};
  Router router = make_router(options);
  auto tcp = [&](const char* dst, uint16_t port) {
    return sent(router, tcp_packet("10.8.0.2", dst, {.src_port = 1, .dst_port = port}, {})).drop;
  };
  EXPECT_EQ(tcp("192.0.2.1", 80), Drop::none);
  EXPECT_EQ(tcp("192.0.2.1", 90), Drop::none);
  EXPECT_EQ(tcp("192.0.2.1", 91), Drop::host_service);
  EXPECT_EQ(tcp("10.8.0.1", 80), Drop::host_service);
  EXPECT_EQ(drop_of(sent(router, udp("10.8.0.2", "10.8.0.1", 53))), "host_service");
  EXPECT_EQ(drop_of(sent(router, icmp_packet("10.8.0.2", "10.8.0.1", 8, 0, pattern(8)))), "host_service");
}

TEST(Router, IcmpErrorsMustBeAboutOwnTraffic) {
  Router router = make_router();
  auto error = [&](const char* quoted_dst, uint8_t type = 3) {
    return sent(router,
                icmp_packet("10.8.0.2", "8.8.8.8", type, 4, udp_packet("8.8.8.8", 53, quoted_dst, 4000, pattern(8))))
        .drop;
  };
  EXPECT_EQ(error("10.8.0.2"), Drop::none);
  EXPECT_EQ(error("10.20.9.9"), Drop::none);  // behind the client
  EXPECT_EQ(error("10.8.0.3"), Drop::icmp_mismatch);
  EXPECT_EQ(error("9.9.9.9"), Drop::icmp_mismatch);
}

TEST(Router, IcmpErrorsReachThisMachineOnlyAboutOpenServices) {
  Router router = make_router();
  auto error = [&](uint16_t service_port, uint8_t type) {
    return sent(router, icmp_packet("10.8.0.2", "10.8.0.1", type, 0,
                                    udp_packet("10.8.0.1", service_port, "10.8.0.2", 4000, pattern(8))))
        .drop;
  };
  EXPECT_EQ(error(53, 3), Drop::none);
  EXPECT_EQ(error(22, 3), Drop::host_service);
  EXPECT_EQ(error(53, 5), Drop::host_service);  // a redirect
}

TEST(Router, GroupsAreClosedUnlessEnabled) {
  RouterOptions enabled;
  enabled.allow_multicast = enabled.allow_broadcast = true;
  Router closed = make_router(), open = make_router(enabled);
  const std::pair<const char*, const char*> rows[] = {{"224.0.0.251", "multicast"},
                                                      {"239.1.2.3", "multicast"},
                                                      {"255.255.255.255", "broadcast"},
                                                      {"10.8.0.255", "broadcast"},
                                                      {"10.8.0.0", "broadcast"}};
  for (auto [dst, name] : rows) {
    EXPECT_EQ(drop_of(sent(closed, udp("10.8.0.2", dst))), name) << dst;
    EXPECT_TRUE(sent(open, udp("10.8.0.2", dst)).to_engine) << dst;
    EXPECT_EQ(drop_of(closed.from_engine(classified(udp("8.8.8.8", dst)), kNow)), name) << dst;
    EXPECT_TRUE(open.from_engine(classified(udp("8.8.8.8", dst)), kNow).to_all) << dst;
  }
  EXPECT_EQ(drop_of(sent(closed, udp("fd00:8::2", "ff0e::9"))), "multicast");
  EXPECT_EQ(drop_of(sent(closed, udp("fd00:8::2", "64:ff9b::224.0.0.1"))), "multicast");
}

TEST(Router, LinkLocalDestinationsAreNotRouted) {
  Router router = make_router();
  EXPECT_EQ(drop_of(sent(router, udp("10.8.0.2", "169.254.169.254"))), "no_route");
  EXPECT_EQ(drop_of(sent(router, udp("fd00:8::2", "fe80::1"))), "no_route");
  EXPECT_EQ(drop_of(sent(router, udp("fd00:8::2", "64:ff9b::169.254.169.254"))), "no_route");
}

TEST(Router, ConfiguredNat64PrefixesHideNothing) {
  RouterOptions options;
  options.nat64_prefixes = {cidr("2001:db8:64::/96")};
  Router router = make_router(options);
  EXPECT_EQ(drop_of(sent(router, udp("fd00:8::2", "2001:db8:64::10.8.0.3"))), "client_to_client");
  EXPECT_EQ(drop_of(sent(router, udp("fd00:8::2", "2001:db8:64::8.8.8.8"))), "none");
}

TEST(Router, FromTheEngineToTheSessionThatOwnsTheDestination) {
  Router router = make_router();
  for (const Bytes& packet : {udp("8.8.8.8", "10.8.0.2"), udp("8.8.8.8", "10.20.3.3"), udp("10.8.0.1", "10.8.0.2"),
                              udp("2001:db8:1::9", "fd00:8::2")}) {
    const Verdict verdict = router.from_engine(classified(packet), kNow);
    EXPECT_EQ(drop_of(verdict), "none");
    EXPECT_EQ(verdict.session, kAliceSession);
    EXPECT_EQ(verdict.client, 1u);
    EXPECT_FALSE(verdict.to_engine);
  }
  for (const char* dst : {"10.8.0.4", "10.40.0.1", "10.8.0.77", "9.9.9.9", "10.8.0.1"}) {
    EXPECT_EQ(drop_of(router.from_engine(classified(udp("8.8.8.8", dst)), kNow)), "no_route") << dst;
  }
}

TEST(Router, HairpinsThroughTheHostAreClosedToo) {
  Router closed = make_router(), open = make_router(with_client_to_client());
  for (const Bytes& packet : {udp("10.8.0.3", "10.8.0.2"), udp("10.8.0.4", "10.8.0.2"), udp("10.8.0.99", "10.8.0.2"),
                              udp("fd00:8::3", "fd00:8::2"), udp("64:ff9b::10.8.0.3", "fd00:8::2")}) {
    EXPECT_EQ(drop_of(closed.from_engine(classified(packet), kNow)), "client_to_client") << to_hex(packet);
    EXPECT_EQ(open.from_engine(classified(packet), kNow).session, kAliceSession);
  }
}

TEST(Router, TheKernelDevicesNoiseStaysOutside) {
  Router router = make_router();
  for (const Bytes& packet :
       {icmp_packet("fe80::5", "ff02::2", 133, 0, pattern(8)), icmp_packet("::", "ff02::16", 143, 0, pattern(8)),
        udp_packet("fe80::5", 5353, "ff02::fb", 5353, pattern(8)),
        ip_packet("10.8.0.1", "224.0.0.22", proto::kIgmp, pattern(8))}) {
    EXPECT_EQ(drop_of(router.from_engine(classified(packet), kNow)), "neighbour_noise");
  }
}

Bytes first_piece(uint16_t port, const char* dst = "10.8.0.1") {
  return as_fragment_v4(udp_packet("10.8.0.2", 4000, dst, port, pattern(24)), 0, true);  // bytes 0..31
}
Bytes later_piece(uint16_t offset, const char* dst = "10.8.0.1") {
  return as_fragment_v4(ip_packet("10.8.0.2", dst, proto::kUdp, pattern(32)), offset, true);
}

TEST(Router, LaterFragmentsToThisMachineFollowTheirFirst) {
  Router router = make_router();
  EXPECT_EQ(drop_of(sent(router, later_piece(32))), "bad_fragment") << "no first fragment known";
  Router dns = make_router();
  EXPECT_TRUE(sent(dns, first_piece(53)).to_host);
  EXPECT_TRUE(sent(dns, later_piece(32)).to_host);
  EXPECT_EQ(drop_of(sent(dns, later_piece(8))), "bad_fragment") << "overlap";
  EXPECT_EQ(drop_of(sent(dns, later_piece(64))), "bad_fragment") << "after an overlap";
  Router other = make_router();
  EXPECT_EQ(drop_of(sent(other, first_piece(54))), "host_service");
  EXPECT_EQ(drop_of(sent(other, later_piece(32))), "host_service");
}

TEST(Router, FragmentsToTheInternetNeedNoFirst) {
  Router router = make_router();
  EXPECT_TRUE(sent(router, later_piece(32, "8.8.8.8")).to_engine);
  EXPECT_EQ(drop_of(sent(router, later_piece(32, "8.8.8.8"))), "bad_fragment") << "overlap";
}

TEST(Router, ALaterRulesRefusalBindsLaterFragments) {
  Router router = make_router();
  const auto first = classified(first_piece(25, "8.8.8.8"));
  ASSERT_TRUE(router.from_client(kAliceSession, first, kNow).to_engine);
  router.refuse_fragments(kAliceSession, first, Drop::destination_blocked, kNow);
  EXPECT_EQ(drop_of(sent(router, later_piece(32, "8.8.8.8"))), "destination_blocked");
}

}  // namespace
}  // namespace smartvpn::router
