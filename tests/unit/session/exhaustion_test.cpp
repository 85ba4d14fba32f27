// The last counters of a key: none is used twice, none beyond the limit seals or opens, and a rekey makes
// a session whole again.
#include <gtest/gtest.h>

#include "support/raw_client.hpp"

namespace smartvpn::testing {
namespace {

SessionMachine& machine(SessionPair& pair, Side side) {
  if (side == Side::client) return *pair.client;
  return *pair.server;
}

TEST(Exhaustion, NothingIsSealedBeyondTheLimitAndARekeyOpensTheWay) {
  for (Carrier carrier : {Carrier::websocket, Carrier::quic})
    for (Side from : {Side::client, Side::server}) {
      SessionPair pair(carrier);
      for (Timing* timing : {&pair.client_config.timing, &pair.server_config.timing}) {
        timing->rekey_after_messages = 40;
        timing->reject_after_messages = 60;
      }
      ASSERT_TRUE(pair.connect());
      bool rekey_lost = true;
      std::set<std::pair<uint32_t, uint64_t>> used;
      uint64_t highest = 0;
      pair.wire.filter = [&](Side to, Bytes& m) {
        if (to != from && m[0] == 4) {
          const uint64_t counter = load_le64(m.data() + 8);
          EXPECT_TRUE(used.insert({load_le32(m.data() + 4), counter}).second) << "a nonce twice";
          highest = std::max(highest, counter);
        }
        return !(rekey_lost && m[0] == 1);
      };
      for (int i = 0; i < 100; ++i) {
        pair.send(from, 100);
        pair.run_for(milliseconds(1));
      }
      EXPECT_EQ(highest, 59u);
      EXPECT_FALSE(machine(pair, from).pull(pair.now));
      EXPECT_FALSE(machine(pair, from).wants_write(pair.now)) << "what waits must not spin";
      EXPECT_FALSE(machine(pair, from).closed());
      pair.run_for(seconds(10));
      EXPECT_EQ(highest, 59u);

      rekey_lost = false;
      pair.run_for(seconds(25));
      EXPECT_GE(pair.client->handshakes(), 2u);
      auto& arrived = from == Side::client ? pair.server_handler.packets_seen : pair.client_handler.packets_seen;
      const uint64_t before = arrived;
      EXPECT_EQ(pair.send(from, 100), Drop::none);
      pair.run_for(seconds(1));
      EXPECT_GT(arrived, before);
      EXPECT_LE(highest, 59u);
      EXPECT_FALSE(pair.client->closed());
      EXPECT_FALSE(pair.server->closed());
    }
}

TEST(Exhaustion, NothingIsOpenedBeyondTheLimit) {
  for (Carrier carrier : {Carrier::websocket, Carrier::quic}) {
    RawClient c;
    c.config.carrier = carrier;
    c.config.timing.reject_after_messages = 60;
    ASSERT_TRUE(c.connect());
    for (int i = 0; i < 60; ++i) c.say(RawClient::packet());
    EXPECT_EQ(c.handler.packets_seen, 60u);
    EXPECT_EQ(c.handler.all_dropped(), 0u);
    c.say(RawClient::packet());
    EXPECT_EQ(c.handler.packets_seen, 60u);
    EXPECT_EQ(c.handler.dropped(Drop::replayed), 1u);
    EXPECT_EQ(c.server->closed(), carrier == Carrier::websocket);
  }
}

TEST(Exhaustion, TheProtocolsOwnLimitIsWireGuards) {
  EXPECT_EQ(Timing{}.reject_after_messages, UINT64_MAX - (uint64_t{1} << 13));
  RawClient c;
  c.config.carrier = Carrier::quic;
  ASSERT_TRUE(c.connect());
  for (uint64_t counter : {kRejectAfterMessages, kRejectAfterMessages + 1, UINT64_MAX - 1}) {
    c.counter = counter;
    c.say(RawClient::packet());
  }
  EXPECT_EQ(c.handler.packets_seen, 0u);
  EXPECT_EQ(c.handler.dropped(Drop::replayed), 3u);
  c.counter = kRejectAfterMessages - 1;
  c.say(RawClient::packet());
  EXPECT_EQ(c.handler.packets_seen, 1u);
}

}  // namespace
}  // namespace smartvpn::testing
