// Keepalive between two machines: who pings when, who is found dead, how many pongs go out.
#include <gtest/gtest.h>

#include "support/session_pair.hpp"

namespace smartvpn::testing {
namespace {

TEST(Liveness, SilentSessionPingsOnceAnIntervalFromEachSide) {
  SessionPair pair;
  ASSERT_TRUE(pair.connect());
  const size_t before = pair.client_handler.rtts.size();
  pair.run_for(seconds(100));
  EXPECT_EQ(pair.client_handler.rtts.size() - before, 3u);
  EXPECT_EQ(pair.server_handler.rtts.size(), 3u);
  for (Duration rtt : pair.server_handler.rtts) EXPECT_EQ(rtt, milliseconds(20));
}

TEST(Liveness, ServersIntervalIsTheClients) {
  SessionPair pair;
  pair.server_config.timing.keepalive_interval = seconds(20);
  ASSERT_TRUE(pair.connect());
  EXPECT_EQ(pair.client->parameters().keepalive_interval, seconds(20));
  const size_t before = pair.client_handler.rtts.size();
  pair.run_for(seconds(101));
  EXPECT_EQ(pair.client_handler.rtts.size() - before, 5u);
}

TEST(Liveness, ClientsOwnIntervalGoesBeforeTheServers) {
  SessionPair pair;
  pair.client_config.keepalive_interval = seconds(10);
  ASSERT_TRUE(pair.connect());
  const size_t before = pair.client_handler.rtts.size();
  pair.run_for(seconds(101));
  EXPECT_EQ(pair.client_handler.rtts.size() - before, 10u);
}

TEST(Liveness, RoundTripsAreMeasuredUnderTrafficToo) {
  SessionPair pair;
  ASSERT_TRUE(pair.connect());
  const size_t before = pair.client_handler.rtts.size();
  for (int i = 0; i < 100; ++i) {
    pair.send(Side::server, 100);
    pair.send(Side::client, 100);
    pair.run_for(seconds(1));
  }
  EXPECT_GE(pair.client_handler.rtts.size() - before, 3u);
  EXPECT_TRUE(pair.client_handler.liveness_changes.empty());
}

TEST(Liveness, ClientFindsASilentServerDead) {
  SessionPair pair;
  ASSERT_TRUE(pair.connect());
  pair.run_for(seconds(10));
  const Time cut = pair.now;
  std::vector<Duration> pings;
  pair.wire.filter = [&](Side to, Bytes&) {
    if (to == Side::server) pings.push_back(pair.now - cut);
    return false;
  };
  while (!pair.client->closed() && pair.now < cut + seconds(100)) pair.run_for(milliseconds(10));
  ASSERT_TRUE(pair.client->closed());
  EXPECT_EQ(pair.client_handler.closed.reason, Reason::peer_timeout);
  EXPECT_EQ(pair.client_handler.closed.reconnect, Reconnect::at_once);
  // The first ping within one interval, then every five seconds, dead fifteen after the first; the
  // last message is the farewell.
  ASSERT_EQ(pings.size(), 4u);
  EXPECT_LE(pings[0], seconds(30));
  EXPECT_EQ(pings[1] - pings[0], seconds(5));
  EXPECT_EQ(pings[2] - pings[1], seconds(5));
  EXPECT_EQ(pings[3] - pings[0], seconds(15));
  EXPECT_EQ(pair.client_handler.liveness_changes, std::vector<Liveness>{Liveness::dead});
}

TEST(Liveness, ServerReportsADeadClientAndKeepsItsSession) {
  SessionPair pair;
  ASSERT_TRUE(pair.connect());
  pair.client_asleep = true;
  pair.run_for(seconds(46));
  EXPECT_EQ(pair.server->liveness(), Liveness::dead);
  EXPECT_FALSE(pair.server->closed());
  const uint64_t sent = pair.wire.sent();
  pair.run_for(seconds(60));
  EXPECT_EQ(pair.wire.sent(), sent);  // the dead are not pinged
}

TEST(Liveness, ServerMayCloseWhenDead) {
  SessionPair pair;
  pair.server_config.close_when_dead = true;
  ASSERT_TRUE(pair.connect());
  pair.client_asleep = true;
  pair.run_for(seconds(46));
  EXPECT_EQ(pair.server_handler.closed.reason, Reason::peer_timeout);
}

TEST(Liveness, AnyOpenedMessageIsASignOfLife) {
  SessionPair pair;
  ASSERT_TRUE(pair.connect());
  // Pongs never come back, data does.
  for (int i = 0; i < 200; ++i) {
    pair.send(Side::server, 50);
    pair.run_for(seconds(1));
  }
  EXPECT_FALSE(pair.client->closed());
  EXPECT_TRUE(pair.client_handler.liveness_changes.empty());
}

}  // namespace
}  // namespace smartvpn::testing
