#include "transport/ws/upgrade_client.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/ws_recorder.hpp"
#include "transport/ws/accept_key.hpp"
#include "transport/ws/upgrade_server.hpp"

namespace smartvpn::ws {
namespace {

using ClientOutcome = UpgradeClient::Outcome;
using testing::HasSubstr;

class UpgradeClientTest : public testing::Test {
 protected:
  UpgradeClient make() {
    Result<UpgradeClient> made = UpgradeClient::create(config_, rng_);
    EXPECT_TRUE(made);
    return std::move(*made);
  }
  static std::string proof_for(const UpgradeClient& client) {
    const std::string_view text = as_text(client.request());
    const size_t at = text.find("Sec-WebSocket-Key: ") + 19;
    return accept_for_key(text.substr(at, 24));
  }
  // The answer to a fresh client, with PROOF replaced by the right one.
  ClientOutcome answer(std::string text, std::string* error = nullptr, uint16_t* status = nullptr) {
    UpgradeClient client = make();
    if (const size_t at = text.find("PROOF"); at != std::string::npos) text.replace(at, 5, proof_for(client));
    size_t n = 0, total = 0;
    ClientOutcome outcome = ClientOutcome::need_more;
    for (size_t i = 0; i < text.size() && outcome == ClientOutcome::need_more; i += 7) {
      outcome = client.feed(as_bytes(text).subspan(i, std::min<size_t>(7, text.size() - i)), n);
      total += n;
    }
    if (outcome == ClientOutcome::upgraded) {
      EXPECT_EQ(total, text.find("\r\n\r\n") + 4);
    }
    EXPECT_EQ(client.error().empty(), outcome != ClientOutcome::failed);
    if (error) *error = client.error();
    if (status) *status = client.status();
    return outcome;
  }
  static std::string right(const std::string& upgrade = "Upgrade: websocket\r\n",
                           const std::string& connection = "Connection: Upgrade\r\n",
                           const std::string& accept = "Sec-WebSocket-Accept: PROOF\r\n",
                           const std::string& protocol = "Sec-WebSocket-Protocol: smartvpn.v1\r\n") {
    return "HTTP/1.1 101 Switching Protocols\r\n" + upgrade + connection + accept + protocol + "\r\n";
  }

