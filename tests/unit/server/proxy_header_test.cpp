// Listeners behind proxies, held against a raw socket: headers in any pieces, headers that are none,
// headers without an address, health checks of the proxy itself (conformance P1 to P11).
#include "support/wire_client.hpp"

namespace smartvpn::testing_support {
namespace {

using telemetry::EventType;

struct ModeCase {
  const char* mode;
  Bytes header;
  const char* source;
};

std::vector<ModeCase> good_headers() {
  return {{"v1", v1_header("PROXY TCP4 198.51.100.7 203.0.113.1 4711 443"), "198.51.100.7:4711"},
          {"v1", v1_header("PROXY TCP6 2001:db8::7 2001:db8::1 4711 443"), "[2001:db8::7]:4711"},
          {"v2", v2_header("198.51.100.7:4711"), "198.51.100.7:4711"},
          {"v2", v2_header("[2001:db8::7]:4711"), "[2001:db8::7]:4711"},
          {"v2", v2_mapped_header("198.51.100.7"), "198.51.100.7:4660"},
          {"any", v1_header("PROXY TCP4 198.51.100.7 203.0.113.1 4711 443"), "198.51.100.7:4711"},
          {"any", v2_header("198.51.100.7:4711"), "198.51.100.7:4711"}};
}

TEST(ProxyHeader, IsTakenByteByByte) {
  for (const auto& [mode, header, source] : good_headers()) {
    ServerSetup setup;
    setup.listen = proxied_listener(mode);
    RunningServer server{setup};
    RawSocket socket(server.port());
    socket.send_slowly(header);
    EXPECT_EQ(ask(socket, kHealthRequest), "HTTP/1.1 200 OK") << mode << " " << source;
    auto accepted = server.wait(EventType::connection_accepted);
    ASSERT_TRUE(accepted);
    EXPECT_STREQ(accepted->text("remote_addr"), source);
    socket.close();
    EXPECT_TRUE(becomes_idle(server));
  }
}

TEST(ProxyHeader, BytesBehindItArriveWholeAndOnce) {
  for (const auto& [mode, header, source] : good_headers()) {
    ServerSetup setup;
    setup.listen = proxied_listener(mode);
    RunningServer server{setup};
    WireClient client(RawSocket(server.port()), server.public_key_);
    Bytes all = header;
    append(all, as_bytes(kUpgradeRequest));
    append(all, WireClient::frame(ws::Opcode::ping, as_bytes("once")));
    append(all, WireClient::frame(ws::Opcode::close, {}));
    client.socket.send(all);
    EXPECT_TRUE(client.socket.read_through("\r\n\r\n").starts_with("HTTP/1.1 101 ")) << mode;
    int pongs = 0, closes = 0;
    while (auto frame = client.read_frame()) {
      closes += frame->opcode == ws::Opcode::close;
      if (frame->opcode != ws::Opcode::pong) continue;
      ++pongs;
      EXPECT_EQ(as_text(frame->payload), "once");
    }
    EXPECT_EQ(pongs, 1) << mode;
    EXPECT_EQ(closes, 1) << mode;
    EXPECT_EQ(client.socket.ending(), Ending::fin);
  }
}

TEST(ProxyHeader, WhatIsNoHeaderOfTheModeEndsTheConnectionWithoutAByte) {
  ServerSetup setup;
  setup.listen = proxied_listener("v1") + "," + proxied_listener("v2", R"(,"max_header_bytes":300)") + "," +
                 proxied_listener("any");
  RunningServer server{setup};
  Bytes long_v2 = v2_header("198.51.100.7:4711");
  store_be16(&long_v2[14], 285);  // 301 in all
  Bytes bad_command = v2_header("198.51.100.7:4711");
  bad_command[12] = 0x23;
  Bytes short_block = v2_header("198.51.100.7:4711");
  store_be16(&short_block[14], 8);
  struct Case {
    size_t listener;
    Bytes bytes;
  };
  const std::vector<Case> cases = {{0, v2_header("198.51.100.7:4711")},
                                   {0, v1_header("PROXY TCP4 256.51.100.7 203.0.113.1 4711 443")},
                                   {0, v1_header("PROXY  TCP4 198.51.100.7 203.0.113.1 4711 443")},
                                   {0, v1_header("PROXY UNKNOWN " + std::string(100, 'x'))},
                                   {1, v1_header("PROXY TCP4 198.51.100.7 203.0.113.1 4711 443")},
                                   {1, long_v2},
                                   {1, bad_command},
                                   {1, short_block},
                                   {2, Bytes(kHealthRequest.begin(), kHealthRequest.end())}};
  for (size_t i = 0; i < cases.size(); ++i) {
    RawSocket socket(server.port(cases[i].listener));
    socket.send(cases[i].bytes);
    EXPECT_EQ(socket.read_to_end(), "") << i;
    EXPECT_NE(socket.ending(), Ending::open) << i;
  }
  EXPECT_EQ(next_rejection(server), "proxy_header_malformed");
  EXPECT_TRUE(becomes_idle(server));
  EXPECT_EQ(rejections(server, Reason::proxy_header_malformed), cases.size());
}

TEST(ProxyHeader, APeerThatIsNotTrustedIsRefusedBeforeAByte) {
  ServerSetup setup;
  setup.listen = proxied_listener("any", "", "127.0.0.1");
  RunningServer server{setup};
  RawSocket socket(server.port(), "127.0.0.9");
  EXPECT_EQ(socket.read_to_end(), "");
  EXPECT_EQ(socket.ending(), Ending::fin);
  auto event = server.wait(EventType::connection_rejected);
  ASSERT_TRUE(event);
  EXPECT_STREQ(event->text("reason"), "untrusted_proxy");
  EXPECT_EQ(event->text("remote_addr"), nullptr);
  EXPECT_TRUE(becomes_idle(server));
}

std::vector<Bytes> addressless_headers() {
  return {v1_header("PROXY UNKNOWN"), v1_header("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535"),
          proxyproto::testing::v2(0x21, 0x00, {}), proxyproto::testing::v2(0x21, 0x31, Bytes(216, 'a'))};
}

TEST(ProxyHeader, WithoutAnAddressIsAcceptedOrRefusedAsConfigured) {
  ServerSetup setup;
  setup.listen = proxied_listener("any") + "," + proxied_listener("any", R"(,"addressless":"refuse")");
  RunningServer server{setup};
  for (const Bytes& header : addressless_headers()) {
    RawSocket accepted(server.port(0)), refused(server.port(1));
    accepted.send(header);
    EXPECT_EQ(ask(accepted, kHealthRequest), "HTTP/1.1 200 OK");
    auto event = server.wait(EventType::connection_accepted);
    ASSERT_TRUE(event);
    EXPECT_EQ(event->text("remote_addr"), nullptr);
    refused.send(header);
    EXPECT_EQ(refused.read_to_end(), "");
  }
  EXPECT_TRUE(becomes_idle(server));
  EXPECT_EQ(rejections(server, Reason::proxy_addressless), addressless_headers().size());
}

TEST(ProxyHeader, WithoutAnAddressNeverMatchesAnAllowList) {
  ServerSetup setup;
  setup.listen = proxied_listener("any");
  RunningServer server{setup};
  registry::ClientSpec spec;
  spec.id = "alice";
  spec.security.ip_allow_list = {"0.0.0.0/0", "::/0"};
  std::string json = server.create_client(spec);
  WireClient client(RawSocket(server.port()), server.public_key_, key_of(json));
  ASSERT_TRUE(client.upgrade(addressless_headers()[0]));
  ASSERT_TRUE(client.hear_hello());
  ASSERT_TRUE(client.say_next());
  ASSERT_TRUE(client.hear());  // message 2 tells an authenticated client
  ASSERT_TRUE(client.closed);
  EXPECT_EQ(client.closed->status, session::HandshakeStatus::denied);
  auto close = client.read_close();
  ASSERT_TRUE(close);
  EXPECT_EQ(close->close_code(), 1000);
  EXPECT_EQ(next_rejection(server), "client_ip_not_allowed");
  client.socket.close();
  EXPECT_TRUE(becomes_idle(server));
}

// As AWS sends it: family 0x11, but nothing of TLVs in place of addresses.
Bytes aws_local() {
  Bytes block = proxyproto::testing::tlv(0x04, Bytes(81, 0));
  return proxyproto::testing::v2(0x20, 0x11, block);
}

TEST(ProxyHeader, LocalIsClosedWithFinAndABoundedDiscard) {
  ServerSetup setup;
  setup.listen = proxied_listener("v2");
  RunningServer server{setup};
  for (const Bytes& header : {v2_local(), aws_local()}) {
    RawSocket socket(server.port());
    socket.send(header);
    EXPECT_EQ(socket.read_to_end(), "");
    EXPECT_EQ(socket.ending(), Ending::fin);
    EXPECT_EQ(stats_of(server).total.connections_open, 1u);
    socket.send(std::string(15000, 'x'));  // still read and thrown away
    EXPECT_EQ(stats_of(server).total.connections_open, 1u);
    socket.send(std::string(4000, 'x'));
    EXPECT_TRUE(becomes_idle(server));
  }
  EXPECT_EQ(rejections(server, Reason::proxy_local), 2u);
}

TEST(ProxyHeader, LocalForHealthAnswersHealthAndNothingElse) {
  ServerSetup setup;
  setup.listen = proxied_listener("v2", R"(,"local":"health")");
  RunningServer server{setup};
  RawSocket health(server.port()), upgrade(server.port()), other(server.port());
  for (RawSocket* socket : {&health, &upgrade, &other}) socket->send(v2_local());
  EXPECT_EQ(ask(health, kHealthRequest), "HTTP/1.1 200 OK");
  EXPECT_EQ(ask(upgrade, kUpgradeRequest), "HTTP/1.1 403 Forbidden");
  EXPECT_EQ(ask(other, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"), "HTTP/1.1 404 Not Found");
  for (RawSocket* socket : {&health, &upgrade, &other}) {
    socket->read_to_end();
    EXPECT_EQ(socket->ending(), Ending::fin);
    socket->close();
  }
  EXPECT_TRUE(becomes_idle(server));
  EXPECT_EQ(rejections(server, Reason::proxy_local), 3u);
  EXPECT_EQ(stats_of(server).total.handshakes_total, 0u);
}

}  // namespace
}  // namespace smartvpn::testing_support
