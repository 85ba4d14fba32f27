// What happens between the lines of the checklist: handshakes that cross, that are answered too late or are begun while
// something else is under way; damage behind macs that are right; deadlines and an owner who keeps to them.
#include <gtest/gtest.h>

#include "support/wireguard_pair.hpp"

namespace smartvpn::wireguard {
namespace {

using testing::WireguardEnd;
using testing::WireguardPair;

bool is(ByteView message, MessageType type) { return message_type(message) == type; }

// What `end` sends of this kind, kept back.
struct Held {
  Held(WireguardPair& pair, WireguardEnd& end, MessageType type) : pair(pair) {
    pair.filter = [this, &end, type](WireguardEnd& from, ByteView bytes) {
      if (&from != &end || !is(bytes, type)) return true;
      messages.emplace_back(bytes.begin(), bytes.end());
      return false;
    };
  }
  ~Held() { pair.filter = nullptr; }
  WireguardPair& pair;
  std::vector<Bytes> messages;
};

TEST(PeerRaces, SessionsOfBothBeginningsLiveThroughTheirRekeys) {
  for (const auto head_start : {milliseconds(0), milliseconds(3), milliseconds(9), milliseconds(11)}) {
    WireguardPair pair;
    pair.send(pair.a);
    pair.run_for(head_start);
    pair.send(pair.b);
    for (int i = 0; i < 600; ++i) {
      pair.run_for(seconds(1));
      pair.send(pair.a);
      pair.send(pair.b);
    }
    pair.run_for(seconds(1));
    EXPECT_EQ(pair.a.delivered, 601u);
    EXPECT_EQ(pair.b.delivered, 601u);
    EXPECT_LE(pair.a.initiations + pair.b.initiations, 12u);
    EXPECT_EQ(pair.violations, 0u) << pair.last_violation;
  }
}

// The response is lost, and the responder has something to send itself: it does not wait for the initiator's next try.
TEST(PeerRaces, ResponderWithPacketsBeginsByItselfWhenItsResponseIsLost) {
  WireguardPair pair;
  {
    Held lost(pair, pair.b, MessageType::response);
    ASSERT_TRUE(pair.initiate(pair.a));
    pair.run_for(milliseconds(50));
    ASSERT_EQ(lost.messages.size(), 1u);
  }
  pair.send(pair.b);
  EXPECT_EQ(pair.b.initiations, 0u) << "not while the response may still be on its way";
  Held silent(pair, pair.a, MessageType::initiation);
  pair.run_for(seconds(6));
  EXPECT_EQ(pair.b.initiations, 1u);
  EXPECT_EQ(pair.a.delivered, 1u);
}

TEST(PeerRaces, ResponseThatComesAfterTheNextTryFindsNothing) {
  WireguardPair pair;
  Bytes late;
  {
    Held held(pair, pair.b, MessageType::response);
    pair.send(pair.a);
    pair.run_for(milliseconds(5500));
    ASSERT_EQ(held.messages.size(), 2u);
    late = held.messages[0];
  }
  pair.receive(pair.a, late);
  EXPECT_FALSE(pair.a.machine->has_session(pair.now));
  EXPECT_EQ(pair.a.indices.size(), 1u) << "the first try's is free again";
  pair.run_for(seconds(6));
  EXPECT_EQ(pair.b.delivered, 1u);
}

// Nobody knows yet that the peer has the newest keys, so a further handshake takes their place and no other's.
TEST(PeerRaces, UnconfirmedKeysGiveWayAndTheSessionGoesOn) {
  WireguardPair pair;
  ASSERT_TRUE(pair.connect());
  pair.run_for(seconds(6));
  Held lost(pair, pair.b, MessageType::response);
  ASSERT_TRUE(pair.initiate(pair.a));
  pair.run_for(seconds(27));  // five times again
  EXPECT_EQ(lost.messages.size(), 6u);
  EXPECT_EQ(pair.b.indices.size(), 2u);
  pair.send(pair.b);
  pair.run_for(milliseconds(100));
  EXPECT_EQ(pair.a.delivered, 1u);
  EXPECT_EQ(pair.violations, 0u) << pair.last_violation;
}

TEST(PeerRaces, AnsweredInitiationTakesThePlaceOfThePreviousKeys) {
  WireguardPair pair;
  ASSERT_TRUE(pair.connect());
  pair.run_for(seconds(6));
  ASSERT_TRUE(pair.initiate(pair.a));
  pair.run_for(seconds(6));
  ASSERT_EQ(pair.b.indices.size(), 2u) << "previous and current";
  Held lost(pair, pair.b, MessageType::response);
  ASSERT_TRUE(pair.initiate(pair.a));
  pair.run_for(milliseconds(100));
  ASSERT_EQ(lost.messages.size(), 1u);
  EXPECT_EQ(pair.b.indices.size(), 2u) << "current and next";
}

// What we have begun ourselves is confirmed; what waited for the peer's word is good for opening, and for that alone.
TEST(PeerRaces, KeysOfOurOwnHandshakeStayWhenOlderOnesAreConfirmedLate) {
  WireguardPair pair;
  Held held(pair, pair.a, MessageType::data);
  ASSERT_TRUE(pair.initiate(pair.a));
  pair.run_for(seconds(6));
  ASSERT_EQ(held.messages.size(), 1u);
  ASSERT_TRUE(pair.initiate(pair.b));
  pair.run_for(milliseconds(100));
  const Keypair* newest = pair.b.machine->sending_keys(pair.now);
  ASSERT_NE(newest, nullptr);
  ASSERT_TRUE(newest->initiator);
  pair.receive(pair.b, held.messages[0]);
  EXPECT_EQ(pair.b.empty, 1u);
  EXPECT_EQ(pair.b.confirmed, 0u);
  EXPECT_EQ(pair.b.machine->sending_keys(pair.now), newest);
}

TEST(PeerRaces, HandshakeKeepsThePresharedKeyItBeganWith) {
  const SecretKey psk = testing::seeded_secret(3);
  WireguardPair pair({}, &psk, &psk);
  ASSERT_TRUE(pair.initiate(pair.a));
  pair.a.machine->set_psk(nullptr);
  pair.run_for(seconds(1));
  EXPECT_TRUE(pair.b.machine->has_session(pair.now));
  pair.run_for(seconds(6));
  ASSERT_TRUE(pair.initiate(pair.a));
  pair.a.machine->set_psk(&psk);  // too late
  pair.run_for(seconds(1));
  EXPECT_EQ(pair.b.confirmed, 1u);
}

TEST(PeerRaces, InitiationOfAnotherPeerIsNotAccepted) {
  WireguardPair pair;
  Held held(pair, pair.a, MessageType::initiation);
  ASSERT_TRUE(pair.initiate(pair.a));
  auto opened = OpenedInitiation::open(pair.b.own, held.messages.at(0), pair.rng);
  ASSERT_TRUE(opened);
  const auto stamp = opened->prove(nullptr);
  ASSERT_TRUE(stamp);
  PeerMachine other({&pair.b.own, &pair.b.indices, &pair.rng}, pair.b.own.key.pub, nullptr, Timing());
  EXPECT_EQ(other.accept(std::move(*opened), *stamp, pair.now), Accepted::failed);
  EXPECT_FALSE(other.owes_response());
  EXPECT_TRUE(other.greatest_timestamp().is_zero());
}

TEST(PeerRaces, TimestampCountsThoughNoResponseIsSent) {
  WireguardPair pair;
  Held held(pair, pair.a, MessageType::initiation);
  ASSERT_TRUE(pair.initiate(pair.a));
  const auto take = [&] {
    auto opened = OpenedInitiation::open(pair.b.own, held.messages.at(0), pair.rng);
    const auto stamp = opened->prove(nullptr);
    return pair.b.machine->accept(std::move(*opened), *stamp, pair.now);
  };
  EXPECT_EQ(take(), Accepted::ok);
  EXPECT_TRUE(pair.b.machine->owes_response());
  pair.b.machine->forget_initiation();  // the host has refused it
  EXPECT_FALSE(pair.b.machine->owes_response());
  EXPECT_FALSE(pair.b.machine->respond(pair.now));
  pair.now += seconds(1);
  EXPECT_EQ(take(), Accepted::not_newer);
}

// mac1 keeps out who does not know our public key. Everybody may know it.
TEST(PeerRaces, DamageBehindMacsThatAreRightProvesNothing) {
  WireguardPair pair;
  Held held(pair, pair.a, MessageType::initiation);
  ASSERT_TRUE(pair.initiate(pair.a));
  CookieGenerator macs(pair.b.own.key.pub);
  for (size_t at = 8; at < kInitiationSize - kMacs; at += 5) {
    Bytes damaged = held.messages.at(0);
    damaged[at] ^= 0x80;
    macs.add_macs(damaged, pair.now);
    ASSERT_TRUE(pair.b.checker.mac1_ok(damaged));
    pair.receive(pair.b, damaged);
    ASSERT_EQ(pair.b.responses, 0u) << at;
  }
  EXPECT_TRUE(pair.b.machine->greatest_timestamp().is_zero());
  pair.receive(pair.b, held.messages[0]);
  EXPECT_EQ(pair.b.responses, 1u);
}

TEST(PeerRaces, DamagedResponseWithMacsThatAreRightLeavesTheHandshakeOpen) {
  WireguardPair pair;
  Held held(pair, pair.b, MessageType::response);
  pair.send(pair.a);
  pair.run_for(milliseconds(50));
  CookieGenerator macs(pair.a.own.key.pub);
  for (size_t at = 8; at < kResponseSize - kMacs; ++at) {
    Bytes damaged = held.messages.at(0);
    damaged[at] ^= 0x80;
    macs.add_macs(damaged, pair.now);
    ASSERT_TRUE(pair.a.checker.mac1_ok(damaged));
    pair.receive(pair.a, damaged);
    ASSERT_FALSE(pair.a.machine->has_session(pair.now)) << at;
  }
  pair.receive(pair.a, held.messages[0]);
  EXPECT_TRUE(pair.a.machine->has_session(pair.now));
}

TEST(PeerRaces, CookieReplyChangesNothingButTheNextMessage) {
  WireguardPair pair;
  ASSERT_TRUE(pair.connect());
  pair.run_for(seconds(20));
  const Time last = pair.a.machine->last_handshake();
  pair.b.under_load = true;
  ASSERT_TRUE(pair.initiate(pair.a));
  const Time deadline = pair.a.machine->next_deadline();
  const Keypair* keys = pair.a.machine->sending_keys(pair.now);
  pair.run_for(seconds(1));
  ASSERT_EQ(pair.b.cookies, 1u);
  EXPECT_EQ(pair.a.machine->next_deadline(), deadline);
  EXPECT_EQ(pair.a.machine->last_handshake(), last);
  EXPECT_EQ(pair.a.machine->sending_keys(pair.now), keys);
  EXPECT_EQ(pair.on_the_wire(), 0u);
}

TEST(PeerRaces, ClockThatHasGoneBackHoldsUpNoHandshake) {
  WireguardPair pair;
  ASSERT_TRUE(pair.connect());
  for (const auto back : {seconds(3), seconds(100), seconds(3600)}) {
    pair.run_for(seconds(6));
    pair.now -= back + seconds(6);
    const uint64_t before = pair.b.confirmed;
    ASSERT_TRUE(pair.initiate(pair.a));
    pair.run_for(seconds(1));
    EXPECT_EQ(pair.b.confirmed, before + 1);
  }
}

TEST(PeerRaces, AttemptThatHasBegunOutlivesTheWipingOfOldKeys) {
  WireguardPair pair;
  ASSERT_TRUE(pair.connect());
  const Time born = pair.a.machine->sending_keys(pair.now)->born;
  pair.run_until(born + seconds(530));
  pair.filter = [](WireguardEnd&, ByteView) { return false; };
  pair.send(pair.a);
  pair.run_until(born + seconds(546));
  ASSERT_EQ(pair.a.wiped, 1u);
  pair.filter = nullptr;
  pair.run_for(seconds(6));
  EXPECT_EQ(pair.b.delivered, 2u);
}

// Whoever cannot send an initiation now is not asked for one with every batch.
TEST(PeerRaces, InitiatorThatReceivesIsToldOncePerKeysThatTheyGrowOldAndTheResponderNever) {
  WireguardPair pair;
  ASSERT_TRUE(pair.connect());
  for (int round = 0; round < 3; ++round) {
    Keypair* keys = pair.a.machine->sending_keys(pair.now);
    Keypair* theirs = pair.b.machine->sending_keys(pair.now);
    ASSERT_TRUE(keys && theirs);
    pair.filter = [](WireguardEnd&, ByteView) { return false; };
    pair.run_until(keys->born + seconds(166));
    pair.filter = nullptr;
    EXPECT_FALSE(pair.b.machine->on_received(*theirs, true, pair.now).actions.initiate);
    EXPECT_TRUE(pair.a.machine->on_received(*keys, true, pair.now).actions.initiate);
    EXPECT_FALSE(pair.a.machine->on_received(*keys, true, pair.now + seconds(6)).actions.initiate);
    ASSERT_TRUE(pair.initiate(pair.a));
    pair.run_for(seconds(1));
    ASSERT_NE(pair.a.machine->sending_keys(pair.now)->born, Time{});
  }
}

TEST(PeerRaces, SessionThatThePeerHasBegunEndsOurOwnTries) {
  WireguardPair pair;
  Held lost(pair, pair.a, MessageType::initiation);
  ASSERT_TRUE(pair.initiate(pair.a));
  pair.send(pair.b);
  pair.run_for(seconds(60));
  EXPECT_EQ(pair.a.confirmed, 1u);
  EXPECT_EQ(pair.a.initiations, 1u);
}

TEST(PeerRaces, OwnerWhoIsEarlyIsToldNothingAndNoDeadlineComesTwice) {
  WireguardPair pair;
  ASSERT_TRUE(pair.connect());
  int deadlines = 0;
  while (pair.b.machine->next_deadline() != kNever && ++deadlines < 100) {
    const Time due = pair.b.machine->next_deadline();
    EXPECT_FALSE(pair.b.machine->on_time(due - Duration{1}).any());
    pair.b.machine->on_time(due);
    EXPECT_GT(pair.b.machine->next_deadline(), due);
  }
  EXPECT_EQ(deadlines, 2) << "the keepalive, and the end of the keys";
}

TEST(PeerRaces, SessionsEndedAtAnyMomentLeaveNothing) {
  WireguardPair pair;
  for (int i = 0; i < 200; ++i) {
    pair.send(i % 3 ? pair.a : pair.b);
    pair.run_for(milliseconds(i % 60));  // most of them in the middle of a handshake
    pair.a.machine->end_session();
    pair.b.machine->end_session();
    pair.run_for(seconds(6));       // what is still on its way is about nothing
    pair.a.machine->end_session();  // an initiation may have come after its sender's end
    pair.b.machine->end_session();
    pair.a.waiting = pair.b.waiting = 0;
    ASSERT_EQ(pair.a.indices.size() + pair.b.indices.size(), 0u) << i;
    ASSERT_EQ(std::min(pair.a.machine->next_deadline(), pair.b.machine->next_deadline()), kNever) << i;
  }
  EXPECT_GT(pair.a.delivered + pair.b.delivered, 50u);
}

}  // namespace
}  // namespace smartvpn::wireguard
