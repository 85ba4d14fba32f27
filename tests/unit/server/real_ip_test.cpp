// Listeners behind HTTP proxies, held against raw sockets that play the proxy: who the client is comes from a
// header, is believed from trusted peers only, and is what lists and limits judge.
#include "support/wire_client.hpp"

namespace smartvpn::testing_support {
namespace {

using telemetry::EventType;

std::string http_listener(const std::string& header = "x-forwarded-for", const std::string& extra = {},
                          const std::string& trusted = R"("127.0.0.1","10.0.0.0/8")") {
  return R"({"transport":"websocket","address":"127.0.0.1","port":0,"real_ip_header":")" + header +
         R"(","real_ip_trusted_proxies":[)" + trusted + "]" + extra + "}";
}
ServerSetup behind_http(const std::string& header = "x-forwarded-for", const std::string& security = {}) {
  ServerSetup setup;
  setup.listen = http_listener(header);
  if (!security.empty()) setup.extra = R"(,"security":{)" + security + "}";
  return setup;
}
// An upgrade with further header lines, each ended by "\r\n".
std::string upgrade_with(const std::string& lines) {
  std::string request(kUpgradeRequest);
  return request.insert(request.size() - 2, lines);
}
std::string status_of(RunningServer& server, const std::string& lines) {
  RawSocket socket(server.port());
  return ask(socket, upgrade_with(lines)).substr(9, 3);
}
// Upgrades with these lines, and goes on to a session.
std::unique_ptr<WireClient> session_with(RunningServer& server, const SecretKey& key, const std::string& lines) {
  auto client = std::make_unique<WireClient>(RawSocket(server.port()), server.public_key_, key.clone());
  client->socket.send(upgrade_with(lines));
  EXPECT_TRUE(client->socket.read_through("\r\n\r\n").starts_with("HTTP/1.1 101 "));
  EXPECT_TRUE(client->hear_hello() && client->say_next() && client->hear() && client->say_next());
  return client;
}

// The next refusal for this reason; null when none comes in time.
telemetry::EventPtr next_rejection_for(RunningServer& server, const std::string& reason) {
  auto event = server.wait(EventType::connection_rejected);
  while (event && event->text("reason") != reason) event = server.wait(EventType::connection_rejected);
  return event;
}

TEST(RealIp, EventsAndSessionsShowTheClientAndTheProxy) {
  struct Case {
    const char* header;
    const char* lines;
    const char* client;
  };
  for (auto [header, lines, client_addr] :
       {Case{"x-forwarded-for", "X-Forwarded-For: 203.0.113.9, 198.51.100.7\r\n", "198.51.100.7:0"},
        Case{"X-Forwarded-For", "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 198.51.100.7, 10.1.1.1\r\n",
             "198.51.100.7:0"},
        Case{"forwarded", "Forwarded: for=\"[2001:db8::7]:4711\";proto=https\r\n", "[2001:db8::7]:4711"},
        Case{"cf-connecting-ip", "CF-Connecting-IP: 2001:db8::7\r\n", "[2001:db8::7]:0"}}) {
    RunningServer server{behind_http(header)};
    auto client = session_with(server, key_of(server.create_client("alice")), lines);
    auto accepted = server.wait(EventType::connection_accepted);
    auto up = server.wait(EventType::session_up);
    ASSERT_TRUE(accepted && up);
    for (const auto& event : {accepted, up}) {
      EXPECT_STREQ(event->text("remote_addr"), client_addr);
      EXPECT_TRUE(std::string(event->text("peer_addr")).starts_with("127.0.0.1:"));
    }
    auto sessions = sessions_of(server);
    ASSERT_EQ(sessions.size(), 1u);
    EXPECT_EQ(sessions[0].remote_addr->text(), client_addr);
    EXPECT_EQ(inet::Endpoint::parse(client_addr), sessions[0].remote_addr);
  }
}

TEST(RealIp, AStrangerIsRefusedBeforeAByteIsRead) {
  RunningServer server{behind_http()};
  RawSocket stranger(server.port(), "127.0.0.9");
  EXPECT_EQ(stranger.read_to_end(), "");
  EXPECT_EQ(stranger.ending(), Ending::fin);
  auto event = server.wait(EventType::connection_rejected);
  ASSERT_TRUE(event);
  EXPECT_STREQ(event->text("reason"), "untrusted_proxy");
  EXPECT_TRUE(becomes_idle(server));
}

