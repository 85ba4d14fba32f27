// The handshakes of a peer in both roles, cookies, and the previous, current and next keys: the lines of the checklist
// "Handshake and cookies", and those of "Sessions and timers" that are about keys. Two machines over a virtual wire.
#include "transport/wireguard/peer_machine.hpp"

#include <gtest/gtest.h>

#include "support/wireguard_pair.hpp"

namespace smartvpn::wireguard {
namespace {

using testing::WireguardEnd;
using testing::WireguardPair;

Bytes initiation_of(WireguardPair& pair, WireguardEnd& end) {
  auto message = end.machine->write_initiation(pair.now, pair.wall());
  return message ? Bytes(message->begin(), message->end()) : Bytes();
}

TEST(WireguardChecklist, AHandshakeCarriesDataBothWays) {
  WireguardPair pair;
  ASSERT_TRUE(pair.connect());
  EXPECT_EQ(pair.a.initiations, 1u);
  EXPECT_EQ(pair.b.responses, 1u);
  EXPECT_EQ(pair.b.confirmed, 1u);
  pair.send(pair.b);
  pair.run_for(seconds(1));
  EXPECT_EQ(pair.a.delivered, 1u);
  EXPECT_EQ(pair.b.delivered, 1u);
  EXPECT_EQ(pair.a.machine->last_rtt(), milliseconds(20));
  EXPECT_EQ(pair.b.machine->last_rtt(), milliseconds(20));
  EXPECT_EQ(pair.a.indices.size(), 1u);
  EXPECT_EQ(pair.b.indices.size(), 1u);
  EXPECT_EQ(pair.violations, 0u) << pair.last_violation;
}

TEST(WireguardChecklist, WithoutDataTheInitiatorConfirmsWithAKeepalive) {
  WireguardPair pair;
  ASSERT_TRUE(pair.initiate(pair.a));
  pair.run_for(seconds(1));
  EXPECT_EQ(pair.a.keepalives, 1u);
  EXPECT_EQ(pair.b.confirmed, 1u);
  EXPECT_TRUE(pair.b.machine->has_session(pair.now));
}

TEST(WireguardChecklist, Mac1WrongIsMetWithSilence) {
  WireguardPair pair;
  for (const bool load : {false, true}) {
    pair.b.under_load = load;
    Bytes message = initiation_of(pair, pair.a);
    message[kInitiationSize - 20] ^= 1;
    pair.receive(pair.b, message);
    EXPECT_EQ(pair.on_the_wire(), 0u);
    EXPECT_EQ(pair.b.refused, load ? 2u : 1u);
    pair.run_for(seconds(20));
    pair.cut_off();
    pair.a.machine->end_session();
  }
}

TEST(WireguardChecklist, Mac2IsNotAskedForWithoutLoad) {
  WireguardPair pair;
  ASSERT_TRUE(pair.connect());
  EXPECT_EQ(pair.b.cookies, 0u);
}

TEST(WireguardChecklist, UnderLoadAnInitiationIsAnsweredWithACookieAndNothingIsKept) {
  WireguardPair pair;
  pair.b.under_load = true;
  const Tai64n before = pair.b.machine->greatest_timestamp();
  pair.send(pair.a);
  pair.run_for(milliseconds(4900));
  EXPECT_EQ(pair.b.cookies, 1u);
  EXPECT_EQ(pair.b.responses, 0u);
  EXPECT_EQ(pair.b.indices.size(), 0u);
  EXPECT_EQ(pair.b.machine->greatest_timestamp(), before);
  EXPECT_EQ(pair.b.machine->next_deadline(), kNever);
}

TEST(WireguardChecklist, ACookieIsKeptNothingIsResentAtOnceTheNextInitiationCarriesMac2) {
  WireguardPair pair;
  pair.b.under_load = true;
  pair.send(pair.a);
  pair.run_for(milliseconds(4990));
  EXPECT_EQ(pair.a.initiations, 1u);
  pair.run_for(seconds(1));
  EXPECT_EQ(pair.a.initiations, 2u);
  EXPECT_EQ(pair.b.cookies, 1u);
  EXPECT_EQ(pair.b.responses, 1u);
  EXPECT_EQ(pair.b.delivered, 1u);
}

TEST(WireguardChecklist, UnderLoadAResponseIsAnsweredWithACookieToo) {
  WireguardPair pair;
  pair.a.under_load = true;
  pair.send(pair.a);
  pair.run_for(seconds(1));
  EXPECT_EQ(pair.b.responses, 1u);
  EXPECT_EQ(pair.a.cookies, 1u);
  EXPECT_FALSE(pair.a.machine->has_session(pair.now));
  pair.run_for(seconds(6));
  EXPECT_EQ(pair.b.responses, 2u);
  EXPECT_EQ(pair.a.cookies, 1u) << "the second one carried mac2";
  EXPECT_EQ(pair.b.delivered, 1u);
}

TEST(WireguardChecklist, ACookieOlderThanTwoMinutesIsNotUsed) {
  WireguardPair pair;
  pair.b.under_load = true;
  ASSERT_TRUE(pair.initiate(pair.a));
  pair.run_for(seconds(1));
  ASSERT_EQ(pair.b.cookies, 1u);
  pair.a.machine->end_session();
  pair.run_for(seconds(121));
  const Bytes message = initiation_of(pair, pair.a);
  ASSERT_EQ(message.size(), kInitiationSize);
  EXPECT_TRUE(std::all_of(message.end() - 16, message.end(), [](uint8_t b) { return b == 0; }));
}

TEST(WireguardChecklist, AReplayedInitiationIsDroppedAlsoAfterTheSessionEnded) {
  WireguardPair pair;
  const Bytes message = initiation_of(pair, pair.a);
  pair.receive(pair.b, message);
  EXPECT_EQ(pair.b.responses, 1u);
  const Tai64n stamp = pair.b.machine->greatest_timestamp();
  for (const bool ended : {false, true}) {
    if (ended) pair.b.machine->end_session();
    pair.now += seconds(1);
    pair.receive(pair.b, message);
    EXPECT_EQ(pair.b.responses, 1u);
  }
  // A restarted server knows it from its store.
  pair.b.meet(pair.a.own.key.pub, nullptr, {});
  pair.b.machine->set_greatest_timestamp(stamp);
  pair.receive(pair.b, message);
  EXPECT_EQ(pair.b.responses, 1u);
  pair.b.machine->set_greatest_timestamp(Tai64n{});
  EXPECT_EQ(pair.b.machine->greatest_timestamp(), stamp) << "it only grows";
}

TEST(WireguardChecklist, FiftyInitiationsASecondOfOnePeerAndNoMore) {
  WireguardPair pair;
  Tai64n stamp;
  int accepted = 0;
  for (int i = 0; i < 200; ++i) {
    pair.now += milliseconds(5);
    noise::Initiator initiator(pair.rng, pair.a.own.key, pair.b.own.key.pub, as_bytes(kPrologue),
                               noise::Pattern::ikpsk2);
    stamp = tai64n(pair.wall(), stamp);
    Bytes message(8);
    ASSERT_TRUE(initiator.write_message(stamp.bytes, message));
    message.resize(kInitiationSize);
    auto opened = OpenedInitiation::open(pair.b.own, message, pair.rng);
    ASSERT_TRUE(opened && opened->prove(nullptr));
    accepted += pair.b.machine->accept(std::move(*opened), stamp, pair.now) == Accepted::ok;
  }
  EXPECT_EQ(accepted, 50);
}

TEST(WireguardChecklist, AnUnknownPeerIsDropped) {
  WireguardPair pair;
  pair.b.meet(Identity(testing::seeded_secret(5)).key.pub, nullptr, {});
  ASSERT_TRUE(pair.initiate(pair.a));
  pair.run_for(seconds(1));
  EXPECT_EQ(pair.b.refused, 1u);
  EXPECT_EQ(pair.b.responses, 0u);
}

TEST(WireguardChecklist, APresharedKeyOnOneSideOnlyOrAnotherGivesNoSession) {
  const SecretKey one = testing::seeded_secret(1), two = testing::seeded_secret(2);
  const std::pair<const SecretKey*, const SecretKey*> wrong[] = {{&one, nullptr}, {nullptr, &one}, {&one, &two}};
  for (const auto& [a, b] : wrong) {
    WireguardPair pair({}, a, b);
    pair.send(pair.a);
    pair.send(pair.b);
    pair.run_for(seconds(60));
    EXPECT_GT(pair.a.refused + pair.b.refused, 5u);
    EXPECT_FALSE(pair.a.machine->has_session(pair.now));
    EXPECT_FALSE(pair.b.machine->has_session(pair.now));
    EXPECT_EQ(pair.a.delivered + pair.b.delivered, 0u);
  }
  WireguardPair same({}, &one, &one);
  EXPECT_TRUE(same.connect());
}

TEST(WireguardChecklist, AChangedPresharedKeyAffectsTheNextSessionOnly) {
  const SecretKey one = testing::seeded_secret(1);
  WireguardPair pair;
  ASSERT_TRUE(pair.connect());
  pair.a.machine->set_psk(&one);
  pair.b.machine->set_psk(&one);
  pair.send(pair.a);
  pair.run_for(seconds(1));
  EXPECT_EQ(pair.b.delivered, 2u);
  pair.run_for(seconds(10));
  ASSERT_TRUE(pair.initiate(pair.a));
  pair.run_for(seconds(1));
  EXPECT_EQ(pair.b.confirmed, 2u) << "with the new key on both sides";
  pair.b.machine->set_psk(nullptr);
  pair.run_for(seconds(10));
  ASSERT_TRUE(pair.initiate(pair.a));
  pair.run_for(seconds(1));
  EXPECT_EQ(pair.b.confirmed, 2u);
  pair.send(pair.a);
  pair.run_for(seconds(1));
  EXPECT_EQ(pair.b.delivered, 3u) << "the session that is there goes on";
}

TEST(WireguardChecklist, BothInitiateAtOnceAndOneWorkingSessionComesOfIt) {
  for (const auto head_start : {milliseconds(0), milliseconds(5), milliseconds(15), milliseconds(25)}) {
    WireguardPair pair;
    pair.send(pair.a);
    pair.run_for(head_start);
    pair.send(pair.b);
    pair.run_for(seconds(2));
    EXPECT_TRUE(pair.a.machine->has_session(pair.now) && pair.b.machine->has_session(pair.now));
    for (int i = 0; i < 10; ++i) {
      pair.send(pair.a);
      pair.send(pair.b);
      pair.run_for(milliseconds(100));
    }
    EXPECT_EQ(pair.a.delivered, 11u);
    EXPECT_EQ(pair.b.delivered, 11u);
    EXPECT_LE(pair.a.initiations + pair.b.initiations, 2u);
  }
}

TEST(WireguardChecklist, TheResponderSendsUnderTheNewKeysOnlyAfterItReceivedOnThem) {
  WireguardPair pair;
  ASSERT_TRUE(pair.connect());
  const Keypair* old = pair.b.machine->sending_keys(pair.now);
  pair.run_for(seconds(10));
  const Bytes message = initiation_of(pair, pair.a);
  pair.receive(pair.b, message);
  EXPECT_EQ(pair.b.machine->sending_keys(pair.now), old);
  EXPECT_EQ(pair.b.indices.size(), 2u);
  // What is on its way under the old keys still opens, on either side, before and after.
  pair.send(pair.a);
  pair.run_for(milliseconds(10));
  EXPECT_EQ(pair.b.delivered, 2u);
  pair.run_for(seconds(1));
  EXPECT_EQ(pair.b.confirmed, 2u);
  EXPECT_NE(pair.b.machine->sending_keys(pair.now), old);
}

TEST(WireguardChecklist, WithoutASessionTheResponderHasNoKeysToSendWithUntilConfirmed) {
  WireguardPair pair;
  pair.receive(pair.b, initiation_of(pair, pair.a));
  EXPECT_EQ(pair.b.machine->sending_keys(pair.now), nullptr);
  EXPECT_FALSE(pair.b.machine->has_session(pair.now));
  pair.run_for(seconds(1));
  EXPECT_NE(pair.b.machine->sending_keys(pair.now), nullptr);
}

TEST(WireguardChecklist, TheOldKeysStillOpenWhatComesLate) {
  WireguardPair pair;
  ASSERT_TRUE(pair.connect());
  pair.wire.latency = milliseconds(500);
  pair.send(pair.a);
  pair.send(pair.b);
  pair.wire.latency = milliseconds(1);
  pair.run_for(milliseconds(1));
  pair.now += seconds(6);  // the late ones come after a new handshake
  ASSERT_TRUE(pair.initiate(pair.a));
  const Time held = pair.now;
  pair.run_until(held + seconds(1));
  EXPECT_EQ(pair.a.delivered, 1u);
  EXPECT_EQ(pair.b.delivered, 2u);
  EXPECT_EQ(pair.b.confirmed, 2u);
  EXPECT_EQ(pair.a.indices.size(), 2u) << "previous and current";
}

TEST(WireguardChecklist, MessageLimitsRefuseToSendAndToReceive) {
  WireguardPair pair;
  ASSERT_TRUE(pair.connect());
  Keypair* keys = pair.a.machine->sending_keys(pair.now);
  ASSERT_NE(keys, nullptr);
  pair.run_for(seconds(10));
  keys->next_counter = kRekeyAfterMessages - 2;
  uint64_t first = 0;
  ASSERT_TRUE(keys->reserve(1, &first));
  EXPECT_FALSE(pair.a.machine->on_sent(*keys, true, pair.now).initiate);
  ASSERT_TRUE(keys->reserve(1, &first));
  EXPECT_TRUE(pair.a.machine->on_sent(*keys, true, pair.now).initiate) << "2^60 messages";
  keys->next_counter = kRejectAfterMessages - 3;
  EXPECT_FALSE(keys->reserve(4, &first));
  EXPECT_TRUE(keys->reserve(3, &first));
  EXPECT_EQ(first, kRejectAfterMessages - 3);
  EXPECT_FALSE(keys->reserve(1, &first));
  EXPECT_EQ(pair.a.machine->sending_keys(pair.now), nullptr);
  Keypair* receiving = pair.b.machine->receiving_keys(keys->remote_index, pair.now);
  ASSERT_NE(receiving, nullptr);
  EXPECT_FALSE(receiving->window.accept(kRejectAfterMessages));
  EXPECT_TRUE(receiving->window.accept(kRejectAfterMessages - 1));
}

TEST(WireguardChecklist, ANewPrivateKeyHandshakesAtOnce) {
  WireguardPair pair;
  ASSERT_TRUE(pair.connect());
  const Identity next(testing::seeded_secret(77));
  pair.a.machine->set_identity(next);
  EXPECT_EQ(pair.a.indices.size(), 0u);
  EXPECT_EQ(pair.a.machine->sending_keys(pair.now), nullptr);
  pair.a.checker.set_identity(next);
  pair.b.meet(next.key.pub, nullptr, {});
  pair.send(pair.a);
  pair.run_for(seconds(1));
  EXPECT_EQ(pair.b.delivered, 2u);
}

TEST(WireguardChecklist, UpAndDownFiftyTimesLeavesNothing) {
  WireguardPair pair;
  for (int i = 0; i < 50; ++i) {
    pair.run_for(seconds(6));
    ASSERT_TRUE(pair.connect()) << i;
    pair.a.machine->end_session();
    pair.b.machine->end_session();
    pair.cut_off();
    EXPECT_EQ(pair.a.indices.size() + pair.b.indices.size(), 0u);
    EXPECT_EQ(pair.a.machine->next_deadline(), kNever);
  }
}

TEST(WireguardChecklist, TheIndexIsFreedWithTheMachine) {
  WireguardPair pair;
  ASSERT_TRUE(pair.connect());
  pair.run_for(seconds(10));
  ASSERT_TRUE(pair.initiate(pair.a));
  EXPECT_EQ(pair.a.indices.size(), 2u);
  pair.a.machine.reset();
  EXPECT_EQ(pair.a.indices.size(), 0u);
  pair.cut_off();
}

TEST(WireguardMessages, AForgedResponseDoesNotEndTheHandshake) {
  WireguardPair pair;
  Bytes response;
  pair.filter = [&](WireguardEnd& from, ByteView bytes) {
    if (message_type(bytes) != MessageType::response) return true;
    response.assign(bytes.begin(), bytes.end());
    return &from != &pair.b;
  };
  pair.send(pair.a);
  pair.run_for(milliseconds(100));
  ASSERT_EQ(response.size(), kResponseSize);
  for (const size_t at : {size_t{4}, size_t{8}, size_t{12}, size_t{44}, size_t{59}}) {
    Bytes forged = response;
    forged[at] ^= 1;
    Actions actions;
    if (at != 4) {  // the sender's index, which only mac1 covers
      EXPECT_FALSE(pair.a.machine->take_response(forged, pair.now, &actions)) << at;
    }
    pair.receive(pair.a, forged);
    EXPECT_FALSE(pair.a.machine->has_session(pair.now));
  }
  pair.receive(pair.a, response);
  EXPECT_TRUE(pair.a.machine->has_session(pair.now));
  Actions actions;
  EXPECT_FALSE(pair.a.machine->take_response(response, pair.now, &actions)) << "once";
}

TEST(WireguardMessages, WhatBelongsToOneConfiguredPeerIsSmall) { EXPECT_LE(sizeof(PeerMachine), 600u); }

}  // namespace
}  // namespace smartvpn::wireguard
