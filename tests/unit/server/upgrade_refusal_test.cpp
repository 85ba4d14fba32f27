// What a listener answers to HTTP that is no upgrade of ours, health checks included.
#include "support/wire_client.hpp"

namespace smartvpn::testing_support {
namespace {

std::string request(const std::string& line, const std::string& fields = "Host: vpn\r\n") {
  return line + "\r\n" + fields + "\r\n";
}

TEST(UpgradeRefusal, AnswersWithTheRightStatusAndEndsTheStream) {
  RunningServer server{ServerSetup()};
  const std::string upgrade_fields(kUpgradeRequest.substr(kUpgradeRequest.find("Host")));
  const std::string without_version = std::string(kUpgradeRequest).replace(kUpgradeRequest.find("13"), 2, "12");
  struct Case {
    std::string request, status;
  };
  const std::vector<Case> cases = {
      {request("GET /healthz HTTP/1.1"), "200 OK"},
      {request("POST /healthz HTTP/1.1"), "405 Method Not Allowed"},
      {request("GET /elsewhere HTTP/1.1"), "404 Not Found"},
      {request("GET /tunnel HTTP/1.1"), "426 Upgrade Required"},
      {without_version, "426 Upgrade Required"},
      {request("POST /tunnel HTTP/1.1"), "405 Method Not Allowed"},
      {request("GET /tunnel HTTP/1.1", "Host: vpn\r\nContent-Length: 3\r\n"), "400 Bad Request"},
      {"nonsense\r\n\r\n", "400 Bad Request"},
      {"GET /tunnel HTTP/1.1\nHost: vpn\n\n", "400 Bad Request"},
      {request("GET /tunnel HTTP/1.1", "Host: vpn\r\nX: " + std::string(9000, 'x') + "\r\n"),
       "431 Request Header Fields Too Large"},
  };
  uint64_t malformed = 0;
  for (const auto& [text, status] : cases) {
    RawSocket socket(server.port());
    EXPECT_EQ(ask(socket, text), "HTTP/1.1 " + status) << text.substr(0, 60);
    socket.read_to_end();
    EXPECT_EQ(socket.ending(), Ending::fin) << text.substr(0, 60);
    malformed += status != "200 OK" && text.find("/healthz") == std::string::npos;
  }
  EXPECT_TRUE(becomes_idle(server));
  EXPECT_EQ(rejections(server, Reason::upgrade_malformed), malformed);
}

TEST(UpgradeRefusal, APeerThatStaysAfterItsRefusalIsCutSoon) {
  RunningServer server{ServerSetup()};
  RawSocket socket(server.port());
  EXPECT_EQ(ask(socket, request("GET /elsewhere HTTP/1.1")), "HTTP/1.1 404 Not Found");
  socket.read_to_end();
  // The server's half is shut; ours is answered with a reset once the server has let go altogether.
  EXPECT_TRUE(eventually([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return !socket.send("x");
  }));
}

// What a browser's page could open a connection with is worth nothing without a key.
TEST(UpgradeRefusal, AnOriginIsNeitherNeededNorAReason) {
  RunningServer server{ServerSetup()};
  for (const char* origin : {"", "Origin: https://evil.example\r\n", "Origin: null\r\nOrigin: null\r\n"}) {
    std::string text(kUpgradeRequest);
    text.insert(text.find("Host"), origin);
    RawSocket socket(server.port());
    EXPECT_EQ(ask(socket, text), "HTTP/1.1 101 Switching Protocols") << origin;
  }
}

TEST(UpgradeRefusal, NothingBehindARefusedRequestIsLookedAt) {
  RunningServer server{ServerSetup()};
  RawSocket socket(server.port());
  socket.send(request("GET /elsewhere HTTP/1.1") + std::string(kHealthRequest) + std::string(kUpgradeRequest));
  std::string all = socket.read_to_end();
  EXPECT_EQ(status_line(all), "HTTP/1.1 404 Not Found");
  EXPECT_EQ(all.find("HTTP/1.1", 1), std::string::npos);
  socket.close();
  EXPECT_TRUE(becomes_idle(server));
}

// stop() that does not wait comes back before the data thread has heard of it.
bool drains(RunningServer& server) {
  return eventually([&] {
    RawSocket probe(server.port());
    return ask(probe, kHealthRequest) == "HTTP/1.1 503 Service Unavailable";
  });
}

TEST(UpgradeRefusal, ADrainingServerAnswers503) {
  RunningServer server{ServerSetup()};
  auto tunnel = connect(client_config(server.create_client("alice"), "testing", R"(,"reconnect":{"enabled":false})"));
  ASSERT_TRUE(tunnel);
  auto begun = server.server->stop(kWaitMs, 0);
  ASSERT_FALSE(begun);
  EXPECT_EQ(begun.error().status, Status::AGAIN);
  EXPECT_EQ(server.server->state(), server::State::draining);
  ASSERT_TRUE(drains(server));
  RawSocket health(server.port()), upgrade(server.port());
  EXPECT_EQ(ask(health, kHealthRequest), "HTTP/1.1 503 Service Unavailable");
  EXPECT_EQ(ask(upgrade, kUpgradeRequest), "HTTP/1.1 503 Service Unavailable");
  EXPECT_EQ(next_rejection(server), "draining");
  ASSERT_TRUE(tunnel->stop(kWaitMs));
  EXPECT_TRUE(server.server->stop(0, kWaitMs));
}

TEST(UpgradeRefusal, AHalfOpenConnectionIsNoSessionOnceTheServerDrains) {
  RunningServer server{ServerSetup()};
  std::string bob = server.create_client("bob");
  auto tunnel = connect(client_config(server.create_client("alice"), "testing", R"(,"reconnect":{"enabled":false})"));
  ASSERT_TRUE(tunnel);
  WireClient client(RawSocket(server.port()), server.public_key_, key_of(bob));
  ASSERT_TRUE(client.upgrade());
  ASSERT_TRUE(client.hear_hello());
  ASSERT_TRUE(client.say_next());
  ASSERT_TRUE(client.hear());
  ASSERT_FALSE(server.server->stop(kWaitMs, 0));
  ASSERT_TRUE(drains(server));
  ASSERT_TRUE(client.say_next());  // would have been the first data
  while (client.hear()) continue;
  ASSERT_TRUE(client.closed);
  EXPECT_EQ(client.closed->code, session::CloseCode::stopping);
  EXPECT_EQ(next_rejection(server), "draining");
  ASSERT_TRUE(tunnel->stop(kWaitMs));
  EXPECT_TRUE(server.server->stop(0, kWaitMs));
}

}  // namespace
}  // namespace smartvpn::testing_support
