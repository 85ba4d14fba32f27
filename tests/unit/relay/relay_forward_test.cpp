// Bytes through a relay, and how its connections end.
#include <thread>

#include "support/relay_bench.hpp"

namespace smartvpn::relay {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the harness of these tests

TEST(RelayForward, WhatOneSideSaysTheOtherHears) {
  RawListener target;
  RunningRelay relay(relay_config({route({to(target.port())})}));
  RawSocket client(relay.port());
  client.send("to the target");
  RawSocket server = target.accept();
  EXPECT_EQ(server.read(13), "to the target");
  server.send("to the client");
  EXPECT_EQ(client.read(13), "to the client");
}

TEST(RelayForward, AServerMaySpeakFirst) {
  RawListener target;
  RunningRelay relay(relay_config({route({to(target.port())})}));
  RawSocket client(relay.port());
  RawSocket server = target.accept();
  server.send("220 hello\r\n");
  EXPECT_EQ(client.read(11), "220 hello\r\n");
  client.send("EHLO\r\n");
  EXPECT_EQ(server.read(6), "EHLO\r\n");
}

TEST(RelayForward, MegabytesBothWaysAtOnceArriveAsTheyWere) {
  RawListener target;
  RunningRelay relay(relay_config({route({to(target.port())})}));
  RawSocket client(relay.port());
  RawSocket server = target.accept();
  std::string up(6'000'000, 'u'), down(7'000'000, 'd');
  for (size_t i = 0; i < up.size(); ++i) up[i] = static_cast<char>(i * 131 >> 3);
  for (size_t i = 0; i < down.size(); ++i) down[i] = static_cast<char>(i * 137 >> 5);
  std::thread a([&] { client.send(up); }), b([&] { server.send(down); });
  std::string got_up;
  std::thread c([&] { got_up = server.read(up.size()); });
  const std::string got_down = client.read(down.size());
  for (auto* thread : {&a, &b, &c}) thread->join();
  EXPECT_TRUE(got_up == up);
  EXPECT_TRUE(got_down == down);
}

TEST(RelayForward, BothSidesCloseWhenTheClientDoes) {
  RawListener target;
  RunningRelay relay(relay_config({route({to(target.port())})}));
  RawSocket client(relay.port());
  client.send("last words");
  RawSocket server = target.accept();
  client.finish_sending();
  EXPECT_EQ(server.read_to_end(), "last words");
  EXPECT_EQ(server.ending(), Ending::fin);
  EXPECT_EQ(client.read_to_end(), "");
  EXPECT_EQ(relay.closed(), "closed_by_client");
  relay.expect_empty();
}

TEST(RelayForward, BothSidesCloseWhenTheTargetDoesBehindItsLastByte) {
  RawListener target;
  RunningRelay relay(relay_config({route({to(target.port())})}));
  RawSocket client(relay.port());
  RawSocket server = target.accept();
  const std::string answer(3'000'000, 'a');
  std::thread sender([&] {
    server.send(answer);
    server.close();
  });
  EXPECT_EQ(client.read_to_end().size(), answer.size());
  sender.join();
  EXPECT_EQ(client.ending(), Ending::fin);
  EXPECT_EQ(relay.closed(), "closed_by_target");
}

TEST(RelayForward, HalfOpenLetsTheOtherSideGoOn) {
  RawListener target;
  RunningRelay relay(relay_config({route({to(target.port())}, {{"half_open", true}})}));
  RawSocket client(relay.port());
  client.send("question");
  client.finish_sending();
  RawSocket server = target.accept();
  EXPECT_EQ(server.read_to_end(), "question");
  server.send("the long answer");
  EXPECT_EQ(client.read(15), "the long answer");
  server.close();
  EXPECT_EQ(client.read_to_end(), "");
  EXPECT_EQ(client.ending(), Ending::fin);
  EXPECT_EQ(relay.closed(), "closed_by_client");
}

TEST(RelayForward, HalfOpenHasItsDeadline) {
  RawListener target;
  RunningRelay relay(
      relay_config({route({to(target.port())}, {{"half_open", true}})}, {}, {{"timeouts", {{"half_open_ms", 150}}}}));
  RawSocket client(relay.port());
  client.send("question");
  client.finish_sending();
  RawSocket server = target.accept();
  EXPECT_EQ(server.read_to_end(), "question");
  EXPECT_EQ(client.read_to_end(), "");
  EXPECT_EQ(client.ending(), Ending::reset);
  EXPECT_EQ(relay.closed(), "half_open_timeout");
}

TEST(RelayForward, ResetIsPassedOnAsReset) {
  RawListener target;
  RunningRelay relay(relay_config({route({to(target.port())})}));
  {
    RawSocket client(relay.port());
    RawSocket server = target.accept();
    client.send("x");
    EXPECT_EQ(server.read(1), "x");
    client.reset();
    EXPECT_EQ(server.read_to_end(), "");
    EXPECT_EQ(server.ending(), Ending::reset);
    EXPECT_EQ(relay.closed(), "reset_by_client");
  }
  RawSocket client(relay.port());
  RawSocket server = target.accept();
  client.send("x");
  EXPECT_EQ(server.read(1), "x");
  server.reset();
  EXPECT_EQ(client.read_to_end(), "");
  EXPECT_EQ(client.ending(), Ending::reset);
  EXPECT_EQ(relay.closed(), "reset_by_target");
}

TEST(RelayForward, IdleAndOldConnectionsEnd) {
  RawListener target;
  RunningRelay idle(relay_config({route({to(target.port())})}, {}, {{"timeouts", {{"idle_ms", 300}}}}));
  RawSocket client(idle.port());
  RawSocket server = target.accept();
  for (int i = 0; i < 5; ++i) {
    ::usleep(120'000);
    client.send("x");
    ASSERT_EQ(server.read(1), "x") << "a connection that says something is not idle";
  }
  EXPECT_EQ(client.read_to_end(), "");
  EXPECT_EQ(idle.closed(), "idle_timeout");
  RunningRelay old(relay_config({route({to(target.port())})}, {}, {{"timeouts", {{"lifetime_ms", 300}}}}));
  RawSocket second(old.port());
  RawSocket other = target.accept();
  while (second.send("x") && other.read(1) == "x") ::usleep(20'000);
  EXPECT_EQ(old.closed(), "lifetime_timeout");
}

TEST(RelayForward, AClientThatLeavesWhileTheTargetConnectsLeavesNothing) {
  FullListener full;
  RunningRelay relay(relay_config({route({to(full.port())})}));
  {
    RawSocket client(relay.port());
    while (relay.relay->connections()->empty()) ::usleep(1000);
    EXPECT_EQ(relay.relay->connections()->front().stage, "connecting");
  }
  EXPECT_EQ(relay.closed(), "closed_by_client");
  relay.expect_empty();
}

TEST(RelayForward, WhatAClientSendsBeforeItsTargetIsThereIsKept) {
  RawListener target;
  RunningRelay relay(relay_config({route({to(target.port())})}));
  RawSocket client(relay.port());
  const std::string early(500'000, 'e');
  std::thread sender([&] { client.send(early); });
  RawSocket server = target.accept();
  EXPECT_TRUE(server.read(early.size()) == early);
  sender.join();
}

}  // namespace
}  // namespace smartvpn::relay
