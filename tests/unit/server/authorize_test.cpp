// The host has the last word: a whole server whose clients wait for it, held against hosts that answer well,
// badly, twice, late and never.
#include <atomic>
#include <future>
#include <thread>

#include "support/wire_client.hpp"

namespace smartvpn::testing_support {
namespace {

using server::Authorizer;
using server::RequestPtr;
using telemetry::EventType;

constexpr const char* kOnce = R"(,"reconnect":{"enabled":false})";

ServerSetup asking(const std::string& security = {}, const std::string& mode = "testing") {
  ServerSetup setup;
  setup.mode = mode;
  setup.extra = R"(,"security":{"authorize":"required")" + security + "}";
  return setup;
}
Authorizer::Answer allow(Duration valid = Duration::zero()) {
  Authorizer::Answer answer;
  answer.allow = true;
  answer.valid = valid;
  return answer;
}
Authorizer::Answer deny(const std::string& detail = {}) {
  Authorizer::Answer answer;
  answer.detail = detail;
  return answer;
}
// With token 0, which is nobody's, when none came in time.
RequestPtr next(RunningServer& server) {
  auto request = server.server->authorize_next(kWaitMs);
  EXPECT_TRUE(request) << request.error().text;
  return request ? *request : std::make_shared<server::AuthorizeRequest>();
}
Status answer(RunningServer& server, uint64_t token, const Authorizer::Answer& said) {
  auto answered = server.server->authorize_answer(token, said);
  return answered ? Status::OK : answered.error().status;
}
std::unique_ptr<tunnel::Tunnel> start(const std::string& json) {
  auto tunnel = make_tunnel(json);
  EXPECT_TRUE(tunnel && tunnel->start());
  return tunnel;
}
// A client that has shown who it is and now waits.
std::unique_ptr<WireClient> waiting_client(RunningServer& server, const SecretKey& key) {
  auto client = std::make_unique<WireClient>(RawSocket(server.port()), server.public_key_, key.clone());
  EXPECT_TRUE(client->upgrade() && client->hear_hello() && client->say_next());
  return client;
}

TEST(Authorize, TheRequestSaysWhoItIs) {
  ServerSetup setup = asking();
  setup.listen = proxied_listener("v2");
  RunningServer server{setup};
  const int64_t before = wall_clock_ms();
  auto tunnel = start(
      client_config(server.create_client("alice"), "testing",
                    R"(,"proxy_protocol":{"send":"v2","source":"198.51.100.7:4711","destination":"203.0.113.1:443"})"));
  auto request = next(server);
  EXPECT_EQ(request->client_id, "alice");
  EXPECT_EQ(request->connection.listener, 0u);
  EXPECT_EQ(request->connection.real_addr->text(), "198.51.100.7:4711");
  EXPECT_EQ(request->connection.peer_addr.ip.text(), "127.0.0.1");
  EXPECT_GE(request->deadline_ms, before + 5000);
  EXPECT_LT(request->deadline_ms, wall_clock_ms() + 5001);
  EXPECT_EQ(answer(server, request->token, allow()), Status::OK);
  EXPECT_TRUE(tunnel->wait_connected(kWaitMs));
}

TEST(Authorize, NoInnerPacketPassesBeforeTheAnswer) {
  RunningServer server{asking("", "host")};
  auto client = waiting_client(server, key_of(server.create_client("alice")));
  auto request = next(server);
  EXPECT_TRUE(sessions_of(server).empty());
  EXPECT_EQ(stats_of(server).total.handshakes_in_progress, 1u);
  EXPECT_EQ(client->socket.read(1, 200), "");  // not even message 2, so there are no keys to send with
  EXPECT_EQ(answer(server, request->token, allow()), Status::OK);
  ASSERT_TRUE(client->hear());
  EXPECT_TRUE(client->initiator().established());
  ASSERT_TRUE(client->say_next());
  EXPECT_TRUE(server.wait(EventType::session_up));
  EXPECT_EQ(stats_of(server).total.traffic.inner_packets_in, 0u);
}

TEST(Authorize, AfterAnAllowTrafficFlows) {
  RunningServer server{asking()};
  auto tunnel = start(client_config(server.create_client("alice"), "host"));
  EXPECT_EQ(answer(server, next(server)->token, allow()), Status::OK);
  ASSERT_TRUE(tunnel->wait_connected(kWaitMs));
  const auto own = address_v4(*tunnel);
  write_packet(*tunnel, echo_request(own, *inet::IpAddress::parse("10.8.0.1")));
  EXPECT_EQ(read_packet(*tunnel).size(), 84u);
}

TEST(Authorize, ADenyIsToldAndItsDetailIsInTheEvent) {
  RunningServer server{asking()};
  auto tunnel = start(client_config(server.create_client("alice"), "testing", kOnce));
  EXPECT_EQ(answer(server, next(server)->token, deny("no subscription")), Status::OK);
  auto refused = tunnel->wait_connected(kWaitMs);
  ASSERT_FALSE(refused);
  EXPECT_EQ(tunnel->info().last_reason, Reason::authorize_denied);
  auto event = server.wait(EventType::connection_rejected);
  ASSERT_TRUE(event);
  EXPECT_STREQ(event->text("reason"), "authorize_denied");
  EXPECT_STREQ(event->text("detail"), "no subscription");
  EXPECT_TRUE(becomes_idle(server));
}

TEST(Authorize, TheFirstAnswerWinsAndTheOthersFindNothing) {
  RunningServer server{asking()};
  auto tunnel = start(client_config(server.create_client("alice"), "testing"));
  const uint64_t token = next(server)->token;
  EXPECT_EQ(answer(server, token + 1, deny()), Status::NOT_FOUND);
  EXPECT_EQ(answer(server, token, allow()), Status::OK);
  EXPECT_EQ(answer(server, token, deny()), Status::NOT_FOUND);
  EXPECT_EQ(answer(server, token, allow()), Status::NOT_FOUND);
  EXPECT_TRUE(tunnel->wait_connected(kWaitMs));
}

// Threads of the host's that all know better.
TEST(Authorize, OfManyAnswersAtOnceExactlyOneCounts) {
  RunningServer server{asking()};
  const std::string json = client_config(server.create_client("alice"), "testing", kOnce);
  for (int round = 0; round < 8; ++round) {
    auto tunnel = start(json);
    const uint64_t token = next(server)->token;
    std::atomic<int> allows{0}, denies{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 6; ++i)
      threads.emplace_back([&, i] {
        const Status said = answer(server, token, i % 2 ? allow() : deny());
        if (said == Status::OK)
          ++(i % 2 ? allows : denies);
        else
          EXPECT_EQ(said, Status::NOT_FOUND);
      });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(allows + denies, 1);
    EXPECT_EQ(tunnel->wait_connected(kWaitMs).ok(), allows == 1);
    tunnel.reset();
    ASSERT_TRUE(becomes_idle(server));
  }
}

// Answers of other threads while the server goes and when it is gone; and to a number of an earlier server's.
TEST(Authorize, AnswersBesideAndAfterAStopFindNothing) {
  auto server = std::make_unique<RunningServer>(asking());
  auto client = waiting_client(*server, key_of(server->create_client("alice")));
  const uint64_t token = next(*server)->token;
  std::atomic<bool> over{false};
  std::atomic<int> answered{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&] {
      while (!over) answered += answer(*server, token + 1, allow()) != Status::NOT_FOUND;
    });
  EXPECT_TRUE(server->server->stop(0, kWaitMs));
  EXPECT_EQ(answer(*server, token, allow()), Status::NOT_FOUND);
  over = true;
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(answered, 0);
  RunningServer next_server{asking()};
  auto waits = waiting_client(next_server, key_of(next_server.create_client("alice")));
  const uint64_t fresh = next(next_server)->token;
  EXPECT_NE(fresh, token);
  EXPECT_EQ(answer(next_server, token, allow()), Status::NOT_FOUND);
  EXPECT_EQ(answer(next_server, fresh, allow()), Status::OK);
}

TEST(Authorize, AHostThatNeverAnswersDenies) {
  RunningServer server{asking(R"(,"authorize_timeout_ms":300)")};
  auto tunnel = start(client_config(server.create_client("alice"), "testing", kOnce));
  const uint64_t token = next(server)->token;
  EXPECT_EQ(next_rejection(server), "authorize_timeout");
  EXPECT_FALSE(tunnel->wait_connected(kWaitMs));
  EXPECT_EQ(answer(server, token, allow()), Status::NOT_FOUND);
  EXPECT_TRUE(becomes_idle(server));
}

// Nobody even takes the request.
TEST(Authorize, ARequestThatRanOutIsHandedToNobody) {
  RunningServer server{asking(R"(,"authorize_timeout_ms":200)")};
  auto tunnel = start(client_config(server.create_client("alice"), "testing", kOnce));
  EXPECT_EQ(next_rejection(server), "authorize_timeout");
  auto nothing = server.server->authorize_next(0);
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().status, Status::AGAIN);
}

