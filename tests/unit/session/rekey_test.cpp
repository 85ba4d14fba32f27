// New keys on a living connection: on time, after many messages, lost, refused, too late, and after a
// sleep.
#include <gtest/gtest.h>

#include "support/session_pair.hpp"

namespace smartvpn::testing {
namespace {

Duration hours(int n) { return std::chrono::hours(n); }

bool is_initiation(const Bytes& m) { return m[0] == 1; }
bool is_response(const Bytes& m) { return m[0] == 2; }

TEST(Rekey, HappensEveryTwoMinutesForHoursUnderTraffic) {
  for (Carrier carrier : {Carrier::websocket, Carrier::quic}) {
    VirtualWire::Options options;
    options.jitter = carrier == Carrier::quic ? milliseconds(40) : milliseconds(0);
    SessionPair pair(carrier, options);
    ASSERT_TRUE(pair.connect());
    pair.client_handler.keep_packets = pair.server_handler.keep_packets = false;
    const Time end = pair.now + hours(3);
    uint64_t sent = 0;
    while (pair.now < end) {
      ASSERT_EQ(pair.send(Side::client, 200), Drop::none);
      ASSERT_EQ(pair.send(Side::server, 200), Drop::none);
      ++sent;
      pair.run_for(milliseconds(200));
    }
    pair.run_for(seconds(1));
    EXPECT_EQ(pair.server_handler.packets_seen, sent);
    EXPECT_EQ(pair.client_handler.packets_seen, sent);
    EXPECT_EQ(pair.client_handler.all_dropped() + pair.server_handler.all_dropped(), 0u);
    EXPECT_EQ(pair.client->handshakes(), pair.server->handshakes());
    EXPECT_GE(pair.client->handshakes(), 89u);
    EXPECT_LE(pair.client->handshakes(), 91u);
    EXPECT_EQ(pair.server_handler.confirmations, 1);
    EXPECT_EQ(pair.client_handler.confirmations, 1);
    ASSERT_GE(pair.server_handler.identities.size(), 2u);
    EXPECT_TRUE(pair.server_handler.identities.back().rekey);
    EXPECT_EQ(pair.server_handler.identities.back().static_key, pair.client_key.pub);
  }
}

TEST(Rekey, IdleSessionLivesForHours) {
  SessionPair pair;
  ASSERT_TRUE(pair.connect());
  pair.run_for(hours(6));
  EXPECT_FALSE(pair.client->closed());
  EXPECT_FALSE(pair.server->closed());
  EXPECT_TRUE(pair.client_handler.liveness_changes.empty());
  EXPECT_TRUE(pair.server_handler.liveness_changes.empty());
}

TEST(Rekey, HappensAfterManyMessages) {
  SessionPair pair;
  pair.client_config.timing.rekey_after_messages = 100;
  ASSERT_TRUE(pair.connect());
  for (int i = 0; i < 250; ++i) {
    pair.send(Side::server, 100);  // the server's messages count too
    pair.run_for(milliseconds(100));
  }
  EXPECT_GE(pair.client->handshakes(), 3u);
  EXPECT_EQ(pair.client_handler.packets.size(), 250u);
}

TEST(Rekey, UsesFreshIndicesAndKeys) {
  SessionPair pair;
  std::vector<uint32_t> indices;
  pair.wire.filter = [&](Side to, Bytes& m) {
    if (to == Side::server && m[0] == 4 && (indices.empty() || indices.back() != load_le32(m.data() + 4)))
      indices.push_back(load_le32(m.data() + 4));
    return true;
  };
  ASSERT_TRUE(pair.connect());
  pair.run_for(seconds(361));
  EXPECT_EQ(indices.size(), 4u);
  std::sort(indices.begin(), indices.end());
  EXPECT_EQ(std::unique(indices.begin(), indices.end()), indices.end());
}

TEST(Rekey, ServerUsesNewKeysOnlyAfterItOpenedDataUnderThem) {
  SessionPair pair;
  ASSERT_TRUE(pair.connect());
  uint32_t first_index = 0, latest_index = 0;
  bool hold = false;
  std::vector<Bytes> held;
  pair.wire.filter = [&](Side to, Bytes& m) {
    if (to == Side::client && m[0] == 4) latest_index = load_le32(m.data() + 4);
    if (to == Side::client && is_response(m)) hold = true;
    if (to == Side::server && hold) {
      held.push_back(m);
      return false;
    }
    return true;
  };
  pair.send(Side::server, 100);
  pair.run_for(seconds(1));
  first_index = latest_index;
  pair.run_for(seconds(121));
  ASSERT_EQ(pair.client->handshakes(), 2u);
  ASSERT_FALSE(held.empty());
  pair.send(Side::server, 100);
  pair.run_for(milliseconds(100));
  EXPECT_EQ(latest_index, first_index);
  EXPECT_EQ(pair.client_handler.packets.size(), 2u);
  pair.wire.filter = [&](Side to, Bytes& m) {
    if (to == Side::client && m[0] == 4) latest_index = load_le32(m.data() + 4);
    return true;
  };
  for (Bytes& m : held) pair.server->receive(m, pair.now);
  pair.send(Side::server, 100);
  pair.run_for(milliseconds(100));
  EXPECT_NE(latest_index, first_index);
  EXPECT_EQ(pair.client_handler.packets.size(), 3u);
}

TEST(Rekey, LostInitiationIsAskedAgain) {
  SessionPair pair(Carrier::quic);
  ASSERT_TRUE(pair.connect());
  int initiations = 0;
  pair.wire.filter = [&](Side, Bytes& m) { return !is_initiation(m) || ++initiations > 2; };
  pair.run_for(seconds(155));
  EXPECT_EQ(initiations, 3);
  EXPECT_EQ(pair.client->handshakes(), 2u);
  EXPECT_EQ(pair.server->handshakes(), 2u);
}

TEST(Rekey, LostResponseIsRepairedByTheNextAttempt) {
  SessionPair pair(Carrier::quic);
  ASSERT_TRUE(pair.connect());
  int responses = 0;
  pair.wire.filter = [&](Side, Bytes& m) { return !is_response(m) || ++responses > 1; };
  pair.run_for(seconds(140));
  EXPECT_EQ(responses, 2);
  EXPECT_EQ(pair.client->handshakes(), 2u);
  EXPECT_EQ(pair.server->handshakes(), 3u);
  pair.send(Side::client, 100);
  pair.send(Side::server, 100);
  pair.run_for(seconds(120));
  EXPECT_EQ(pair.server_handler.packets.size(), 1u);
  EXPECT_EQ(pair.client_handler.packets.size(), 1u);
  EXPECT_EQ(pair.client->handshakes(), 3u);  // the chain of hashes was not broken
}

TEST(Rekey, NeverAnsweredEndsTheSessionOnBothSides) {
  SessionPair pair;
  ASSERT_TRUE(pair.connect());
  pair.wire.filter = [](Side, Bytes& m) { return !is_initiation(m); };
  pair.run_for(seconds(181));
  EXPECT_FALSE(pair.server->closed());
  // Keys are too old: data waits, nothing is sealed.
  EXPECT_EQ(pair.send(Side::client, 100), Drop::none);
  EXPECT_FALSE(pair.client->pull(pair.now));
  EXPECT_FALSE(pair.client->wants_write(pair.now));
  pair.client_config.close_when_dead = false;
  pair.run_for(seconds(60));
  EXPECT_TRUE(pair.client->closed());
  EXPECT_TRUE(pair.server->closed());
}

TEST(Rekey, ServerRefusesDataUnderOldKeys) {
  SessionPair pair;
  pair.client_config.timing.rekey_after = seconds(1000);
  pair.client_config.timing.reject_after = seconds(1000);  // a client that does not care
  ASSERT_TRUE(pair.connect());
  pair.run_for(seconds(179));
  pair.send(Side::client, 100);
  pair.run_for(milliseconds(500));
  EXPECT_EQ(pair.server_handler.packets.size(), 1u);
  pair.run_for(seconds(1));
  pair.send(Side::client, 100);
  pair.run_for(milliseconds(100));
  EXPECT_EQ(pair.server_handler.packets.size(), 1u);
  EXPECT_GE(pair.server_handler.dropped(Drop::stale_key), 1u);
  EXPECT_FALSE(pair.server->closed());
  pair.run_for(seconds(60));
  EXPECT_TRUE(pair.server->closed());
}

TEST(Rekey, SuspendedClientFindsItsSessionAgainWithinTheGrace) {
  SessionPair pair;
  ASSERT_TRUE(pair.connect());
  pair.run_for(seconds(20));
  pair.client_asleep = true;
  pair.run_for(seconds(180));
  EXPECT_FALSE(pair.server->closed());
  EXPECT_EQ(pair.server->liveness(), Liveness::dead);
  ASSERT_EQ(pair.server_handler.liveness_changes.size(), 1u);
  pair.wake_client();
  ASSERT_EQ(pair.send(Side::client, 100), Drop::none);
  pair.run_for(milliseconds(200));
  EXPECT_EQ(pair.client->handshakes(), 2u);
  EXPECT_FALSE(pair.client->closed());
  EXPECT_EQ(pair.server->liveness(), Liveness::alive);
  EXPECT_EQ(pair.server_handler.liveness_changes.back(), Liveness::alive);
  EXPECT_EQ(pair.server_handler.packets.size(), 1u);
  EXPECT_EQ(pair.server_handler.confirmations, 1);
  pair.run_for(seconds(300));
  EXPECT_FALSE(pair.client->closed());
}

TEST(Rekey, ClientThatSleepsTooLongLosesItsSession) {
  SessionPair pair;
  ASSERT_TRUE(pair.connect());
  pair.client_asleep = true;
  pair.run_for(seconds(239));
  EXPECT_FALSE(pair.server->closed());
  pair.run_for(seconds(2));
  EXPECT_TRUE(pair.server->closed());
  EXPECT_EQ(pair.server_handler.closed.reason, Reason::peer_timeout);
}

TEST(Rekey, RefusedRekeyIsToldAndEndsTheSession) {
  SessionPair pair;
  ASSERT_TRUE(pair.connect());
  pair.server_handler.verdict.reason = Reason::client_expired;
  pair.run_for(seconds(121));
  EXPECT_EQ(pair.server_handler.closed.reason, Reason::client_expired);
  EXPECT_EQ(pair.client_handler.closed.status, HandshakeStatus::expired);
  EXPECT_EQ(pair.client_handler.closed.reconnect, Reconnect::never);
}

TEST(Rekey, RemovedClientCannotRekey) {
  SessionPair pair;
  ASSERT_TRUE(pair.connect());
  pair.server_handler.known = false;
  pair.run_for(seconds(121));
  EXPECT_EQ(pair.server_handler.closed.reason, Reason::unknown_client);
  EXPECT_EQ(pair.client_handler.closed.code, CloseCode::denied);
}

TEST(Rekey, TrafficGoesOnWhileTheOwnerThinks) {
  SessionPair pair;
  ASSERT_TRUE(pair.connect());
  pair.server_handler.answer_at_once = false;
  pair.run_for(seconds(121));
  ASSERT_EQ(pair.server_handler.identities.size(), 2u);
  pair.send(Side::client, 100);
  pair.send(Side::server, 100);
  pair.run_for(seconds(20));  // a second attempt comes meanwhile and is ignored
  EXPECT_EQ(pair.server_handler.identities.size(), 2u);
  EXPECT_EQ(pair.server_handler.packets.size(), 1u);
  EXPECT_EQ(pair.client_handler.packets.size(), 1u);
  pair.server_handler.answer_at_once = true;
  pair.server->decide(pair.server_handler.verdict, pair.now);  // answers an attempt that was given up
  pair.run_for(seconds(20));
  EXPECT_EQ(pair.client->handshakes(), 2u);
  EXPECT_FALSE(pair.client->closed());
}

TEST(Rekey, HasItsOwnBudget) {
  SessionPair pair;
  pair.client_config.timing.rekey_after = seconds(1);
  pair.client_config.timing.rekey_retry = seconds(1);
  ASSERT_TRUE(pair.connect());
  pair.run_for(seconds(20));
  EXPECT_GT(pair.server_handler.dropped(Drop::rate_limit), 5u);
  EXPECT_LE(pair.server->handshakes(), 5u);
  EXPECT_GE(pair.server->handshakes(), 4u);
  EXPECT_FALSE(pair.server->closed());
}

TEST(Rekey, InitiationBoundToAnotherHandshakeIsRefused) {
  SessionPair pair;
  Bytes first_initiation;
  pair.wire.filter = [&](Side, Bytes& m) {
    if (is_initiation(m) && first_initiation.empty()) first_initiation = m;
    return true;
  };
  ASSERT_TRUE(pair.connect());
  pair.run_for(seconds(30));
  pair.server->receive(first_initiation, pair.now);  // valid once, with the challenge
  EXPECT_TRUE(pair.server->closed());
  EXPECT_EQ(pair.server_handler.closed.reason, Reason::protocol_error);
}

TEST(Rekey, RotatedServerKeyIsUsedByTheNextRekey) {
  SessionPair pair;
  ASSERT_TRUE(pair.connect());
  pair.server->set_keys(
      std::make_shared<const StaticKeys>(StaticKeys{copy_of(pair.next_key), copy_of(pair.server_key)}));
  pair.run_for(seconds(121));
  EXPECT_EQ(pair.client->handshakes(), 2u);
  pair.server->set_keys(std::make_shared<const StaticKeys>(StaticKeys{copy_of(pair.next_key), std::nullopt}));
  pair.client->set_server_key(pair.next_key.pub);
  pair.run_for(seconds(121));
  EXPECT_EQ(pair.client->handshakes(), 3u);
}

}  // namespace
}  // namespace smartvpn::testing
