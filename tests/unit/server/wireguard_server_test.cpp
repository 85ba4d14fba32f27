// A server that speaks WireGuard, held against clients made of the configurations that it gives away: sessions as any
// other transport has them, the registry's word at once, the lists, the limits, the host's word, and both transports of
// one client.
#include "support/wireguard_end.hpp"

namespace smartvpn::testing_support {
namespace {

using telemetry::EventType;

Result<void> reconfigured(RunningServer& server, const ServerSetup& setup) {
  auto config = config::parse_server_config(setup.json());
  EXPECT_TRUE(config) << config.error().path << " " << config.error().text;
  return server.server->reconfigure(std::move(*config), {{"/somewhere", "applied"}});
}
std::string reason_of(const telemetry::EventPtr& event) {
  return event && event->text("reason") ? event->text("reason") : "";
}

TEST(WireguardServer, AClientOfTheRegistryIsASessionAsOnAnyTransport) {
  RunningServer server{wireguard_setup()};
  auto listening = server.wait(EventType::listening);
  ASSERT_TRUE(listening);
  EXPECT_STREQ(listening->text("transport"), "wireguard");
  WireguardEnd alice(wireguard_client_of(server, "alice"));
  EXPECT_EQ(alice.endpoint(), server.server->endpoints()[0].address.text())
      << "where it is bound, if nothing else is said";
  EXPECT_TRUE(alice.hears_an_echo());
  auto up = server.wait(EventType::session_up);
  ASSERT_TRUE(up);
  EXPECT_STREQ(up->text("client_id"), "alice");
  EXPECT_STREQ(up->text("transport"), "wireguard");
  auto sessions = *server.server->sessions();
  ASSERT_EQ(sessions.size(), 1u);
  EXPECT_EQ(sessions[0].transport, session::Transport::wireguard);
  EXPECT_EQ(sessions[0].addresses.front(), alice.address());
  EXPECT_EQ(sessions[0].remote_addr->ip.text(), "127.0.0.1");
  EXPECT_EQ(sessions[0].counters.inner_packets_in, 1u);
  EXPECT_EQ(sessions[0].counters.inner_packets_out, 1u);
  EXPECT_GT(sessions[0].counters.outer_bytes_in, 84u);
  auto stats = *server.server->stats();
  ASSERT_EQ(stats.transports.size(), 1u);
  EXPECT_EQ(stats.transports[0].transport, "wireguard");
  EXPECT_EQ(stats.transports[0].stats.sessions_now, 1u);
  ASSERT_TRUE(stats.wireguard);
  EXPECT_EQ(stats.wireguard->handshakes_in, 1u);
  EXPECT_EQ(stats.wireguard->responses_out, 1u);
  EXPECT_EQ(stats.wireguard->peers, 1u);
  EXPECT_NE(stats.prometheus().find("smartvpn_wireguard_datagrams_dropped_total{reason=\"bad_mac1\"} 0"),
            std::string::npos);
  EXPECT_NE(stats.json().find("\"wireguard\":{\"peers\":1"), std::string::npos);
  auto client = server.server->client_stats("alice");
  ASSERT_TRUE(client);
  EXPECT_EQ(client->sessions_now, 1u);
  EXPECT_GT(client->last_seen_ms, 0);
  EXPECT_TRUE(server.server->stop(0, kWaitMs));
  EXPECT_EQ(reason_of(server.wait(EventType::session_down)), "server_stopping");
}

TEST(WireguardServer, ServesWithoutAnyNoiseKeyAndDeclaredClientsNeedNone) {
  const auto key = crypto::generate_key_pair(system_rng());
  ServerSetup setup = wireguard_setup();
  std::string json = setup.json();
  const std::string noise = "\"noise_private_key\":\"" + key_text(setup.key.secret) + "\",";
  ASSERT_NE(json.find(noise), std::string::npos);
  json.erase(json.find(noise), noise.size());
  json.pop_back();
  json += R"(,"clients":[{"id":"phone","wireguard_public_key":")" + format_key(key.pub) + "\"}]}";
  auto config = config::parse_server_config(json);
  ASSERT_TRUE(config) << config.error().path << " " << config.error().text;
  auto server = server::Server::create(std::move(*config));
  ASSERT_TRUE(server) << server.error().text;
  ASSERT_TRUE((*server)->start());
  auto conf = (*server)->client_export("phone", true);
  ASSERT_TRUE(conf) << conf.error().text;
  EXPECT_FALSE(conf->has_private_key);
  std::string text = conf->text;
  const size_t empty = text.find("PrivateKey = ");
  ASSERT_NE(empty, std::string::npos) << text;
  text.insert(empty + 13, key_text(key.secret));
  WireguardEnd phone(text);
  EXPECT_TRUE(phone.hears_an_echo());
}

TEST(WireguardServer, TheTwoTransportsOfAClientTakeEachOthersPlace) {
  RunningServer server{wireguard_setup(ServerSetup{}.listen + "," + kWireguardListener)};
  registry::ClientSpec spec;
  spec.id = "alice";
  auto made = server.server->client_create(spec);
  ASSERT_TRUE(made);
  auto tunnel = connect(client_config(made->config_json, "host", kNoReconnect));
  ASSERT_TRUE(tunnel);
  WireguardEnd phone(made->wireguard_conf);
  EXPECT_TRUE(phone.hears_an_echo());
  auto down = server.wait(EventType::session_down);
  EXPECT_EQ(reason_of(down), "replaced");
  EXPECT_STREQ(down->text("transport"), "websocket");
  EXPECT_EQ(server.server->sessions()->size(), 1u);
  auto again = connect(client_config(made->config_json, "host", kNoReconnect));
  ASSERT_TRUE(again);
  down = server.wait(EventType::session_down);
  EXPECT_EQ(reason_of(down), "replaced");
  EXPECT_STREQ(down->text("transport"), "wireguard");
  EXPECT_TRUE(hears_an_echo(*again));
  auto stats = *server.server->stats();
  ASSERT_EQ(stats.transports.size(), 2u);
  EXPECT_EQ(stats.transports[0].transport, "websocket");
  EXPECT_EQ(stats.total.sessions_total, 3u);
}

TEST(WireguardServer, OneKeyMayServeBothProtocols) {
  ServerSetup setup = wireguard_setup(ServerSetup{}.listen + "," + kWireguardListener);
  setup.keys = R"(,"wireguard_private_key":")" + key_text(setup.key.secret) + "\"";
  RunningServer server{setup};
  registry::ClientSpec spec;
  spec.id = "alice";
  auto made = server.server->client_create(spec);
  ASSERT_TRUE(made);
  // The first handshakes come before shared secrets are ready, later ones take those.
  for (int round = 0; round < 2; ++round) {
    auto tunnel = connect(client_config(made->config_json, "host", kNoReconnect));
    ASSERT_TRUE(tunnel);
    EXPECT_TRUE(hears_an_echo(*tunnel));
    WireguardEnd phone(made->wireguard_conf);
    EXPECT_TRUE(phone.hears_an_echo());
  }
}

