// The timers of a peer: the lines of the checklist "Sessions and timers". Times are virtual, and jitter is at most 334
// ms.
#include <gtest/gtest.h>

#include "support/wireguard_pair.hpp"

namespace smartvpn::wireguard {
namespace {

using testing::WireguardEnd;
using testing::WireguardPair;

bool drop_all(WireguardEnd&, ByteView) { return false; }

TEST(WireguardChecklist, TheInitiatorRekeysAfter120SecondsWhenSending) {
  WireguardPair pair;
  ASSERT_TRUE(pair.connect());
  const Time born = pair.a.machine->sending_keys(pair.now)->born;
  pair.run_until(born + seconds(119));
  pair.send(pair.a);
  pair.run_until(born + seconds(120) - milliseconds(1));
  EXPECT_EQ(pair.a.initiations, 1u);
  pair.run_until(born + seconds(120));
  EXPECT_EQ(pair.a.initiations, 1u) << "not by age alone";
  pair.send(pair.a);
  EXPECT_EQ(pair.a.initiations, 2u);
  pair.send(pair.a);
  EXPECT_EQ(pair.a.initiations, 2u) << "once";
  pair.run_for(seconds(1));
  EXPECT_EQ(pair.b.confirmed, 2u);
  EXPECT_EQ(pair.b.delivered, 4u);
}

TEST(WireguardChecklist, TheInitiatorRekeysAt165SecondsWhenReceiving) {
  WireguardPair pair;
  ASSERT_TRUE(pair.connect());
  const Time born = pair.a.machine->sending_keys(pair.now)->born;
  pair.run_until(born + milliseconds(164'980));
  pair.filter = [&](WireguardEnd& from, ByteView) { return &from == &pair.b; };
  pair.send(pair.b);  // comes 10 ms later
  pair.run_for(milliseconds(15));
  EXPECT_EQ(pair.a.delivered, 1u);
  EXPECT_EQ(pair.a.initiations, 1u);
  pair.send(pair.b);
  pair.run_for(milliseconds(15));
  EXPECT_EQ(pair.a.delivered, 2u);
  EXPECT_EQ(pair.a.initiations, 2u);
  for (int i = 0; i < 10; ++i) pair.send(pair.b);
  pair.run_for(milliseconds(100));
  EXPECT_EQ(pair.a.initiations, 2u) << "once for these keys";
}

TEST(WireguardChecklist, TheResponderDoesNotRekeyByAgeAlone) {
  WireguardPair pair;
  ASSERT_TRUE(pair.connect());
  const Time begin = pair.now;
  pair.filter = [&](WireguardEnd& from, ByteView bytes) {
    return &from != &pair.a || message_type(bytes) == MessageType::data;
  };
  while (pair.now < begin + seconds(170)) {
    pair.send(pair.b);
    if (pair.now < begin + seconds(110)) pair.send(pair.a);
    if (pair.now >= begin + seconds(110)) {
      // So that the responder misses no answer, without the initiator's noticing that its keys grow old.
      Keypair* keys = pair.b.machine->sending_keys(pair.now);
      ASSERT_NE(keys, nullptr);
      pair.b.machine->on_received(*keys, false, pair.now);
    }
    pair.run_for(seconds(1));
  }
  EXPECT_EQ(pair.b.initiations, 0u);
  EXPECT_EQ(pair.violations, 0u);
}

TEST(WireguardChecklist, NothingIsSentOrAcceptedAfter180Seconds) {
  WireguardPair pair;
  ASSERT_TRUE(pair.connect());
  Keypair* keys = pair.a.machine->sending_keys(pair.now);
  const Time born = keys->born;
  const uint32_t index = keys->local_index;
  const Time last = born + seconds(180) - Duration{1};
  EXPECT_EQ(pair.a.machine->sending_keys(last), keys);
  EXPECT_EQ(pair.a.machine->receiving_keys(index, last), keys);
  EXPECT_TRUE(pair.a.machine->has_session(last));
  EXPECT_EQ(pair.a.machine->sending_keys(born + seconds(180)), nullptr);
  EXPECT_EQ(pair.a.machine->receiving_keys(index, born + seconds(180)), nullptr);
  EXPECT_FALSE(pair.a.machine->has_session(born + seconds(180)));
  pair.run_until(born + seconds(181));
  pair.send(pair.b);  // who was the responder may begin now, because it has something to send
  EXPECT_EQ(pair.b.initiations, 1u);
  pair.run_for(seconds(1));
  EXPECT_EQ(pair.a.delivered, 1u);
}

TEST(WireguardChecklist, UnansweredDataBeginsAHandshakeAfter15Seconds) {
  for (const bool responder : {false, true}) {
    WireguardPair pair;
    ASSERT_TRUE(pair.connect());
    pair.run_for(seconds(30));
    WireguardEnd& end = responder ? pair.b : pair.a;
    const uint64_t before = end.initiations;
    pair.filter = drop_all;
    const Time sent = pair.now;
    pair.send(end);
    pair.run_until(sent + seconds(8));
    pair.send(end);  // does not put it off
    pair.run_until(sent + milliseconds(14'999));
    EXPECT_EQ(end.initiations, before);
    pair.run_until(sent + milliseconds(15'334));
    EXPECT_EQ(end.initiations, before + 1);
  }
}

TEST(WireguardChecklist, AnsweredDataBeginsNone) {
  WireguardPair pair;
  ASSERT_TRUE(pair.connect());
  pair.run_for(seconds(90));  // answered by the passive keepalive
  EXPECT_EQ(pair.a.initiations, 1u);
  EXPECT_EQ(pair.b.initiations, 0u);
}

TEST(WireguardChecklist, RetriesEveryFiveSecondsWithJitterFor90SecondsThenGivesUpUntilNewTraffic) {
  WireguardPair pair;
  std::vector<Time> tries;
  pair.filter = [&](WireguardEnd&, ByteView bytes) {
    if (message_type(bytes) == MessageType::initiation) tries.push_back(pair.now);
    return false;
  };
  const Time begin = pair.now;
  pair.send(pair.a);
  pair.run_until(begin + seconds(89));
  EXPECT_EQ(pair.a.gave_up, 0u);
  EXPECT_EQ(pair.a.waiting, 1u);
  pair.run_until(begin + seconds(105));
  EXPECT_EQ(pair.a.gave_up, 1u);
  EXPECT_EQ(pair.a.waiting, 0u);
  EXPECT_GE(tries.size(), 18u);
  EXPECT_LE(tries.size(), 19u);
  bool jitter = false;
  for (size_t i = 1; i < tries.size(); ++i) {
    const Duration gap = tries[i] - tries[i - 1];
    EXPECT_GE(gap, seconds(5));
    EXPECT_LE(gap, milliseconds(5334));
    jitter |= gap > seconds(5);
  }
  EXPECT_TRUE(jitter);
  const size_t before = tries.size();
  pair.run_for(seconds(300));
  EXPECT_EQ(tries.size(), before);
  pair.send(pair.a);
  EXPECT_EQ(tries.size(), before + 1);
  pair.filter = nullptr;
  pair.run_for(seconds(6));
  EXPECT_EQ(pair.b.delivered, 1u);
}

TEST(WireguardChecklist, TrafficDuringAnAttemptProlongsIt) {
  WireguardPair pair;
  pair.filter = drop_all;
  for (int i = 0; i < 200; ++i) {
    pair.send(pair.a);
    pair.run_for(seconds(1));
  }
  EXPECT_EQ(pair.a.gave_up, 0u);
  EXPECT_GE(pair.a.initiations, 37u);
  EXPECT_LE(pair.a.initiations, 41u);
}

TEST(WireguardChecklist, APassiveKeepalive10SecondsAfterDataAndNoneInAnswerToOne) {
  WireguardPair pair;
  ASSERT_TRUE(pair.connect());
  const Time got = pair.b.last_delivered;
  pair.run_until(got + milliseconds(9'999));
  EXPECT_EQ(pair.b.keepalives, 0u);
  pair.run_until(got + seconds(10));
  EXPECT_EQ(pair.b.keepalives, 1u);
  pair.run_for(seconds(100));
  EXPECT_EQ(pair.a.empty, 1u);
  EXPECT_EQ(pair.a.keepalives, 0u);
  EXPECT_EQ(pair.b.keepalives, 1u);
}

TEST(WireguardChecklist, NoPassiveKeepaliveWhereDataGoesBack) {
  WireguardPair pair;
  ASSERT_TRUE(pair.connect());
  for (int i = 0; i < 100; ++i) {
    pair.send(pair.a);
    pair.send(pair.b);
    pair.run_for(seconds(1));
  }
  EXPECT_EQ(pair.a.keepalives, 0u);
  EXPECT_EQ(pair.b.keepalives, 0u);
}

TEST(WireguardChecklist, PersistentKeepaliveAtOnceWhenSetAndAtItsInterval) {
  WireguardPair pair;
  pair.perform(pair.a, pair.a.machine->set_persistent_keepalive(seconds(25), pair.now));
  EXPECT_EQ(pair.a.initiations, 1u) << "for which it needs a session";
  pair.run_for(seconds(1));
  EXPECT_EQ(pair.b.empty, 1u);
  for (uint64_t i = 1; i <= 4; ++i) {
    pair.run_for(seconds(25));
    EXPECT_EQ(pair.b.empty, 1 + i);
  }
  EXPECT_FALSE(pair.a.machine->set_persistent_keepalive(seconds(20), pair.now).keepalive) << "it was on";
  pair.send(pair.a);
  pair.run_for(seconds(19));
  EXPECT_EQ(pair.b.empty, 5u) << "data does as well";
  pair.perform(pair.a, pair.a.machine->set_persistent_keepalive(Duration{0}, pair.now));
  const uint64_t before = pair.a.keepalives;
  pair.run_for(seconds(40));
  EXPECT_EQ(pair.a.keepalives, before);
}

TEST(WireguardChecklist, PersistentKeepaliveKeepsASessionAliveForHours) {
  WireguardPair pair;
  pair.perform(pair.a, pair.a.machine->set_persistent_keepalive(seconds(25), pair.now));
  pair.run_for(seconds(5));
  for (int i = 0; i < 720; ++i) {
    pair.run_for(seconds(10));
    EXPECT_TRUE(pair.a.machine->has_session(pair.now) && pair.b.machine->has_session(pair.now)) << i;
  }
  EXPECT_GE(pair.a.initiations, 48u);
  EXPECT_LE(pair.a.initiations, 61u);
  EXPECT_EQ(pair.violations, 0u);
}

TEST(WireguardChecklist, KeysAreWipedAfter540Seconds) {
  WireguardPair pair;
  ASSERT_TRUE(pair.connect());
  const Time born = pair.a.machine->sending_keys(pair.now)->born;
  pair.run_until(born + milliseconds(539'900));
  EXPECT_EQ(pair.a.indices.size(), 1u);
  EXPECT_EQ(pair.b.indices.size(), 1u);
  EXPECT_EQ(pair.a.wiped + pair.b.wiped, 0u);
  pair.run_until(born + seconds(541));
  EXPECT_EQ(pair.a.wiped, 1u);
  EXPECT_EQ(pair.b.wiped, 1u);
  EXPECT_EQ(pair.a.indices.size() + pair.b.indices.size(), 0u);
  EXPECT_EQ(pair.a.machine->next_deadline(), kNever);
  EXPECT_EQ(pair.b.machine->next_deadline(), kNever);
}

TEST(WireguardChecklist, UnconfirmedKeysAreWipedToo) {
  WireguardPair pair;
  pair.filter = [&](WireguardEnd& from, ByteView) { return &from == &pair.a; };
  ASSERT_TRUE(pair.initiate(pair.a));
  pair.run_for(seconds(1));
  EXPECT_EQ(pair.b.indices.size(), 1u);
  pair.filter = drop_all;
  pair.run_for(seconds(1200));
  EXPECT_EQ(pair.a.indices.size() + pair.b.indices.size(), 0u);
}

TEST(WireguardChecklist, AWallClockThatGoesBackDoesNoHarm) {
  WireguardPair pair;
  ASSERT_TRUE(pair.connect());
  pair.wall_offset = -int64_t{86'400} * 1'000'000'000;
  for (int i = 0; i < 400; ++i) {
    pair.send(pair.a);
    pair.send(pair.b);
    pair.run_for(seconds(1));
  }
  EXPECT_GE(pair.b.confirmed, 4u);
  EXPECT_EQ(pair.b.delivered, 401u);
}

TEST(WireguardChecklist, ATimeThatGoesBackDoesNoHarm) {
  WireguardPair pair;
  ASSERT_TRUE(pair.connect());
  const Time back = pair.now - seconds(50);
  EXPECT_TRUE(pair.a.machine->has_session(back));
  EXPECT_FALSE(pair.a.machine->on_time(back).any());
  EXPECT_FALSE(pair.b.machine->on_time(Time{}).any());
  Keypair* keys = pair.a.machine->sending_keys(back);
  ASSERT_NE(keys, nullptr);
  EXPECT_FALSE(pair.a.machine->on_sent(*keys, true, back).initiate);
  pair.send(pair.a);
  pair.run_for(seconds(1));
  EXPECT_EQ(pair.b.delivered, 2u);
}

TEST(WireguardChecklist, AfterASuspensionTheNextPacketMakesANewSession) {
  WireguardPair pair;
  ASSERT_TRUE(pair.connect());
  pair.run_for(seconds(15));
  pair.now += seconds(3 * 3600);  // nobody's timer ran
  pair.send(pair.a);
  pair.run_for(seconds(6));
  EXPECT_EQ(pair.b.delivered, 2u);
  EXPECT_EQ(pair.violations, 0u) << pair.last_violation;
}

}  // namespace
}  // namespace smartvpn::wireguard