  test::CountingRng rng_;
  UpgradeClientConfig config_ = [] {
    UpgradeClientConfig c;
    c.host = "[2001:db8::1]:8443";
    c.path = "/tunnel?x=1";
    return c;
  }();
};

TEST_F(UpgradeClientTest, OurServerTakesTheRequestAndWeTakeItsAnswer) {
  UpgradeServerConfig server_config;
  server_config.path = "/tunnel";
  UpgradeServer server(server_config);
  UpgradeClient client = make();
  size_t n = 0;
  ASSERT_EQ(server.feed(client.request(), n), UpgradeServer::Outcome::upgraded);
  EXPECT_EQ(server.request().value("host"), "[2001:db8::1]:8443");
  EXPECT_EQ(server.request().target(), "/tunnel?x=1");
  ASSERT_EQ(client.feed(server.response(), n), ClientOutcome::upgraded);
  EXPECT_EQ(n, server.response().size());
  EXPECT_EQ(client.subprotocol(), "smartvpn.v1");
  EXPECT_EQ(client.status(), 101);
}

TEST_F(UpgradeClientTest, EveryConnectionHasItsOwnKey) {
  EXPECT_NE(as_text(make().request()), as_text(make().request()));
}

TEST_F(UpgradeClientTest, ReadsTheAnswerInAnyCase) {
  EXPECT_EQ(answer(right("UPGRADE: WebSocket\r\n", "connection: keep-alive, upgrade\r\n")), ClientOutcome::upgraded);
  EXPECT_EQ(answer(right() + "\x82\x01x"), ClientOutcome::upgraded);
}

TEST_F(UpgradeClientTest, RefusesEveryAnswerThatIsNotProof) {
  for (const std::string& bad : {
           right(""),
           right("Upgrade: h2c\r\n"),
           right("Upgrade: websocket, h2c\r\n"),
           right("Upgrade: websocket\r\nUpgrade: websocket\r\n"),
           right("Upgrade: websocket\r\nUpgrade: h2c\r\n"),
           right("Upgrade: websocket\r\n", ""),
           right("Upgrade: websocket\r\n", "Connection: close\r\n"),
           right("Upgrade: websocket\r\n", "Connection: Upgrade\r\n", ""),
           right("Upgrade: websocket\r\n", "Connection: Upgrade\r\n",
                 "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
           right("Upgrade: websocket\r\n", "Connection: Upgrade\r\n",
                 "Sec-WebSocket-Accept: PROOF\r\nSec-WebSocket-Accept: x\r\n"),
           right("Upgrade: websocket\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"),
           right("Upgrade: websocket\r\n", "Connection: Upgrade\r\n", "Sec-WebSocket-Accept: PROOF\r\n", ""),
           right("Upgrade: websocket\r\n", "Connection: Upgrade\r\n", "Sec-WebSocket-Accept: PROOF\r\n",
                 "Sec-WebSocket-Protocol: chat\r\n"),
           right("Upgrade: websocket\r\n", "Connection: Upgrade\r\n", "Sec-WebSocket-Accept: PROOF\r\n",
                 "Sec-WebSocket-Protocol: smartvpn.v1\r\nSec-WebSocket-Protocol: smartvpn.v1\r\n"),
           std::string("HTTP/1.0 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Accept: PROOF\r\nSec-WebSocket-Protocol: smartvpn.v1\r\n\r\n"),
           std::string("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
           std::string("HTTP/1.1 100 Continue\r\n\r\n"),
           std::string("SSH-2.0-OpenSSH_9.2\r\n"),
           "HTTP/1.1 101 X\r\nA: " + std::string(5000, 'x') + "\r\n\r\n",
       })
    EXPECT_EQ(answer(bad), ClientOutcome::failed) << bad;
}

TEST_F(UpgradeClientTest, SaysWhichStatusRefusedIt) {
  std::string error;
  uint16_t status = 0;
  EXPECT_EQ(answer("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n\r\nbody", &error, &status),
            ClientOutcome::failed);
  EXPECT_EQ(status, 503);
  EXPECT_THAT(error, HasSubstr("refused"));
}

TEST_F(UpgradeClientTest, TheSubprotocolMayBeOptional) {
  config_.require_subprotocol = false;
  const std::string up = "Upgrade: websocket\r\n", conn = "Connection: Upgrade\r\n";
  EXPECT_EQ(answer(right(up, conn, "Sec-WebSocket-Accept: PROOF\r\n", "")), ClientOutcome::upgraded);
  config_.subprotocols.clear();
  EXPECT_EQ(answer(right(up, conn, "Sec-WebSocket-Accept: PROOF\r\n", "")), ClientOutcome::upgraded);
  EXPECT_EQ(answer(right()), ClientOutcome::failed) << "chosen, but never offered";
}

TEST_F(UpgradeClientTest, ConfigurationCannotSmuggleLinesIntoTheRequest) {
  auto refused = [&](auto change) {
    UpgradeClientConfig c = config_;
    change(c);
    Result<UpgradeClient> made = UpgradeClient::create(c, rng_);
    return made.ok() ? std::string("accepted") : made.error().path;
  };
  EXPECT_EQ(refused([](auto& c) { c.host = ""; }), "host");
  EXPECT_EQ(refused([](auto& c) { c.host = "a\r\nX: y"; }), "host");
  EXPECT_EQ(refused([](auto& c) { c.host = "user@a"; }), "host");
  EXPECT_EQ(refused([](auto& c) { c.path = "tunnel"; }), "path");
  EXPECT_EQ(refused([](auto& c) { c.path = "/a b"; }), "path");
  EXPECT_EQ(refused([](auto& c) { c.path = "/a\r\n"; }), "path");
  EXPECT_EQ(refused([](auto& c) { c.subprotocols = {"a,b"}; }), "subprotocols");
  EXPECT_EQ(refused([](auto& c) { c.extra_fields = {{"X-A", "b\r\nC: d"}}; }), "extra_fields");
  EXPECT_EQ(refused([](auto& c) { c.extra_fields = {{"Host", "b"}}; }), "extra_fields");
  EXPECT_EQ(refused([](auto& c) { c.extra_fields = {{"sec-WebSocket-Key", "b"}}; }), "extra_fields");
  config_.extra_fields = {{"Authorization", "Bearer x"}};
  EXPECT_THAT(std::string(as_text(make().request())), HasSubstr("\r\nAuthorization: Bearer x\r\n"));
}

}  // namespace
}  // namespace smartvpn::ws