TEST(Authorize, TheTimeTheHostTakesIsNotTheClients) {
  RunningServer server{asking(R"(,"authorize_timeout_ms":20000,"upgrade_timeout_ms":1000)")};
  auto tunnel = start(client_config(server.create_client("alice"), "testing", kOnce));
  auto request = next(server);
  std::this_thread::sleep_for(milliseconds(1500));
  EXPECT_EQ(answer(server, request->token, allow()), Status::OK);
  EXPECT_TRUE(tunnel->wait_connected(kWaitMs));
}

TEST(Authorize, WhatIsLeftOfTheHandshakesTimeCountsAgainAfterIt) {
  RunningServer server{asking(R"(,"upgrade_timeout_ms":1000)")};
  auto client = waiting_client(server, key_of(server.create_client("alice")));
  EXPECT_EQ(answer(server, next(server)->token, allow()), Status::OK);
  ASSERT_TRUE(client->hear());  // message 2, and then the client says nothing
  EXPECT_EQ(next_rejection(server), "handshake_timeout");
}

TEST(Authorize, AClientThatTriesAgainMeanwhileJoinsItsRequest) {
  RunningServer server{asking()};
  const SecretKey key = key_of(server.create_client("alice", 2));
  auto first = waiting_client(server, key);
  auto request = next(server);
  auto second = waiting_client(server, key);
  ASSERT_TRUE(eventually([&] { return stats_of(server).total.handshakes_total == 2; }));
  auto nothing = server.server->authorize_next(100);
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().status, Status::TIMEOUT);
  EXPECT_EQ(answer(server, request->token, allow()), Status::OK);
  for (auto* client : {first.get(), second.get()}) {
    ASSERT_TRUE(client->hear() && client->say_next());
    EXPECT_TRUE(client->initiator().established());
  }
}