TEST(RealIp, AHeaderThatDoesNotTellTheClientRefusesTheUpgrade) {
  RunningServer server{behind_http()};
  EXPECT_EQ(status_of(server, ""), "400");
  EXPECT_EQ(status_of(server, "X-Forwarded-For: 198.51.100.7, unknown\r\n"), "400");
  EXPECT_EQ(status_of(server, "X-Forwarded-For: \r\n"), "400");
  EXPECT_EQ(status_of(server, "X-Forwarded-For: 198.51.100.7\r\nX-Forwarded-For: x\r\n"), "400");
  EXPECT_EQ(status_of(server, "X-Real-IP: 198.51.100.7\r\n"), "400");
  EXPECT_TRUE(becomes_idle(server));
  EXPECT_EQ(rejections(server, Reason::upgrade_malformed), 5u);
  auto event = server.wait(EventType::connection_rejected);
  ASSERT_TRUE(event);
  EXPECT_STREQ(event->text("detail"), "the header that names the client is missing");
  EXPECT_EQ(event->text("remote_addr"), nullptr);

  RunningServer single{behind_http("x-real-ip")};
  EXPECT_EQ(status_of(single, "X-Real-IP: 198.51.100.7\r\nX-Real-IP: 198.51.100.7\r\n"), "400");
  EXPECT_EQ(status_of(single, "X-Real-IP: 198.51.100.7\r\n"), "101");
}

TEST(RealIp, OtherHeadersSayNothing) {
  RunningServer server{behind_http("x-real-ip")};
  EXPECT_EQ(status_of(server, "X-Forwarded-For: x\r\nForwarded: for=1.2.3.4\r\nX-Real-IP: 198.51.100.7\r\n"), "101");
  auto accepted = server.wait(EventType::connection_accepted);
  ASSERT_TRUE(accepted);
  EXPECT_STREQ(accepted->text("remote_addr"), "198.51.100.7:0");
}

TEST(RealIp, TheClientsAddressIsJudgedBeforeTheUpgrade) {
  RunningServer server{behind_http("x-forwarded-for", R"("connection_ip_block_list":["198.51.100.66"])")};
  EXPECT_EQ(status_of(server, "X-Forwarded-For: 198.51.100.7\r\n"), "101");
  EXPECT_EQ(status_of(server, "X-Forwarded-For: 198.51.100.66\r\n"), "403");
  EXPECT_EQ(status_of(server, "X-Forwarded-For: 203.0.113.9, ::ffff:198.51.100.66, 10.0.0.1\r\n"), "403");
  EXPECT_EQ(status_of(server, "X-Forwarded-For: 198.51.100.66, 203.0.113.9\r\n"), "101");  // forged, and no matter
  auto event = next_rejection_for(server, "ip_block_list");
  ASSERT_TRUE(event);
  EXPECT_STREQ(event->text("remote_addr"), "198.51.100.66:0");
  EXPECT_TRUE(becomes_idle(server));
}

TEST(RealIp, AClientsOwnListsAreHeldAgainstIt) {
  RunningServer server{behind_http()};
  registry::ClientSpec spec;
  spec.id = "alice";
  spec.security.ip_allow_list = {"198.51.100.0/24"};
  SecretKey key = key_of(server.create_client(spec));
  session_with(server, key, "X-Forwarded-For: 198.51.100.7\r\n");
  WireClient other(RawSocket(server.port()), server.public_key_, key.clone());
  other.socket.send(upgrade_with("X-Forwarded-For: 198.51.100.7, 203.0.113.9\r\n"));
  ASSERT_TRUE(other.socket.read_through("\r\n\r\n").starts_with("HTTP/1.1 101 "));
  ASSERT_TRUE(other.hear_hello() && other.say_next() && other.hear());
  EXPECT_EQ(next_rejection(server), "client_ip_not_allowed");
}

TEST(RealIp, LimitsCountTheClientAndNotTheProxy) {
  RunningServer server{behind_http("x-forwarded-for", R"("max_connections_per_ip":2)")};
  std::vector<RawSocket> open;
  auto open_from = [&](const std::string& client) {
    open.emplace_back(server.port());
    return ask(open.back(), upgrade_with("X-Forwarded-For: " + client + "\r\n")).substr(9, 3);
  };
  for (int i = 1; i <= 6; ++i) EXPECT_EQ(open_from("198.51.100." + std::to_string(i)), "101");
  EXPECT_EQ(open_from("203.0.113.9"), "101");
  EXPECT_EQ(open_from("203.0.113.9"), "101");
  EXPECT_EQ(open_from("203.0.113.9"), "503");
  EXPECT_EQ(next_rejection(server), "too_many_connections");
  open.clear();
  EXPECT_TRUE(becomes_idle(server));
}

TEST(RealIp, AProxyMayNotHoldMoreThanAllHandshakesTogether) {
  RunningServer server{behind_http("x-forwarded-for", R"("max_handshakes_in_progress":2)")};
  RawSocket first(server.port()), second(server.port()), third(server.port());
  EXPECT_EQ(third.read_to_end(), "");
  EXPECT_EQ(next_rejection(server), "too_many_connections");
}

