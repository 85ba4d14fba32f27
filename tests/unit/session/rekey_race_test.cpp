// Rekeys that meet something: loss, answers that come late, several attempts on their way, data and
// configuration in between. Whatever meets, the session lives, no packet arrives twice and none is lost
// but what the wire lost.
#include <gtest/gtest.h>

#include <set>

#include "support/session_pair.hpp"

namespace smartvpn::testing {
namespace {

bool is_handshake(const Bytes& m) { return m[0] == 1 || m[0] == 2; }

// A packet that says which one it is.
void send_numbered(SessionPair& pair, Side from, uint32_t number) {
  Packet p = pair.packet(100);
  store_be32(p.bytes().data() + 20, number);
  SessionMachine& machine = from == Side::client ? static_cast<SessionMachine&>(*pair.client) : *pair.server;
  EXPECT_EQ(machine.send(std::move(p), pair.now), Drop::none);
}
std::multiset<uint32_t> numbers(const std::vector<ReceivedPacket>& packets) {
  std::multiset<uint32_t> out;
  for (const auto& p : packets) out.insert(load_be32(p.bytes.data() + 20));
  return out;
}
bool each_once(const std::multiset<uint32_t>& all) {
  return std::set<uint32_t>(all.begin(), all.end()).size() == all.size();
}

// Many short-lived keys over a wire that loses a tenth of the data and reorders it, loses a third of the
// handshakes, and holds others up for longer than a retry; those keep their order, as on QUIC's stream.
TEST(RekeyRace, SurvivesLossDelayAndReorderingOverHundredsOfRekeys) {
  uint64_t rekeys = 0;
  for (uint32_t seed = 0; seed < 12; ++seed) {
    VirtualWire::Options options;
    options.jitter = milliseconds(300);
    options.loss_per_mille = 100;
    options.seed = seed + 1;
    SessionPair pair(Carrier::quic, options);
    for (Timing* timing : {&pair.client_config.timing, &pair.server_config.timing}) {
      timing->rekey_after = seconds(4);
      timing->rekey_retry = seconds(1);
      timing->rekey_min_gap = milliseconds(500);
      timing->reject_after = seconds(30);
    }
    ASSERT_TRUE(pair.connect());
    pair.run_for(seconds(1));
    std::mt19937 random(seed);
    std::multimap<Time, std::pair<Side, Bytes>> stream;
    Time last[2] = {pair.now, pair.now};
    pair.wire.filter = [&](Side to, Bytes& m) {
      if (!is_handshake(m)) return true;
      const auto dice = random() % 10;
      if (dice < 3) return false;
      Time& due = last[to == Side::client];
      due = std::max(due, pair.now + milliseconds(dice < 6 ? random() % 2500 : 10));
      stream.emplace(due, std::make_pair(to, m));
      return false;
    };
    uint32_t sent = 0;
    const Time end = pair.now + seconds(400);
    while (pair.now < end) {
      send_numbered(pair, Side::client, sent);
      send_numbered(pair, Side::server, sent++);
      pair.run_for(milliseconds(50));
      while (!stream.empty() && stream.begin()->first <= pair.now) {
        auto [to, message] = std::move(stream.begin()->second);
        stream.erase(stream.begin());
        to == Side::client ? pair.client->receive(message, pair.now) : pair.server->receive(message, pair.now);
      }
      ASSERT_FALSE(pair.client->closed()) << seed << " " << reason_name(pair.client_handler.closed.reason);
      ASSERT_FALSE(pair.server->closed()) << seed << " " << reason_name(pair.server_handler.closed.reason);
    }
    pair.run_for(seconds(1));
    const auto up = numbers(pair.server_handler.packets), down = numbers(pair.client_handler.packets);
    EXPECT_TRUE(each_once(up) && each_once(down)) << seed;
    // A tenth is the wire's; keys that the other end has given up may cost a little more.
    EXPECT_GT(up.size(), sent * 85 / 100) << seed;
    EXPECT_GT(down.size(), sent * 85 / 100) << seed;
    rekeys += pair.client->handshakes() - 1;
  }
  EXPECT_GT(rekeys, 400u);
}

// On a stream nothing is lost and nothing overtakes; a rekey at any moment costs no packet.
TEST(RekeyRace, OnAStreamNoPacketIsLostAroundARekey) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    VirtualWire::Options options;
    options.latency = milliseconds(1 + 40 * seed);
    SessionPair pair(Carrier::websocket, options);
    for (Timing* timing : {&pair.client_config.timing, &pair.server_config.timing}) {
      timing->rekey_after = milliseconds(1500 + 7 * seed);
      timing->rekey_min_gap = milliseconds(10);
    }
    pair.start();
    pair.run_for(seconds(5));
    ASSERT_TRUE(pair.client->established() && pair.server->established());
    for (uint32_t i = 0; i < 2000; ++i) {
      send_numbered(pair, Side::client, i);
      send_numbered(pair, Side::server, i);
      pair.run_for(milliseconds(13));
    }
    pair.run_for(seconds(3));
    EXPECT_GE(pair.client->handshakes(), 8u) << seed;
    const auto up = numbers(pair.server_handler.packets), down = numbers(pair.client_handler.packets);
    EXPECT_EQ(up.size(), 2000u) << seed;
    EXPECT_EQ(down.size(), 2000u) << seed;
    EXPECT_TRUE(each_once(up) && each_once(down)) << seed;
    EXPECT_EQ(pair.client_handler.all_dropped() + pair.server_handler.all_dropped(), 0u) << seed;
  }
}