TEST(Authorize, AnAllowHoldsForItsTimeWithoutAnotherQuestion) {
  RunningServer server{asking()};
  const std::string json = client_config(server.create_client("alice"), "testing");
  auto first = start(json);
  EXPECT_EQ(answer(server, next(server)->token, allow(seconds(60))), Status::OK);
  ASSERT_TRUE(first->wait_connected(kWaitMs));
  first.reset();
  auto second = connect(json);
  EXPECT_FALSE(server.server->authorize_next(0));
  auto bob = start(client_config(server.create_client("bob"), "testing"));
  EXPECT_EQ(next(server)->client_id, "bob");  // it holds for nobody else
}

TEST(Authorize, ARememberedAllowDoesNotOutliveTheRegistryEntry) {
  RunningServer server{asking()};
  registry::ClientSpec spec;
  spec.id = "alice";
  const auto keys = crypto::generate_key_pair(system_rng());
  spec.noise_public_key = keys.pub;
  server.create_client(spec);
  auto first = waiting_client(server, keys.secret);
  EXPECT_EQ(answer(server, next(server)->token, allow(seconds(60))), Status::OK);
  ASSERT_TRUE(server.server->client_remove("alice"));
  server.create_client(spec);
  auto again = waiting_client(server, keys.secret);
  auto request = next(server);
  EXPECT_EQ(request->client_id, "alice");
}