TEST(WireguardServer, TheRegistrysWordActsOnLiveSessionsAtOnce) {
  RunningServer server{wireguard_setup()};
  WireguardEnd alice(wireguard_client_of(server, "alice"));
  ASSERT_TRUE(alice.hears_an_echo());
  ASSERT_TRUE(server.server->client_set_enabled("alice", false));
  EXPECT_EQ(reason_of(server.wait(EventType::session_down)), "client_disabled");
  WireguardEnd bob(wireguard_client_of(server, "bob"));
  ASSERT_TRUE(bob.hears_an_echo());
  ASSERT_TRUE(server.server->client_update("bob", R"({"transports":["websocket"]})", 0));
  EXPECT_EQ(reason_of(server.wait(EventType::session_down)), "transport_not_allowed");
  WireguardEnd carol(wireguard_client_of(server, "carol"));
  ASSERT_TRUE(carol.hears_an_echo());
  ASSERT_TRUE(server.server->client_remove("carol"));
  EXPECT_EQ(reason_of(server.wait(EventType::session_down)), "client_removed");
  EXPECT_EQ(server.server->stats()->wireguard->peers, 2u);
  EXPECT_EQ(server.server->sessions()->size(), 0u);
}

TEST(WireguardServer, WhoIsNotAllowedIsRefusedByNameAndHearsNothing) {
  RunningServer server{wireguard_setup()};
  const std::string conf = wireguard_client_of(server, "alice");
  ASSERT_TRUE(server.server->client_update("alice", R"({"security":{"ip_allow_list":["192.0.2.0/24"]}})", 0));
  WireguardEnd alice(conf);
  alice.send(echo_request(alice.address(), *inet::IpAddress::parse("10.8.0.1")));
  EXPECT_EQ(reason_of(server.wait(EventType::connection_rejected)), "client_ip_not_allowed");
  EXPECT_EQ(server.server->stats()->wireguard->responses_out, 0u);
  ASSERT_TRUE(server.server->client_update("alice", R"({"security":{"ip_allow_list":["127.0.0.0/8"]}})", 0));
  WireguardEnd again(conf);
  EXPECT_TRUE(again.hears_an_echo());
  ASSERT_TRUE(server.server->client_update("alice", R"({"security":{"ip_allow_list":["192.0.2.0/24"]}})", 0));
  EXPECT_EQ(reason_of(server.wait(EventType::session_down)), "client_ip_not_allowed");
}

