// What a server makes of clients that say odd things after (and in) a good handshake.
#include "support/raw_client.hpp"

#include <gtest/gtest.h>

namespace smartvpn::testing {
namespace {

TEST(RawClient, GetsASessionWithTheShortestPayload) {
  RawClient c;
  ASSERT_TRUE(c.connect());
  ASSERT_GE(c.response.size(), 2u);
  EXPECT_EQ(c.response[0], 0);  // ok
  EXPECT_EQ(c.response[1], 1);  // version
  c.say({});
  EXPECT_EQ(c.handler.confirmations, 1);
  EXPECT_EQ(c.server->mtu(), 1420);
  EXPECT_FALSE(c.server->peer_takes_super_packets());
}

TEST(RawClient, FirstMessageConfirmsEvenIfItsRecordsAreWrong) {
  RawClient c;
  ASSERT_TRUE(c.connect());
  c.say(Bytes{9, 9});
  EXPECT_EQ(c.handler.confirmations, 1);
  EXPECT_EQ(c.handler.dropped(Drop::malformed_record), 1u);
  EXPECT_FALSE(c.server->closed());
}

TEST(RawClient, MalformedPayloadFailsLikeABadHandshake) {
  const Bytes bad[] = {{0}, {1, 1}, {1, 1, 4, 0, 0}, {1, 3, 4, 0, 1, 0, 0, 0}, {1, 4, 3, 0, 1, 2, 3}};
  for (const Bytes& payload : bad) {
    RawClient c;
    EXPECT_FALSE(c.connect(payload));
    EXPECT_EQ(c.handler.closed.reason, Reason::handshake_failed);
    EXPECT_EQ(c.server->websocket_close_code(), 1008);
    EXPECT_TRUE(c.handler.identities.empty());
  }
}

// Right in every byte the hash covers, but for what the header may not say.
TEST(RawClient, AnInitiationWithoutAnIndexOrWithACounterFailsLikeABadHandshake) {
  const Bytes bad[] = {{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
                       {1, 0, 0, 0, 0x44, 0x33, 0x22, 0x11, 1, 0, 0, 0, 0, 0, 0, 0},
                       {1, 0, 0, 0, 0x44, 0x33, 0x22, 0x11, 0, 0, 0, 0, 0, 0, 0, 0x80}};
  for (const Bytes& header : bad) {
    RawClient c;
    c.initiation_header = header;
    EXPECT_FALSE(c.connect());
    EXPECT_EQ(c.handler.closed.reason, Reason::handshake_failed);
    EXPECT_EQ(c.server->websocket_close_code(), 1008);
    EXPECT_TRUE(c.handler.identities.empty());
  }
}

TEST(RawClient, AWantedMtuIsHeldBetweenTheLeastAndTheGrants) {
  const std::pair<uint16_t, uint16_t> cases[] = {{0, 1420},    {1, kMinMtu}, {kMinMtu, kMinMtu}, {1400, 1400},
                                                 {1420, 1420}, {1421, 1420}, {65535, 1420}};
  for (auto [wanted, given] : cases) {
    RawClient c;
    ASSERT_TRUE(c.connect(Bytes{1, 2, 2, 0, static_cast<uint8_t>(wanted), static_cast<uint8_t>(wanted >> 8)}));
    c.say({});
    EXPECT_EQ(c.server->mtu(), given) << wanted;
  }
}

TEST(RawClient, NewerVersionAndUnknownFieldsAreAnsweredWithOurs) {
  RawClient c;
  ASSERT_TRUE(c.connect(Bytes{7, 200, 3, 0, 1, 2, 3}));
  EXPECT_EQ(c.response[1], 1);
}

TEST(RawClient, MalformedRecordVoidsTheWholeMessage) {
  const Bytes good = RawClient::packet(), ping = RawClient::ping(1);
  const Bytes bad[] = {
      RawClient::record(1, {}),                 // empty packet
      Bytes{1, 5, 0, 0, 1},                     // runs past the end
      Bytes{1, 0, 0},                           // half a header
      RawClient::record(3, Bytes(7)),           // short ping
      RawClient::record(4, Bytes(9)),           // long pong
      RawClient::record(6, Bytes(5)),           // short close
      RawClient::record(2, Bytes(2, 1)),        // super-packet without a packet
      RawClient::record(2, Bytes{0, 0, 0x45}),  // segment size 0
      RawClient::record(5, {}),                 // configuration from a client
      RawClient::record(6, Bytes(6)) + RawClient::record(6, Bytes(6)),
  };
  for (const Bytes& wrong : bad) {
    RawClient c;
    ASSERT_TRUE(c.connect());
    c.say(good + ping + wrong);
    EXPECT_TRUE(c.handler.packets.empty());
    EXPECT_TRUE(c.hear().empty());
    EXPECT_EQ(c.handler.dropped(Drop::malformed_record), 1u);
    EXPECT_FALSE(c.server->closed());
    c.say(good);
    EXPECT_EQ(c.handler.packets.size(), 1u);
  }
}

TEST(RawClient, At257RecordsTheMessageIsMalformed) {
  RawClient c;
  ASSERT_TRUE(c.connect());
  Bytes records;
  for (int i = 0; i < 256; ++i) records = records + RawClient::packet();
  c.say(records);
  EXPECT_EQ(c.handler.packets.size(), 256u);
  c.say(records + RawClient::packet());
  EXPECT_EQ(c.handler.packets.size(), 256u);
  EXPECT_EQ(c.handler.dropped(Drop::malformed_record), 1u);
}

TEST(RawClient, UnknownRecordsAreCountedAndIgnored) {
  RawClient c;
  ASSERT_TRUE(c.connect());
  c.say(RawClient::record(99, Bytes(3)) + RawClient::packet() + RawClient::record(7, {}));
  EXPECT_EQ(c.handler.packets.size(), 1u);
  EXPECT_EQ(c.handler.dropped(Drop::unknown_record), 2u);
}

TEST(RawClient, PaddingEndsTheMessage) {
  RawClient c;
  ASSERT_TRUE(c.connect());
  c.say(RawClient::packet() + Bytes{0} + RawClient::packet());
  c.say(RawClient::packet() + Bytes{0, 0, 0});
  c.say(Bytes(500, 0));
  EXPECT_EQ(c.handler.packets.size(), 3u - 1u);
  EXPECT_EQ(c.handler.all_dropped(), 0u);
}

TEST(RawClient, OnePongAMessage) {
  RawClient c;
  ASSERT_TRUE(c.connect());
  c.say(RawClient::ping(11) + RawClient::ping(12));
  auto heard = c.hear();
  ASSERT_EQ(heard.size(), 1u);
  Bytes pong(8);
  store_le64(pong.data(), 11);
  EXPECT_EQ(heard[0], RawClient::record(4, pong));
}

TEST(RawClient, TenPongsASecond) {
  RawClient c;
  ASSERT_TRUE(c.connect());
  size_t pongs = 0;
  for (int i = 0; i < 50; ++i) {
    c.say(RawClient::ping(1));
    pongs += c.hear().size();
  }
  EXPECT_EQ(pongs, 10u);
  c.now += seconds(1);
  c.say(RawClient::ping(1));
  EXPECT_EQ(c.hear().size(), 1u);
}

TEST(RawClient, UnreadPongsDoNotPileUp) {
  RawClient c;
  ASSERT_TRUE(c.connect());
  for (int i = 0; i < 10; ++i) c.say(RawClient::ping(static_cast<uint64_t>(i)));
  auto heard = c.hear();
  ASSERT_EQ(heard.size(), 1u);
  EXPECT_EQ(heard[0].size(), 4u * 12u);
}

TEST(RawClient, StrangePongMeasuresNothing) {
  RawClient c;
  ASSERT_TRUE(c.connect());
  c.say(RawClient::record(4, Bytes(8, 0)));
  c.say(RawClient::record(4, Bytes(8, 1)));
  EXPECT_TRUE(c.handler.rtts.empty());
}

TEST(RawClient, PacketsBeforeAConfirmingPingAreNotLost) {
  RawClient c;
  ASSERT_TRUE(c.connect());
  c.say(RawClient::packet(40));
  ASSERT_EQ(c.handler.packets.size(), 1u);
  EXPECT_EQ(c.handler.packets[0].session, 77u);
}

TEST(RawClient, MessageOverTheLimitEndsTheSession) {
  RawClient c;
  ASSERT_TRUE(c.connect());
  c.say(Bytes(kMaxPlaintext, 0));
  EXPECT_FALSE(c.server->closed());
  c.say(Bytes(kMaxPlaintext + 1, 0));
  EXPECT_TRUE(c.server->closed());
}

TEST(RawClient, NothingActsAfterTheEnd) {
  RawClient c;
  ASSERT_TRUE(c.connect());
  c.say(RawClient::packet());
  c.server->close(Reason::disconnected, c.now);
  c.hear();
  c.say(RawClient::packet() + RawClient::ping(1));
  EXPECT_EQ(c.handler.packets_seen, 1u);
  EXPECT_EQ(c.handler.all_dropped(), 0u);
  EXPECT_TRUE(c.hear().empty());
  EXPECT_EQ(c.handler.closes, 1);
}

TEST(RawClient, UnknownTypeIsIgnoredInASession) {
  RawClient c;
  ASSERT_TRUE(c.connect());
  for (int i = 0; i < 50; ++i) {
    Bytes strange(20, 0);
    strange[0] = 9;
    c.server->receive(strange, c.now);
  }
  c.say(RawClient::packet());
  EXPECT_EQ(c.handler.packets.size(), 1u);
  EXPECT_EQ(c.handler.dropped(Drop::unknown_message), 50u);
}

TEST(RawClient, RandomRecordsNeverConfuseTheServer) {
  std::mt19937 random(7);
  RawClient c;
  c.config.carrier = Carrier::quic;
  ASSERT_TRUE(c.connect());
  for (int i = 0; i < 20000 && !c.server->closed(); ++i) {
    Bytes records;
    for (int n = static_cast<int>(random() % 6); n > 0; --n) {
      Bytes body(random() % 12);
      for (auto& b : body) b = static_cast<uint8_t>(random());
      auto kind = static_cast<uint8_t>(random() % 9);
      if (kind == 6 && random() % 64) kind = 1;
      records = records + RawClient::record(kind, body);
    }
    if (!records.empty() && random() % 4 == 0)
      records[random() % records.size()] ^= static_cast<uint8_t>(1 << random() % 8);
    if (random() % 8 == 0) records.resize(random() % (records.size() + 1));
    const uint64_t dropped = c.handler.dropped(Drop::malformed_record), packets = c.handler.packets_seen;
    c.handler.keep_packets = false;
    c.say(records);
    // A voided message acts in no way.
    if (c.handler.dropped(Drop::malformed_record) != dropped) {
      ASSERT_EQ(c.handler.packets_seen, packets);
    }
    if (i % 16 == 0) {
      c.hear();
      c.now += seconds(1) / 20;
    }
  }
  EXPECT_TRUE(!c.server->closed() || c.handler.closed.reason == Reason::peer_closed ||
              c.handler.closed.reason == Reason::peer_timeout);
}

}  // namespace
}  // namespace smartvpn::testing