// The answer to an attempt that was given up comes after the answer to the next, or before it.
TEST(RekeyRace, OnlyTheAnswerToTheLatestAttemptCounts) {
  for (bool late_first : {false, true}) {
    SessionPair pair(Carrier::quic);
    ASSERT_TRUE(pair.connect());
    std::vector<Bytes> answers;
    pair.wire.filter = [&](Side, Bytes& m) {
      if (m[0] != 2) return true;
      answers.push_back(m);
      return false;
    };
    pair.run_for(seconds(137));  // 120 s, and the second attempt 15 s later
    ASSERT_EQ(answers.size(), 2u);
    pair.wire.filter = nullptr;
    if (late_first) std::swap(answers[0], answers[1]);
    for (Bytes& answer : answers) pair.client->receive(answer, pair.now);
    EXPECT_EQ(pair.client->handshakes(), 2u);
    EXPECT_EQ(pair.client_handler.dropped(Drop::unknown_message), 1u);
    for (int i = 0; i < 3; ++i) {
      pair.send(Side::client, 100);
      pair.send(Side::server, 100);
      pair.run_for(milliseconds(100));
    }
    EXPECT_EQ(pair.server_handler.packets_seen, 3u);
    EXPECT_EQ(pair.client_handler.packets_seen, 3u);
    pair.run_for(seconds(300));
    EXPECT_FALSE(pair.client->closed() || pair.server->closed());
  }
}

// Old keys open what was on its way when the new ones came, and nothing once they are too old.
TEST(RekeyRace, DataUnderTheKeysBeforeIsTakenUntilTheyAreTooOld) {
  for (Side from : {Side::client, Side::server}) {
    SessionPair pair(Carrier::quic);
    ASSERT_TRUE(pair.connect());
    pair.run_for(seconds(110));
    std::vector<Bytes> held;
    pair.wire.filter = [&](Side to, Bytes& m) {
      if (to == from || m[0] != 4 || m.size() < 150) return true;
      held.push_back(m);
      return false;
    };
    pair.send(from, 200);
    pair.send(from, 200);
    pair.run_for(seconds(20));  // the rekey
    pair.wire.filter = nullptr;
    ASSERT_EQ(pair.client->handshakes(), 2u);
    ASSERT_GE(held.size(), 1u);
    auto hand_over = [&](Bytes message) {
      from == Side::client ? pair.server->receive(message, pair.now) : pair.client->receive(message, pair.now);
    };
    const Recorder<ResponderHandler>& at_server = pair.server_handler;
    auto arrived = [&] { return from == Side::client ? at_server.packets_seen : pair.client_handler.packets_seen; };
    // Wiped, not only refused: there is nothing left that could open it.
    auto unknown = [&] {
      return from == Side::client ? at_server.dropped(Drop::unknown_message)
                                  : pair.client_handler.dropped(Drop::unknown_message);
    };
    const uint64_t before = arrived();
    hand_over(held[0]);
    EXPECT_GT(arrived(), before);
    const uint64_t now_arrived = arrived();
    pair.run_for(seconds(85));  // 215 s after the first keys were born, the second ones live
    const uint64_t unknown_before = unknown();
    hand_over(held[0]);
    EXPECT_EQ(arrived(), now_arrived);
    EXPECT_EQ(unknown(), unknown_before + 1);
  }
}