TEST(WireguardServer, ABlockedAddressIsNotAnsweredAndItsSessionsEnd) {
  ServerSetup setup = wireguard_setup();
  RunningServer server{setup};
  WireguardEnd alice(wireguard_client_of(server, "alice"));
  ASSERT_TRUE(alice.hears_an_echo());
  setup.extra = R"(,"security":{"connection_ip_block_list":["127.0.0.0/8"]})";
  ASSERT_TRUE(reconfigured(server, setup));
  EXPECT_EQ(reason_of(server.wait(EventType::session_down)), "ip_block_list");
  WireguardEnd bob(wireguard_client_of(server, "bob"));
  bob.send(echo_request(bob.address(), *inet::IpAddress::parse("10.8.0.1")));
  EXPECT_TRUE(bob.until([&] { return server.server->stats()->wireguard->blocked_source > 0; }));
  EXPECT_EQ(server.server->stats()->wireguard->handshakes_in, 1u) << "bob's was not looked at";
}

TEST(WireguardServer, RotatedKeysOverlapAndTheFirstSessionOnTheNewOneIsTold) {
  RunningServer server{wireguard_setup()};
  const std::string before = wireguard_client_of(server, "alice");
  WireguardEnd old_phone(before);
  ASSERT_TRUE(old_phone.hears_an_echo());
  registry::RotateOptions options;
  options.overlap_seconds = 3600;
  auto rotated = server.server->client_rotate("alice", options);
  ASSERT_TRUE(rotated) << rotated.error().text;
  EXPECT_EQ(server.server->stats()->wireguard->peers, 2u);
  EXPECT_TRUE(old_phone.hears_an_echo()) << "the former key is taken while they overlap";
  WireguardEnd new_phone(rotated->wireguard_conf);
  EXPECT_TRUE(new_phone.hears_an_echo());
  EXPECT_EQ(reason_of(server.wait(EventType::session_down)), "replaced");
  bool seen = false;
  for (auto event = server.events->next(0); event && !seen; event = server.events->next(0))
    seen = (*event)->type() == EventType::client_changed && std::string((*event)->text("change")) == "rotation_seen";
  ASSERT_TRUE(server.server->client_rotate_commit("alice"));
  EXPECT_EQ(server.server->stats()->wireguard->peers, 1u);
  EXPECT_TRUE(new_phone.hears_an_echo());
}

