// Datagrams through a proxy: the PROXY v2 header in front of each says who the client is, if the proxy is trusted.
#include <gtest/gtest.h>

#include "support/proxy_headers.hpp"
#include "support/wireguard_devices.hpp"
#include "transport/wireguard/proxy_datagram.hpp"

namespace smartvpn::testing {
namespace {

using proxyproto::testing::hex;
using proxyproto::testing::v2;
using proxyproto::testing::v4_block;
using wireguard::ProxyDatagram;

Bytes dgram_header() { return v2(0x21, 0x12, v4_block()); }

struct ProxyPair : DevicePair {
  static wireguard::ListenerOptions behind_proxy(bool trusted) {
    wireguard::ListenerOptions out;
    out.proxy_header = true;
    out.trusts = [trusted](const inet::IpAddress&) { return trusted; };
    return out;
  }
  explicit ProxyPair(bool trusted = true)
      : DevicePair("127.0.0.1", true, DeviceEnd::options_for(1), DeviceEnd::options_for(2), behind_proxy(trusted)) {
    relay->prefix = dgram_header();
  }
};

TEST(DeviceProxy, TheHeaderSaysWhoTheClientIs) {
  ProxyPair pair;
  ASSERT_TRUE(pair.connect());
  const session::Connection& connection = pair.server.host.confirmed.at(0);
  EXPECT_TRUE(connection.behind_proxy);
  EXPECT_EQ(connection.peer_addr, pair.relay->source(0));
  EXPECT_EQ(connection.real_addr, inet::Endpoint({test::ip("192.0.2.1"), 1111}));
  ASSERT_TRUE(pair.server_says(DevicePair::answer(1)));  // by way of the proxy
  EXPECT_EQ(pair.server.figures().endpoint, pair.relay->source(0));
}

TEST(DeviceProxy, AClientThatMovesBehindTheSameProxyIsAskedAboutAndTold) {
  ProxyPair pair;
  ASSERT_TRUE(pair.connect());
  pair.relay->prefix = v2(0x21, 0x12, hex("c6336402cb00710104570458"));
  ASSERT_TRUE(pair.client_says(DevicePair::packet(1)));
  ASSERT_EQ(pair.server.host.roamed.size(), 1u);
  EXPECT_EQ(pair.server.host.roamed[0].real_addr->ip, test::ip("198.51.100.2"));
  EXPECT_EQ(pair.server.host.roamed[0].peer_addr, pair.relay->source(0));
}

TEST(DeviceProxy, WhoIsNotTrustedIsNotRead) {
  ProxyPair pair(false);
  pair.client.send(DevicePair::packet(1));
  ASSERT_TRUE(pair.until([&] { return pair.server.device.counters().untrusted_proxy == 1; }));
  EXPECT_EQ(pair.server.device.counters().handshakes_in, 0u);
  EXPECT_EQ(pair.server.host.judged, 0u);
}

TEST(DeviceProxy, WithoutAHeaderNothingIsTaken) {
  ProxyPair pair;
  pair.relay->prefix.clear();
  pair.client.send(DevicePair::packet(1));
  ASSERT_TRUE(pair.until([&] { return pair.server.device.counters().bad_proxy_header == 1; }));
  EXPECT_EQ(pair.server.device.counters().handshakes_in, 0u);
}

TEST(DeviceProxy, AHeaderOnAListenerWithoutProxiesIsNoMessage) {
  DevicePair pair("127.0.0.1", true);
  pair.relay->prefix = dgram_header();
  pair.client.send(DevicePair::packet(1));
  ASSERT_TRUE(pair.until([&] { return pair.server.device.counters().malformed == 1; }));
}

TEST(DeviceProxy, MalformedHeadersAreDroppedAlone) {
  ProxyPair pair;
  ASSERT_TRUE(pair.connect());
  const Bytes good = dgram_header();
  const std::string v1 = "PROXY UDP4 192.0.2.1 198.51.100.2 1111 443\r\n";
  uint64_t bad = 0;
  for (const Bytes& header : {Bytes(good.begin(), good.end() - 1), v2(0x21, 0x11, v4_block()),
                              v2(0x31, 0x12, v4_block()), v2(0x21, 0x12, {}), Bytes(v1.begin(), v1.end())}) {
    pair.relay->prefix = header;
    pair.relay->to_server({}, 0);
    ++bad;
    ASSERT_TRUE(pair.until([&] { return pair.server.device.counters().bad_proxy_header == bad; })) << bad;
  }
  pair.relay->prefix = good;
  EXPECT_TRUE(pair.client_says(DevicePair::packet(1)));
}

TEST(DeviceProxy, LocalIsNotForUs) {
  ProxyPair pair;
  pair.relay->prefix = v2(0x20, 0x00, {});
  pair.client.send(DevicePair::packet(1));
  ASSERT_TRUE(pair.until([&] { return pair.relay->seen.size() == 1; }));
  pair.settle();
  EXPECT_EQ(pair.server.device.counters().handshakes_in, 0u);
  EXPECT_EQ(pair.server.device.counters().bad_proxy_header, 0u);
}

TEST(DeviceProxy, WithoutAnAddressTheListsSayWhetherItMayPass) {
  ProxyPair pair;
  pair.relay->prefix = v2(0x21, 0x00, {});
  ASSERT_TRUE(pair.connect());
  EXPECT_TRUE(pair.server.host.confirmed.at(0).behind_proxy);
  EXPECT_FALSE(pair.server.host.confirmed.at(0).real_addr.has_value());
}

TEST(ProxyDatagram, EqualHeadersAreTheSameAndOthersAreNot) {
  ProxyDatagram proxy;
  Bytes first = dgram_header(), second = v2(0x21, 0x12, hex("c6336402cb00710104570458"));
  const size_t header = first.size();
  append(first, as_bytes("abc"));
  append(second, as_bytes("de"));
  for (int i = 0; i < 3; ++i) {
    ByteSpan message;
    ASSERT_EQ(proxy.strip(first, &message), ProxyDatagram::Result::message);
    EXPECT_EQ(as_text(message), "abc");
    EXPECT_EQ(message.data(), first.data() + header);
    EXPECT_EQ(proxy.real()->ip, test::ip("192.0.2.1"));
    ASSERT_EQ(proxy.strip(second, &message), ProxyDatagram::Result::message);
    EXPECT_EQ(as_text(message), "de");
    EXPECT_EQ(proxy.real()->ip, test::ip("198.51.100.2"));
  }
}

TEST(ProxyDatagram, NothingIsKeptOfWhatWasNoMessage) {
  ProxyDatagram proxy;
  Bytes local = v2(0x20, 0x00, {}), good = dgram_header(), cut_off(good.begin(), good.end() - 2);
  ByteSpan message;
  EXPECT_EQ(proxy.strip(local, &message), ProxyDatagram::Result::local);
  EXPECT_EQ(proxy.strip(good, &message), ProxyDatagram::Result::message);
  EXPECT_TRUE(message.empty());
  EXPECT_EQ(proxy.strip(cut_off, &message), ProxyDatagram::Result::malformed);
  EXPECT_EQ(proxy.strip(local, &message), ProxyDatagram::Result::local);
  Bytes empty;
  EXPECT_EQ(proxy.strip(empty, &message), ProxyDatagram::Result::malformed);
}

}  // namespace
}  // namespace smartvpn::testing