TEST(Authorize, AConnectionThatEndsWhileItWaitsLeavesNothing) {
  RunningServer server{asking()};
  const SecretKey key = key_of(server.create_client("alice"));
  auto taken = waiting_client(server, key);
  const uint64_t token = next(server)->token;
  taken->socket.reset();
  EXPECT_TRUE(becomes_idle(server));
  EXPECT_EQ(answer(server, token, allow()), Status::NOT_FOUND);
  auto untaken = waiting_client(server, key);
  ASSERT_TRUE(eventually([&] { return stats_of(server).total.handshakes_total == 2; }));
  untaken->socket.close();
  EXPECT_TRUE(becomes_idle(server));
  EXPECT_FALSE(server.server->authorize_next(0));
  EXPECT_EQ(stats_of(server).total.sessions_total, 0u);
}

TEST(Authorize, AClientThatIsRemovedWhileItWaitsDoesNotGetIn) {
  RunningServer server{asking()};
  auto tunnel = start(client_config(server.create_client("alice"), "testing", kOnce));
  const uint64_t token = next(server)->token;
  ASSERT_TRUE(server.server->client_remove("alice"));
  EXPECT_EQ(answer(server, token, allow()), Status::OK);
  EXPECT_EQ(next_rejection(server), "client_removed");
  EXPECT_TRUE(becomes_idle(server));
}

TEST(Authorize, UnknownAndDisabledClientsAreNotAskedAbout) {
  RunningServer server{asking()};
  auto alice = client_config(server.create_client("alice"), "testing", kOnce);
  ASSERT_TRUE(server.server->client_set_enabled("alice", false));
  auto disabled = start(alice);
  EXPECT_EQ(next_rejection(server), "client_disabled");
  WireClient stranger(RawSocket(server.port()), server.public_key_);
  ASSERT_TRUE(stranger.upgrade() && stranger.hear_hello() && stranger.say_next());
  EXPECT_TRUE(stranger.read_close());
  EXPECT_FALSE(server.server->authorize_next(0));
}

TEST(Authorize, SessionsEndWhenTheAllowWasForSoLong) {
  RunningServer server{asking()};
  auto tunnel = start(client_config(server.create_client("alice"), "testing"));
  Authorizer::Answer answered = allow();
  answered.session_seconds = 1;
  EXPECT_EQ(answer(server, next(server)->token, answered), Status::OK);
  ASSERT_TRUE(tunnel->wait_connected(kWaitMs));
  auto down = server.wait(EventType::session_down);
  ASSERT_TRUE(down);
  EXPECT_STREQ(down->text("reason"), "authorize_expired");
  EXPECT_GE(*down->u64("duration_ms"), 900u);
  EXPECT_EQ(next(server)->client_id, "alice");  // it comes back, and is asked about again
}

TEST(Authorize, ARateThatWasGrantedHoldsThoughTheClientHasNone) {
  RunningServer server{asking("", "host")};
  auto client = waiting_client(server, key_of(server.create_client("alice")));
  Authorizer::Answer answered = allow();
  answered.rate_limit = registry::RateLimit{1000, 2000, 0, 0};
  EXPECT_EQ(answer(server, next(server)->token, answered), Status::OK);
  ASSERT_TRUE(client->hear() && client->say_next());
  const auto own = client->initiator().parameters().addresses.at(0);
  for (int i = 0; i < 30; ++i) {
    client->give(echo_request(own, *inet::IpAddress::parse("192.0.2.9"), 1000));
    ASSERT_TRUE(client->say_next());
  }
  ASSERT_TRUE(eventually([&] { return stats_of(server).total.traffic.outer_messages_in >= 32; }));
  EXPECT_LT(stats_of(server).total.traffic.inner_packets_in, 20u);
}