TEST(WireguardServer, APresharedKeyIsAskedForFromTheNextHandshakeOn) {
  RunningServer server{wireguard_setup()};
  const SecretKey psk = crypto::generate_key_pair(system_rng()).secret.clone();
  std::string conf = wireguard_client_of(server, "alice");
  ASSERT_TRUE(server.server->client_update("alice", R"({"wireguard_preshared_key":")" + key_text(psk) + "\"}", 0));
  WireguardEnd without(conf);
  without.send(echo_request(without.address(), *inet::IpAddress::parse("10.8.0.1")));
  EXPECT_TRUE(without.until([&] { return server.server->stats()->wireguard->responses_out > 0; }));
  EXPECT_EQ(server.server->sessions()->size(), 0u);
  conf.insert(conf.find("Endpoint"), "PresharedKey = " + key_text(psk) + "\n");
  WireguardEnd with(conf);
  EXPECT_TRUE(with.hears_an_echo());
}

TEST(WireguardServer, TheHostIsAskedBeforeASessionBegins) {
  ServerSetup setup = wireguard_setup();
  setup.extra = R"(,"security":{"authorize":"required"})";
  RunningServer server{setup};
  const std::string conf = wireguard_client_of(server, "alice");
  WireguardEnd refused(conf);
  refused.send(echo_request(refused.address(), *inet::IpAddress::parse("10.8.0.1")));
  auto request = server.server->authorize_next(kWaitMs);
  ASSERT_TRUE(request) << request.error().text;
  server::Authorizer::Answer answer;
  ASSERT_TRUE(server.server->authorize_answer((*request)->token, answer));
  EXPECT_EQ(reason_of(server.wait(EventType::connection_rejected)), "authorize_denied");
  WireguardEnd allowed(conf);
  allowed.send(echo_request(allowed.address(), *inet::IpAddress::parse("10.8.0.1")));
  request = server.server->authorize_next(kWaitMs);
  ASSERT_TRUE(request) << request.error().text;
  answer.allow = true;
  ASSERT_TRUE(server.server->authorize_answer((*request)->token, answer));
  EXPECT_FALSE(allowed.next().empty()) << "the packet has waited for the verdict";
}

TEST(WireguardServer, TheCeilingOfSessionsHoldsForEveryTransport) {
  ServerSetup setup = wireguard_setup();
  setup.extra = R"(,"limits":{"sessions":1})";
  RunningServer server{setup};
  WireguardEnd alice(wireguard_client_of(server, "alice"));
  ASSERT_TRUE(alice.hears_an_echo());
  WireguardEnd bob(wireguard_client_of(server, "bob"));
  bob.send(echo_request(bob.address(), *inet::IpAddress::parse("10.8.0.1")));
  EXPECT_EQ(reason_of(server.wait(EventType::connection_rejected)), "too_many_sessions");
}

TEST(WireguardServer, AChangedKeyOfOursEndsItsSessionsAndNewConfigurationsHaveIt) {
  ServerSetup setup = wireguard_setup();
  RunningServer server{setup};
  registry::ClientSpec spec;
  spec.id = "alice";
  const auto key = crypto::generate_key_pair(system_rng());
  spec.wireguard_public_key = key.pub;
  std::string before = wireguard_client_of(server, spec);
  WireguardEnd alice(before.insert(before.find("PrivateKey = ") + 13, key_text(key.secret)));
  ASSERT_TRUE(alice.hears_an_echo());
  setup.keys = wireguard_setup().keys;
  ASSERT_TRUE(reconfigured(server, setup));
  EXPECT_EQ(reason_of(server.wait(EventType::session_down)), "disconnected");
  std::string after = server.server->client_export("alice", true)->text;
  WireguardEnd again(after.insert(after.find("PrivateKey = ") + 13, key_text(key.secret)));
  EXPECT_TRUE(again.hears_an_echo());
}

// A server whose sessions end sooner than any configuration may say.
std::unique_ptr<server::Server> forgetful_server(const ServerSetup& setup) {
  auto config = config::parse_server_config(setup.json());
  EXPECT_TRUE(config) << config.error().path << " " << config.error().text;
  config->wireguard.session_timeout_s = 1;
  auto made = server::Server::create(std::move(*config));
  EXPECT_TRUE(made && (*made)->start());
  return std::move(*made);
}
std::string conf_of(server::Server& server, const std::string& id) {
  registry::ClientSpec spec;
  spec.id = id;
  return server.client_create(spec)->wireguard_conf;
}

