// A configuration that changes under live sessions.
#include <thread>

#include "support/vpn_pair.hpp"

namespace smartvpn::testing_support {
namespace {

using telemetry::EventType;

Result<void> reconfigure(RunningServer& server, const ServerSetup& setup) {
  auto config = config::parse_server_config(setup.json());
  EXPECT_TRUE(config) << config.error().path << " " << config.error().text;
  return server.server->reconfigure(std::move(*config), {{"/somewhere", "applied"}});
}

// Until `done` says so of the tunnel's info.
template <class Done>
bool reaches(tunnel::Tunnel& tunnel, Done done) {
  Time until = monotonic_now() + milliseconds(kWaitMs);
  while (monotonic_now() < until) {
    if (done(tunnel.info())) return true;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return false;
}

TEST(Reconfigure, TellsLiveClientsNewRoutesAndDns) {
  ServerSetup setup;
  RunningServer server{setup};
  auto tunnel = connect(client_config(server.create_client("alice"), "host"));
  auto told = *tunnel->subscribe(telemetry::kAllEvents, 16);
  setup.network = R"(,"dns":["10.8.0.53"],"routes":["10.8.0.0/24","192.0.2.0/24"])";
  ASSERT_TRUE(reconfigure(server, setup));
  EXPECT_TRUE(reaches(*tunnel, [](const tunnel::TunnelInfo& info) {
    return info.dns.size() == 1 && info.dns[0].text() == "10.8.0.53" && info.routes.size() == 2;
  }));
  auto changed = told->next(kWaitMs);
  ASSERT_TRUE(changed) << "the tunnel's host hears of it";
  EXPECT_EQ((*changed)->type(), EventType::log);
  auto event = server.wait(EventType::reconfigured);
  ASSERT_TRUE(event);
  EXPECT_STREQ(event->text("changes"), R"({"/somewhere":"applied"})");
  EXPECT_EQ(server.server->sessions()->size(), 1u) << "the session lives on";
}

TEST(Reconfigure, ANewlyBlockedAddressEndsItsSessionAndComesNoMore) {
  ServerSetup setup;
  RunningServer server{setup};
  auto config = server.create_client("alice");
  auto tunnel = connect(client_config(config, "host"));
  ASSERT_TRUE(server.wait(EventType::session_up));
  setup.extra = R"(,"security":{"connection_ip_block_list":["127.0.0.0/8"]})";
  ASSERT_TRUE(reconfigure(server, setup));
  auto down = server.wait(EventType::session_down);
  ASSERT_TRUE(down);
  EXPECT_STREQ(down->text("reason"), "ip_block_list");
  auto rejected = server.wait(EventType::connection_rejected);
  ASSERT_TRUE(rejected) << "the tunnel tries again and is refused";
  EXPECT_STREQ(rejected->text("reason"), "ip_block_list");
}

TEST(Reconfigure, ClientToClientOpensAndCloses) {
  ServerSetup setup;
  RunningServer server{setup};
  auto a = connect(client_config(server.create_client("a"), "host"));
  auto b = connect(client_config(server.create_client("b"), "host"));
  Bytes packet = echo_request(address_v4(*a), address_v4(*b));
  setup.network = R"(,"client_to_client":true)";
  ASSERT_TRUE(reconfigure(server, setup));
  write_packet(*a, packet);
  EXPECT_EQ(read_packet(*b).size(), packet.size());
  setup.network.clear();
  ASSERT_TRUE(reconfigure(server, setup));
  write_packet(*a, packet);
  write_packet(*a, echo_request(address_v4(*a), *inet::IpAddress::parse("10.8.0.1")));
  ASSERT_FALSE(read_packet(*a).empty()) << "the answer to what was sent after it";
  EXPECT_EQ(server.server->stats()->total.traffic.drops[static_cast<size_t>(Drop::client_to_client)], 1u);
}

TEST(Reconfigure, AServerChangesItsKeyWithoutLosingAClient) {
  ServerSetup setup;
  RunningServer server{setup};
  auto tunnel = connect(client_config(server.create_client("alice"), "host", R"(,"reconnect":{"initial_ms":20})"));
  auto next = crypto::generate_key_pair(system_rng());
  const std::string old_json = setup.json();

  // First it is announced, beside the present one.
  auto with_next = config::parse_server_config(old_json);
  with_next->keys.noise_next_private_key = next.secret.clone();
  ASSERT_TRUE(server.server->reconfigure(std::move(*with_next), {}));
  ASSERT_TRUE(reaches(*tunnel, [&](const tunnel::TunnelInfo& info) { return info.next_server_key == next.pub; }));

  // Then it is the only one; the client finds it by itself.
  setup.key.secret = next.secret.clone();
  ASSERT_TRUE(reconfigure(server, setup));
  ASSERT_EQ(server.server->sessions()->size(), 1u) << "the live session does not care";
  auto id = server.server->sessions()->at(0).id;
  ASSERT_TRUE(server.server->disconnect(id, Reason::disconnected));
  EXPECT_TRUE(reaches(*tunnel, [&](const tunnel::TunnelInfo& info) {
    return info.state == tunnel::State::connected && info.attempts > 1;
  }));
}

TEST(Reconfigure, CreatesTheClientsThatAreMissingAndLeavesTheOthersAlone) {
  ServerSetup setup;
  RunningServer server{setup};
  server.create_client("alice");
  auto alice = server.server->client_get("alice");
  auto key = [](const PublicKey& pub) { return "\"" + format_key(pub) + "\""; };
  auto bob = crypto::generate_key_pair(system_rng());
  setup.extra = R"(,"clients":[{"id":"alice","noise_public_key":)" + key(alice->noise_public_key) +
                R"(,"description":"another"},{"id":"bob","noise_public_key":)" + key(bob.pub) + "}]";
  ASSERT_TRUE(reconfigure(server, setup));
  EXPECT_EQ(server.server->client_get("alice")->description, "");
  EXPECT_EQ(server.server->client_get("bob")->noise_public_key, bob.pub);
  setup.extra.clear();
  ASSERT_TRUE(reconfigure(server, setup));
  EXPECT_TRUE(server.server->client_get("bob")) << "and nobody is removed";
}

TEST(Reconfigure, WhatDoesNotCompileChangesNothing) {
  ServerSetup setup;
  RunningServer server{setup};
  auto tunnel = connect(client_config(server.create_client("alice"), "host"));
  setup.network = R"(,"dns":["10.8.0.53"])";
  setup.extra = R"(,"security":{"connection_ip_block_list":["10.0.0.5-10.0.0.1"]})";
  auto done = reconfigure(server, setup);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().path, "/security/connection_ip_block_list/0");
  write_packet(*tunnel, echo_request(address_v4(*tunnel), *inet::IpAddress::parse("10.8.0.1")));
  ASSERT_FALSE(read_packet(*tunnel).empty());
  EXPECT_TRUE(tunnel->info().dns.empty());
}

}  // namespace
}  // namespace smartvpn::testing_support