TEST(Authorize, ARekeyDoesNotAskAgain) {
  RunningServer server{asking()};
  WireClient client(RawSocket(server.port()), server.public_key_, key_of(server.create_client("alice")));
  ASSERT_TRUE(client.upgrade() && client.hear_hello() && client.say_next());
  EXPECT_EQ(answer(server, next(server)->token, allow()), Status::OK);
  ASSERT_TRUE(client.hear() && client.say_next());
  ASSERT_TRUE(server.wait(EventType::session_up));
  // The initiator is told that two minutes have passed. The server answers a rekey five seconds after the last.
  std::this_thread::sleep_for(milliseconds(5100));
  client.initiator().tick(monotonic_now() + seconds(130));
  ASSERT_EQ(client.initiator().handshakes(), 1u);
  for (Bytes message = client.next_message(); !message.empty(); message = client.next_message())
    client.send_frame(ws::Opcode::binary, message);
  while (client.initiator().handshakes() < 2) ASSERT_TRUE(client.hear());
  EXPECT_FALSE(server.server->authorize_next(0));
}

TEST(Authorize, StopDeniesAllThatWaitAndWakesWhoeverAsks) {
  RunningServer server{asking()};
  auto client = waiting_client(server, key_of(server.create_client("alice")));
  auto request = next(server);
  auto waiting = std::async(std::launch::async, [&] { return server.server->authorize_next(-1); });
  EXPECT_TRUE(server.server->stop(0, kWaitMs));
  auto woken = waiting.get();
  ASSERT_FALSE(woken);
  EXPECT_EQ(woken.error().status, Status::CLOSED);
  EXPECT_EQ(answer(server, request->token, allow()), Status::NOT_FOUND);
  EXPECT_EQ(next_rejection(server), "server_stopping");
  ASSERT_TRUE(client->hear());
  ASSERT_TRUE(client->closed);
  EXPECT_EQ(client->closed->status, session::HandshakeStatus::busy);
}

TEST(Authorize, DrainingDeniesThemAtOnceAndSessionsGoOn) {
  RunningServer server{asking()};
  auto alice = start(client_config(server.create_client("alice"), "host"));
  EXPECT_EQ(answer(server, next(server)->token, allow()), Status::OK);
  ASSERT_TRUE(alice->wait_connected(kWaitMs));
  auto bob = start(client_config(server.create_client("bob"), "testing", kOnce));
  EXPECT_EQ(next(server)->client_id, "bob");
  EXPECT_EQ(server.server->stop(60000, 0).error().status, Status::AGAIN);
  EXPECT_EQ(next_rejection(server), "draining");
  write_packet(*alice, echo_request(address_v4(*alice), *inet::IpAddress::parse("10.8.0.1")));
  EXPECT_EQ(read_packet(*alice).size(), 84u);
}

TEST(Authorize, OpenRequestsAreBoundedAsHandshakesAre) {
  RunningServer server{asking(R"(,"max_handshakes_in_progress":2,"authorize_timeout_ms":60000)")};
  auto first = waiting_client(server, key_of(server.create_client("a")));
  auto second = waiting_client(server, key_of(server.create_client("b")));
  EXPECT_NE(next(server)->token, next(server)->token);
  RawSocket third(server.port());
  EXPECT_EQ(third.read_to_end(), "");
  EXPECT_EQ(next_rejection(server), "too_many_handshakes");
  first->socket.close();
  EXPECT_TRUE(eventually([&] { return stats_of(server).total.handshakes_in_progress == 1; }));
}

TEST(Authorize, WithoutItNobodyIsAsked) {
  RunningServer server{ServerSetup()};
  EXPECT_EQ(server.server->authorize_next(0).error().status, Status::BAD_STATE);
  EXPECT_EQ(server.server->authorize_fd().error().status, Status::BAD_STATE);
  EXPECT_EQ(answer(server, 1, allow()), Status::BAD_STATE);
  EXPECT_TRUE(connect(client_config(server.create_client("alice"), "testing")));
}

}  // namespace
}  // namespace smartvpn::testing_support
