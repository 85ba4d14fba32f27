// Two devices on loopback: how a session begins, lives and ends, in both roles and both families.
#include <gtest/gtest.h>

#include "support/wireguard_devices.hpp"

namespace smartvpn::testing {
namespace {

class DeviceFamilies : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Both, DeviceFamilies, ::testing::Values("127.0.0.1", "::1"));

TEST_P(DeviceFamilies, APacketBringsASessionAndArrives) {
  DevicePair pair(GetParam());
  EXPECT_EQ(pair.client.send(DevicePair::packet(7)), Drop::none);
  ASSERT_TRUE(pair.until([&] { return pair.server.host.packets.size() == 1; }));
  EXPECT_EQ(pair.server.host.packets[0], DevicePair::packet(7));
  const session::Connection& connection = pair.server.host.confirmed.at(0);
  EXPECT_EQ(connection.transport, session::Transport::wireguard);
  EXPECT_EQ(connection.peer_addr.ip, test::ip(GetParam()));
  EXPECT_EQ(connection.real_addr, connection.peer_addr);
  EXPECT_FALSE(connection.behind_proxy);
}

TEST_P(DeviceFamilies, PacketsGoBothWays) {
  DevicePair pair(GetParam());
  ASSERT_TRUE(pair.connect());
  for (uint16_t i = 1; i <= 50; ++i) {
    ASSERT_TRUE(pair.client_says(DevicePair::packet(i, i * 20)));
    ASSERT_TRUE(pair.server_says(DevicePair::answer(i, i * 20)));
    EXPECT_EQ(pair.server.host.packets.back(), DevicePair::packet(i, i * 20));
    EXPECT_EQ(pair.client.host.packets.back(), DevicePair::answer(i, i * 20));
  }
  EXPECT_EQ(pair.server.device.connections(), 1u);
  EXPECT_TRUE(pair.server.host.roamed.empty());
}

TEST(Device, TheAdmissionIsAskedInOrderAndOnce) {
  DevicePair pair;
  ASSERT_TRUE(pair.connect());
  EXPECT_EQ(pair.server.host.accepted.size(), 1u);
  ASSERT_EQ(pair.server.host.identities.size(), 1u);
  EXPECT_EQ(pair.server.host.identities[0].static_key, pair.client.key);
  EXPECT_FALSE(pair.server.host.identities[0].rekey);
  EXPECT_EQ(pair.server.host.confirmed.size(), 1u);
  EXPECT_EQ(pair.server.host.confirmed[0].id, pair.server.host.accepted[0].id);
}

TEST(Device, AHandshakeAloneIsNoSession) {
  // All of the client's but its initiation is kept back.
  DevicePair other("127.0.0.1", true);
  other.relay->hold = true;
  other.client.send(DevicePair::packet(1));
  ASSERT_TRUE(other.until([&] { return other.relay->seen.size() == 1; }));
  other.relay->to_server(other.relay->seen[0], 0);
  ASSERT_TRUE(other.until([&] { return other.relay->answers.size() == 1; }));
  EXPECT_EQ(other.server.device.connections(), 1u);
  EXPECT_TRUE(other.server.host.confirmed.empty());
  EXPECT_FALSE(other.server.figures().live);
  EXPECT_FALSE(other.server.figures().endpoint.has_value());
}

TEST(Device, RefusedIsSilence) {
  for (int step = 0; step < 4; ++step) {
    DevicePair pair("127.0.0.1", true);
    RecordingHost& host = pair.server.host;
    if (step == 0) host.send_reason = Reason::ip_block_list;
    if (step == 1) host.accept_reason = Reason::too_many_connections;
    if (step == 2) host.address_reason = Reason::ip_block_list;
    if (step == 3) host.verdict->reason = Reason::client_disabled;
    pair.client.send(DevicePair::packet(1));
    auto told = [&] { return step == 0 ? pair.server.device.counters().blocked_source > 0 : !host.closed.empty(); };
    ASSERT_TRUE(pair.until(told)) << step;
    pair.settle();
    EXPECT_TRUE(pair.relay->answers.empty()) << step;
    EXPECT_EQ(pair.server.device.connections(), 0u);
    EXPECT_EQ(host.accepted.size(), step == 0 ? 0u : 1u);
    EXPECT_EQ(host.closed.size(), step == 0 ? 0u : 1u);
    EXPECT_TRUE(step != 3 || host.closed[0].reason == Reason::client_disabled);
  }
}

TEST(Device, AVerdictMayComeLater) {
  DevicePair pair("127.0.0.1", true);
  pair.server.host.verdict.reset();
  pair.client.send(DevicePair::packet(1));
  ASSERT_TRUE(pair.until([&] { return pair.server.host.identities.size() == 1; }));
  pair.settle();
  EXPECT_TRUE(pair.relay->answers.empty());
  const uint64_t connection = pair.server.host.accepted.at(0).id;
  EXPECT_FALSE(pair.server.device.deliver_verdict(connection + 1, {}));
  EXPECT_TRUE(pair.server.device.deliver_verdict(connection, {}));
  EXPECT_TRUE(pair.until([&] { return pair.server.host.packets.size() == 1; }));
}

TEST(Device, AVerdictThatComesLaterMayBeARefusal) {
  DevicePair pair("127.0.0.1", true);
  pair.server.host.verdict.reset();
  pair.client.send(DevicePair::packet(1));
  ASSERT_TRUE(pair.until([&] { return pair.server.host.identities.size() == 1; }));
  session::IdentityVerdict refusal;
  refusal.reason = Reason::authorize_denied;
  EXPECT_TRUE(pair.server.device.deliver_verdict(pair.server.host.accepted.at(0).id, refusal));
  ASSERT_EQ(pair.server.host.closed.size(), 1u);
  EXPECT_EQ(pair.server.host.closed[0].reason, Reason::authorize_denied);
  pair.settle();
  EXPECT_TRUE(pair.relay->answers.empty());
  EXPECT_FALSE(pair.server.device.deliver_verdict(pair.server.host.accepted.at(0).id, {}));
}

TEST(Device, WhatIsRefusedAtConfirmationEnds) {
  DevicePair pair;
  pair.server.host.confirm_as = 0;
  pair.client.send(DevicePair::packet(1));
  ASSERT_TRUE(pair.until([&] { return pair.server.host.closed.size() == 1; }));
  EXPECT_EQ(pair.server.host.closed[0].reason, Reason::client_removed);
  EXPECT_TRUE(pair.server.host.packets.empty());
  EXPECT_EQ(pair.server.device.connections(), 0u);
}

TEST(Device, AHandshakeThatIsNotUsedGoesWithTheDevice) {
  DevicePair pair("127.0.0.1", true);
  pair.relay->hold = true;
  pair.client.send(DevicePair::packet(1));
  ASSERT_TRUE(pair.until([&] { return pair.relay->seen.size() == 1; }));
  pair.relay->to_server(pair.relay->seen[0], 0);
  ASSERT_TRUE(pair.until([&] { return pair.server.device.connections() == 1; }));
  pair.server.device.close_all(Reason::server_stopping);
  EXPECT_EQ(pair.server.device.connections(), 0u);
  ASSERT_EQ(pair.server.host.closed.size(), 1u);
  EXPECT_EQ(pair.server.host.closed[0].reason, Reason::server_stopping);
}

TEST(Device, ClosingALinkEndsTheSession) {
  DevicePair pair;
  ASSERT_TRUE(pair.connect());
  pair.server.host.link->close(Reason::disconnected);
  ASSERT_TRUE(pair.until([&] { return !pair.server.host.closed.empty(); }));
  EXPECT_EQ(pair.server.host.closed[0].reason, Reason::disconnected);
  // What the client still sends finds no key.
  pair.client.send(DevicePair::packet(2));
  ASSERT_TRUE(pair.until([&] { return pair.server.device.counters().unknown_index == 1; }));
  // Nor is it called back: whoever was sent away comes by itself.
  EXPECT_EQ(pair.server.send(DevicePair::answer(1)), Drop::no_route);
}

TEST(Device, ASessionWithoutHandshakesEndsAndCanBeCalledBack) {
  auto options = DeviceEnd::options_for(1);
  options.session_timeout = milliseconds(50);
  options.timing.rekey_timeout = milliseconds(150);
  options.timing.rekey_jitter = Duration{0};
  DevicePair pair("127.0.0.1", false, std::move(options));
  ASSERT_TRUE(pair.connect());
  ASSERT_TRUE(pair.until([&] { return !pair.server.host.closed.empty(); }));
  EXPECT_EQ(pair.server.host.closed[0].reason, Reason::peer_timeout);
  EXPECT_FALSE(pair.server.figures().live);
  // It is still known where the client was.
  EXPECT_EQ(pair.server.send(DevicePair::answer(1)), Drop::none);
  EXPECT_TRUE(pair.until([&] { return pair.client.host.packets.size() == 1; }));
  // It was we who called, as soon as the last handshake was long enough ago.
  EXPECT_EQ(pair.client.device.counters().initiations_out, 1u);
}

TEST(Device, RemovingAPeerEndsItsSessionBeforeItReturns) {
  DevicePair pair;
  ASSERT_TRUE(pair.connect());
  pair.client.send(DevicePair::packet(1));
  pair.server.device.remove_peer(pair.client.key, Reason::client_removed);
  ASSERT_EQ(pair.server.host.closed.size(), 1u);
  EXPECT_EQ(pair.server.host.closed[0].reason, Reason::client_removed);
  EXPECT_EQ(pair.server.device.peers(), 0u);
  EXPECT_FALSE(pair.server.device.has_peer(pair.client.key));
  EXPECT_TRUE(pair.until([&] { return pair.server.device.counters().unknown_index == 1; }));
}

TEST(Device, ALinkMayBeClosedWhileItsPacketsAreHandedOver) {
  DevicePair pair;
  ASSERT_TRUE(pair.connect());
  pair.server.host.after_packets = [&](uint64_t) { pair.server.host.link->close(Reason::client_disabled); };
  for (uint16_t i = 0; i < 40; ++i) pair.client.send(DevicePair::packet(i));
  ASSERT_TRUE(pair.until([&] { return !pair.server.host.closed.empty(); }));
  pair.settle();
  EXPECT_EQ(pair.server.host.closed.size(), 1u);
  EXPECT_EQ(pair.server.device.connections(), 0u);
}

TEST(Device, AnUnknownPeerGetsNoAnswer) {
  DevicePair pair("127.0.0.1", true);
  pair.server.device.remove_peer(pair.client.key, Reason::client_removed);
  pair.client.send(DevicePair::packet(1));
  ASSERT_TRUE(pair.until([&] { return pair.server.device.counters().unknown_peer == 1; }));
  pair.settle();
  EXPECT_TRUE(pair.relay->answers.empty());
  EXPECT_TRUE(pair.server.host.accepted.empty());
}

TEST(Device, APresharedKeyOnOneSideAloneIsNoSession) {
  DevicePair pair("127.0.0.1", true);
  wireguard::PeerSettings peer;
  peer.key = pair.client.key;
  peer.psk = std::make_shared<const SecretKey>(secret_of(9));
  peer.client_number = 1;
  pair.server.device.set_peer(peer);
  pair.client.send(DevicePair::packet(1));
  ASSERT_TRUE(pair.until([&] { return pair.client.device.counters().malformed == 1; }));
  EXPECT_FALSE(pair.client.host.connected());
  EXPECT_FALSE(pair.server.host.connected());
}

TEST(Device, AnotherKeyOfOursEndsAllSessionsAndWorksAtOnce) {
  DevicePair pair;
  ASSERT_TRUE(pair.connect());
  auto identity = std::make_shared<const wireguard::Identity>(secret_of(77));
  pair.server.device.set_identity(identity);
  ASSERT_EQ(pair.server.host.closed.size(), 1u);
  EXPECT_EQ(pair.server.host.closed[0].reason, Reason::disconnected);
  DeviceEnd next(*pair.loop, 3);
  pair.others = {&next};
  next.listen();
  pair.server.know(next);
  wireguard::PeerSettings server;
  server.key = identity->key.pub;
  server.endpoint = pair.at;
  server.client_number = 1;
  next.device.set_peer(server);
  next.send(DevicePair::packet(3));
  EXPECT_TRUE(pair.until([&] { return pair.server.host.packets.size() == 2; }));
}

TEST(Device, ADrainingDeviceKeepsItsSessionsAndTakesNoOthers) {
  DevicePair pair;
  ASSERT_TRUE(pair.connect());
  pair.server.device.begin_drain();
  ASSERT_TRUE(pair.client_says(DevicePair::packet(1)));
  DeviceEnd stranger(*pair.loop, 5);
  stranger.listen();
  pair.server.know(stranger);
  stranger.know(pair.server, pair.at);
  stranger.send(DevicePair::packet(2));
  ASSERT_TRUE(pair.until([&] { return pair.server.device.counters().handshakes_in == 2; }));
  pair.settle();
  EXPECT_EQ(pair.server.device.connections(), 1u);
  EXPECT_EQ(pair.server.host.accepted.size(), 1u);
}

TEST(Device, ClosingAllTakesNothingAnyMore) {
  DevicePair pair;
  ASSERT_TRUE(pair.connect());
  pair.server.device.close_all(Reason::server_stopping);
  ASSERT_EQ(pair.server.host.closed.size(), 1u);
  EXPECT_EQ(pair.server.host.closed[0].reason, Reason::server_stopping);
  pair.client.send(DevicePair::packet(1));
  pair.settle();
  EXPECT_EQ(pair.server.host.packets.size(), 1u);
  EXPECT_EQ(pair.server.send(DevicePair::answer(1)), Drop::no_route);
}

TEST(Device, BothEndsMayCallAtOnce) {
  DevicePair pair;
  pair.server.device.remove_peer(pair.client.key, Reason::none);
  pair.server.know(pair.client, pair.client_at);
  EXPECT_EQ(pair.server.send(DevicePair::answer(1)), Drop::none);
  EXPECT_EQ(pair.client.send(DevicePair::packet(1)), Drop::none);
  ASSERT_TRUE(pair.until([&] { return !pair.server.host.packets.empty() && !pair.client.host.packets.empty(); }));
  ASSERT_TRUE(pair.client_says(DevicePair::packet(2)));
  ASSERT_TRUE(pair.server_says(DevicePair::answer(2)));
  EXPECT_EQ(pair.server.device.connections(), 1u);
  EXPECT_EQ(pair.client.device.connections(), 1u);
}

TEST(Device, AtMost128PacketsOfAPeerWaitForItsSession) {
  DevicePair pair("127.0.0.1", true);
  pair.relay->hold = true;
  for (uint16_t i = 0; i < 200; ++i) EXPECT_EQ(pair.client.send(DevicePair::packet(i)), Drop::none);
  EXPECT_EQ(pair.client.host.dropped(Drop::session_not_ready), 72u);
  ASSERT_TRUE(pair.until([&] { return pair.relay->seen.size() == 1; }));
  pair.relay->hold = false;
  pair.relay->to_server(pair.relay->seen[0], 0);
  ASSERT_TRUE(pair.until([&] { return pair.server.host.packets.size() == 128; }));
  EXPECT_EQ(pair.server.host.packets.front(), DevicePair::packet(72));  // the oldest have gone
  EXPECT_EQ(pair.server.host.packets.back(), DevicePair::packet(199));
}

TEST(Device, APacketForWhoWasNeverHeardOfHasNoWay) {
  DevicePair pair;
  EXPECT_EQ(pair.server.send(DevicePair::answer(1)), Drop::no_route);
  Packet packet = pair.server.pool.copy_of(DevicePair::answer(1));
  EXPECT_EQ(pair.server.device.wake(4711, std::move(packet)), Drop::no_route);
}

TEST(Device, HandshakesShowTheRoundTrip) {
  DevicePair pair;
  ASSERT_TRUE(pair.connect());
  ASSERT_EQ(pair.server.host.rtts.size(), 1u);
  ASSERT_EQ(pair.client.host.rtts.size(), 1u);
  EXPECT_GE(pair.server.host.rtts[0], Duration{0});
}

TEST(Device, DataWithoutAnAnswerIsSilenceUntilItIsHeardAgain) {
  auto options = DeviceEnd::options_for(1);
  options.timing.keepalive_timeout = milliseconds(30);
  options.timing.rekey_timeout = milliseconds(20);
  options.timing.rekey_jitter = Duration{0};
  DevicePair pair("127.0.0.1", true, std::move(options));
  ASSERT_TRUE(pair.connect());
  pair.relay->hold = true;
  pair.server.send(DevicePair::answer(1));
  ASSERT_TRUE(pair.until([&] { return pair.server.host.silences == std::vector<bool>{true}; }));
  pair.relay->hold = false;
  pair.client.send(DevicePair::packet(9));
  EXPECT_TRUE(pair.until([&] { return pair.server.host.silences == std::vector<bool>({true, false}); }));
}

TEST(Device, NewTimestampsAreToldOnceForTheStore) {
  DevicePair pair;
  ASSERT_TRUE(pair.connect());
  std::vector<std::pair<PublicKey, wireguard::Tai64n>> stamps;
  pair.server.device.take_new_timestamps(stamps, 0);
  EXPECT_TRUE(stamps.empty());
  pair.server.device.take_new_timestamps(stamps, 10);
  ASSERT_EQ(stamps.size(), 1u);
  EXPECT_EQ(stamps[0].first, pair.client.key);
  EXPECT_EQ(stamps[0].second, pair.server.figures().greatest_timestamp);
  pair.server.device.take_new_timestamps(stamps, 10);
  EXPECT_EQ(stamps.size(), 1u);
}

TEST(Device, AHandshakeThatTheStoreRemembersIsNotTakenTwice) {
  DevicePair pair("127.0.0.1", true);
  ASSERT_TRUE(pair.connect());
  const Bytes initiation = pair.relay->seen.at(0);
  wireguard::PeerSettings again;
  again.key = pair.client.key;
  again.client_number = 1;
  again.greatest_timestamp = pair.server.figures().greatest_timestamp;
  pair.server.device.remove_peer(pair.client.key, Reason::server_stopping);
  pair.server.device.set_peer(again);
  pair.relay->to_server(initiation, 0);
  ASSERT_TRUE(pair.until([&] { return pair.server.device.counters().not_newer == 1; }));
  EXPECT_EQ(pair.server.host.accepted.size(), 1u);
}

TEST(Device, FiguresOfALinkAreAboutItsSession) {
  DevicePair pair;
  ASSERT_TRUE(pair.connect());
  ASSERT_TRUE(pair.server_says(DevicePair::answer(1, 972)));  // 1000 bytes, 1008 with padding, 1040 on the wire
  const session::LinkFigures figures = pair.server.host.link->figures();
  EXPECT_EQ(figures.outer_bytes_out, 92u + 1040u);
  EXPECT_EQ(figures.outer_messages_out, 2u);
  EXPECT_EQ(figures.outer_bytes_in, 16u + 128u + 16u);
  EXPECT_EQ(figures.outer_messages_in, 1u);
  EXPECT_NE(figures.last_heard, Time{});
}

}  // namespace
}  // namespace smartvpn::testing