TEST(RealIp, HealthChecksNeedNoHeader) {
  RunningServer server{behind_http()};
  for (int i = 0; i < 3; ++i) {
    RawSocket socket(server.port());
    EXPECT_EQ(ask(socket, kHealthRequest), "HTTP/1.1 200 OK");
    socket.read_to_end();
  }
  EXPECT_TRUE(becomes_idle(server));
  EXPECT_EQ(stats_of(server).total.rejections[static_cast<size_t>(Reason::upgrade_malformed)], 0u);
  RawSocket stranger(server.port(), "127.0.0.9");
  stranger.send(kHealthRequest);
  EXPECT_EQ(stranger.read_to_end(), "");
}

TEST(RealIp, OtherRequestsGetTheirAnswersAndAreCountedAgainstTheClient) {
  RunningServer server{behind_http()};
  RawSocket wrong_path(server.port()), no_http(server.port());
  EXPECT_EQ(ask(wrong_path, "GET /x HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n"),
            "HTTP/1.1 404 Not Found");
  auto event = server.wait(EventType::connection_rejected);
  ASSERT_TRUE(event);
  EXPECT_STREQ(event->text("reason"), "upgrade_malformed");
  EXPECT_STREQ(event->text("remote_addr"), "198.51.100.7:0");
  EXPECT_EQ(ask(no_http, "rubbish\r\n\r\n"), "HTTP/1.1 400 Bad Request");
  wrong_path.close();
  no_http.close();
  EXPECT_TRUE(becomes_idle(server));
}

TEST(RealIp, TheStageHasItsDeadline) {
  RunningServer server{behind_http("x-forwarded-for", R"("upgrade_timeout_ms":1000)")};
  RawSocket slow(server.port());
  slow.send("GET /tunnel HTTP/1.1\r\n");
  EXPECT_EQ(slow.read_to_end(), "");
  EXPECT_EQ(next_rejection(server), "upgrade_timeout");
  EXPECT_TRUE(becomes_idle(server));
}

// HAProxy with PROXY in front of which a CDN with a header stands: the address in the PROXY header has to be the CDN's.
TEST(RealIp, BehindAProxyHeaderTheAddressInThatIsTheOneThatIsTrusted) {
  ServerSetup setup;
  setup.listen = http_listener("cf-connecting-ip",
                               R"(,"proxy_protocol":{"mode":"v2","trusted_proxies":["127.0.0.1"],"local":"health"})",
                               R"("203.0.113.0/24")");
  RunningServer server{setup};
  auto status_behind = [&](const Bytes& header) {
    RawSocket socket(server.port());
    socket.send(header);
    std::string line = ask(socket, upgrade_with("CF-Connecting-IP: 198.51.100.7\r\n"));
    return line.empty() ? "" : line.substr(9, 3);
  };
  EXPECT_EQ(status_behind(v2_header("203.0.113.5:99")), "101");
  auto accepted = server.wait(EventType::connection_accepted);
  ASSERT_TRUE(accepted);
  EXPECT_STREQ(accepted->text("remote_addr"), "198.51.100.7:0");
  EXPECT_EQ(status_behind(v2_header("198.51.100.9:99")), "");  // past the CDN
  auto event = next_rejection_for(server, "untrusted_proxy");
  ASSERT_TRUE(event);
  EXPECT_STREQ(event->text("remote_addr"), "198.51.100.9:99");
  EXPECT_EQ(status_behind(proxyproto::testing::v2(0x21, 0x00, {})), "");  // without an address nobody is believed
  RawSocket health(server.port());
  health.send(v2_local());
  EXPECT_EQ(ask(health, kHealthRequest), "HTTP/1.1 200 OK");
}

TEST(RealIp, WithoutTheHeaderConfiguredItIsNotRead) {
  RunningServer server{ServerSetup()};
  EXPECT_EQ(status_of(server, "X-Forwarded-For: 203.0.113.9\r\n"), "101");
  auto accepted = server.wait(EventType::connection_accepted);
  ASSERT_TRUE(accepted);
  EXPECT_TRUE(std::string(accepted->text("remote_addr")).starts_with("127.0.0.1:"));
}

TEST(RealIp, AListThatTrustsEverybodyIsRefused) {
  ServerSetup setup;
  setup.listen = http_listener("x-forwarded-for", "", R"("0.0.0.0/1")");
  auto made = server::Server::create(*config::parse_server_config(setup.json()));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().path, "/listen/0/real_ip_trusted_proxies");
}

}  // namespace
}  // namespace smartvpn::testing_support
