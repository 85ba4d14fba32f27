// What goes through a session: single packets and super-packets, with and without the kernel's help, padded, marked,
// limited, damaged.
//
// The data path's checklist, and where it stands: replay window DeviceRoamingAddresses.AReplayMovesNothing (its edges
// in unit/session); roaming DeviceRoaming*; padding, keepalives and inner lengths PaddingIsZero..., AKeepaliveIs...,
// AnInnerPacketThatLies...; datagrams of any size GarbageOfEverySize...; sticky sources AnswersLeaveFrom... (gone ones
// in unit/net); MTU PaddingIsZero..., WhatCannotBeSent...; whose source an inner packet may have is the router's.
#include <gtest/gtest.h>

#include "inet/super_packet.hpp"
#include "support/wireguard_devices.hpp"

namespace smartvpn::testing {
namespace {

Bytes tcp_super(size_t payload, uint16_t segment_size, std::string_view to = "10.0.0.2") {
  inet::TcpHeader header;
  header.src_port = 80, header.dst_port = 4000, header.seq = 1000;
  Bytes out = test::tcp_packet("10.0.0.1", to, header, test::pattern(payload));
  inet::SuperInfo info;
  EXPECT_EQ(inet::parse_super(out, segment_size, info), Drop::none);
  inet::prepare_partial(out, info);
  return out;
}

std::vector<Bytes> cut(const Bytes& super, uint16_t segment_size) {
  inet::SuperInfo info;
  EXPECT_EQ(inet::parse_super(super, segment_size, info), Drop::none);
  std::vector<Bytes> out;
  for (uint16_t i = 0; i < info.segments; ++i) {
    Bytes& one = out.emplace_back(inet::segment_length(info, i));
    inet::write_segment(super, info, i, one.data());
  }
  return out;
}

struct Offload {
  bool send = true, receive = true;
};
class DeviceOffload : public ::testing::TestWithParam<Offload> {};
INSTANTIATE_TEST_SUITE_P(All, DeviceOffload,
                         ::testing::Values(Offload{true, true}, Offload{true, false}, Offload{false, true},
                                           Offload{false, false}));

// Server and client with the same offloads.
struct OffloadPair : DevicePair {
  static wireguard::ListenerOptions listener(const Offload& offload) {
    wireguard::ListenerOptions out;
    out.send_offload = offload.send;
    out.receive_offload = offload.receive;
    return out;
  }
  explicit OffloadPair(const Offload& offload)
      : DevicePair("127.0.0.1", false, DeviceEnd::options_for(1), DeviceEnd::options_for(2), listener(offload)) {}
};

TEST_P(DeviceOffload, ASuperPacketArrivesAsItsSegments) {
  OffloadPair pair(GetParam());
  ASSERT_TRUE(pair.connect());
  const Bytes super = tcp_super(60000, 1380);
  EXPECT_EQ(pair.server.send(super, 1380, 44), Drop::none);
  const std::vector<Bytes> expected = cut(super, 1380);
  ASSERT_TRUE(pair.until([&] { return pair.client.host.packets.size() == expected.size(); }));
  EXPECT_EQ(pair.client.host.packets, expected);
  const session::LinkFigures figures = pair.server.host.link->figures();
  EXPECT_EQ(figures.outer_messages_out, 1u + expected.size());
}

TEST_P(DeviceOffload, ManyPacketsOfOneTurnKeepTheirOrder) {
  OffloadPair pair(GetParam());
  ASSERT_TRUE(pair.connect());
  std::vector<Bytes> sent;
  for (uint16_t i = 0; i < 300; ++i) {
    sent.push_back(DevicePair::answer(i, i % 7 == 0 ? 40 + i : 1300));
    EXPECT_EQ(pair.server.send(sent.back()), Drop::none);
    if (i % 50 != 49) continue;
    const Bytes super = tcp_super(9000, 1000);
    EXPECT_EQ(pair.server.send(super, 1000, 9), Drop::none);
    for (Bytes& one : cut(super, 1000)) sent.push_back(std::move(one));
  }
  ASSERT_TRUE(pair.until([&] { return pair.client.host.packets.size() == sent.size(); }));
  EXPECT_EQ(pair.client.host.packets, sent);
}

TEST(DeviceData, PacketsAreOpenedInBatchesWhereTheKernelMergesThem) {
  DevicePair pair;
  ASSERT_TRUE(pair.connect());
  const Bytes super = tcp_super(60000, 1380);
  pair.server.send(super, 1380, 44);
  ASSERT_TRUE(pair.until([&] { return pair.client.host.packets.size() == 44; }));
  EXPECT_GE(pair.client.host.largest_batch, 32u);
}

TEST(DeviceData, PacketsOfManyPeersInOneTurnAreEachPeersOwnInOrder) {
  DevicePair pair;
  ASSERT_TRUE(pair.connect());
  constexpr uint8_t kPeers = 20;  // more than the runs that are open at once
  std::vector<std::unique_ptr<DeviceEnd>> clients;
  for (uint8_t i = 0; i < kPeers; ++i) {
    auto& added = clients.emplace_back(std::make_unique<DeviceEnd>(*pair.loop, static_cast<uint8_t>(50 + i)));
    added->listen();
    wireguard::PeerSettings peer;
    peer.key = added->key;
    peer.client_number = 100u + i;
    pair.server.device.set_peer(peer);
    added->know(pair.server, pair.at);
    pair.others.push_back(added.get());
    added->send(DevicePair::packet(i));
  }
  ASSERT_TRUE(pair.until([&] { return pair.server.host.packets.size() == 1u + kPeers; }));
  pair.server.host.packets.clear();
  for (uint16_t round = 0; round < 30; ++round)
    for (uint8_t i = 0; i < kPeers; ++i) clients[i]->send(DevicePair::packet(static_cast<uint16_t>(i * 100 + round)));
  ASSERT_TRUE(pair.until([&] { return pair.server.host.packets.size() == 30u * kPeers; }));
  std::vector<uint16_t> next(kPeers, 0);
  for (const Bytes& packet : pair.server.host.packets) {
    const uint16_t number = load_be16(packet.data() + 22);
    EXPECT_EQ(number % 100, next[number / 100]++);
  }
}

TEST(DeviceData, PaddingIsZeroToSixteenButNeverPastTheMtu) {
  auto options = DeviceEnd::options_for(2);
  options.mtu = 1300;
  DevicePair pair("127.0.0.1", true, DeviceEnd::options_for(1), std::move(options));
  ASSERT_TRUE(pair.connect());
  struct Case {
    size_t inner, wire;
  };
  for (const Case& one : {Case{28, 32 + 32}, Case{32, 32 + 32}, Case{33, 48 + 32}, Case{1296, 1296 + 32},
                          Case{1297, 1300 + 32}, Case{1300, 1300 + 32}}) {
    const Bytes packet = DevicePair::packet(1, one.inner - 28);
    ASSERT_TRUE(pair.client_says(packet));
    EXPECT_EQ(pair.relay->seen.back().size(), one.wire) << one.inner;
    EXPECT_EQ(pair.server.host.packets.back(), packet);
  }
}

TEST(DeviceData, AKeepaliveIsAnEmptyMessageOf32BytesAndNoPacket) {
  DevicePair pair("127.0.0.1", true);
  ASSERT_TRUE(pair.connect());
  wireguard::PeerSettings peer;
  peer.key = pair.server.key;
  peer.endpoint = pair.relay->address();
  peer.client_number = 1;
  peer.persistent_keepalive = seconds(25);
  pair.client.device.set_peer(peer);  // turned on: one goes out at once
  ASSERT_TRUE(pair.until([&] { return pair.relay->seen.back().size() == 32; }));
  ASSERT_TRUE(pair.until([&] { return pair.server.host.link->figures().outer_messages_in == 2; }));
  EXPECT_EQ(pair.server.host.packets.size(), 1u);
}

TEST(DeviceData, CongestionMarksGoThroughTheTunnelBothWays) {
  DevicePair pair("127.0.0.1", true);
  ASSERT_TRUE(pair.connect());
  // The inner mark is on the outer header, both families'.
  Bytes marked = DevicePair::answer(1);
  marked[1] = 2;
  inet::refresh_ipv4_checksum(marked.data(), 20);
  ASSERT_TRUE(pair.server_says(marked));
  EXPECT_EQ(pair.relay->answer_ecn.back(), 2);
  EXPECT_EQ(pair.client.host.packets.back(), marked);
  // A mark of the way's is put on the inner packet, if its flow knows of marks.
  pair.relay->ecn = 3;
  Bytes knowing = DevicePair::packet(2);
  knowing[1] = 2;
  inet::refresh_ipv4_checksum(knowing.data(), 20);
  ASSERT_TRUE(pair.client_says(knowing));
  EXPECT_EQ(pair.server.host.packets.back()[1], 3);
  EXPECT_EQ(inet::checksum_of(ByteView(pair.server.host.packets.back()).first(20)), 0);
  // Otherwise it is dropped for it.
  const size_t before = pair.server.host.packets.size();
  pair.client.send(DevicePair::packet(3));
  ASSERT_TRUE(pair.until([&] { return pair.server.host.dropped(Drop::malformed_packet) == 1; }));
  EXPECT_EQ(pair.server.host.packets.size(), before);
}

TEST(DeviceData, GarbageOfEverySizeDoesNothing) {
  DevicePair pair("127.0.0.1", true);
  ASSERT_TRUE(pair.connect());
  uint64_t sent = 0;
  for (size_t size : {0, 1, 3, 4, 15, 16, 31, 32, 63, 64, 65, 91, 92, 93, 147, 148, 149, 1500, 9000, 65507}) {
    for (uint8_t type : {0, 1, 2, 3, 4, 5}) {
      Bytes message = test::pattern(size);
      for (size_t i = 0; i < std::min<size_t>(4, size); ++i) message[i] = i == 0 ? type : 0;
      pair.relay->to_server(message, 0);
      ++sent;
    }
    const auto& counters = pair.server.device.counters();
    ASSERT_TRUE(pair.until([&] { return counters.malformed + counters.unknown_index + counters.bad_mac1 == sent; }))
        << size;
  }
  ASSERT_TRUE(pair.client_says(DevicePair::packet(1)));
}

TEST(DeviceData, AnInnerPacketThatLiesAboutItselfIsDroppedByName) {
  DevicePair pair;
  ASSERT_TRUE(pair.connect());
  Bytes neither = DevicePair::packet(1);
  neither[0] = 0x55;
  Bytes longer = DevicePair::packet(1);
  store_be16(longer.data() + 2, 1000);
  pair.client.send(neither);
  pair.client.send(longer);
  ASSERT_TRUE(pair.until([&] { return pair.server.host.dropped(Drop::malformed_packet) == 2; }));
  EXPECT_EQ(pair.server.host.packets.size(), 1u);
}

TEST(DeviceData, WhatCannotBeSentIsRefusedByName) {
  DevicePair pair;
  ASSERT_TRUE(pair.connect());
  EXPECT_EQ(pair.server.host.link->send(Packet{}), Drop::malformed_packet);
  EXPECT_EQ(pair.server.send(DevicePair::answer(1, 65490)), Drop::too_big);
  EXPECT_EQ(pair.server.send(DevicePair::answer(1), 0), Drop::none);
  Bytes icmp = DevicePair::answer(1);
  icmp[9] = 1;
  EXPECT_EQ(pair.server.send(icmp, 500, 2), Drop::bad_super_packet);
}

// Lets nothing go until it is opened.
class Gate final : public session::SendGate {
 public:
  bool is_open = false;
  size_t gone = 0;
  bool open(Time) const noexcept override { return is_open; }
  void passed(size_t bytes, Time) noexcept override { gone += bytes; }
  Time opens_at() const noexcept override { return kNever; }
};

TEST(DeviceData, AGateHoldsPacketsBackAndLetsThemGo) {
  DevicePair pair;
  ASSERT_TRUE(pair.connect());
  Gate gate;
  pair.server.host.link->set_gate(&gate);
  for (uint16_t i = 0; i < 10; ++i) EXPECT_EQ(pair.server.send(DevicePair::answer(i)), Drop::none);
  pair.settle();
  EXPECT_TRUE(pair.client.host.packets.empty());
  EXPECT_GT(pair.server.host.link->figures().queued_bytes, 0u);
  int asked = 0;
  pair.server.host.link->sift([&](const Packet&) { return ++asked % 2 == 0; });
  EXPECT_EQ(asked, 10);
  gate.is_open = true;
  pair.server.host.link->set_gate(&gate);
  ASSERT_TRUE(pair.until([&] { return pair.client.host.packets.size() == 5; }));
  EXPECT_EQ(gate.gone, 5u * 128u);
  EXPECT_EQ(pair.server.host.link->figures().queued_bytes, 0u);
  pair.server.host.link->set_gate(nullptr);
  EXPECT_TRUE(pair.server_says(DevicePair::answer(11)));
}

TEST(DeviceData, WhatAGateHoldsGoesWithTheSessionByName) {
  DevicePair pair;
  ASSERT_TRUE(pair.connect());
  Gate gate;
  pair.server.host.link->set_gate(&gate);
  for (uint16_t i = 0; i < 10; ++i) pair.server.send(DevicePair::answer(i));
  pair.server.device.remove_peer(pair.client.key, Reason::client_removed);
  EXPECT_EQ(pair.server.host.dropped(Drop::session_not_ready), 10u);
  pair.settle();
}

TEST(DeviceData, MessagesOfEndedSessionsFindNothing) {
  DevicePair pair("127.0.0.1", true);
  ASSERT_TRUE(pair.connect());
  ASSERT_TRUE(pair.client_says(DevicePair::packet(1)));
  const Bytes data = pair.relay->seen.back();
  pair.server.host.link->close(Reason::disconnected);
  pair.relay->to_server(data, 0);
  ASSERT_TRUE(pair.until([&] { return pair.server.device.counters().unknown_index == 1; }));
  EXPECT_EQ(pair.server.host.packets.size(), 2u);
}

}  // namespace
}  // namespace smartvpn::testing
