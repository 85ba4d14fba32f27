// Where a session is: its endpoint follows authentic data and nothing else, answers leave from the address that was
// written to, and a source that the rules forbid leaves no trace.
#include <gtest/gtest.h>

#include "support/wireguard_devices.hpp"

namespace smartvpn::testing {
namespace {

class DeviceRoaming : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Both, DeviceRoaming, ::testing::Values("127.0.0.1", "::1"));

TEST_P(DeviceRoaming, TheEndpointFollowsTheLastAuthenticPacketToAnotherPort) {
  DevicePair pair(GetParam(), true);
  ASSERT_TRUE(pair.connect());
  const size_t other = pair.relay->add_source(test::ip(GetParam()));
  pair.relay->use = other;
  ASSERT_TRUE(pair.client_says(DevicePair::packet(1)));
  EXPECT_EQ(pair.server.figures().endpoint, pair.relay->source(other));
  ASSERT_EQ(pair.server.host.roamed.size(), 1u);
  EXPECT_EQ(pair.server.host.roamed[0].peer_addr, pair.relay->source(other));
  EXPECT_EQ(pair.server.host.roamed[0].real_addr, pair.relay->source(other));
  EXPECT_EQ(pair.server.host.roamed[0].id, pair.server.host.confirmed[0].id);
  ASSERT_TRUE(pair.server_says(DevicePair::answer(1)));
  EXPECT_EQ(pair.relay->answered_at.back(), other);
}

TEST(DeviceRoamingAddresses, TheEndpointFollowsToAnotherAddressAndBack) {
  DevicePair pair("127.0.0.1", true);
  ASSERT_TRUE(pair.connect());
  pair.relay->use = pair.relay->add_source(test::ip("127.0.0.77"));
  ASSERT_TRUE(pair.client_says(DevicePair::packet(1)));
  EXPECT_EQ(pair.server.figures().endpoint->ip, test::ip("127.0.0.77"));
  pair.relay->use = 0;
  ASSERT_TRUE(pair.client_says(DevicePair::packet(2)));
  EXPECT_EQ(pair.server.figures().endpoint->ip, test::ip("127.0.0.1"));
  EXPECT_EQ(pair.server.host.roamed.size(), 2u);
}

TEST(DeviceRoamingAddresses, FromIpv4ToIpv6) {
  DevicePair pair("127.0.0.1", true);
  wireguard::ListenerOptions second;
  second.listener = 1;
  second.address.ip = test::ip("::1");
  const inet::Endpoint at = pair.server.listen(std::move(second));
  ASSERT_TRUE(pair.connect());
  WireguardRelay six(*pair.loop, at);
  pair.relay->hold = true;
  pair.client.send(DevicePair::packet(1));
  ASSERT_TRUE(pair.until([&] { return pair.relay->seen.size() == 3; }));
  six.to_server(pair.relay->seen.back(), 0);
  ASSERT_TRUE(pair.until([&] { return pair.server.host.packets.size() == 2; }));
  EXPECT_EQ(pair.server.figures().endpoint, six.source(0));
  EXPECT_EQ(pair.server.host.roamed.at(0).listener, 1u);
  pair.server.send(DevicePair::answer(1));
  EXPECT_TRUE(pair.until([&] { return six.answers.size() == 1; }));
}

TEST(DeviceRoamingAddresses, AHandshakeAloneMovesNothing) {
  auto options = DeviceEnd::options_for(2);
  options.timing.rekey_timeout = milliseconds(10);
  options.timing.keepalive_timeout = milliseconds(10);
  options.timing.rekey_jitter = Duration{0};
  DevicePair pair("127.0.0.1", true, DeviceEnd::options_for(1), std::move(options));
  ASSERT_TRUE(pair.connect());
  // What the client says is not answered, so it begins another handshake; that comes from elsewhere.
  pair.relay->hold = true;
  pair.client.send(DevicePair::packet(1));
  auto is_initiation = [](const Bytes& message) { return message.size() == wireguard::kInitiationSize; };
  ASSERT_TRUE(pair.until([&] { return is_initiation(pair.relay->seen.back()); }));
  const size_t other = pair.relay->add_source(test::ip("127.0.0.77"));
  pair.relay->to_server(pair.relay->seen.back(), other);
  ASSERT_TRUE(pair.until([&] { return !pair.relay->answers.empty() && pair.relay->answered_at.back() == other; }));
  EXPECT_EQ(pair.server.figures().endpoint, pair.relay->source(0));
  EXPECT_TRUE(pair.server.host.roamed.empty());
  ASSERT_EQ(pair.server.host.identities.size(), 2u);
  EXPECT_TRUE(pair.server.host.identities[1].rekey);
}

TEST(DeviceRoamingAddresses, AReplayMovesNothing) {
  DevicePair pair("127.0.0.1", true);
  ASSERT_TRUE(pair.connect());
  ASSERT_TRUE(pair.client_says(DevicePair::packet(1)));
  const Bytes data = pair.relay->seen.back();
  const size_t other = pair.relay->add_source(test::ip("127.0.0.77"));
  pair.relay->to_server(data, other);
  ASSERT_TRUE(pair.until([&] { return pair.server.host.dropped(Drop::replayed) == 1; }));
  EXPECT_EQ(pair.server.figures().endpoint, pair.relay->source(0));
  EXPECT_TRUE(pair.server.host.roamed.empty());
  EXPECT_EQ(pair.server.host.packets.size(), 2u);
}

TEST(DeviceRoamingAddresses, WhatDoesNotOpenMovesNothing) {
  DevicePair pair("127.0.0.1", true);
  ASSERT_TRUE(pair.connect());
  Bytes forged = pair.relay->seen.back();
  forged[8] += 1;  // a counter that was not used
  pair.relay->to_server(forged, pair.relay->add_source(test::ip("127.0.0.77")));
  ASSERT_TRUE(pair.until([&] { return pair.server.host.dropped(Drop::decrypt_failed) == 1; }));
  EXPECT_EQ(pair.server.figures().endpoint, pair.relay->source(0));
}

TEST(DeviceRoamingAddresses, AForbiddenSourceLeavesNoTrace) {
  DevicePair pair("127.0.0.1", true);
  ASSERT_TRUE(pair.connect());
  pair.server.host.roam = [](const session::Connection& connection) {
    return connection.peer_addr.ip == test::ip("127.0.0.77") ? Reason::client_ip_block_list : Reason::none;
  };
  const Time heard = pair.server.host.link->figures().last_heard;
  const session::LinkFigures before = pair.server.host.link->figures();
  pair.relay->use = pair.relay->add_source(test::ip("127.0.0.77"));
  pair.client.send(DevicePair::packet(1));
  ASSERT_TRUE(pair.until([&] { return pair.server.device.counters().blocked_source == 1; }));
  EXPECT_EQ(pair.server.host.link->figures().last_heard, heard);
  EXPECT_EQ(pair.server.host.link->figures().outer_bytes_in, before.outer_bytes_in);
  EXPECT_EQ(pair.server.figures().endpoint, pair.relay->source(0));
  EXPECT_EQ(pair.server.host.packets.size(), 1u);
  // Its counter was not taken: the same message is good from where the client may be.
  pair.relay->to_server(pair.relay->seen.back(), 0);
  ASSERT_TRUE(pair.until([&] { return pair.server.host.packets.size() == 2; }));
  EXPECT_EQ(pair.server.host.packets.back(), DevicePair::packet(1));
}

TEST(DeviceRoamingAddresses, AHandshakeFromAForbiddenSourceEndsNothing) {
  auto options = DeviceEnd::options_for(2);
  options.timing.rekey_timeout = milliseconds(10);
  options.timing.keepalive_timeout = milliseconds(10);
  options.timing.rekey_jitter = Duration{0};
  DevicePair pair("127.0.0.1", true, DeviceEnd::options_for(1), std::move(options));
  ASSERT_TRUE(pair.connect());
  pair.server.host.roam = [](const auto&) { return Reason::client_ip_block_list; };
  pair.relay->hold = true;
  pair.client.send(DevicePair::packet(1));
  auto is_initiation = [](const Bytes& message) { return message.size() == wireguard::kInitiationSize; };
  ASSERT_TRUE(pair.until([&] { return is_initiation(pair.relay->seen.back()); }));
  pair.relay->to_server(pair.relay->seen.back(), pair.relay->add_source(test::ip("127.0.0.77")));
  ASSERT_TRUE(pair.until([&] { return pair.server.device.counters().blocked_source == 1; }));
  EXPECT_EQ(pair.server.host.identities.size(), 1u);
  EXPECT_TRUE(pair.server.host.closed.empty());
  EXPECT_TRUE(pair.server.figures().live);
}

TEST(DeviceRoamingAddresses, AnInitiationRelayedFromAForbiddenSourceLeavesTheOriginalGood) {
  DevicePair pair("127.0.0.1", true);
  pair.server.host.hands = [](const session::Connection& there) {
    return there.peer_addr.ip == test::ip("127.0.0.77") ? Reason::client_ip_block_list : Reason::none;
  };
  pair.relay->hold = true;
  pair.client.send(DevicePair::packet(1));
  ASSERT_TRUE(pair.until([&] { return pair.relay->seen.size() == 1; }));
  const Bytes initiation = pair.relay->seen[0];
  pair.relay->to_server(initiation, pair.relay->add_source(test::ip("127.0.0.77")));
  ASSERT_TRUE(pair.until([&] { return pair.server.device.counters().blocked_source == 1; }));
  EXPECT_TRUE(pair.relay->answers.empty());
  EXPECT_TRUE(pair.server.host.identities.empty());
  ASSERT_EQ(pair.server.host.closed.size(), 1u) << "the host is told";
  EXPECT_EQ(pair.server.host.closed[0].reason, Reason::client_ip_block_list);
  pair.relay->hold = false;
  pair.relay->to_server(initiation, 0);
  ASSERT_TRUE(pair.until([&] { return pair.server.host.packets.size() == 1; }));
  EXPECT_EQ(pair.server.device.counters().not_newer, 0u);
}

TEST(DeviceRoamingAddresses, AResponseFromAForbiddenSourceLeavesTheHandshakeOpen) {
  DevicePair pair("127.0.0.1", true);
  pair.client.host.hands = [&](const session::Connection& there) {
    return there.peer_addr == pair.relay->address() ? Reason::client_ip_block_list : Reason::none;
  };
  pair.client.send(DevicePair::packet(1));
  ASSERT_TRUE(pair.until([&] { return pair.client.device.counters().blocked_source == 1; }));
  EXPECT_TRUE(pair.client.host.closed.empty());
  pair.client.host.hands = [](const auto&) { return Reason::none; };
  pair.relay->to_client(pair.relay->answers.at(0));
  ASSERT_TRUE(pair.until([&] { return pair.server.host.packets.size() == 1; }));
}

TEST(DeviceRoamingAddresses, AnEndpointThatIsInUseAlreadyChangesNothingAboutTheWayThere) {
  DevicePair pair("127.0.0.1", true);
  wireguard::ListenerOptions another;
  another.listener = 1;
  const inet::Endpoint at = pair.server.listen(std::move(another));
  pair.client.know(pair.server, at);  // it calls the second listener
  pair.client.send(DevicePair::packet(1));
  ASSERT_TRUE(pair.until([&] { return pair.server.host.packets.size() == 1; }));
  pair.server.know(pair.client, pair.client_at);
  ASSERT_TRUE(pair.server_says(DevicePair::answer(1)));
  EXPECT_EQ(pair.client.figures().endpoint, at) << "the answer came from the second listener";
}

TEST(DeviceRoamingAddresses, AnswersLeaveFromTheAddressThatWasWrittenTo) {
  DevicePair pair("0.0.0.0", false);
  WireguardRelay relay(*pair.loop, {test::ip("127.0.0.55"), pair.at.port});
  pair.client.know(pair.server, relay.address());
  pair.client.send(DevicePair::packet(1));
  // The relay's socket takes whatever comes; who it came from is what the kernel chose.
  ASSERT_TRUE(pair.until([&] { return pair.client.host.connected() && pair.server.host.connected(); }));
  EXPECT_EQ(relay.answer_from.at(0), (inet::Endpoint{test::ip("127.0.0.55"), pair.at.port}));
  ASSERT_TRUE(pair.server_says(DevicePair::answer(1)));
  EXPECT_EQ(relay.answer_from.back(), (inet::Endpoint{test::ip("127.0.0.55"), pair.at.port}));
}

TEST(DeviceRoamingAddresses, ACookieReplyMovesNothing) {
  DevicePair pair("127.0.0.1", true);
  ASSERT_TRUE(pair.connect());
  const auto before = pair.client.figures().endpoint;
  Bytes reply(wireguard::kCookieReplySize);
  reply[0] = 3;
  std::copy_n(pair.relay->seen[0].begin() + 4, 4, reply.begin() + 4);
  pair.relay->to_client(reply);
  ASSERT_TRUE(pair.until([&] { return pair.client.device.counters().unknown_index == 1; }));
  EXPECT_EQ(pair.client.figures().endpoint, before);
}

}  // namespace
}  // namespace smartvpn::testing
