// Messages that were cut, flipped, repeated, reordered or taken from elsewhere, in both directions, and
// old messages after either side began anew.
#include <gtest/gtest.h>

#include "support/session_pair.hpp"

namespace smartvpn::testing {
namespace {

// One established session, seen from the side that sends and the side that receives.
struct Ends {
  Ends(Carrier carrier, Side from) : pair(carrier), from(from) { EXPECT_TRUE(pair.connect()); }
  SessionMachine& machine(Side side) {
    if (side == Side::client) return *pair.client;
    return *pair.server;
  }
  Bytes next(size_t size = 40) {
    EXPECT_EQ(pair.send(from, size), Drop::none);
    Packet m = machine(from).pull(pair.now);
    EXPECT_TRUE(m);
    return Bytes(m.bytes().begin(), m.bytes().end());
  }
  void hand_over(Bytes message) { machine(other(from)).receive(message, pair.now); }
  uint64_t packets() const {
    return from == Side::client ? pair.server_handler.packets_seen : pair.client_handler.packets_seen;
  }
  uint64_t dropped() const {
    return from == Side::client ? pair.server_handler.all_dropped() : pair.client_handler.all_dropped();
  }
  bool closed() { return machine(other(from)).closed(); }

  SessionPair pair;
  Side from;
};

struct Way {
  Carrier carrier;
  Side from;
};
const Way kWays[] = {{Carrier::websocket, Side::client},
                     {Carrier::websocket, Side::server},
                     {Carrier::quic, Side::client},
                     {Carrier::quic, Side::server}};

// Nothing of `message` acts; an ordered session ends of it, another goes on.
void expect_refused(const Way& way, const std::function<void(Bytes&)>& damage, const std::string& what) {
  Ends ends(way.carrier, way.from);
  Bytes message = ends.next();
  damage(message);
  ends.hand_over(message);
  EXPECT_EQ(ends.packets(), 0u) << what;
  EXPECT_EQ(ends.dropped(), 1u) << what;
  EXPECT_EQ(ends.closed(), way.carrier == Carrier::websocket) << what;
  ends.hand_over(ends.next());
  EXPECT_EQ(ends.packets(), way.carrier == Carrier::websocket ? 0u : 1u) << what;
}

TEST(DamagedMessage, EveryTruncationAndExtensionIsRefusedInBothDirections) {
  const size_t whole = kHeaderSize + 4 + 40 + kTagSize;
  for (const Way& way : kWays) {
    for (size_t size = 0; size < whole; ++size)
      expect_refused(
          way, [&](Bytes& m) { m.resize(size); }, "cut to " + std::to_string(size));
    for (size_t more : {1, 15, 16, 17, 1000})
      expect_refused(
          way, [&](Bytes& m) { m.resize(m.size() + more); }, "longer by " + std::to_string(more));
  }
}

TEST(DamagedMessage, EveryFlippedByteIsRefusedInBothDirections) {
  const size_t whole = kHeaderSize + 4 + 40 + kTagSize;
  for (const Way& way : kWays)
    for (size_t i = 1; i < whole; ++i)  // the type apart: an unknown one is ignored
      for (uint8_t flip : {0x01, 0x80})
        expect_refused(
            way, [&](Bytes& m) { m[i] ^= flip; }, std::to_string(i));
}

TEST(DamagedMessage, ARepeatOrAGapEndsAnOrderedSessionInBothDirections) {
  for (Side from : {Side::client, Side::server}) {
    Ends repeat(Carrier::websocket, from);
    const Bytes first = repeat.next();
    repeat.hand_over(first);
    EXPECT_FALSE(repeat.closed());
    repeat.hand_over(first);
    EXPECT_EQ(repeat.packets(), 1u);
    EXPECT_TRUE(repeat.closed());

    Ends gap(Carrier::websocket, from);
    gap.next();
    gap.hand_over(gap.next());
    EXPECT_EQ(gap.packets(), 0u);
    EXPECT_TRUE(gap.closed());
  }
}

TEST(DamagedMessage, DatagramsInAnyOrderActOnceEach) {
  for (Side from : {Side::client, Side::server}) {
    Ends ends(Carrier::quic, from);
    std::vector<Bytes> all;
    for (int i = 0; i < 300; ++i) all.push_back(ends.next());
    std::mt19937 random(9);
    std::shuffle(all.begin(), all.end(), random);
    for (int round = 0; round < 3; ++round)
      for (const Bytes& m : all) ends.hand_over(m);
    EXPECT_EQ(ends.packets(), 300u);
    EXPECT_EQ(ends.dropped(), 600u);
    EXPECT_FALSE(ends.closed());
  }
}

// A forged counter far ahead must not push the window over what is still on its way.
TEST(DamagedMessage, OnlyWhatAuthenticatedMovesTheWindow) {
  for (Side from : {Side::client, Side::server}) {
    Ends ends(Carrier::quic, from);
    Bytes forged = ends.next();
    store_le64(forged.data() + 8, 1000000);
    ends.hand_over(forged);
    EXPECT_EQ(ends.packets(), 0u);
    for (int i = 0; i < 10; ++i) ends.hand_over(ends.next());
    EXPECT_EQ(ends.packets(), 10u);
    // Nor may a forgery of a counter that is yet to come use it up.
    const Bytes good = ends.next();
    Bytes spoilt = good;
    spoilt[kHeaderSize] ^= 1;
    ends.hand_over(spoilt);
    ends.hand_over(good);
    EXPECT_EQ(ends.packets(), 11u);
  }
}

TEST(DamagedMessage, WhatIsMeantForAnotherSessionOrTheSenderIsRefused) {
  for (const Way& way : kWays) {
    Ends ends(way.carrier, way.from), others(way.carrier, way.from);
    ends.hand_over(ends.next());
    // Reflected: our own message comes back.
    Bytes own = ends.next();
    ends.machine(way.from).receive(own, ends.pair.now);
    EXPECT_EQ(ends.machine(way.from).closed(), way.carrier == Carrier::websocket);
    // Another session's, as it is and with the index made to fit.
    Bytes foreign = others.next();
    if (way.carrier == Carrier::quic) {
      std::copy_n(own.begin() + 4, 4, foreign.begin() + 4);
      store_le64(foreign.data() + 8, 77);
    }
    ends.hand_over(foreign);
    EXPECT_EQ(ends.packets(), 1u);
    EXPECT_EQ(ends.closed(), way.carrier == Carrier::websocket);
  }
}

TEST(DamagedMessage, AHandshakesMessagesAreGoodOnce) {
  for (Carrier carrier : {Carrier::websocket, Carrier::quic}) {
    SessionPair pair(carrier);
    std::vector<std::pair<Side, Bytes>> said;  // hello, message 1, message 2, first data
    pair.wire.filter = [&](Side to, Bytes& m) {
      said.emplace_back(to, m);
      return true;
    };
    ASSERT_TRUE(pair.connect());
    pair.wire.filter = nullptr;
    Bytes hello = said.at(0).second, initiation = said.at(1).second, response = said.at(2).second;
    ASSERT_EQ(response[0], 2);
    // An answer once more is what a lost race would look like: ignored.
    pair.client->receive(response, pair.now);
    EXPECT_FALSE(pair.client->closed());
    EXPECT_EQ(pair.client_handler.dropped(Drop::unknown_message), 1u);
    EXPECT_EQ(pair.client_handler.configured.size(), 1u);
    // A second challenge or, to the server, the first initiation: no honest peer says that.
    pair.client->receive(hello, pair.now);
    EXPECT_EQ(pair.client->closed(), carrier == Carrier::websocket);
    pair.now += seconds(10);
    pair.server->receive(initiation, pair.now);
    EXPECT_TRUE(pair.server->closed());
    EXPECT_EQ(pair.server_handler.closed.reason, Reason::protocol_error);
    EXPECT_EQ(pair.server_handler.identities.size(), 1u);
    EXPECT_EQ(pair.server_handler.confirmations, 1);
  }
}

TEST(DamagedMessage, AClientWaitingForItsAnswerTakesNoOther) {
  SessionPair other_pair;
  Bytes answer;
  other_pair.wire.filter = [&](Side, Bytes& m) {
    if (m[0] == 2) answer = m;
    return true;
  };
  ASSERT_TRUE(other_pair.connect());
  other_pair.start();  // once more: equal pairs begin with equal keys
  other_pair.run_for(milliseconds(100));
  for (bool fits : {false, true}) {
    SessionPair pair;
    uint32_t index = 0;
    pair.wire.filter = [&](Side, Bytes& m) {
      if (m[0] == 1) index = load_le32(m.data() + 4);
      return m[0] != 2;
    };
    pair.start();
    pair.run_for(milliseconds(100));
    Bytes foreign = answer;
    if (fits) store_le32(foreign.data() + 4, index);
    pair.client->receive(foreign, pair.now);
    EXPECT_TRUE(pair.client->closed());
    EXPECT_EQ(pair.client_handler.closed.reason, Reason::handshake_failed);
    EXPECT_TRUE(pair.client_handler.configured.empty());
  }
}

TEST(DamagedMessage, AfterEitherSideBeganAnewNothingOldIsTaken) {
  for (Carrier carrier : {Carrier::websocket, Carrier::quic}) {
    SessionPair pair(carrier);
    std::vector<std::pair<Side, Bytes>> recorded;
    pair.wire.filter = [&](Side to, Bytes& m) {
      recorded.emplace_back(to, m);
      return true;
    };
    ASSERT_TRUE(pair.connect());
    pair.send(Side::client, 100);
    pair.send(Side::server, 100);
    pair.run_for(seconds(130));  // a rekey is among it
    pair.wire.filter = nullptr;
    ASSERT_EQ(pair.client->handshakes(), 2u);
    const uint64_t up = pair.server_handler.packets_seen, down = pair.client_handler.packets_seen;

    // The server began anew and has only greeted: each recorded message ends it or is dropped.
    for (const auto& [to, message] : recorded) {
      SessionPair fresh(carrier);
      SeededRng rng(4711);
      crypto::AeadEngine engine;
      ServerRecorder handler;
      Responder server(fresh.server_config, handler, engine, fresh.pool, rng);
      handler.machine = &server;
      handler.now = &fresh.now;
      server.start(fresh.now);
      ASSERT_TRUE(server.pull(fresh.now));  // the hello
      if (to != Side::server) continue;
      Bytes copy = message;
      server.receive(copy, fresh.now);
      // Data without a session may be a datagram that was late; everything else ends it.
      EXPECT_EQ(server.closed(), carrier == Carrier::websocket || message[0] == 1) << int(message[0]);
      EXPECT_TRUE(handler.identities.empty());
      EXPECT_EQ(handler.confirmations, 0);
      EXPECT_EQ(handler.packets_seen, 0u);
      EXPECT_FALSE(server.pull(fresh.now)) << "a stranger hears nothing";
    }
    // Both began anew and have a session: nothing recorded goes into it.
    pair.start();
    pair.run_for(milliseconds(200));
    ASSERT_TRUE(pair.client->established() && pair.server->established());
    for (auto& [to, message] : recorded) {
      if (message[0] != 4) continue;
      SessionMachine& machine = to == Side::client ? static_cast<SessionMachine&>(*pair.client) : *pair.server;
      machine.receive(message, pair.now);
    }
    EXPECT_EQ(pair.server_handler.packets_seen, up);
    EXPECT_EQ(pair.client_handler.packets_seen, down);
    EXPECT_EQ(pair.server->closed(), carrier == Carrier::websocket);
  }
}

}  // namespace
}  // namespace smartvpn::testing