// A stream brings everything in order, so what comes under the old keys after the new ones were used was
// held back by somebody: it is refused although it would open.
TEST(RekeyRace, OnAStreamTheKeysBeforeAreGoneAtOnce) {
  for (Side from : {Side::client, Side::server}) {
    SessionPair pair;
    ASSERT_TRUE(pair.connect());
    pair.run_until(Time(seconds(1000)) + seconds(120));
    SessionMachine& sender = from == Side::client ? static_cast<SessionMachine&>(*pair.client) : *pair.server;
    ASSERT_EQ(pair.send(from, 200), Drop::none);
    Packet held = sender.pull(pair.now);
    ASSERT_TRUE(held);
    pair.run_for(seconds(1));
    ASSERT_EQ(pair.client->handshakes(), 2u);
    ASSERT_FALSE(pair.client->closed() || pair.server->closed());
    from == Side::client ? pair.server->receive(held.bytes(), pair.now) : pair.client->receive(held.bytes(), pair.now);
    EXPECT_EQ(pair.server_handler.packets_seen + pair.client_handler.packets_seen, 0u);
    EXPECT_TRUE(from == Side::client ? pair.server->closed() : pair.client->closed());
  }
}

// A client whose rekeys are never answered gives up by itself, dead or not.
TEST(RekeyRace, AClientThatIsNeverAnsweredGivesUp) {
  SessionPair pair;
  pair.client_config.close_when_dead = false;
  ASSERT_TRUE(pair.connect());
  pair.wire.filter = [](Side, Bytes& m) { return m[0] == 4; };
  pair.run_for(seconds(239));
  EXPECT_FALSE(pair.client->closed());
  pair.run_for(seconds(3));
  EXPECT_TRUE(pair.client->closed());
  EXPECT_EQ(pair.client_handler.closed.reason, Reason::rekey_timeout);
}

// New routes, a new server key and a rekey at the same moment.
TEST(RekeyRace, AConfigurationUpdateMeetsARekey) {
  for (int offset_ms = -60; offset_ms <= 60; offset_ms += 5) {
    SessionPair pair;
    ASSERT_TRUE(pair.connect());
    pair.run_until(Time(seconds(1000)) + seconds(120) + milliseconds(20 + offset_ms));
    SessionParameters changed = pair.server->parameters();
    changed.routes = {*inet::Cidr::parse("10.0.0.0/8")};
    changed.next_server_key = pair.next_key.pub;
    pair.server->set_keys(
        std::make_shared<const StaticKeys>(StaticKeys{copy_of(pair.server_key), copy_of(pair.next_key)}));
    ASSERT_TRUE(pair.server->reconfigure(changed));
    pair.run_for(seconds(2));
    ASSERT_EQ(pair.client_handler.reconfigured.size(), 1u) << offset_ms;
    EXPECT_EQ(pair.client_handler.reconfigured[0].routes, changed.routes);
    EXPECT_EQ(pair.client->handshakes(), 2u) << offset_ms;
    pair.run_for(seconds(121));
    EXPECT_EQ(pair.client->handshakes(), 3u) << offset_ms;
    EXPECT_FALSE(pair.client->closed() || pair.server->closed());
  }
}

// Either side ends the session while a rekey is on its way: told once, and both are done.
TEST(RekeyRace, ACloseMeetsARekey) {
  for (Side closer : {Side::client, Side::server})
    for (int offset_ms = -40; offset_ms <= 60; offset_ms += 5) {
      SessionPair pair;
      ASSERT_TRUE(pair.connect());
      pair.run_until(Time(seconds(1000)) + seconds(120) + milliseconds(20 + offset_ms));
      closer == Side::client ? pair.client->close(Reason::none, pair.now)
                             : pair.server->close(Reason::disconnected, pair.now);
      pair.run_for(seconds(30));
      EXPECT_TRUE(pair.client->closed() && pair.server->closed()) << offset_ms;
      EXPECT_EQ(pair.client_handler.closes, 1);
      EXPECT_EQ(pair.server_handler.closes, 1);
      const CloseInfo& heard = closer == Side::client ? pair.server_handler.closed : pair.client_handler.closed;
      EXPECT_TRUE(heard.by_peer) << offset_ms << " " << reason_name(heard.reason);
    }
}

}  // namespace
}  // namespace smartvpn::testing
