// Inner packets between two machines: batching, super-packets, control before data, counters, records
// that are wrong, and how a session ends.
#include <gtest/gtest.h>

#include "support/session_pair.hpp"

namespace smartvpn::testing {
namespace {

TEST(Data, PacketsCrossUnchangedInBothDirections) {
  SessionPair pair;
  ASSERT_TRUE(pair.connect());
  for (size_t size : {20u, 1420u, 9000u}) {
    ASSERT_EQ(pair.send(Side::client, size, 1), Drop::none);
    ASSERT_EQ(pair.send(Side::server, size, 2), Drop::none);
    pair.run_for(milliseconds(50));
    const auto& up = pair.server_handler.packets.back();
    const auto& down = pair.client_handler.packets.back();
    ASSERT_EQ(up.bytes.size(), size);
    ASSERT_EQ(down.bytes.size(), size);
    EXPECT_EQ(up.bytes[19], 1);
    EXPECT_EQ(down.bytes[19], 2);
    EXPECT_EQ(up.session, 77u);
    EXPECT_EQ(up.segment_size, 0);
  }
  EXPECT_EQ(pair.server_handler.packets.size(), 3u);
  EXPECT_EQ(pair.client_handler.packets.size(), 3u);
}

TEST(Data, SmallPacketsTravelTogetherUpToSixteenKilobytes) {
  SessionPair pair;
  ASSERT_TRUE(pair.connect());
  pair.largest_message = 0;
  const uint64_t before = pair.wire.sent();
  for (int i = 0; i < 100; ++i) pair.send(Side::client, 1000);
  pair.run_for(milliseconds(50));
  EXPECT_EQ(pair.server_handler.packets.size(), 100u);
  EXPECT_EQ(pair.wire.sent() - before, 7u);
  EXPECT_LE(pair.largest_message, kHeaderSize + kBatchBytes + kTagSize);
}

TEST(Data, AMessageCarriesAtMost256Records) {
  SessionPair pair;
  ASSERT_TRUE(pair.connect());
  const uint64_t before = pair.wire.sent();
  for (int i = 0; i < 240; ++i) pair.send(Side::client, 20);  // as many as the queue holds
  pair.run_for(milliseconds(50));
  EXPECT_EQ(pair.server_handler.packets.size(), 240u);
  EXPECT_EQ(pair.wire.sent() - before, 1u);
  EXPECT_EQ(pair.server_handler.batches, 4u);
}

TEST(Data, LoneAndLargePacketsAreSealedInTheirOwnBlock) {
  SessionPair pair;
  ASSERT_TRUE(pair.connect());
  for (auto [size, segment] : {std::pair<size_t, uint16_t>{60000, 1360}, {65535, 1400}, {12000, 0}, {1420, 0}}) {
    Packet p = pair.packet(size, 7, segment);
    const uint8_t* block = p.block();
    ASSERT_EQ(pair.client->send(std::move(p), pair.now), Drop::none);
    Packet message = pair.client->pull(pair.now);
    ASSERT_TRUE(message);
    EXPECT_EQ(message.block(), block);
    EXPECT_GE(message.headroom(), kCarrierHeadroom);
    EXPECT_LE(message.size(), kMaxMessage);
    pair.server->receive(message.bytes(), pair.now);
    ASSERT_FALSE(pair.server_handler.packets.empty());
    EXPECT_EQ(pair.server_handler.packets.back().bytes.size(), size);
    EXPECT_EQ(pair.server_handler.packets.back().segment_size, segment);
  }
}

TEST(Data, PacketWithoutHeadroomIsCopied) {
  SessionPair pair;
  ASSERT_TRUE(pair.connect());
  Packet p = pair.pool.take(1000);
  p.set_range(0, 1000);
  std::fill(p.bytes().begin(), p.bytes().end(), uint8_t{5});
  ASSERT_EQ(pair.client->send(std::move(p), pair.now), Drop::none);
  Packet message = pair.client->pull(pair.now);
  ASSERT_TRUE(message);
  EXPECT_GE(message.headroom(), kCarrierHeadroom);
  pair.server->receive(message.bytes(), pair.now);
  EXPECT_EQ(pair.server_handler.packets.at(0).bytes, Bytes(1000, 5));
}

TEST(Data, SuperPacketsOnlyToPeersThatTakeThem) {
  SessionPair pair;
  pair.client_config.super_packets = false;
  ASSERT_TRUE(pair.connect());
  EXPECT_EQ(pair.send(Side::server, 30000, 1, 1400), Drop::bad_super_packet);
  EXPECT_EQ(pair.send(Side::client, 30000, 1, 1400), Drop::none);
  pair.run_for(milliseconds(50));
  EXPECT_EQ(pair.server_handler.packets.size(), 1u);
}

TEST(Data, PeersLimitOnMessagesIsKept) {
  SessionPair pair;
  pair.server_config.max_plaintext = 4096;
  ASSERT_TRUE(pair.connect());
  EXPECT_EQ(pair.send(Side::client, 4093), Drop::too_big);
  EXPECT_EQ(pair.send(Side::client, 4092), Drop::none);
  EXPECT_EQ(pair.send(Side::server, 60000), Drop::none);
  for (int i = 0; i < 20; ++i) pair.send(Side::client, 1400);
  pair.run_for(milliseconds(100));
  EXPECT_EQ(pair.server_handler.packets.size(), 21u);
  EXPECT_EQ(pair.client_handler.packets.size(), 1u);
}

TEST(Data, ControlOvertakesWaitingData) {
  SessionPair pair;
  ASSERT_TRUE(pair.connect());
  for (int i = 0; i < 50; ++i) pair.client->send(pair.packet(1400), pair.now);
  pair.client->close(Reason::none, pair.now);
  EXPECT_EQ(pair.client_handler.dropped(Drop::session_not_ready), 50u);
  pair.run_for(milliseconds(50));
  EXPECT_EQ(pair.server_handler.packets.size(), 0u);
  EXPECT_EQ(pair.server_handler.closed.reason, Reason::peer_closed);
  EXPECT_TRUE(pair.server_handler.closed.by_peer);
  EXPECT_EQ(pair.server_handler.closed.code, CloseCode::leaving);
}

TEST(Data, NothingIsAllocatedPerPacketOnceWarm) {
  SessionPair pair;
  ASSERT_TRUE(pair.connect());
  pair.server_handler.keep_packets = false;
  const size_t idle = pair.pool.bytes_in_use();
  for (int round = 0; round < 50; ++round) {
    for (int i = 0; i < 30; ++i) pair.send(Side::client, 1400);
    while (Packet m = pair.client->pull(pair.now)) pair.server->receive(m.bytes(), pair.now);
  }
  EXPECT_EQ(pair.server_handler.packets_seen, 1500u);
  EXPECT_EQ(pair.pool.bytes_in_use(), idle);
}

TEST(Data, GapOrRepeatInCountersClosesAnOrderedSession) {
  for (bool repeat : {false, true}) {
    SessionPair pair;
    ASSERT_TRUE(pair.connect());
    pair.send(Side::client, 100);
    Packet first = pair.client->pull(pair.now);
    pair.send(Side::client, 100);
    Packet second = pair.client->pull(pair.now);
    Bytes copy(first.bytes().begin(), first.bytes().end());
    if (repeat) pair.server->receive(first.bytes(), pair.now);
    pair.server->receive(repeat ? ByteSpan(copy) : second.bytes(), pair.now);
    EXPECT_TRUE(pair.server->closed());
    EXPECT_EQ(pair.server_handler.closed.reason, Reason::protocol_error);
    EXPECT_EQ(pair.server_handler.dropped(Drop::replayed), 1u);
    EXPECT_EQ(pair.server_handler.packets.size(), repeat ? 1u : 0u);
  }
}

TEST(Data, EveryFlippedByteClosesAnOrderedSessionAndIsDroppedOtherwise) {
  for (Carrier carrier : {Carrier::websocket, Carrier::quic}) {
    const size_t size = kHeaderSize + kRecordHeader + 40 + kTagSize;
    for (size_t i = 0; i < size; ++i) {
      SessionPair pair(carrier);
      ASSERT_TRUE(pair.connect());
      pair.send(Side::client, 40);
      Packet m = pair.client->pull(pair.now);
      ASSERT_EQ(m.size(), size);
      m.bytes()[i] ^= 0x10;
      pair.server->receive(m.bytes(), pair.now);
      EXPECT_EQ(pair.server_handler.packets.size(), 0u) << i;
      EXPECT_EQ(pair.server_handler.all_dropped(), 1u) << i;
      // An unknown type is ignored everywhere; the lost counter shows with the next message.
      EXPECT_EQ(pair.server->closed(), carrier == Carrier::websocket && i != 0) << i;
      pair.send(Side::client, 40);
      pair.run_for(milliseconds(50));
      EXPECT_EQ(pair.server->closed(), carrier == Carrier::websocket) << i;
      EXPECT_EQ(pair.server_handler.packets.size(), carrier == Carrier::quic ? 1u : 0u) << i;
    }
  }
}

TEST(Data, DatagramsMayBeLostRepeatedAndReordered) {
  VirtualWire::Options options;
  options.jitter = milliseconds(30);
  options.loss_per_mille = 100;
  SessionPair pair(Carrier::quic, options);
  ASSERT_TRUE(pair.connect());
  std::vector<Bytes> seen;
  pair.wire.filter = [&](Side to, Bytes& m) {
    if (to == Side::server) seen.push_back(m);
    return true;
  };
  for (int i = 0; i < 1000; ++i) {
    pair.send(Side::client, 1000);
    pair.run_for(milliseconds(1));
  }
  pair.run_for(milliseconds(100));
  const size_t arrived = pair.server_handler.packets.size();
  EXPECT_GT(arrived, 850u);
  EXPECT_LT(arrived, 950u);
  EXPECT_EQ(pair.server_handler.all_dropped(), 0u);
  // Everything once more: what had arrived is refused, what was lost is welcome.
  for (Bytes& m : seen) pair.server->receive(m, pair.now);
  EXPECT_EQ(pair.server_handler.packets.size(), 1000u);
  EXPECT_EQ(pair.server_handler.dropped(Drop::replayed), arrived);
  EXPECT_FALSE(pair.server->closed());
}

TEST(Data, ConfigurationUpdateReachesTheClient) {
  SessionPair pair;
  ASSERT_TRUE(pair.connect());
  SessionParameters changed = pair.server->parameters();
  changed.routes = {*inet::Cidr::parse("10.0.0.0/8")};
  changed.mtu = 1300;
  changed.next_server_key = pair.next_key.pub;
  ASSERT_TRUE(pair.server->reconfigure(changed));
  pair.run_for(milliseconds(50));
  ASSERT_EQ(pair.client_handler.reconfigured.size(), 1u);
  EXPECT_EQ(pair.client_handler.reconfigured[0], changed);
  EXPECT_EQ(pair.client->mtu(), 1300);
  EXPECT_EQ(pair.server->mtu(), 1300);
}

TEST(Data, LargestConfigurationFits) {
  SessionPair pair;
  ASSERT_TRUE(pair.connect());
  SessionParameters large = pair.server->parameters();
  large.routes.clear();
  for (uint32_t i = 0; i < kMaxRoutes; ++i)
    large.routes.push_back({inet::IpAddress::parse("2001:db8::")->plus(uint64_t{i} << 32), 96});
  ASSERT_TRUE(pair.server->reconfigure(large));
  pair.run_for(milliseconds(50));
  ASSERT_EQ(pair.client_handler.reconfigured.size(), 1u);
  EXPECT_EQ(pair.client_handler.reconfigured[0].routes, large.routes);
  large.routes.push_back(large.routes[0]);
  EXPECT_FALSE(pair.server->reconfigure(large));
}

TEST(Data, EveryCloseReasonReachesTheClientWithItsAdvice) {
  const std::pair<Reason, Reconnect> endings[] = {{Reason::replaced, Reconnect::never},
                                                  {Reason::client_disabled, Reconnect::never},
                                                  {Reason::client_expired, Reconnect::never},
                                                  {Reason::client_removed, Reconnect::never},
                                                  {Reason::server_stopping, Reconnect::backoff},
                                                  {Reason::disconnected, Reconnect::backoff},
                                                  {Reason::client_ip_block_list, Reconnect::backoff}};
  for (auto [reason, advice] : endings) {
    SessionPair pair;
    ASSERT_TRUE(pair.connect());
    pair.server->close(reason, pair.now, 42);
    pair.run_for(milliseconds(50));
    EXPECT_EQ(pair.server_handler.closed.reason, reason);
    EXPECT_EQ(pair.client_handler.closed.code, close_code_for(reason)) << reason_name(reason);
    EXPECT_EQ(pair.client_handler.closed.reconnect, advice) << reason_name(reason);
    EXPECT_EQ(pair.client_handler.closed.retry_after_s, 42u);
    EXPECT_TRUE(pair.client_handler.closed.by_peer);
    EXPECT_EQ(pair.server_handler.closes, 1);
    EXPECT_EQ(pair.client_handler.closes, 1);
    EXPECT_EQ(pair.send(Side::client, 100), Drop::session_not_ready);
    EXPECT_EQ(pair.client->next_deadline(), kNever);
  }
}

TEST(Data, ClientCannotSayThatItWasReplaced) {
  SessionPair pair;
  ASSERT_TRUE(pair.connect());
  pair.client->close(Reason::replaced, pair.now);
  pair.run_for(milliseconds(50));
  EXPECT_EQ(pair.server_handler.closed.reason, Reason::peer_closed);
}

TEST(Data, HandlerMayCloseInsideACallback) {
  struct Closing : ServerRecorder {
    void on_packets(std::span<const PacketView>) override { machine->close(Reason::disconnected, *now); }
  };
  SessionPair pair;
  Closing handler;
  SeededRng rng(4);
  crypto::AeadEngine engine;
  ASSERT_TRUE(pair.connect());
  Responder server(pair.server_config, handler, engine, pair.pool, rng);
  handler.machine = &server;
  handler.now = &pair.now;
  Initiator client(pair.client_config, pair.client_handler, engine, pair.pool, rng);
  client.start(pair.now);
  server.start(pair.now);
  auto shuttle = [&] {
    for (int i = 0; i < 4; ++i) {
      while (Packet m = server.pull(pair.now)) client.receive(m.bytes(), pair.now);
      while (Packet m = client.pull(pair.now)) server.receive(m.bytes(), pair.now);
    }
  };
  shuttle();
  ASSERT_TRUE(client.established());
  for (int i = 0; i < 200; ++i) client.send(pair.packet(40), pair.now);
  shuttle();
  EXPECT_TRUE(server.closed());
  EXPECT_EQ(handler.closes, 1);
  EXPECT_EQ(pair.client_handler.closed.code, CloseCode::disconnected);
}

}  // namespace
}  // namespace smartvpn::testing