TEST(WireguardServer, AClientThatSleepsIsWokenByWhatIsSentToIt) {
  ServerSetup setup = wireguard_setup();
  setup.mode = "host";
  auto server = forgetful_server(setup);
  auto events = *server->subscribe(telemetry::event_bit(EventType::session_down), 16);
  WireguardEnd alice(conf_of(*server, "alice"));
  const inet::IpAddress elsewhere = *inet::IpAddress::parse("192.0.2.1");
  alice.send(echo_request(alice.address(), elsewhere));
  ASSERT_TRUE(alice.until([&] { return server->sessions()->size() == 1; }));
  EXPECT_EQ(reason_of(*events->next(kWaitMs)), "peer_timeout");
  const Bytes packet = echo_request(elsewhere, alice.address(), 100);
  forward::HostPacket meta;
  meta.length = static_cast<uint32_t>(packet.size());
  ASSERT_TRUE(server->packets_write(packet, {&meta, 1}));
  EXPECT_EQ(alice.next(), packet);
  EXPECT_EQ(server->stats()->wireguard->initiations_out, 1u);
}

TEST(WireguardServer, OneClientsPacketWakesAnotherWhereClientsMeet) {
  ServerSetup setup = wireguard_setup();
  setup.network = R"(,"client_to_client":true)";
  auto server = forgetful_server(setup);
  auto events = *server->subscribe(telemetry::event_bit(EventType::session_down), 16);
  WireguardEnd alice(conf_of(*server, "alice")), bob(conf_of(*server, "bob"));
  ASSERT_TRUE(bob.hears_an_echo());
  EXPECT_EQ(reason_of(*events->next(kWaitMs)), "peer_timeout");
  ASSERT_TRUE(alice.hears_an_echo());
  const Bytes packet = echo_request(alice.address(), bob.address(), 100);
  alice.send(packet);
  EXPECT_EQ(bob.next(), packet);
  EXPECT_EQ(server->stats()->wireguard->initiations_out, 1u);
}

TEST(WireguardServer, ADrainTakesNobodyNewAndEndsInTime) {
  RunningServer server{wireguard_setup()};
  WireguardEnd alice(wireguard_client_of(server, "alice"));
  ASSERT_TRUE(alice.hears_an_echo());
  const std::string conf = wireguard_client_of(server, "bob");
  auto stopping = server.server->stop(60000, 0);
  EXPECT_FALSE(stopping);
  EXPECT_TRUE(alice.hears_an_echo()) << "who is in may stay until the drain is over";
  EXPECT_EQ(server.server->state(), server::State::draining);
  WireguardEnd bob(conf);
  bob.send(echo_request(bob.address(), *inet::IpAddress::parse("10.8.0.1")));
  EXPECT_TRUE(bob.until([&] { return server.server->stats()->wireguard->handshakes_in == 2; }));
  EXPECT_EQ(server.server->stats()->wireguard->responses_out, 1u) << "whoever comes now hears nothing";
  EXPECT_TRUE(server.server->stop(0, kWaitMs));
}

TEST(WireguardServer, AThousandClientsArePeersInOneTransactionAndAnyOfThemComes) {
  ServerSetup setup = wireguard_setup();
  setup.subnets = R"("10.8.0.0/16")";
  RunningServer server{setup};
  std::vector<server::ClientChange> changes(1000);
  for (size_t i = 0; i < changes.size(); ++i) changes[i].spec.id = "c" + std::to_string(i);
  auto made = server.server->transact(changes, 0);
  ASSERT_TRUE(made) << made.error().text;
  EXPECT_EQ(server.server->stats()->wireguard->peers, 1000u);
  for (size_t i : {0, 499, 999}) {
    WireguardEnd end(made->made[i]->wireguard_conf);
    EXPECT_TRUE(end.hears_an_echo()) << i;
  }
  for (auto& change : changes) change = server::ClientChange(server::ClientChange::Kind::remove, change.spec.id);
  ASSERT_TRUE(server.server->transact(changes, 0));
  EXPECT_EQ(server.server->stats()->wireguard->peers, 0u);
  EXPECT_EQ(server.server->sessions()->size(), 0u);
}

}  // namespace
}  // namespace smartvpn::testing_support
